import assert from 'node:assert/strict';
import { Liar, type LiarOptions } from '../../../simulations/node/liar.ts';
import type { GossipItem } from '../../../simulations/node/payload.ts';

/** A liar of which only what a replay needs is there: what it hears, its timers, and what it says. */
function replayer(): {
  readonly liar: Liar;
  readonly said: GossipItem[];
  readonly hear: (madeAtMs: number) => void;
  readonly tell: (nowMs: number) => void;
} {
  const said: GossipItem[] = [];
  const timers: (() => void)[] = [];
  const queue = { nowMs: 0 };
  const process = { node: 4, after: (_delayMs: number, call: () => void) => void timers.push(call) };
  const services = {
    queue,
    directory: { signerOf: () => () => new Uint8Array(64) },
    newItem: (item: object) => ({ ...item, madeAtMs: queue.nowMs }),
    gossip: { publish: (_process: unknown, item: GossipItem) => void said.push(item) },
  };
  const random = { below: (count: number) => count - 1 };
  const liar = new Liar({ lie: 'replay', process, services, random } as unknown as LiarOptions);
  return {
    liar,
    said,
    hear: (madeAtMs) => liar.hear({ bytes: new Uint8Array(1), author: 2, madeAtMs } as unknown as GossipItem),
    tell: (nowMs) => {
      queue.nowMs = nowMs;
      for (const call of timers.splice(0)) call();
    },
  };
}

describe('a liar that replays', () => {
  it('remembers messages that are old enough, however many it hears', () => {
    const { hear, tell, said } = replayer();
    for (let atMs = 0; atMs < 200_000; atMs += 50) hear(atMs);
    tell(200_000);
    assert.equal(said.length, 1);
    assert.equal(said[0]?.author, 2);
    const ageMs = 200_000 - (said[0]?.madeAtMs ?? 0);
    // The youngest of them, as this source of chance has it: one of sixteen is kept.
    assert.ok(ageMs >= 70_000 && ageMs < 70_000 + 16 * 50, `${ageMs}`);
  });

  it('says nothing while all that it heard is young, or when it has stopped', () => {
    const { liar, hear, tell, said } = replayer();
    for (let atMs = 0; atMs < 60_000; atMs += 50) hear(atMs);
    tell(69_000);
    assert.deepEqual(said, []);
    liar.stop();
    tell(200_000);
    assert.deepEqual(said, []);
  });
});
