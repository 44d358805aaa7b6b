import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { TimingWheel } from '../../../simulations/kernel/event-queue.ts';
import { readTokens, markOf, prefixHashes, turnText } from '../../../simulations/work/numbered-text.ts';
import { SimulatedEngine } from '../../../simulations/work/worker.ts';
import type { Job, ChatMessage, EngineEvent, EngineRun } from '../../../src/inference/engine.ts';
import { type ModelId, parseModelId } from '../../../src/ids.ts';

const MODEL = modelOf('goose:8b');
const MACHINE = { tokensPerSecond: 20, prefillFactor: 15, slots: 4, cacheTokens: 10_000 };
const GREEDY = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] };

function modelOf(name: string): ModelId {
  const model = parseModelId(name);
  assert.ok(model !== undefined);
  return model;
}

function turn(name: string, promptTokens: number, answerTokens: number): ChatMessage {
  return { role: 'user', content: turnText({ name, promptTokens, answerTokens, bytes: promptTokens * 4 }) };
}

function jobOf(messages: readonly ChatMessage[], more: Partial<Job> = {}): Job {
  return { model: MODEL, messages, sampling: GREEDY, ...more };
}

class Heard {
  readonly events: { readonly atMs: number; readonly event: EngineEvent }[] = [];
  readonly run: EngineRun;

  constructor(engine: SimulatedEngine, queue: TimingWheel, job: Job) {
    this.run = engine.start(job, (event) => this.events.push({ atMs: queue.nowMs, event }));
  }

  get tokens(): number {
    return this.events.reduce((sum, { event }) => sum + (event.type === 'tokens' ? event.tokens : 0), 0);
  }

  get text(): string {
    return this.events.reduce((text, { event }) => text + (event.type === 'tokens' ? event.text : ''), '');
  }

  atMsOf(type: EngineEvent['type']): number | undefined {
    return this.events.find(({ event }) => event.type === type)?.atMs;
  }

  get ended(): Extract<EngineEvent, { type: 'ended' }> {
    const event = this.events.at(-1)?.event;
    assert.ok(event?.type === 'ended', `expected the end, got ${JSON.stringify(event)}`);
    return event;
  }
}

function setUp(more: { loadMs?: number; speed?: number; machine?: Partial<typeof MACHINE>; batchMs?: number } = {}) {
  const queue = new TimingWheel();
  const { loadMs = 0, speed = 1 } = more;
  const changes: number[] = [];
  const engine = new SimulatedEngine({
    queue,
    machine: { ...MACHINE, ...more.machine },
    models: [
      { model: MODEL, contextTokens: 4_096, loadMs, speed },
      { model: modelOf('gander:1b'), contextTokens: 4_096, loadMs: 0, speed: 4 },
    ],
    ...(more.batchMs === undefined ? {} : { batchMs: more.batchMs }),
    modelsChanged: () => changes.push(queue.nowMs),
  });
  const ask = (job: Job, granted = 10_000): Heard => {
    const heard = new Heard(engine, queue, job);
    heard.run.grant(granted);
    return heard;
  };
  return { queue, engine, ask, changes };
}

