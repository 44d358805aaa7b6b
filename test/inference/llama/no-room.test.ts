/** What happens when a model does not fit: others that nobody uses leave, those in use stay, and the answer has numbers. */
import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { utf8 } from '../../../src/bytes.ts';
import { type GgufValue, writeGguf } from '../../../src/inference/gguf-writer.ts';
import { LlamaEngine } from '../../../src/inference/llama/llama-engine.io.ts';
import { modelIdOfFile, type StoredModel } from '../../../src/inference/stored-model.ts';
import { Recording } from '../../contract/engine.contract.ts';
import { type Hello, openHello } from './hello.ts';

/** No machine has this much memory: a file of 2^20 x 2^20 numbers, with a hole for all of them. */
const HUGE_SIDE = 2 ** 20;

async function hugeModel(directory: string): Promise<StoredModel> {
  const numbers: readonly (readonly [string, number])[] = [
    ['context_length', 512],
    ['embedding_length', 64],
    ['block_count', 1],
    ['feed_forward_length', 64],
    ['attention.head_count', 1],
  ];
  const name = 'token_embd.weight';
  const head = writeGguf({
    metadata: [
      ['general.architecture', { type: 'string', value: 'llama' }],
      ...numbers.map(([key, value]): readonly [string, GgufValue] => [`llama.${key}`, { type: 'u32', value }]),
      ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
      ['tokenizer.ggml.tokens', { type: 'strings', value: ['a', 'b'] }],
    ],
    tensors: [{ name, dimensions: [8, 8], values: new Float32Array(64) }],
  });
  const at = Buffer.from(head).indexOf(Buffer.from(utf8(name))) + name.length + 4;
  const view = new DataView(head.buffer, head.byteOffset);
  view.setBigUint64(at, BigInt(HUGE_SIDE), true);
  view.setBigUint64(at + 8, BigInt(HUGE_SIDE), true);
  const path = join(directory, 'huge.gguf');
  await writeFile(path, head);
  const sizeBytes = head.length + HUGE_SIDE * HUGE_SIDE * 4;
  await truncate(path, sizeBytes);
  const model = modelIdOfFile('huge.gguf');
  assert.ok(model !== undefined);
  return {
    model,
    path,
    state: 'on-disk',
    digest: '0'.repeat(64),
    sizeBytes,
    contextLength: 512,
    architecture: 'llama',
  };
}

describe('a model that does not fit into memory', function () {
  this.timeout(30_000);
  let hello: Hello;
  let engine: LlamaEngine;
  let huge: StoredModel;

  beforeEach(async () => {
    hello = await openHello();
    huge = await hugeModel(hello.directory);
    engine = new LlamaEngine({ models: [hello.stored, huge], slots: 1, maxThreads: 1 });
    await engine.ready(hello.stored.model);
  });
  afterEach(async () => {
    await engine.close();
    await hello.remove();
  });

  const stateOf = (model: StoredModel): string | undefined =>
    engine.models().find((one) => one.model === model.model)?.state;
  const ask = (model: StoredModel): Recording =>
    new Recording(
      engine,
      {
        model: model.model,
        messages: [{ role: 'user', content: 'What is skein?' }],
        sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] },
      },
      1,
    );

  it('sends away one that nobody uses, and says what it needs when that was not enough', async () => {
    const pid = engine.pidOf(hello.stored.model);
    const { failure } = await ask(huge).failed();
    assert.equal(failure.code, 'model-not-ready');
    assert.match(failure.message, /does not fit into memory: it needs \d{7} MB, \d+ MB are free/);
    assert.ok((failure.retryAfterMs ?? 0) > 0);
    assert.equal(stateOf(huge), 'failed');
    assert.equal(stateOf(hello.stored), 'on-disk');
    assert.equal(engine.pidOf(hello.stored.model), undefined);
    // It comes back as if it had never been loaded.
    const again = ask(hello.stored);
    again.grant(1_000);
    await again.ended();
    assert.notEqual(engine.pidOf(hello.stored.model), pid);
  });

  it('never sends away one that answers', async () => {
    const running = ask(hello.stored);
    await running.until('its first token', () => running.tokens > 0);
    await ask(huge).failed();
    assert.equal(stateOf(hello.stored), 'ready');
    running.grant(1_000);
    await running.ended();
  });
});
