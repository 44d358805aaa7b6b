/**
 * Several gossip cores in one virtual time: an event queue, ordered links with random delays, gossip that
 * the author sends to all its connections and others to six, processes that can be killed (sockets close), frozen (nothing runs, the sockets stay) and woken.
 * Each node's clock starts at another value, so that nothing can lean on equal clocks.
 */
import { hash64, hashHex } from '../../src/bytes.ts';
import { GossipCore, type GossipInput, type GossipMember, type GossipStep } from '../../src/gossip/gossip-core.ts';
import { compareIds, type NodeId } from '../../src/ids.ts';
import { Prng } from '../../src/prng.ts';
import { capabilityOf, nodeNumber, signAs, swarm, verifyHash } from './signing.ts';

type Effect = GossipStep['effects'][number];

interface Seen {
  readonly atMs: number;
  readonly by: NodeId;
  readonly node: NodeId;
  readonly verdict: string;
  readonly reason: string;
}

class Process {
  readonly node: NodeId;
  readonly core: GossipCore;
  readonly clockStartMs: number;
  readonly links = new Set<NodeId>();
  readonly seenMessages = new Set<string>();
  state: 'running' | 'frozen' | 'dead' = 'running';
  wakeOrder = 0;
  readonly waiting: (() => void)[] = [];

  constructor(number: number, startedAtMs: number, prng: Prng) {
    this.node = nodeNumber(number);
    this.clockStartMs = 1_000 + number * 77_777 - startedAtMs;
    const options = { self: this.node, swarm, incarnation: 1_000, sign: signAs(this.node), verify: verifyHash, prng };
    this.core = new GossipCore(options, startedAtMs + this.clockStartMs);
  }
}

export class MeshHarness {
  nowMs = 0;
  readonly seen: Seen[] = [];
  readonly published: { atMs: number; by: NodeId; bytes: Uint8Array }[] = [];
  readonly persisted: { by: NodeId; incarnation: number }[] = [];
  readonly closed: { by: NodeId; node: NodeId; reason: string }[] = [];
  readonly #processes = new Map<NodeId, Process>();
  readonly #prng: Prng;
  #queue: { atMs: number; order: number; run: () => void }[] = [];
  #order = 0;
  #messageId = 0;
  readonly #linkFreeAtMs = new Map<string, number>();
  readonly #delayMsMax: number;

  constructor(seed: string, options: { readonly delayMsMax: number } = { delayMsMax: 40 }) {
    this.#prng = new Prng(seed);
    this.#delayMsMax = options.delayMsMax;
  }

  /** Starts a process; it connects to nobody by itself. */
  start(number: number): NodeId {
    const process = new Process(number, this.nowMs, this.#prng.fork(`node ${number}`));
    this.#processes.set(process.node, process);
    this.#act(process, () => process.core.setCapability(capabilityOf(`node-${number}`), this.#clockOf(process)));
    return process.node;
  }

  /** `count` processes, all connected to all. */
  startFullMesh(count: number): NodeId[] {
    const nodes = Array.from({ length: count }, (_, number) => this.start(number));
    for (const left of nodes) for (const right of nodes) if (left < right) this.connect(left, right);
    return nodes;
  }

  connect(left: NodeId, right: NodeId): void {
    this.#process(left).links.add(right);
    this.#process(right).links.add(left);
    this.#input(left, { type: 'connection-opened', node: right, address: '/memory' });
    this.#input(right, { type: 'connection-opened', node: left, address: '/memory' });
  }

  disconnect(left: NodeId, right: NodeId): void {
    this.#process(left).links.delete(right);
    this.#process(right).links.delete(left);
    this.#input(left, { type: 'connection-lost', node: right });
    this.#input(right, { type: 'connection-lost', node: left });
  }

  /** The kernel closes the sockets of a killed process: its neighbours know within milliseconds. */
  kill(node: NodeId): void {
    const process = this.#process(node);
    process.state = 'dead';
    for (const other of process.links) {
      this.#process(other).links.delete(node);
      this.#send(node, other, () => this.#input(other, { type: 'connection-lost', node }));
    }
    process.links.clear();
  }

  freeze(node: NodeId): void {
    this.#process(node).state = 'frozen';
  }

  wake(node: NodeId): void {
    const process = this.#process(node);
    process.state = 'running';
    for (const run of process.waiting.splice(0)) run();
  }

  leave(node: NodeId): void {
    const process = this.#process(node);
    this.#act(process, () => process.core.leave(this.#clockOf(process)));
  }

  /** Hands a message to a node as if `from` had relayed it. */
  inject(to: NodeId, from: NodeId, bytes: Uint8Array): void {
    this.#messageId += 1;
    this.#input(to, { type: 'message-received', messageId: this.#messageId, from, bytes });
  }

  runFor(durationMs: number): void {
    const untilMs = this.nowMs + durationMs;
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#queue.shift();
      this.nowMs = next.atMs;
      next.run();
    }
    this.nowMs = untilMs;
  }

