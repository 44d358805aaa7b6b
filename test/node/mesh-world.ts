/**
 * Several cores on one virtual clock, with connections, dials and gossip between them as the network would carry them:
 * messages take a millisecond, accepted gossip is passed on, a dial takes its time and fails where nobody lives or
 * nothing gets through. What each core says about the others is kept with its time.
 */
import { toHex } from '../../src/bytes.ts';
import type { GossipMember } from '../../src/gossip/gossip-core.ts';
import type { NodeId } from '../../src/ids.ts';
import type { Effect, Input } from '../../src/node/events.ts';
import { Mesh } from '../../src/node/mesh.ts';
import { Prng } from '../../src/prng.ts';
import { signAs, swarm, verifyHash } from '../gossip/signing.ts';

const HOP_MS = 1;

interface Process {
  readonly node: NodeId;
  readonly mesh: Mesh;
  readonly links: Set<NodeId>;
  readonly seen: Set<string>;
  wakeAtMs: number;
}

interface Note {
  readonly atMs: number;
  readonly by: NodeId;
}

export class MeshWorld {
  nowMs = 1_000;
  readonly changes: (Note & Pick<Extract<Effect, { type: 'member-changed' }>, 'node' | 'verdict' | 'reason'>)[] = [];
  readonly dials: (Note & { readonly to: NodeId | undefined })[] = [];
  /** False: a dial from the one to the other comes to nothing. */
  passes: (from: NodeId, to: NodeId) => boolean = () => true;
  readonly #dialMs: number;
  readonly #processes = new Map<NodeId, Process>();
  #queue: { readonly atMs: number; readonly act: () => void }[] = [];

  constructor(dialMs: number) {
    this.#dialMs = dialMs;
  }

  start(node: NodeId, bootstrap: readonly NodeId[] = []): void {
    const mesh = new Mesh(
      {
        self: node,
        swarm,
        incarnation: 100,
        sign: signAs(node),
        verify: verifyHash,
        prng: new Prng(node),
        name: 'test',
        version: '0.0.0',
        bootstrap: bootstrap.map(addressOf),
        knownPeers: [],
      },
      this.nowMs,
    );
    this.#processes.set(node, { node, mesh, links: new Set(), seen: new Set(), wakeAtMs: this.nowMs });
    this.step(node, { type: 'listening', addresses: [addressOf(node)] });
  }

  /** Its connections close, and nobody answers at its address. */
  kill(node: NodeId): void {
    const process = this.#processes.get(node);
    this.#processes.delete(node);
    for (const other of process?.links ?? []) this.#unlink(other, node);
  }

  meshOf(node: NodeId): Mesh | undefined {
    return this.#processes.get(node)?.mesh;
  }

  /** Undefined where it is not known, or dead. */
  verdict(by: NodeId, node: NodeId): string | undefined {
    return this.#memberOf(by, node)?.verdict;
  }

  incarnation(by: NodeId, node: NodeId): number {
    return this.#memberOf(by, node)?.incarnation ?? 0;
  }

  isConnected(one: NodeId, other: NodeId): boolean {
    return this.#processes.get(one)?.links.has(other) === true;
  }

  /** Bytes that a neighbour of `to` sends it as gossip. */
  inject(from: NodeId, to: NodeId, bytes: Uint8Array): void {
    this.#later(HOP_MS, () => this.step(to, { type: 'message-received', messageId: 1, from, bytes }));
  }

  run(durationMs: number): void {
    this.until(() => false, durationMs);
  }

