import assert from 'node:assert/strict';
import { NatMemory } from '../../src/discovery/nat-memory.ts';
import type { PathFacts } from '../../src/discovery/path-health.ts';
import { type LadderInput, type LadderOutput, PathLadder } from '../../src/discovery/path-ladder.ts';
import type { Nat } from '../../src/discovery/reachability.ts';
import type { PathKind } from '../../src/discovery/transports.ts';
import { Prng } from '../../src/prng.ts';

const RELAY = `12D3KooW${'9'.repeat(44)}`;
export const ADDRESS: Readonly<Record<Exclude<PathKind, 'webrtc'>, string>> = {
  lan: '/ip4/192.168.1.2/tcp/4001',
  tcp: '/ip4/11.0.0.1/tcp/4001',
  'webrtc-direct': '/ip4/11.0.0.1/udp/4001/webrtc-direct',
  relayed: `/ip4/11.0.0.10/tcp/4001/p2p/${RELAY}/p2p-circuit`,
};

/** A ladder on a clock that is moved by hand, woken whenever it asks. */
export class Bench {
  readonly natMemory = new NatMemory();
  readonly ladder: PathLadder;
  readonly dials: { readonly kind: PathKind; readonly atMs: number }[] = [];
  readonly closes: { readonly path: string; readonly reason: string; readonly atMs: number }[] = [];
  /** Paths that carry signs of life. */
  readonly alive = new Set<string>();
  readonly open = new Map<string, PathFacts>();
  nowMs = 1_000;
  last: LadderOutput;
  #beatAtMs = Infinity;

  constructor(isSmaller = true) {
    this.ladder = new PathLadder({ isSmaller, prng: new Prng('bench'), natMemory: this.natMemory }, this.nowMs);
    this.last = this.step({ type: 'woke' });
  }

  step(input: LadderInput): LadderOutput {
    const output = this.ladder.step(input, this.nowMs);
    this.last = output;
    for (const { kind, addresses, force } of output.dials) {
      assert.ok((addresses.length > 0 || kind === 'webrtc') && force);
      this.dials.push({ kind, atMs: this.nowMs });
    }
    for (const { path, reason } of output.closes) {
      this.closes.push({ path, reason, atMs: this.nowMs });
      this.open.delete(path);
      this.alive.delete(path);
    }
    return output;
  }

  opened(id: string, kind: PathKind, rttMs = 10): LadderOutput {
    const path = { id, kind, isLimited: false, direction: 'outbound', rttMs } as const;
    this.alive.add(id);
    this.open.set(id, path);
    return this.step({ type: 'path-opened', path });
  }

  closed(id: string): LadderOutput {
    this.open.delete(id);
    this.alive.delete(id);
    return this.step({ type: 'path-closed', path: id });
  }

  /** Time passes; paths that are alive beat as often as the ladder says, and every dial fails if that is said. */
  pass(ms: number, dialsFail = true): void {
    const untilMs = this.nowMs + ms;
    while (this.nowMs < untilMs) {
      this.#beatAtMs = Math.min(this.#beatAtMs, this.nowMs + (this.last.beatMs ?? Infinity));
      this.nowMs = Math.max(this.nowMs, Math.min(untilMs, this.#beatAtMs, this.last.wakeAtMs));
      if (this.nowMs >= this.#beatAtMs) {
        this.#beatAtMs = Infinity;
        for (const path of this.alive) this.step({ type: 'path-heard', path });
      }
      const before = this.dials.length;
      this.step({ type: 'woke' });
      if (dialsFail)
        for (const { kind } of this.dials.slice(before)) this.step({ type: 'dial-ended', kind, reached: false });
    }
  }

  know(...addresses: string[]): void {
    this.step({ type: 'addresses-known', addresses });
  }

  nats(own: Nat, remote: Nat): void {
    this.step({ type: 'nats-known', own, remote });
  }
}