  core(node: NodeId): GossipCore {
    return this.#process(node).core;
  }

  members(node: NodeId): GossipMember[] {
    const process = this.#process(node);
    return process.core.members(this.#clockOf(process));
  }

  verdictsAbout(node: NodeId): (string | undefined)[] {
    return this.running()
      .filter((other) => other !== node)
      .map((other) => this.members(other).find((member) => member.node === node)?.verdict);
  }

  running(): NodeId[] {
    return [...this.#processes.values()]
      .filter(({ state }) => state === 'running')
      .map(({ node }) => node)
      .toSorted(compareIds);
  }

  digest(node: NodeId): string {
    const process = this.#process(node);
    return hashHex(hash64(process.core.digest(this.#clockOf(process))));
  }

  #process(node: NodeId): Process {
    const process = this.#processes.get(node);
    if (process === undefined) throw new Error(`no process ${node}`);
    return process;
  }

  #clockOf(process: Process): number {
    return this.nowMs + process.clockStartMs;
  }

  #at(atMs: number, run: () => void): void {
    this.#order += 1;
    const entry = { atMs, order: this.#order, run };
    let index = this.#queue.length;
    while (index > 0 && (this.#queue[index - 1]?.atMs ?? 0) > atMs) index -= 1;
    this.#queue.splice(index, 0, entry);
  }

  /** Ordered: nothing overtakes on one link. */
  #send(from: NodeId, to: NodeId, arrive: () => void): void {
    const link = `${from}>${to}`;
    const earliestMs = this.nowMs + 1 + this.#prng.nextBelow(this.#delayMsMax);
    const atMs = Math.max(earliestMs, this.#linkFreeAtMs.get(link) ?? 0);
    this.#linkFreeAtMs.set(link, atMs);
    this.#at(atMs, arrive);
  }

  #input(node: NodeId, input: GossipInput): void {
    const process = this.#process(node);
    if (process.state === 'dead') return;
    if (process.state === 'frozen') {
      process.waiting.push(() => this.#input(node, input));
      return;
    }
    this.#act(process, () => process.core.step(input, this.#clockOf(process)));
  }

  #act(process: Process, act: () => GossipStep): void {
    const { effects, wakeAtMs } = act();
    for (const effect of effects) this.#perform(process, effect);
    process.wakeOrder += 1;
    const order = process.wakeOrder;
    const wakeMs = Math.max(this.nowMs, Math.ceil(wakeAtMs - process.clockStartMs));
    this.#at(wakeMs, () => {
      if (process.wakeOrder === order) this.#input(process.node, { type: 'woke' });
    });
  }

  #perform(process: Process, effect: Effect): void {
    const by = process.node;
    switch (effect.type) {
      case 'publish':
        this.published.push({ atMs: this.nowMs, by, bytes: effect.bytes });
        process.seenMessages.add(nameOf(effect.bytes));
        return this.#pass(process, effect.bytes, process.links.size);
      case 'send-heartbeat':
        for (const to of effect.to) this.#deliver(by, to, { type: 'heard', node: by });
        return;
      case 'send-ping':
        return this.#ping(by, effect.to);
      case 'request-snapshot':
        return this.#requestSnapshot(by, effect.from, effect.digest);
      case 'member-changed':
        this.seen.push({ atMs: this.nowMs, by, node: effect.node, verdict: effect.verdict, reason: effect.reason });
        return;
      case 'persist-incarnation':
        this.persisted.push({ by, incarnation: effect.incarnation });
        return;
      case 'close-connection':
        this.closed.push({ by, node: effect.node, reason: effect.reason });
        return this.disconnect(by, effect.node);
      case 'judge-message':
      case 'answer-snapshot':
        return;
      default:
        effect satisfies never;
    }
  }

  #deliver(from: NodeId, to: NodeId, input: GossipInput): void {
    if (!this.#process(from).links.has(to)) return;
    this.#send(from, to, () => {
      if (this.#process(to).links.has(from)) this.#input(to, input);
    });
  }

