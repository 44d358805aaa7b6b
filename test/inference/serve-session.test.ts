import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { EngineEvent } from '../../src/inference/engine.ts';
import type { Answer } from '../../src/inference/messages.ts';
import { SERVE, type ServeEffect, type ServeInput, ServeSession } from '../../src/inference/serve-session.ts';
import { INFERENCE } from '../../src/params.ts';

const USAGE = { promptTokens: 10, completionTokens: 3, cachedTokens: 0 };
const DIGEST = 'cd'.repeat(32);
const ADMITTED: ServeInput = { type: 'admitted', digest: DIGEST };

/** A session with what it said and did, answers in the order in which they leave. */
class Bench {
  readonly answers: Answer[] = [];
  readonly effects: ServeEffect[] = [];
  readonly session: ServeSession;
  granted = 0;

  constructor(setup: { creditTokens?: number; tokensPerSecondMax?: number } = {}) {
    this.session = new ServeSession(
      {
        creditTokens: setup.creditTokens ?? 100,
        promptTokensEstimate: 25,
        tokensPerSecondMax: setup.tokensPerSecondMax ?? 0,
      },
      0,
    );
  }

  step(input: ServeInput, nowMs = 0): readonly ServeEffect[] {
    const effects = this.session.step(input, nowMs);
    for (const effect of effects) {
      this.effects.push(effect);
      if (effect.type === 'answer') this.answers.push(effect.answer);
      if (effect.type === 'grant') this.granted += effect.tokens;
    }
    return effects;
  }

  engine(event: EngineEvent, nowMs = 0): readonly ServeEffect[] {
    return this.step({ type: 'engine-event', event }, nowMs);
  }

  did(type: ServeEffect['type']): number {
    return this.effects.filter((effect) => effect.type === type).length;
  }
}

function tokens(position: number, text: string, ids: readonly number[] = [position]): EngineEvent {
  return { type: 'tokens', position, tokens: 1, tokenIds: ids, text };
}

