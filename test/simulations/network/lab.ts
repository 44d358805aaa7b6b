/** A small network for tests: endpoints that write down what they hear, and words for what the tests do most. */
import assert from 'node:assert/strict';
import { TimingWheel } from '../../../simulations/kernel/event-queue.ts';
import { SeededRandom } from '../../../simulations/kernel/keyed-random.ts';
import type { Connection, DialOutcome, Endpoint } from '../../../simulations/network/network-port.ts';
import { Network } from '../../../simulations/network/network.ts';
import type { NatClass, NetworkSpec } from '../../../simulations/scenario.ts';

export const CLEAN: NetworkSpec = {
  delayMsMin: 50,
  delayMsMax: 50,
  jitterMs: 0,
  loss: 0,
  lossBurstMs: 300,
  bytesPerSecond: 1_000_000_000,
  queueMs: 200,
};

export interface Heard {
  readonly what: 'opened' | 'closed' | 'received';
  readonly atMs: number;
  readonly detail: string;
  readonly from: number;
}

export interface LabOptions {
  readonly seed?: string;
  readonly nodes?: number;
  readonly spec?: Partial<NetworkSpec>;
  readonly nat?: readonly NatClass[];
}

/** All nodes run from the start. */
export class Lab {
  readonly queue = new TimingWheel();
  readonly network: Network<string>;
  readonly heard: Heard[][] = [];
  /** Open ends by node, newest last. */
  readonly ends: Connection[][] = [];

  constructor({ seed = 'lab', nodes = 2, spec = {}, nat = [] }: LabOptions = {}) {
    this.network = new Network<string>({
      queue: this.queue,
      random: new SeededRandom(seed),
      nodes,
      spec: { ...CLEAN, ...spec },
      natOf: (node) => nat[node] ?? 'public',
    });
    for (let node = 0; node < nodes; node += 1) this.start(node);
  }

  start(node: number, extra: Partial<Endpoint<string>> = {}): void {
    const heard: Heard[] = (this.heard[node] ??= []);
    const ends: Connection[] = [];
    this.ends[node] = ends;
    const note = (what: Heard['what'], detail: string, connection: Connection): void =>
      void heard.push({ what, atMs: this.queue.nowMs, detail, from: connection.remote });
    this.network.attach(node, {
      connectionOpened: (connection) => {
        note('opened', '', connection);
        ends.push(connection);
        extra.connectionOpened?.(connection);
      },
      connectionClosed: (connection, reason) => {
        note('closed', reason, connection);
        extra.connectionClosed?.(connection, reason);
      },
      received: (connection, payload) => {
        note('received', payload, connection);
        extra.received?.(connection, payload);
      },
    });
  }

  runFor(forMs: number): void {
    this.queue.run(this.queue.nowMs + forMs);
  }

  dial(from: number, to: number): { outcome: DialOutcome | undefined; atMs: number } {
    const result: { outcome: DialOutcome | undefined; atMs: number } = { outcome: undefined, atMs: -1 };
    this.network.dial(from, to, (outcome) => {
      result.outcome = outcome;
      result.atMs = this.queue.nowMs;
    });
    return result;
  }

  /** Dials, again if losses are in the way, until it is through; the ends of the dialler and of the other. */
  connect(from: number, to: number): readonly [Connection, Connection] {
    let result = this.dial(from, to);
    for (let tries = 0; result.outcome?.type !== 'connected' && tries < 500; tries += 1) {
      this.runFor(100);
      if (result.outcome?.type === 'failed') result = this.dial(from, to);
    }
    assert.equal(result.outcome?.type, 'connected');
    const near = this.ends[from]?.at(-1);
    const far = this.ends[to]?.at(-1);
    assert.ok(near !== undefined && far !== undefined);
    return [near, far];
  }

  send(connection: Connection, payload: string, bytes = 100): boolean {
    return this.network.send(connection, bytes, payload);
  }

  /** Sends a numbered message now and every `everyMs`, `count` times in all. */
  stream(connection: Connection, everyMs: number, count: number): void {
    const startMs = this.queue.nowMs;
    for (let index = 0; index < count; index += 1)
      this.queue.at(startMs + index * everyMs, () => void this.send(connection, `${startMs + index * everyMs}`));
  }

  of(node: number, what: Heard['what']): readonly Heard[] {
    return (this.heard[node] ?? []).filter((one) => one.what === what);
  }

  received(node: number): readonly string[] {
    return this.of(node, 'received').map(({ detail }) => detail);
  }

  closed(node: number): readonly string[] {
    return this.of(node, 'closed').map(({ detail }) => detail);
  }

  forget(): void {
    for (const list of this.heard) list.length = 0;
  }
}