  #pass(process: Process, bytes: Uint8Array, degree: number): void {
    const links = [...process.links].toSorted(compareIds);
    const start = this.#prng.nextBelow(links.length);
    const turned = [...links.slice(start), ...links.slice(0, start)];
    // Who has few connections is in the gossip mesh of all of them.
    const needy = turned.filter((to) => this.#process(to).links.size <= degree);
    for (const to of new Set([...needy, ...turned.slice(0, degree)]))
      this.#send(process.node, to, () => {
        if (this.#process(to).links.has(process.node)) this.#gossip(to, process.node, bytes);
      });
  }

  #gossip(to: NodeId, from: NodeId, bytes: Uint8Array): void {
    const process = this.#process(to);
    if (process.state === 'dead') return;
    if (process.state === 'frozen') {
      process.waiting.push(() => this.#gossip(to, from, bytes));
      return;
    }
    if (process.seenMessages.has(nameOf(bytes))) return this.#input(to, { type: 'heard', node: from });
    process.seenMessages.add(nameOf(bytes));
    this.#messageId += 1;
    const messageId = this.#messageId;
    const input = { type: 'message-received', messageId, from, bytes } as const;
    this.#act(process, () => {
      const step = process.core.step(input, this.#clockOf(process));
      const accepted = step.effects.some((effect) => effect.type === 'judge-message' && effect.verdict === 'accept');
      if (accepted) this.#pass(process, bytes, 6);
      return step;
    });
  }

  #ping(from: NodeId, to: NodeId): void {
    if (!this.#process(from).links.has(to)) return;
    const sentAtMs = this.nowMs;
    this.#send(from, to, () => this.#answerPing(from, to, sentAtMs));
  }

  #answerPing(from: NodeId, to: NodeId, sentAtMs: number): void {
    const process = this.#process(to);
    if (process.state === 'frozen') {
      process.waiting.push(() => this.#answerPing(from, to, sentAtMs));
      return;
    }
    if (process.state === 'dead' || !process.links.has(from)) return;
    this.#input(to, { type: 'heard', node: from });
    this.#send(to, from, () => {
      if (this.#process(from).links.has(to))
        this.#input(from, { type: 'pong-received', node: to, rttMs: this.nowMs - sentAtMs });
    });
  }

  #requestSnapshot(by: NodeId, from: NodeId, digest: Uint8Array): void {
    this.#send(by, from, () => {
      const process = this.#process(from);
      if (process.state !== 'running' || !process.links.has(by)) return this.#input(by, failed(from));
      this.#act(process, () => {
        const input = { type: 'snapshot-requested', exchangeId: 1, from: by, digest } as const;
        const step = process.core.step(input, this.#clockOf(process));
        for (const effect of step.effects)
          if (effect.type === 'answer-snapshot')
            this.#deliver(from, by, { type: 'snapshot-received', from, messages: effect.messages });
        return step;
      });
    });
  }
}

function nameOf(bytes: Uint8Array): string {
  return hashHex(hash64(bytes));
}

function failed(from: NodeId): GossipInput {
  return { type: 'snapshot-failed', from, reason: 'no answer' };
}