  /** Whether it came true within the time; looked at after every event. */
  until(condition: () => boolean, durationMs: number): boolean {
    const endMs = this.nowMs + durationMs;
    while (!condition()) {
      const due = this.#queue[0];
      const sleeper = [...this.#processes.values()].toSorted((left, right) => left.wakeAtMs - right.wakeAtMs)[0];
      const atMs = Math.max(this.nowMs, Math.min(due?.atMs ?? Infinity, sleeper?.wakeAtMs ?? Infinity));
      if (atMs > endMs) {
        this.nowMs = endMs;
        return false;
      }
      this.nowMs = atMs;
      if (due !== undefined && due.atMs <= atMs) {
        this.#queue.shift();
        due.act();
      } else if (sleeper !== undefined) this.step(sleeper.node, { type: 'woke' });
    }
    return true;
  }

  step(node: NodeId, input: Input): void {
    const process = this.#processes.get(node);
    if (process === undefined) return;
    const { effects, wakeAtMs } = process.mesh.step(input, this.nowMs);
    process.wakeAtMs = Math.max(wakeAtMs, this.nowMs + 1);
    for (const effect of effects) this.#carryOut(process, effect, input);
  }

  #memberOf(by: NodeId, node: NodeId): GossipMember | undefined {
    return this.#processes
      .get(by)
      ?.mesh.members(this.nowMs)
      .find((member) => member.node === node);
  }

  #carryOut(process: Process, effect: Effect, cause: Input): void {
    const { node } = process;
    if (effect.type === 'publish') this.#flood(process, effect.bytes);
    else if (effect.type === 'judge-message') {
      if (effect.verdict === 'accept' && cause.type === 'message-received') this.#flood(process, cause.bytes);
    } else if (effect.type === 'send-heartbeat')
      for (const to of effect.to) this.#send(node, to, { type: 'heard', node });
    else if (effect.type === 'send-ping')
      this.#send(effect.to, node, { type: 'pong-received', node: effect.to, rttMs: 2 * HOP_MS });
    else if (effect.type === 'dial') this.#dial(node, effect);
    else if (effect.type === 'member-changed') this.changes.push({ ...effect, atMs: this.nowMs, by: node });
    else if (effect.type === 'close-connection') {
      this.#unlink(node, effect.node);
      this.#unlink(effect.node, node);
    } else this.#exchange(node, effect, cause);
  }

  #exchange(node: NodeId, effect: Effect, cause: Input): void {
    if (effect.type === 'request-snapshot')
      this.#send(node, effect.from, {
        type: 'snapshot-requested',
        exchangeId: 1,
        from: node,
        digest: effect.digest,
      });
    if (effect.type === 'answer-snapshot' && cause.type === 'snapshot-requested')
      this.#send(node, cause.from, { type: 'snapshot-received', from: node, messages: effect.messages });
  }

  #flood({ node, links, seen }: Process, bytes: Uint8Array): void {
    const key = toHex(bytes);
    if (seen.has(key)) return;
    seen.add(key);
    for (const to of links) this.#send(node, to, { type: 'message-received', messageId: 1, from: node, bytes });
  }

  #dial(from: NodeId, { node, addresses }: Extract<Effect, { type: 'dial' }>): void {
    this.dials.push({ atMs: this.nowMs, by: from, to: node });
    this.#later(this.#dialMs, () => {
      const to = [...this.#processes.keys()].find((other) => addresses.includes(addressOf(other)));
      if (to !== undefined && this.#processes.has(from) && this.passes(from, to)) return this.#link(from, to);
      for (const address of addresses) this.step(from, { type: 'dial-failed', address, reason: 'nobody there' });
    });
  }

  #link(from: NodeId, to: NodeId): void {
    this.#processes.get(from)?.links.add(to);
    this.#processes.get(to)?.links.add(from);
    this.step(from, { type: 'connection-opened', node: to, address: addressOf(to) });
    this.step(to, { type: 'connection-opened', node: from, address: '/ip4/192.0.2.250/tcp/50000' });
  }

  #unlink(node: NodeId, other: NodeId): void {
    if (this.#processes.get(node)?.links.delete(other) === true)
      this.#later(HOP_MS, () => this.step(node, { type: 'connection-lost', node: other }));
  }

  /** Over a connection, if there is one when it arrives. */
  #send(from: NodeId, to: NodeId, input: Input): void {
    this.#later(HOP_MS, () => {
      if (this.#processes.get(from)?.links.has(to) === true) this.step(to, input);
    });
  }

  #later(delayMs: number, act: () => void): void {
    this.#queue.push({ atMs: this.nowMs + delayMs, act });
    // Stable: what was said first arrives first.
    this.#queue = this.#queue.toSorted((left, right) => left.atMs - right.atMs);
  }
}

function addressOf(node: NodeId): string {
  return `/dns4/${node}/tcp/4001`;
}
