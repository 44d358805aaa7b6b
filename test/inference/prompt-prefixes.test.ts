import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { parseModelId } from '../../src/ids.ts';
import type { ChatMessage, Job } from '../../src/inference/engine.ts';
import {
  appendAnswer,
  BLOCK_BYTES,
  BLOCKS_MAX,
  promptPrefixes,
  PromptPrefixes,
} from '../../src/inference/prompt-prefixes.ts';

const KEY = new Uint8Array(32).fill(7);
const OTHER_KEY = new Uint8Array(32).fill(8);
const SAMPLING = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] } as const;
const ASKED: ChatMessage = { role: 'user', content: 'Tell me of geese. '.repeat(200) };

function job(messages: readonly ChatMessage[], more: Partial<Job> = {}): Job {
  const model = parseModelId('flock-7b');
  assert.ok(model !== undefined);
  return { model, messages, sampling: SAMPLING, ...more };
}

function hashes(asked: Job, key: Uint8Array = KEY): readonly string[] {
  return promptPrefixes(asked, key)?.hashes ?? [];
}

function common(left: readonly string[], right: readonly string[]): number {
  const differs = left.findIndex((hash, index) => hash !== right[index]);
  return differs < 0 ? left.length : differs;
}

describe('the hashes of the beginnings of a prompt', () => {
  it('has one for each full block, of 64 bits', () => {
    const head = '\0user\n'.length;
    for (const [length, blocks] of [
      [0, 0],
      [BLOCK_BYTES - head - 1, 0],
      [BLOCK_BYTES - head, 1],
      [2 * BLOCK_BYTES - head - 1, 1],
      [2 * BLOCK_BYTES - head, 2],
    ] as const) {
      const found = hashes(job([{ role: 'user', content: 'x'.repeat(length) }]));
      assert.equal(found.length, blocks, `${length} characters`);
      for (const hash of found) assert.match(hash, /^[0-9a-f]{16}$/);
    }
  });

  it('stops after the most there may be, however long the prompt is', () => {
    const long = hashes(job([{ role: 'user', content: '鵝'.repeat(2_000_000) }, ASKED]));
    assert.equal(long.length, BLOCKS_MAX);
    assert.equal(new Set(long).size, BLOCKS_MAX);
  });

  it('are those of the next turn, the answer included', () => {
    const answer = 'Geese are heavy. '.repeat(300);
    const first = job([ASKED]);
    const prefixes = promptPrefixes(first, KEY);
    assert.ok(prefixes !== undefined);
    appendAnswer(prefixes, first, answer);
    const said = [ASKED, { role: 'assistant', content: answer }, { role: 'user', content: 'And swans?' }] as const;
    const next = hashes(job(said));
    assert.equal(common(prefixes.hashes, next), prefixes.hashes.length);
    assert.ok(prefixes.hashes.length > hashes(first).length);
  });

  it('are those of the text so far for a text that goes on', () => {
    const first = job([], { task: { type: 'completion', prompt: ASKED.content } });
    const prefixes = promptPrefixes(first, KEY);
    assert.ok(prefixes !== undefined);
    appendAnswer(prefixes, first, ASKED.content);
    const whole = job([], { task: { type: 'completion', prompt: ASKED.content.repeat(2) } });
    assert.deepEqual(hashes(whole), prefixes.hashes);
  });

  it('differ from the first difference on, whatever it is', () => {
    const plain = hashes(job([{ role: 'system', content: 'Be brief.' }, ASKED]));
    const tool = { name: 'look', parameters: '{}' };
    const toolUse = { tools: [tool], choice: { type: 'auto' }, parallel: true } as const;
    const call = { ...ASKED, toolCalls: [{ id: '1', name: 'look', arguments: '{"at":"here"}' }] };
    const { model } = job([]);
    const otherModel = parseModelId('flock-8b');
    assert.ok(otherModel !== undefined && otherModel !== model);
    const others: readonly (readonly [string, readonly string[], number])[] = [
      ['another key', hashes(job([{ role: 'system', content: 'Be brief.' }, ASKED]), OTHER_KEY), 0],
      ['another model', hashes(job([{ role: 'system', content: 'Be brief.' }, ASKED], { model: otherModel })), 0],
      ['another role', hashes(job([{ role: 'user', content: 'Be brief.' }, ASKED])), 0],
      ['functions', hashes(job([{ role: 'system', content: 'Be brief.' }, ASKED], { toolUse })), 0],
      ['more text', hashes(job([{ role: 'system', content: 'Be brief.' }, ASKED, ASKED])), plain.length],
      ['a call', hashes(job([{ role: 'system', content: 'Be brief.' }, call, ASKED])), plain.length],
    ];
    for (const [what, found, equal] of others) assert.equal(common(plain, found), equal, what);
    assert.deepEqual(hashes(job([{ role: 'system', content: 'Be brief.' }, ASKED])), plain);
  });

  it('are not made for vectors and scores, nor of answers that come as one line for each token', () => {
    assert.equal(promptPrefixes(job([], { task: { type: 'embedding', inputs: [ASKED.content] } }), KEY), undefined);
    const task = { type: 'rerank', query: ASKED.content, documents: ['x'] } as const;
    assert.equal(promptPrefixes(job([], { task }), KEY), undefined);
    const scored = job([ASKED], { sampling: { ...SAMPLING, logprobs: 1 } });
    const prefixes = promptPrefixes(scored, KEY);
    assert.ok(prefixes !== undefined);
    appendAnswer(prefixes, scored, ASKED.content);
    assert.deepEqual(prefixes.hashes, hashes(scored));
  });

  it('do not depend on how the text is parted between characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), fc.nat(60), (unit, cut) => {
        const letters = Array.from(unit.repeat(60));
        const [whole, parted] = [new PromptPrefixes(KEY, 'm'), new PromptPrefixes(KEY, 'm')];
        whole.append(letters.join(''));
        parted.append(letters.slice(0, cut).join(''));
        parted.append(letters.slice(cut).join(''));
        assert.deepEqual(parted.hashes, whole.hashes);
      }),
      { numRuns: 50 },
    );
  });

  it('are HMAC-SHA-256 of the hash before and the block', () => {
    const text = Buffer.from(`\0user\n${'x'.repeat(3_000)}`);
    const expected: string[] = [];
    let last = Buffer.from('flock-7b');
    for (let at = 0; at + BLOCK_BYTES <= text.length; at += BLOCK_BYTES) {
      const mac = createHmac('sha256', KEY)
        .update(last)
        .update(text.subarray(at, at + BLOCK_BYTES));
      last = mac.digest().subarray(0, 8);
      expected.push(last.toString('hex'));
    }
    assert.deepEqual(hashes(job([{ role: 'user', content: 'x'.repeat(3_000) }])), expected);
  });
});
