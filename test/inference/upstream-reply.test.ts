import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { utf8 } from '../../src/bytes.ts';
import { failure } from '../../src/errors.ts';
import { parseModelId } from '../../src/ids.ts';
import type { EngineEvent, Resume, Sampling } from '../../src/inference/engine.ts';
import { UpstreamReply } from '../../src/inference/upstream-reply.ts';

const DONE = 'data: [DONE]\n\n';

describe('the reply of an upstream', () => {
  it('is the same however its bytes are cut', () => {
    const text =
      delta('gänse ') + ': busy\n\n' + delta('fliegen 🪿') + end('stop', { prompt_tokens: 5, completion_tokens: 9 });
    const bytes = utf8(text);
    const expected = read(bytes);
    assert.equal(expected.text, 'gänse fliegen 🪿');
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
        const edges = [0, ...cuts.toSorted((left, right) => left - right), bytes.length];
        const chunks = edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
        assert.deepEqual(read(...chunks), expected);
      }),
    );
    assert.deepEqual(read(...Array.from(bytes, (byte) => Uint8Array.of(byte))), expected);
  });

  it('takes the usage of the upstream, within reason', () => {
    for (const { usage, expected } of [
      {
        usage: { prompt_tokens: 5, completion_tokens: 9 },
        expected: { promptTokens: 5, completionTokens: 9, cachedTokens: 0 },
      },
      {
        usage: { prompt_tokens: 5, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 4 } },
        expected: { promptTokens: 5, completionTokens: 2, cachedTokens: 4 },
      },
      {
        usage: { prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 99 } },
        expected: { promptTokens: 5, completionTokens: 1, cachedTokens: 5 },
      },
      {
        usage: { prompt_tokens: -5, completion_tokens: 1e99 },
        expected: { promptTokens: 6, completionTokens: 2, cachedTokens: 0 },
      },
      { usage: 'many', expected: { promptTokens: 6, completionTokens: 2, cachedTokens: 0 } },
    ])
      assert.deepEqual(read(utf8(delta('a') + delta('b') + end('stop', usage))).ended?.usage, expected);
  });

  it('counts the whole answer itself where it was resumed', () => {
    const { ended } = read(
      { resume: { tokens: 7, tokenIds: [], text: 'abc' } },
      utf8(delta('d') + end('stop', { completion_tokens: 1 })),
    );
    assert.equal(ended?.usage.completionTokens, 8);
  });

  it('ends where the upstream says so, and only so', () => {
    const finish = event({ choices: [{ index: 0, delta: {}, finish_reason: 'length' }] });
    for (const { text, expected } of [
      { text: delta('a') + finish + DONE, expected: 'length' },
      { text: delta('a') + finish, expected: 'length' },
      { text: delta('a') + DONE, expected: 'stop' },
      { text: delta('a', 'stop') + DONE, expected: 'stop' },
      { text: delta('a', 'content_filter') + DONE, expected: 'stop' },
      { text: delta('a', '') + delta('b'), expected: 'upstream-failed' },
      { text: delta('a'), expected: 'upstream-failed' },
      { text: '', expected: 'upstream-failed' },
      { text: 'garbage', expected: 'upstream-failed' },
      { text: 'data: {"choices":\n\n', expected: 'upstream-failed' },
      { text: 'data: 7\n\n', expected: 'upstream-failed' },
      { text: delta('a') + delta('b').slice(0, 20), expected: 'upstream-failed' },
    ]) {
      const { ended, failed } = read(utf8(text));
      assert.equal(ended?.finishReason ?? failed?.code, expected, text);
    }
  });

  it('ignores whatever follows its end', () => {
    const { text } = read(utf8(delta('a') + end('stop') + delta('b') + 'data: garbage\n\n'));
    assert.equal(text, 'a');
  });

  it('shows no reasoning, and takes it for a sign of life', () => {
    const thought = event({
      choices: [{ index: 0, delta: { reasoning_content: 'hm', content: null }, finish_reason: null }],
    });
    const { reply, events } = open({});
    reply.data(utf8(thought));
    assert.deepEqual(events, []);
    assert.equal(reply.events, 1);
    assert.ok(reply.waiting);
  });

  it('fails with what an error inside the stream says, indefinite once a token has come', () => {
    const error = event({ error: { message: 'slow down', code: 429 } });
    assert.deepEqual(read(utf8(error)).failed, { code: 'busy', message: 'upstream test is busy: slow down' });
    assert.equal(read(utf8(delta('a') + error)).failed?.code, 'upstream-failed');
    assert.equal(read(utf8(event({ error: null }) + delta('a') + end('stop'))).text, 'a');
  });

  it('sends only what is granted, and tells when it wants no more', () => {
    const { reply, texts } = open({});
    reply.grant(1);
    reply.data(utf8(delta('a').repeat(65)));
    assert.deepEqual(texts(), ['a']);
    assert.ok(reply.readable);
    reply.data(utf8(delta('a')));
    assert.ok(!reply.readable);
    assert.ok(reply.blocked);
    reply.grant(100);
    assert.equal(texts().length, 66);
    assert.ok(reply.readable);
  });

  it('can be granted and cancelled from within an event', () => {
    const texts: string[] = [];
    const reply: UpstreamReply = make({}, (one) => {
      if (one.type !== 'tokens') return;
      texts.push(one.text);
      if (texts.length < 3) reply.grant(1);
      else reply.cancel();
    });
    reply.data(utf8(delta('a') + delta('b') + delta('c') + delta('d') + end('stop')));
    reply.grant(1);
    assert.deepEqual(texts, ['a', 'b', 'c']);
  });

  it('cuts off an upstream that goes on beyond maxTokens', () => {
    const { reply, ended, texts } = open({ sampling: { maxTokens: 2 } });
    reply.grant(9);
    reply.data(utf8(delta('a') + delta('b')));
    assert.equal(ended(), undefined);
    reply.data(utf8(delta('c')));
    assert.deepEqual(texts(), ['a', 'b']);
    assert.equal(ended()?.finishReason, 'length');
    assert.equal(ended()?.usage.completionTokens, 2);
    assert.ok(reply.over && !reply.whole);
  });

  it('cuts off an upstream that does not know the stop string', () => {
    const { text, ended } = read(
      { sampling: { stop: ['END'] } },
      utf8(delta('a E') + delta('ND b') + delta('c') + end('length')),
    );
    assert.equal(text, 'a ');
    assert.equal(ended?.finishReason, 'stop');
    assert.equal(ended?.usage.completionTokens, 2);
  });

  it('gives text held back for a stop string when the answer ends without it', () => {
    const { reply, texts, events } = open({ sampling: { stop: ['END'] } });
    reply.grant(9);
    reply.data(utf8(delta('a E')));
    reply.data(utf8(end('stop')));
    assert.deepEqual(texts(), ['a ', 'E']);
    assert.deepEqual(events[1], { type: 'tokens', position: 1, tokens: 0, tokenIds: [], text: 'E' });
  });

  it('drops a beginning that the upstream repeats, wholly or not at all', () => {
    const resume = { tokens: 2, tokenIds: [], text: 'one two ' };
    for (const { deltas, expected } of [
      { deltas: ['three'], expected: 'three' },
      { deltas: ['one ', 'two ', 'three'], expected: 'three' },
      { deltas: ['one two three'], expected: 'three' },
      { deltas: ['o', 'ne tw', 'o th', 'ree'], expected: 'three' },
      { deltas: ['one ', 'day'], expected: 'one day' },
      { deltas: ['one '], expected: 'one ' },
      { deltas: ['one ', 'two '], expected: '' },
      { deltas: ['one ', 'two ', 'one ', 'two '], expected: 'one two ' },
    ]) {
      const { text, positions } = read({ resume }, utf8(deltas.map((one) => delta(one)).join('') + end('stop')));
      assert.equal(text, expected, deltas.join('|'));
      assert.deepEqual(
        positions,
        positions.map((_, index) => 2 + index),
      );
    }
  });

  it('tells which stop string it was, where the upstream does, and only one that was asked for', () => {
    const sampling = { stop: ['x', 'END'] };
    for (const { reason, stop, expected } of [
      { reason: 'stop', stop: 'END', expected: 1 },
      { reason: 'stop', stop: 'other', expected: undefined },
      { reason: 'stop', stop: 7, expected: undefined },
      { reason: 'stop', stop: null, expected: undefined },
      { reason: 'length', stop: 'END', expected: undefined },
    ]) {
      const streamed = event({ choices: [{ index: 0, delta: {}, finish_reason: reason, stop_reason: stop }] });
      assert.equal(read({ sampling }, utf8(delta('a') + streamed + DONE)).ended?.stopIndex, expected);
      const { reply, ended } = open({ sampling });
      reply.begin('json');
      reply.grant(9);
      const choice = { message: { content: 'a' }, finish_reason: reason, stop_reason: stop };
      reply.data(utf8(JSON.stringify({ choices: [choice] })));
      reply.end();
      assert.equal(ended()?.stopIndex, expected);
    }
  });

  it('understands one JSON body instead of a stream, word by word', () => {
    const body = {
      choices: [{ message: { role: 'assistant', content: 'one two\nthree ' }, finish_reason: 'length' }],
      usage: { prompt_tokens: 4, completion_tokens: 3 },
    };
    const { reply, texts, ended } = open({});
    reply.begin('json');
    for (const byte of utf8(JSON.stringify(body))) reply.data(Uint8Array.of(byte));
    reply.end();
    reply.grant(1);
    assert.deepEqual(texts(), ['one ']);
    reply.grant(9);
    assert.deepEqual(texts(), ['one ', 'two\n', 'three ']);
    assert.deepEqual(ended(), {
      type: 'ended',
      finishReason: 'length',
      usage: { promptTokens: 4, completionTokens: 3, cachedTokens: 0 },
    });
  });

  it('fails on a JSON body that is no chat completion', () => {
    for (const { body, expected } of [
      { body: '{"choices":[]}', expected: /no completion/ },
      { body: 'not json', expected: /no completion/ },
      { body: '{"error":{"message":"boom"}}', expected: /boom/ },
    ]) {
      const { reply, failed } = open({});
      reply.begin('json');
      reply.data(utf8(body));
      reply.end();
      assert.match(failed()?.message ?? '', expected);
    }
  });

  it('fails above its bounds', () => {
    const line = open({});
    line.reply.data(utf8('x'.repeat(1_048_577)));
    assert.match(line.failed()?.message ?? '', /event above/);
    const json = open({});
    json.reply.begin('json');
    for (let part = 0; part <= 8; part += 1) json.reply.data(new Uint8Array(1_048_576));
    assert.match(json.failed()?.message ?? '', /more than 8388608 bytes/);
    const answer = open({});
    const comments = utf8(`: ${'x'.repeat(1_021)}\n`.repeat(1_024));
    for (let part = 0; part <= 64; part += 1) answer.reply.data(comments);
    assert.match(answer.failed()?.message ?? '', /more than 67108864 bytes/);
  });

  it('fails once, and says nothing after a cancel', () => {
    const { reply, events } = open({});
    reply.fail(failure('stalled', 'x'));
    reply.fail(failure('stalled', 'y'));
    reply.grant(5);
    reply.data(utf8(delta('a')));
    reply.end();
    assert.equal(events.length, 1);
    const cancelled = open({});
    cancelled.reply.cancel();
    cancelled.reply.grant(5);
    cancelled.reply.data(utf8(delta('a') + end('stop')));
    cancelled.reply.fail(failure('stalled', 'x'));
    assert.deepEqual(cancelled.events, []);
  });
});

