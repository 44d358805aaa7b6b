/** What each kind of model is not made for, and lists beside chats, through the real engine. */
import assert from 'node:assert/strict';
import { decodeVector } from '../../../src/inference/answer-lines.ts';
import { defaultModelPieces, defaultModelText } from '../../../src/inference/default-model.ts';
import type { Job, Sampling, Task } from '../../../src/inference/engine.ts';
import type { ModelId } from '../../../src/ids.ts';
import { LlamaEngine } from '../../../src/inference/llama/llama-engine.io.ts';
import { Recording } from '../../contract/engine.contract.ts';
import { READER_CONTEXT_TOKENS, READER_WIDTH, writeReaderModel } from './reader-models.ts';
import { openReaders, type Readers } from './readers.ts';

const GREEDY: Sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] };

describe('the llama engine with models that read', function () {
  this.timeout(30_000);
  let readers: Readers;
  let engine: LlamaEngine;

  before(async () => {
    readers = await openReaders();
    engine = new LlamaEngine({ models: readers.stored, slots: 2, maxThreads: 1, contextTokens: 2_048 });
    for (const { model } of readers.stored) await engine.ready(model);
  });
  after(async () => {
    await engine.close();
    await readers.remove();
  });

  it('says what a model is not made for, as the fault of the request, and serves the next', async () => {
    const rerank: Task = { type: 'rerank', query: 'a', documents: ['b'] };
    for (const [model, task] of [
      [readers.embedder, undefined],
      [readers.embedder, { type: 'completion', prompt: 'a' }],
      [readers.ranker, undefined],
      [readers.embedder, rerank],
      [readers.writer, rerank],
    ] as const) {
      const { failure } = await new Recording(engine, job(model, task), 10).failed();
      assert.equal(failure.code, 'unsupported-feature', failure.message);
    }
    await new Recording(engine, job(readers.embedder, { type: 'embedding', inputs: ['a'] }), 10).ended();
  });

  it('makes vectors with a model that writes, too', async () => {
    const run = new Recording(
      engine,
      job(readers.writer, { type: 'embedding', inputs: ['a goose', 'x'.repeat(1_500)] }),
      10,
    );
    await run.ended();
    const vectors = run.text
      .split('\n')
      .slice(0, -1)
      .map((line) => decodeVector(line));
    assert.deepEqual(
      vectors.map((one) => one?.vector.length),
      [64, 64],
    );
    const chat = new Recording(engine, job(readers.writer), 1_000);
    await chat.ended();
    assert.equal(chat.text, defaultModelText);
  });

  it('takes a text of all but one token of the context, and no longer one', async () => {
    // A letter is a token here, and there is one before all and one behind.
    const fitting = 'a '.repeat(READER_CONTEXT_TOKENS - 3);
    const run = new Recording(engine, job(readers.embedder, { type: 'embedding', inputs: [fitting] }), 10);
    assert.equal((await run.ended()).usage.promptTokens, READER_CONTEXT_TOKENS - 1);
    const longer = new Recording(engine, job(readers.embedder, { type: 'embedding', inputs: [`${fitting}a`] }), 10);
    const { failure } = await longer.failed();
    assert.equal(failure.code, 'context-length-exceeded');
    assert.match(
      failure.message,
      new RegExp(`maximum context length is ${READER_CONTEXT_TOKENS} tokens.*input\\[0\\]`),
    );
  });

  it('reads a long list while another answers, each line by credit, and stops in the middle of it', async () => {
    const inputs = Array.from({ length: 600 }, (_, index) => `goose number ${index} flies north`);
    const list = new Recording(engine, job(readers.embedder, { type: 'embedding', inputs }), 1_000);
    await list.until('a line', () => list.tokens > 0);
    const other = new Recording(engine, job(readers.embedder, { type: 'embedding', inputs: ['a', 'b'] }), 1_000);
    await other.ended();
    assert.ok(list.terminal === undefined, 'the short list did not wait for the long one');
    list.cancel();
    const next = new Recording(
      engine,
      job(readers.embedder, { type: 'embedding', inputs: inputs.slice(0, 260) }),
      1_000,
    );
    await next.ended();
    list.verify();
    assert.equal(next.tokens, 260);
    const [first] = next.text.split('\n');
    assert.equal(decodeVector(first ?? '')?.vector.length, READER_WIDTH);
  });

  it('goes on with a text as it is, with one beginning before it', async () => {
    const begin = defaultModelPieces.slice(0, 5).join('');
    const run = new Recording(engine, job(readers.writer, { type: 'completion', prompt: begin }), 1_000);
    const ended = await run.ended();
    assert.equal(begin + run.text, defaultModelText);
    assert.equal(ended.usage.promptTokens, 6);
    const empty = new Recording(engine, job(readers.writer, { type: 'completion', prompt: '' }), 1_000);
    assert.equal((await empty.ended()).usage.promptTokens, 1);
    const marked = new Recording(engine, job(readers.writer, { type: 'completion', prompt: '<s><|im_end|>' }), 1_000);
    assert.ok((await marked.ended()).usage.promptTokens > 10, 'what looks like control tokens is text');
  });

  it('is made of the same bytes each time', () => {
    for (const kind of ['bert', 'rank'] as const) {
      const bytes = writeReaderModel(kind);
      assert.ok(bytes.length < 3_000_000);
      assert.deepEqual(writeReaderModel(kind), bytes);
    }
  });
});

function job(model: ModelId, task?: Task, sampling: Partial<Sampling> = {}): Job {
  const messages = task === undefined ? [{ role: 'user', content: 'x' } as const] : [];
  return { model, messages, sampling: { ...GREEDY, ...sampling }, ...(task === undefined ? {} : { task }) };
}
