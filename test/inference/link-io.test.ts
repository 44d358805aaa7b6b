import assert from 'node:assert/strict';
import { LiveLink } from '../../src/inference/link.io.ts';

const counters = {
  linksOpened: 0,
  linksLost: 0,
  garbage: 0,
  violations: 0,
  writes: 0,
  bytesSent: 0,
  bytesReceived: 0,
};

/** A live link whose writes and timers can be looked at. */
class Bench {
  nowMs = 0;
  readonly writes: number[] = [];
  readonly timers: { readonly delayMs: number; readonly call: () => void }[] = [];
  readonly live = new LiveLink({
    stream: {
      send: (bytes) => this.writes.push(bytes.length) > 0,
      listen: () => undefined,
      close: () => undefined,
      abort: (reason) => assert.fail(reason),
    },
    events: {
      asked: () => undefined,
      answered: () => undefined,
      told: () => undefined,
      heard: () => undefined,
      flushing: () => undefined,
      closed: () => undefined,
    },
    counters: { ...counters },
    clock: {
      nowMs: () => this.nowMs,
      after: (delayMs, call) => {
        this.timers.push({ delayMs, call });
        return () => undefined;
      },
      soon: (call) => queueMicrotask(call),
    },
  });

  open(bytes: number): void {
    this.live.link.open(new Uint8Array(bytes));
    this.live.flushSoon();
  }
}

/** Everything that was to happen at the end of this turn has happened. */
async function turn(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe('a live link', () => {
  it('sends what one turn brings in one write', async () => {
    const bench = new Bench();
    for (let count = 0; count < 50; count += 1) bench.open(20);
    assert.deepEqual(bench.writes, []);
    await turn();
    assert.equal(bench.writes.length, 1);
  });

  it('pauses a millisecond between writes while it is busy, and only then', async () => {
    for (const [bytes, busy] of [
      [9_980, false],
      [24_001, true],
    ] as const) {
      const bench = new Bench();
      bench.nowMs = 100;
      bench.open(bytes);
      await turn();
      bench.open(20);
      assert.deepEqual(
        bench.timers.map(({ delayMs }) => delayMs),
        busy ? [1] : [],
        `after ${bytes} bytes in 100 ms`,
      );
      await turn();
      assert.equal(bench.writes.length, busy ? 1 : 2);
      bench.nowMs = 300;
      for (const { call } of bench.timers) call();
      assert.equal(bench.writes.length, 2);
      bench.open(20);
      await turn();
      assert.equal(bench.writes.length, 3, 'calm again');
    }
  });
});