describe('a simulated machine', () => {
  it('shows the first token when prompt and token are done, to the ms', () => {
    // 300 tokens at 15 * 20 per second, and one at 20.
    for (const { speed, atMs } of [
      { speed: 1, atMs: 1_050 },
      { speed: 2, atMs: 525 },
      { speed: 0.3, atMs: 3_500 },
    ]) {
      const { queue, ask } = setUp({ speed });
      const heard = ask(jobOf([turn('a', 300, 10)]));
      queue.run(atMs - 1);
      assert.equal(heard.tokens, 0);
      queue.run(atMs);
      assert.equal(heard.tokens, 1);
    }
  });

  it('ends after as many tokens as the prompt wants, when they are made', () => {
    const { queue, ask } = setUp();
    const heard = ask(jobOf([turn('a', 300, 40)]));
    queue.run(2_999);
    assert.equal(heard.atMsOf('ended'), undefined);
    queue.run(60_000);
    assert.equal(heard.atMsOf('ended'), 3_000);
    assert.deepEqual(heard.ended, {
      type: 'ended',
      finishReason: 'stop',
      usage: { promptTokens: 300, completionTokens: 40, cachedTokens: 0 },
    });
  });

  it('shows later tokens in batches, each token by itself where it is slower than a batch', () => {
    for (const { tokensPerSecond, batchMs, events } of [
      { tokensPerSecond: 100, batchMs: 100, events: 12 },
      { tokensPerSecond: 100, batchMs: 0, events: 101 },
      { tokensPerSecond: 5, batchMs: 100, events: 101 },
    ]) {
      const { queue, ask } = setUp({ machine: { tokensPerSecond }, batchMs });
      const heard = ask(jobOf([turn('a', 150, 101)]));
      queue.run(60_000);
      assert.equal(heard.tokens, 101);
      assert.equal(heard.events.filter(({ event }) => event.type === 'tokens').length, events);
    }
  });

  it('shares its speed: b requests together are b^0.6 times as fast as one', () => {
    for (const running of [1, 2, 4]) {
      const { queue, ask } = setUp();
      const all = Array.from({ length: running }, (_, index) => ask(jobOf([turn(`a${index}`, 300, 40)])));
      queue.run(60_000);
      const atMs = Math.ceil((3_000 * running) / running ** 0.6);
      for (const heard of all) assert.equal(heard.atMsOf('ended'), atMs);
    }
  });

  it('gives what a request leaves to the others from that moment on', () => {
    const { queue, ask } = setUp();
    const [first, second] = [ask(jobOf([turn('a', 15, 100)])), ask(jobOf([turn('b', 15, 100)]))];
    queue.run(1_000);
    first.run.cancel();
    queue.run(60_000);
    // 101 tokens of work: for a second at 20 * 2^-0.4, then at 20.
    const atMs = 1_000 + ((101 - 20 * 2 ** -0.4) / 20) * 1_000;
    assert.equal(second.atMsOf('ended'), Math.ceil(atMs));
    assert.equal(first.atMsOf('ended'), undefined);
  });

  it('costs the others nothing while it stands still without a grant', () => {
    const { queue, ask } = setUp();
    const held = ask(jobOf([turn('a', 15, 100)]), 0);
    queue.run(10_000);
    const heard = ask(jobOf([turn('b', 300, 40)]));
    queue.run(13_000);
    assert.equal(heard.atMsOf('ended'), 13_000);
    assert.equal(held.tokens, 0);
    held.run.grant(1);
    queue.run(13_050);
    assert.equal(held.tokens, 1);
  });

  it('becomes slow, and quick again, in the middle of an answer', () => {
    const { queue, engine, ask } = setUp();
    const heard = ask(jobOf([turn('a', 300, 40)]));
    queue.run(1_000);
    engine.setSlowFactor(10);
    queue.run(11_000);
    // A second's work in ten seconds: half of what was left.
    assert.ok(heard.tokens >= 19 && heard.tokens <= 20, `${heard.tokens}`);
    engine.setSlowFactor(1);
    queue.run(12_000);
    assert.equal(heard.atMsOf('ended'), 12_000);
  });

  it('accepts and never speaks while it is mute, and goes on where it was', () => {
    const { queue, engine, ask } = setUp();
    const before = ask(jobOf([turn('a', 300, 40)]));
    queue.run(1_500);
    engine.setMute(true);
    const said = before.events.length;
    const during = ask(jobOf([turn('b', 300, 40)]));
    queue.run(100_000);
    assert.equal(before.events.length, said);
    assert.deepEqual(during.events, []);
    assert.equal(engine.running, 2);
    engine.setMute(false);
    queue.run(200_000);
    assert.equal(before.ended.usage.completionTokens, 40);
    assert.equal(during.ended.usage.completionTokens, 40);
  });

  it('stands still while its process is paused: everything is later by that', () => {
    const { queue, engine, ask } = setUp();
    const heard = ask(jobOf([turn('a', 300, 40)]));
    queue.run(1_500);
    engine.pause();
    queue.run(9_000);
    engine.resume();
    queue.run(60_000);
    assert.equal(heard.atMsOf('ended'), 3_000 + 7_500);
  });

  it('says nothing ever again after its process died', () => {
    const { queue, engine, ask } = setUp();
    const heard = ask(jobOf([turn('a', 300, 40)]));
    queue.run(1_500);
    const said = heard.events.length;
    engine.stop();
    engine.resume();
    heard.run.grant(5);
    heard.run.cancel();
    const late = ask(jobOf([turn('b', 300, 40)]));
    queue.run(60_000);
    assert.equal(heard.events.length, said);
    assert.deepEqual(late.events, []);
    assert.equal(queue.pending, 0);
  });

  it('loads a model on its first request, and says when it is ready', () => {
    const { queue, engine, ask, changes } = setUp({ loadMs: 8_000 });
    const state = () => engine.models()[0];
    assert.equal(state()?.state, 'on-disk');
    assert.equal(state()?.loadMs, 8_000);
    queue.run(5_000);
    assert.equal(state()?.state, 'on-disk');
    const heard = ask(jobOf([turn('a', 300, 40)]));
    assert.equal(state()?.state, 'loading');
    queue.run(12_999);
    assert.equal(state()?.state, 'loading');
    queue.run(13_000);
    assert.equal(state()?.state, 'ready');
    assert.equal(state()?.loadMs, 0);
    queue.run(60_000);
    assert.equal(heard.atMsOf('ended'), 13_000 + 3_000);
    assert.deepEqual(changes, [5_000, 13_000]);
    assert.ok(heard.events.some(({ event, atMs }) => event.type === 'progress' && atMs === 10_000));
  });

  it('takes as many requests of a model as it has slots', () => {
    const { engine, queue, ask } = setUp();
    for (let index = 0; index < 4; index += 1) ask(jobOf([turn(`a${index}`, 15, 50)]), 0);
    const refused = ask(jobOf([turn('b', 15, 50)]));
    const [only] = refused.events;
    assert.ok(only?.event.type === 'failed');
    assert.equal(only.event.failure.code, 'busy');
    assert.equal(engine.running, 4);
    const other = ask(jobOf([turn('b', 15, 50)], { model: modelOf('gander:1b') }));
    queue.run(60_000);
    assert.equal(other.ended.usage.completionTokens, 50);
  });

  it('need not read again what it still has of a conversation', () => {
    const { queue, ask } = setUp();
    const first = [turn('a', 300, 40)];
    ask(jobOf(first));
    queue.run(10_000);
    const answer: ChatMessage = {
      role: 'assistant',
      content: turnText({ name: 'x', promptTokens: 40, answerTokens: 0, bytes: 160 }),
    };
    const further = ask(jobOf([...first, answer, turn('b', 60, 10)]));
    queue.run(30_000);
    assert.deepEqual(further.ended.usage, { promptTokens: 400, completionTokens: 10, cachedTokens: 340 });
    // 60 tokens at 300 per second, and ten at 20.
    assert.equal(further.atMsOf('ended'), 10_000 + 200 + 500);
    const stranger = ask(jobOf([turn('c', 300, 40), answer, turn('b', 60, 10)]));
    queue.run(60_000);
    assert.equal(stranger.ended.usage.cachedTokens, 0);
  });

  it('goes on where another machine stopped, after reading what was answered', () => {
    const messages = [turn('a', 300, 40)];
    const whole = setUp();
    const all = whole.ask(jobOf(messages));
    whole.queue.run(60_000);
    for (const tokens of [1, 20, 39]) {
      const { queue, ask } = setUp();
      const text = all.text.split(' ').slice(0, tokens).join(' ').concat(' ');
      const rest = ask(jobOf(messages, { resume: { tokens, tokenIds: [], text } }));
      queue.run(60_000);
      assert.equal(text + rest.text, all.text);
      assert.equal(rest.ended.usage.completionTokens, 40);
      assert.equal(rest.atMsOf('ended'), Math.ceil(((300 + tokens) / 300) * 1_000 + (40 - tokens) * 50));
    }
  });

  it('never makes more than was granted nor leaves a gap, however grants, pauses and speeds come', () => {
    const step = fc.record({
      act: fc.constantFrom('grant', 'pause', 'slow', 'mute', 'other'),
      amount: fc.integer({ min: 1, max: 30 }),
      waitMs: fc.integer({ min: 0, max: 2_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.constantFrom(0, 100), (steps, batchMs) => {
        const { queue, engine, ask } = setUp({ batchMs });
        const messages = [turn('a', 40, 200)];
        const heard = ask(jobOf(messages), 0);
        let granted = 0;
        for (const [index, { act, amount, waitMs }] of steps.entries()) {
          if (act === 'grant') {
            granted += amount;
            heard.run.grant(amount);
          }
          if (act === 'pause') engine.pause();
          if (act === 'slow') engine.setSlowFactor(amount);
          if (act === 'mute') engine.setMute(true);
          if (act === 'other') ask(jobOf([turn(`b${index}`, amount, amount)]));
          queue.run(queue.nowMs + waitMs);
          assert.ok(heard.tokens <= granted);
          engine.resume();
          engine.setMute(false);
        }
        engine.setSlowFactor(1);
        heard.run.grant(1_000);
        queue.run(queue.nowMs + 600_000);
        assert.equal(heard.ended.usage.completionTokens, 200);
        const mark = markOf(prefixHashes(messages));
        assert.deepEqual(readTokens(heard.text, mark, { position: 0, tokens: 0 }), [{ position: 0, tokens: 200 }]);
        assert.equal(queue.pending, 0);
      }),
      { numRuns: 100 },
    );
  });
});
