/**
 * S12: what a node holds and sends is bounded, whatever the others do: its view by `membersMax`, its connections, the
 * bytes that wait in it, and what it sends as gossip. The budget is `beaconBytesPerSecond` per node. One node may send it
 * once for each copy that the fabric makes of a message (a hub forwards more than others); the mean of all nodes may be
 * at most twice the budget, because load messages alone are planned to fill it, and capability messages and snapshots come
 * on top. Both are judged over a window of a minute, in which one snapshot is a small part.
 * Not covered: what a liar itself sends; what it makes honest nodes forward is.
 */
import { GOSSIP } from '../../src/params.ts';
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { NodeSample, WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';

export const S12_LIMITS = {
  /** Source: `connectionsMax` of node/libp2p.io.ts. */
  connectionsMax: 512,
  /** A node that is stuck with more than this in its sockets loses memory. Source: guess: an eighth of a 4 GB machine. */
  bufferedBytesMax: 536_870_912,
  windowMs: 60_000,
  /** Copies of a message that one node sends or gets. Source: measured, `COPIES_TENTHS` of gossip/cadence.ts. */
  copies: 5.1,
  /** Source: guess, see above. */
  meanFactor: 2,
} as const;

class Bounds implements Checker {
  readonly #context: CheckContext;
  readonly #breaches: Breaches;
  /** Gossip bytes of this window, and how many samples of it there are. */
  readonly #bytes: Float64Array;
  readonly #samples: Int32Array;
  #windowAtMs = 0;

  constructor(context: CheckContext) {
    this.#context = context;
    this.#breaches = new Breaches(context);
    this.#bytes = new Float64Array(context.scenario.nodes);
    this.#samples = new Int32Array(context.scenario.nodes);
  }

  observe(event: WorldEvent, atMs: number): void {
    if (atMs >= this.#windowAtMs + S12_LIMITS.windowMs) this.#closeWindow(atMs);
    if (event.type !== 'sampled') return;
    const { node, sample } = event;
    this.#judge(node, sample, atMs);
    this.#bytes[node] = (this.#bytes[node] ?? 0) + sample.gossipBytes;
    this.#samples[node] = (this.#samples[node] ?? 0) + 1;
  }

  finish(): void {
    // The rest of a window is too short to judge.
  }

  #judge(node: number, { alive, suspect, connections, bufferedBytes }: NodeSample, atMs: number): void {
    for (const { kind, seen, limit, what } of [
      { kind: 'view', seen: alive + suspect, limit: GOSSIP.membersMax, what: 'members in its view' },
      { kind: 'connections', seen: connections, limit: S12_LIMITS.connectionsMax, what: 'connections' },
      { kind: 'buffered', seen: bufferedBytes, limit: S12_LIMITS.bufferedBytesMax, what: 'bytes wait' },
    ]) {
      if (seen <= limit) continue;
      this.#breaches.add(kind, { atMs, nodes: [node], detail: `${seen} ${what}, at most ${limit} promised` });
    }
  }

  #closeWindow(atMs: number): void {
    const { windowMs, copies, meanFactor } = S12_LIMITS;
    const seconds = (atMs - this.#windowAtMs) / 1_000;
    const budget = GOSSIP.beaconBytesPerSecond * copies;
    let sum = 0;
    let count = 0;
    for (const [node, bytes] of this.#bytes.entries()) {
      if ((this.#samples[node] ?? 0) === 0 || !this.#context.truth.isHonest(node)) continue;
      const perSecond = Math.round(bytes / seconds);
      sum += perSecond;
      count += 1;
      const detail = `${perSecond} gossip bytes/s over ${seconds} s, at most ${budget} promised`;
      if (perSecond > budget) this.#breaches.add('gossip', { atMs, nodes: [node], detail });
    }
    const mean = count === 0 ? 0 : Math.round(sum / count);
    const meanMax = GOSSIP.beaconBytesPerSecond * meanFactor;
    const detail = `${mean} gossip bytes/s as the mean of ${count} nodes over ${seconds} s, at most ${meanMax} promised`;
    if (mean > meanMax) this.#breaches.add('mean gossip', { atMs, nodes: [], detail });
    this.#bytes.fill(0);
    this.#samples.fill(0);
    this.#windowAtMs = atMs - (atMs % windowMs);
  }
}

export const stateIsBounded: CheckerKind = {
  id: 'S12',
  promise: 'view, connections, buffers and gossip of a node stay within their limits',
  when: 'always',
  create: (context) => new Bounds(context),
};