interface JobMore {
  readonly sampling?: Partial<Sampling>;
  readonly resume?: Resume;
}

function make(more: JobMore, emit: (event: EngineEvent) => void): UpstreamReply {
  const model = parseModelId('goose');
  assert.ok(model !== undefined);
  const job = {
    model,
    messages: [{ role: 'user', content: 'hi geese' } as const],
    sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [], ...more.sampling },
    ...(more.resume === undefined ? {} : { resume: more.resume }),
  };
  return new UpstreamReply({ job, context: { upstream: 'test', model, contextTokens: 0 } }, emit);
}

function open(more: JobMore) {
  const events: EngineEvent[] = [];
  const reply = make(more, (one) => events.push(one));
  return {
    reply,
    events,
    texts: () => events.flatMap((one) => (one.type === 'tokens' ? [one.text] : [])),
    ended: () => events.find((one) => one.type === 'ended'),
    failed: () => events.find((one) => one.type === 'failed')?.failure,
  };
}

/** Everything granted, every chunk read, the body ended. */
function read(...input: readonly (Uint8Array | JobMore)[]) {
  const chunks = input.filter((one) => one instanceof Uint8Array);
  const more = input.find((one): one is JobMore => !(one instanceof Uint8Array)) ?? {};
  const { reply, events, texts, ended, failed } = open(more);
  reply.grant(1_000);
  for (const chunk of chunks) reply.data(chunk);
  reply.end();
  const positions = events.flatMap((one) => (one.type === 'tokens' && one.tokens > 0 ? [one.position] : []));
  return { text: texts().join(''), ended: ended(), failed: failed(), positions };
}

function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

function delta(content: string, finishReason: string | null = null): string {
  return event({ choices: [{ index: 0, delta: { content }, finish_reason: finishReason }] });
}

function end(finishReason: string, usage?: unknown): string {
  const finish = event({ choices: [{ index: 0, delta: {}, finish_reason: finishReason }] });
  return finish + (usage === undefined ? '' : event({ choices: [], usage })) + DONE;
}