describe('a request at the serving node', () => {
  it('waits for the mesh, then starts with the credit that came along', () => {
    const bench = new Bench({ creditTokens: 7 });
    bench.step({ type: 'queued', position: 2 });
    bench.step({ type: 'credit-received', tokens: 3 });
    assert.equal(bench.granted, 0);
    bench.step(ADMITTED);
    assert.deepEqual(
      bench.effects.map(({ type }) => type),
      ['answer', 'answer', 'start-engine', 'grant'],
    );
    assert.deepEqual(bench.answers, [
      { type: 'queued', position: 2 },
      { type: 'accepted', digest: DIGEST },
    ]);
    assert.equal(bench.granted, 10);
  });

  it('passes a refusal on and reports nothing: the mesh knows', () => {
    const bench = new Bench();
    const refusal = { failure: { code: 'busy', message: 'full' }, load: undefined } as const;
    bench.step({ type: 'refused', ...refusal });
    assert.deepEqual(bench.effects, [{ type: 'answer', answer: { type: 'refused', ...refusal } }]);
    assert.deepEqual(bench.step({ type: 'cancelled' }), []);
  });

  it('merges tokens until they are taken, and reports the first', () => {
    const bench = new Bench();
    bench.step(ADMITTED, 100);
    assert.deepEqual(bench.engine(tokens(5, 'a'), 350), [
      { type: 'tokens-waiting' },
      { type: 'report-first-token', newTokens: 25, elapsedMs: 250 },
    ]);
    assert.deepEqual(bench.engine(tokens(6, 'b')), [{ type: 'tokens-waiting' }]);
    bench.engine(tokens(7, ''));
    const merged = { type: 'tokens', position: 5, tokens: 3, tokenIds: [5, 6, 7], text: 'ab' };
    assert.deepEqual(bench.session.takeTokens(0), merged);
    assert.equal(bench.session.takeTokens(0), undefined);
    bench.engine(tokens(8, 'c', []));
    bench.engine(tokens(9, 'd'));
    assert.deepEqual(bench.session.takeTokens(0)?.tokenIds, []);
  });

  it('sends what waits before the end, and ends once', () => {
    const bench = new Bench();
    bench.step(ADMITTED, 0);
    bench.engine(tokens(0, 'a'), 100);
    bench.engine(tokens(1, 'b'), 130);
    bench.engine({ type: 'ended', finishReason: 'stop', usage: USAGE }, 160);
    assert.deepEqual(bench.answers.slice(1), [
      { type: 'tokens', position: 0, tokens: 2, tokenIds: [0, 1], text: 'ab' },
      { type: 'ended', finishReason: 'stop', usage: USAGE },
    ]);
    assert.deepEqual(bench.effects.at(-1), { type: 'report-ended', completionTokens: 2, decodeElapsedMs: 60 });
    assert.equal(bench.did('cancel-engine'), 0);
    assert.deepEqual(bench.engine(tokens(2, 'c')), []);
    assert.equal(bench.session.wakeAtMs, Number.POSITIVE_INFINITY);
  });

  it('shows a sign of life in every half second of silence, also through a long prefill', () => {
    const bench = new Bench();
    bench.step(ADMITTED, 0);
    for (let nowMs = 100; nowMs <= 90_000; nowMs += 100) {
      if (bench.session.wakeAtMs <= nowMs) bench.step({ type: 'woke' }, nowMs);
    }
    assert.equal(bench.answers.filter(({ type }) => type === 'progress').length, 90_000 / INFERENCE.progressIntervalMs);
    assert.equal(bench.session.phase, 'running');
  });

  it('tells the count of the prompt as soon as the engine knows it, once', () => {
    const bench = new Bench();
    bench.step(ADMITTED);
    bench.engine({ type: 'progress', promptTokensDone: 0, promptTokens: 0 });
    bench.engine({ type: 'progress', promptTokensDone: 256, promptTokens: 900 });
    bench.engine({ type: 'progress', promptTokensDone: 512, promptTokens: 900 });
    assert.deepEqual(bench.answers.slice(1), [{ type: 'progress', promptTokensDone: 256, promptTokens: 900 }]);
    const reported = bench.engine(tokens(0, 'a')).find(({ type }) => type === 'report-first-token');
    assert.ok(reported?.type === 'report-first-token' && reported.newTokens === 900);
  });

  it('measures its reading by what was read, not by what a cache held', () => {
    for (const { cachedTokens, newTokens } of [
      { cachedTokens: 0, newTokens: 900 },
      { cachedTokens: 899, newTokens: 1 },
      { cachedTokens: 900, newTokens: 1 },
    ]) {
      const bench = new Bench();
      bench.step(ADMITTED, 0);
      bench.engine({ type: 'progress', promptTokensDone: cachedTokens, promptTokens: 900, cachedTokens });
      const reported = bench.engine(tokens(0, 'a')).find(({ type }) => type === 'report-first-token');
      assert.ok(reported?.type === 'report-first-token' && reported.newTokens === newTokens);
    }
  });

  it('stops the engine when the asker cancels, and confirms', () => {
    for (const { input, last } of [
      { input: { type: 'cancelled' }, last: { type: 'cancelled' } },
      {
        input: { type: 'stopped', failure: { code: 'draining', message: 'bye' } },
        last: { type: 'failed', failure: { code: 'draining', message: 'bye' } },
      },
    ] as const) {
      const bench = new Bench();
      bench.step(ADMITTED);
      const [, ...effects] = [ADMITTED, ...bench.step(input)];
      assert.equal(bench.did('cancel-engine'), 1, input.type);
      assert.equal(bench.did('report-ended'), 1);
      assert.deepEqual(
        effects.flatMap((effect) => (effect.type === 'answer' ? [effect.answer] : [])),
        [last],
      );
    }
    const queued = new Bench();
    queued.step({ type: 'cancelled' });
    assert.equal(queued.did('cancel-engine'), 0);
    assert.equal(queued.did('report-ended'), 1);
  });

  it('fails an engine that breaks its contract', () => {
    const table: { event: EngineEvent; message: RegExp }[] = [
      { event: { type: 'tokens', position: 0, tokens: 101, tokenIds: [], text: '' }, message: /more tokens/ },
      { event: tokens(3, 'x'), message: /lost count/ },
      { event: tokens(1, 'x'.repeat(SERVE.waitingCharactersMax)), message: /too long a text/ },
    ];
    for (const { event, message } of table) {
      const bench = new Bench();
      bench.step(ADMITTED);
      if (!/more/.test(String(message))) bench.engine(tokens(0, 'a'));
      bench.engine(event);
      const last = bench.answers.at(-1);
      assert.ok(last?.type === 'failed' && last.failure.code === 'engine-failed', String(message));
      assert.match(last.failure.message, message);
      assert.equal(bench.did('cancel-engine'), 1);
    }
  });

  it('fails an engine that is silent although it may speak, not one that waits for credit', () => {
    const silent = new Bench();
    silent.step(ADMITTED, 0);
    silent.step({ type: 'woke' }, SERVE.firstTokenMsMax - 1);
    assert.equal(silent.session.phase, 'running');
    silent.step({ type: 'woke' }, SERVE.firstTokenMsMax);
    const last = silent.answers.at(-1);
    assert.ok(last?.type === 'failed' && last.failure.code === 'stalled');
    const waiting = new Bench({ creditTokens: 1 });
    waiting.step(ADMITTED, 0);
    waiting.engine(tokens(0, 'a'), 10);
    waiting.step({ type: 'woke' }, 10 * SERVE.firstTokenMsMax);
    assert.equal(waiting.session.phase, 'running');
    waiting.step({ type: 'credit-received', tokens: 5 }, 10 * SERVE.firstTokenMsMax);
    waiting.step({ type: 'woke' }, 10 * SERVE.firstTokenMsMax + SERVE.nextTokenMsMax - 1);
    assert.equal(waiting.session.phase, 'running');
  });

  it('releases credit at the pace of the owner', () => {
    const bench = new Bench({ creditTokens: 200, tokensPerSecondMax: 20 });
    bench.step(ADMITTED, 0);
    let produced = 0;
    for (let nowMs = 0; nowMs <= 5_000; nowMs += 5) {
      if (bench.session.wakeAtMs <= nowMs) bench.step({ type: 'woke' }, nowMs);
      for (; produced < bench.granted; produced += 1) bench.engine(tokens(produced, 'x'), nowMs);
    }
    assert.ok(produced >= 95 && produced <= 106, `${produced} tokens in five seconds`);
  });

  it('never grants more than the credit, whatever comes', () => {
    const inputs = fc.array(
      fc.oneof(
        fc.record({ type: fc.constant('credit-received' as const), tokens: fc.integer({ min: 1, max: 50 }) }),
        fc.constant({ type: 'woke' as const }),
        fc.constant(ADMITTED),
      ),
    );
    fc.assert(
      fc.property(inputs, fc.constantFrom(0, 7), (sequence, tokensPerSecondMax) => {
        const bench = new Bench({ creditTokens: 10, tokensPerSecondMax });
        let credit = 10;
        for (const [index, input] of sequence.entries()) {
          if (input.type === 'credit-received') credit += input.tokens;
          bench.step(input, index * 300);
          assert.ok(bench.granted <= credit);
        }
        assert.ok(bench.did('start-engine') <= 1);
        assert.ok(INFERENCE.progressIntervalMs > 0);
      }),
    );
  });
});
