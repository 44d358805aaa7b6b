import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { TimingWheel } from '../../../simulations/kernel/event-queue.ts';
import type { Timer } from '../../../simulations/kernel/kernel-port.ts';

/** The plainest queue there is: a list that is sorted before each call. */
class SortedList {
  nowMs = 0;
  readonly #timers: { readonly atMs: number; readonly order: number; readonly call: () => void }[] = [];
  #order = 0;

  at(atMs: number, call: () => void): Timer {
    this.#order += 1;
    const timer = { atMs: Math.max(this.nowMs, Math.ceil(atMs)), order: this.#order, call };
    this.#timers.push(timer);
    return timer;
  }

  cancel(timer: Timer): void {
    const index = this.#timers.findIndex((one) => one === timer);
    if (index >= 0) this.#timers.splice(index, 1);
  }

  run(untilMs: number): void {
    for (;;) {
      this.#timers.sort((left, right) => left.atMs - right.atMs || left.order - right.order);
      const [first] = this.#timers;
      if (first === undefined || first.atMs > untilMs) break;
      this.#timers.shift();
      this.nowMs = first.atMs;
      first.call();
    }
    this.nowMs = untilMs;
  }
}

type Step =
  | { readonly type: 'add'; readonly delayMs: number; readonly thenMs: readonly number[] }
  | { readonly type: 'cancel'; readonly which: number }
  | { readonly type: 'run'; readonly forMs: number };

const delay = fc.oneof(
  fc.integer({ min: -5, max: 20 }),
  fc.integer({ min: 8_180, max: 8_200 }),
  fc.integer({ min: 0, max: 60_000 }),
  fc.double({ min: 0, max: 30, noNaN: true }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('add' as const),
      delayMs: delay,
      thenMs: fc.array(delay, { maxLength: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('cancel' as const), which: fc.nat(40) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('run' as const), forMs: fc.integer({ min: 0, max: 10_000 }) }),
  },
);

/** Plays the steps; what is added may add more when it runs. */
function play(queue: SortedList | TimingWheel, steps: readonly Step[]): readonly string[] {
  const log: string[] = [];
  const timers: Timer[] = [];
  let name = 0;
  const add = (delayMs: number, thenMs: readonly number[]): void => {
    name += 1;
    const label = name;
    timers.push(
      queue.at(queue.nowMs + delayMs, () => {
        log.push(`${queue.nowMs}:${label}`);
        for (const laterMs of thenMs) add(laterMs, []);
      }),
    );
  };
  for (const one of steps) {
    const cancelled = one.type === 'cancel' ? timers[one.which] : undefined;
    if (one.type === 'add') add(one.delayMs, one.thenMs);
    else if (cancelled !== undefined) queue.cancel(cancelled);
    else if (one.type === 'run') queue.run(queue.nowMs + one.forMs);
  }
  queue.run(queue.nowMs + 200_000);
  return log;
}

describe('the event queue', () => {
  it('runs what a sorted list runs, in the same order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        assert.deepEqual(play(new TimingWheel(), steps), play(new SortedList(), steps));
      }),
      { numRuns: 300 },
    );
  });

  it('runs equal times in the order of asking, also when one was far away and the other near', () => {
    const queue = new TimingWheel();
    const log: string[] = [];
    queue.at(10_000, () => log.push('asked from afar'));
    queue.run(5_000);
    queue.at(10_000, () => log.push('asked from near'));
    queue.run(10_000);
    assert.deepEqual(log, ['asked from afar', 'asked from near']);
  });

  it('runs many far timers of one moment in the order of asking', () => {
    const queue = new TimingWheel();
    const log: number[] = [];
    const asked = Array.from({ length: 50 }, (_, index) => index);
    for (const index of asked) queue.at(20_000 + (index % 3), () => log.push(index));
    queue.run(30_000);
    assert.deepEqual(
      log,
      asked.toSorted((left, right) => (left % 3) - (right % 3) || left - right),
    );
  });

  it('runs what is asked for now behind what waits for this ms already', () => {
    const queue = new TimingWheel();
    const log: string[] = [];
    queue.at(5, () => {
      log.push('first');
      queue.at(5, () => log.push('for now'));
      queue.at(1, () => log.push('for the past'));
    });
    queue.at(5, () => log.push('second'));
    queue.run(5);
    assert.deepEqual(log, ['first', 'second', 'for now', 'for the past']);
  });

  for (const [untilMs, expected] of [
    [8_191, []],
    [8_192, ['ran']],
  ] as const)
    it(`has run ${expected.length} timers of 8,192 ms after ${untilMs} ms, and stands there`, () => {
      const queue = new TimingWheel();
      const log: string[] = [];
      queue.at(8_192, () => log.push('ran'));
      queue.run(untilMs);
      assert.deepEqual([log, queue.nowMs], [expected, untilMs]);
    });

  it('does not run what was cancelled, near, far, or in the same ms', () => {
    const queue = new TimingWheel();
    const log: string[] = [];
    const near = queue.at(10, () => log.push('near'));
    const far = queue.at(100_000, () => log.push('far'));
    queue.at(20, () => queue.cancel(sameMs));
    const sameMs = queue.at(20, () => log.push('same ms'));
    queue.cancel(near);
    queue.cancel(far);
    queue.cancel(far);
    assert.equal(queue.pending, 2);
    queue.run(200_000);
    assert.deepEqual([log, queue.pending], [[], 0]);
  });

  it('forgets nothing when it sweeps out many cancelled far timers', () => {
    const queue = new TimingWheel();
    const log: number[] = [];
    const timers = Array.from({ length: 2_000 }, (_, index) => queue.at(1_000_000 - index * 7, () => log.push(index)));
    for (const [index, timer] of timers.entries()) if (index % 10 !== 0) queue.cancel(timer);
    assert.equal(queue.pending, 200);
    queue.run(1_000_000);
    assert.deepEqual(
      log,
      Array.from({ length: 200 }, (_, index) => (199 - index) * 10),
    );
  });

  it('keeps a timer that never comes without running it', () => {
    const queue = new TimingWheel();
    queue.at(Infinity, () => assert.fail('it never comes'));
    queue.run(1_000_000);
    assert.equal(queue.pending, 1);
  });

  it('refuses a time that is none, going back, and running inside a run', () => {
    const queue = new TimingWheel();
    queue.run(10);
    assert.throws(() => queue.at(Number.NaN, () => undefined), /a timer has a time/);
    assert.throws(() => queue.run(9), /time goes on/);
    queue.at(11, () => queue.run(12));
    assert.throws(() => queue.run(12), /not run from inside/);
  });
});
