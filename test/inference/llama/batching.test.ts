/** Runs that decode together: what a batch waits for, and who waits for whom, in one process with the real library. */
import assert from 'node:assert/strict';
import { batchPriority } from '../../../src/inference/llama/batch-order.ts';
import { Batching } from '../../../src/inference/llama/batching.io.ts';
import type { ChildMessage, StartCommand } from '../../../src/inference/llama/child-protocol.ts';
import { Credit } from '../../../src/inference/llama/credit.io.ts';
import { Generation } from '../../../src/inference/llama/generation.io.ts';
import { type LoadedModel, loadModel } from '../../../src/inference/llama/loaded-model.io.ts';
import { createPrompt } from '../../../src/inference/llama/prompt.io.ts';
import { type Hello, openHello } from './hello.ts';

describe('a batch', () => {
  it('waits for the runs that are about to ask, and not for those that left', async () => {
    const batching = new Batching();
    const [first, second, third] = [batching.seat(0), batching.seat(1), batching.seat(2)];
    for (const seat of [first, second, third]) await seat.ask('answer');
    assert.deepEqual(compose(batching, [2]), []);
    assert.deepEqual(compose(batching, [2, 0]), []);
    assert.deepEqual(compose(batching, [2, 0, 1]), [0, 1, 2]);
    third.leave();
    assert.deepEqual(compose(batching, [1]), []);
    assert.deepEqual(compose(batching, [1, 0]), [0, 1]);
  });

  it('waits a bounded time, and then again a bounded time', async () => {
    const batching = new Batching();
    for (const slot of [0, 1]) await batching.seat(slot).ask('answer');
    for (let batch = 0; batch < 3; batch += 1) {
      for (let spin = 0; spin < 32; spin += 1) assert.deepEqual(compose(batching, [1]), []);
      assert.deepEqual(compose(batching, [1]), [1]);
    }
  });

  it('is asked for by nobody while somebody works on the caches', async () => {
    const batching = new Batching();
    const seat = batching.seat(0);
    const other = batching.seat(1);
    await seat.ask('answer');
    const { promise, resolve: finish } = Promise.withResolvers<string>();
    const done = batching.alone(async () => promise);
    let asked = false;
    const waiting = seat.ask('answer').then(() => (asked = true));
    await Promise.resolve();
    // Who waits is not waited for.
    await Promise.resolve();
    assert.deepEqual(compose(batching, [1]), [1]);
    assert.equal(asked, false);
    finish('done');
    assert.equal(await done, 'done');
    await waiting;
    await other.ask('answer');
    assert.deepEqual(compose(batching, [0]), []);
  });

  it('goes on after work on the caches that failed', async () => {
    const batching = new Batching();
    await assert.rejects(
      batching.alone(async () => Promise.reject(new Error('no'))),
      /no/,
    );
    await batching.seat(0).ask('answer');
    assert.equal(batching.paused, false);
  });
});

describe('runs of one context', function () {
  this.timeout(30_000);
  let hello: Hello;
  let loaded: LoadedModel;

  before(async () => {
    hello = await openHello();
    loaded = await loadModel(
      { type: 'load', path: hello.stored.path, slots: 3, contextTokens: 2_048, threads: 1 },
      async () => undefined,
    );
  });
  after(async () => {
    await loaded.model.llama.dispose();
    await hello.remove();
  });

  /** Runs an answer to its end; `onToken` hears how many there are. */
  async function run(slot: number, content: string, onToken: (count: number) => void): Promise<void> {
    const prompt = createPrompt(loaded, startOf(content));
    assert.equal(prompt.type, 'fits');
    const sequence = loaded.sequences[slot];
    assert.ok(sequence !== undefined && prompt.type === 'fits');
    const credit = new Credit();
    credit.grant(10_000);
    let count = 0;
    const report = (message: ChildMessage): void => {
      if (message.type === 'tokens') onToken((count += 1));
    };
    const { batching } = loaded;
    await new Generation({
      loaded,
      sequence,
      batching,
      seat: batching.seat(slot),
      command: startOf(content),
      prompt: prompt.tokens,
      resumed: [],
      held: {},
      credit,
      randomSeed: 1,
      report,
    }).run();
  }

  it('let a new conversation begin that must first make room in its cache', async () => {
    await run(2, 'an old conversation', () => undefined);
    const ended: string[] = [];
    let begun: Promise<void> | undefined;
    const onFirst = (count: number): void => {
      if (count !== 5) return;
      begun = run(2, 'something else', (tokens) => {
        if (tokens === 1) ended.push('begun');
      });
    };
    await Promise.all([
      run(0, 'one', onFirst).then(() => ended.push('one')),
      run(1, 'two', () => undefined).then(() => ended.push('two')),
    ]);
    await begun;
    assert.equal(ended[0], 'begun');
  });
});

function startOf(content: string): StartCommand {
  return {
    type: 'start',
    runId: 0,
    messages: [{ role: 'user', content }],
    sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] },
  };
}

/** The slots of the batch when these asked, in this order. */
function compose(batching: Batching, asked: readonly number[]): readonly number[] {
  const { itemPrioritizationStrategy: strategy } = batching.options;
  assert.ok(typeof strategy === 'function');
  const items = asked.map((slot) => ({ tokens: [], logits: [], evaluationPriority: batchPriority(slot) as 5 }));
  return strategy({ items, size: 512 }).map(({ item }) => asked[items.indexOf(item as (typeof items)[number])] ?? -1);
}
