/**
 * One running process of a simulated node: the production core (`Mesh`) and the production requests (`RequestPlane`), with
 * this file as the second interpreter of their effects beside `driver.io.ts`. It carries them out over the simulated
 * network, in the same order and with the same obligations: inputs one at a time, every effect carried out, never woken
 * later than asked for, unless the process stands still. A new process of the same node starts from what was saved.
 */
import { unreachable } from '../../src/assert.ts';
import type { NodeId } from '../../src/ids.ts';
import { RequestPlane } from '../../src/inference/request-plane.ts';
import type { Effect, Input } from '../../src/node/events.ts';
import { Mesh } from '../../src/node/mesh.ts';
import { Connections } from './connections.ts';
import { Lines } from './lines.ts';
import { LocalTimers } from '../kernel/local-timers.ts';
import type { Connection, Endpoint } from '../network/network-port.ts';
import { bytesOf, type GossipItem, type Payload, trafficOf, type Traffic } from './payload.ts';
import { Pings } from './pings.ts';
import { meshOptions, type ProcessOptions } from './process-options.ts';
import type { Services } from './services.ts';

/** The mesh hears of received bytes at most this often for each member. Source: `PEERS.heardMs` of the real links. */
const HEARD_MS = 100;

const WOKE: Input = { type: 'woke' };
const HEARTBEAT: Payload = { type: 'heartbeat' };

export class Process implements Endpoint<Payload> {
  readonly node: number;
  readonly id: NodeId;
  readonly mesh: Mesh;
  readonly plane: RequestPlane;
  readonly connections = new Connections();
  /** Bytes sent since they were last asked for. */
  readonly sentBytes: Record<Traffic, number> = { gossip: 0, heartbeat: 0, request: 0 };
  readonly #options: ProcessOptions;
  readonly #services: Services;
  readonly #timers: LocalTimers;
  readonly #lines: Lines;
  readonly #waiting: Input[] = [];
  readonly #heardAtMs: number[] = [];
  readonly #pings = new Pings();
  readonly #exchanges = new Map<number, Connection>();
  /** Messages that the core judges now: nearly always one. */
  readonly #judging: { readonly messageId: number; readonly item: GossipItem }[] = [];
  readonly #onWake = (): void => {
    this.#cancelWake = undefined;
    this.accept(WOKE);
  };
  #stepping = false;
  #gone = false;
  #nonce = 0;
  #wakeAtMs = Infinity;
  #cancelWake: (() => void) | undefined;

  constructor(options: ProcessOptions) {
    const { node, services, clock, engine } = options;
    const { directory } = services;
    this.node = node;
    this.id = directory.idOf(node);
    this.#options = options;
    this.#services = services;
    this.#timers = new LocalTimers(services.queue, clock);
    this.mesh = new Mesh(meshOptions(options), this.nowMs());
    const planeClock = {
      nowMs: () => this.nowMs(),
      after: (delayMs: number, call: () => void) => this.#timers.at(this.nowMs() + delayMs, call),
      soon: (call: () => void) => void this.#timers.at(this.nowMs(), call),
    };
    this.plane = new RequestPlane({
      self: this.id,
      clock: planeClock,
      tokensPerSecondMax: 0,
      engineFor: (model) => (engine.models().some((offered) => offered.model === model) ? engine : undefined),
      openRemote: (opening) => this.#lines.open(opening, directory.nodeOf(opening.node)),
      report: (input) => this.accept(input),
      ended: () => undefined,
    });
    this.#lines = new Lines({
      serving: this.plane.serving,
      idOf: (other) => directory.idOf(other),
      nowMs: () => this.nowMs(),
      connectionTo: (other) => this.connections.to(other),
      send: (connection, payload) => this.send(connection, payload),
      after: planeClock.after,
    });
  }

  nowMs(): number {
    return this.#timers.nowMs();
  }

  /** It listens, and its core runs from here on. */
  start(): void {
    this.#services.network.attach(this.node, this);
    this.accept({ type: 'listening', addresses: [this.#services.directory.addressOf(this.node)] });
    this.modelsChanged();
    this.accept({ type: 'woke' });
  }

  modelsChanged(): void {
    this.accept({ type: 'models-changed', models: this.#options.engine.models() });
  }

  /** Calls after that long on the process's own clock, while it runs. */
  after(delayMs: number, call: () => void): void {
    this.#timers.at(this.nowMs() + delayMs, call);
  }

  /** Ends it without a word of its own; the network is told by the caller. */
  end(): void {
    this.#gone = true;
    this.#timers.clear();
    this.#services.gossip.forget(this);
  }

  /** SIGSTOP, or a closed lid. */
  halt(): void {
    this.#timers.halt();
  }

  goOn(): void {
    this.#timers.goOn();
  }

  /** Feeds one input; its effects are carried out before this returns, unless a step is under way. */
  accept(input: Input): void {
    if (this.#gone) return;
    if (this.#stepping) {
      this.#waiting.push(input);
      return;
    }
    this.#stepping = true;
    this.#step(input);
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) this.#step(next);
    this.#stepping = false;
  }

  /** A message of somebody arrived by gossip. */
  hearGossip(item: GossipItem, from: number): void {
    this.#nonce += 1;
    const messageId = this.#nonce;
    this.#judging.push({ messageId, item });
    const { bytes } = item;
    this.accept({ type: 'message-received', messageId, from: this.#services.directory.idOf(from), bytes });
  }

  send(connection: Connection, payload: Payload): void {
    if (this.#gone || !this.#options.passes(payload)) return;
    const bytes = bytesOf(payload);
    this.sentBytes[trafficOf(payload)] += bytes;
    this.#services.network.send(connection, bytes, payload);
  }

  connectionOpened(connection: Connection): void {
    const { first, replaced } = this.connections.add(connection, this.nowMs());
    const { remote } = connection;
    const { directory, gossip } = this.#services;
    // An older one of that node is dead without knowing: what lived on it is told before the new one is used.
    for (const old of replaced) this.#dropped(old, 'replaced by a newer connection');
    for (const old of replaced) this.#services.network.close(old);
    gossip.connectionOpened(this, connection);
    if (first) {
      this.#services.emit({ type: 'connected', node: this.node, peer: remote });
      const address = directory.addressOf(remote);
      this.accept({ type: 'connection-opened', node: directory.idOf(remote), address });
    }
    this.#lines.connectionOpened(connection);
  }

  connectionClosed(connection: Connection, reason: string): void {
    const { known, last } = this.connections.remove(connection);
    if (!known) return;
    this.#dropped(connection, reason);
    if (last) this.#lost(connection.remote);
  }

  received(connection: Connection, payload: Payload): void {
    if (!this.#options.passes(payload)) return;
    const { remote } = connection;
    this.#heard(remote);
    switch (payload.type) {
      case 'heartbeat':
        return;
      case 'ping':
        return this.send(connection, { type: 'pong', nonce: payload.nonce });
      case 'pong':
        return this.#ponged(remote, payload.nonce);
      case 'gossip':
      case 'have':
      case 'want':
      case 'graft':
      case 'prune':
        return this.#services.gossip.received(this, connection, payload);
      case 'view-asked':
        return this.#viewAsked(connection, payload.digest);
      case 'view-told':
        return this.accept({
          type: 'snapshot-received',
          from: this.#services.directory.idOf(remote),
          messages: payload.messages,
        });
      default:
        return this.#lines.received(connection, payload);
    }
  }

  #step(input: Input): void {
    const nowMs = this.nowMs();
    this.#options.observe(this, input);
    const { effects, wakeAtMs } = this.mesh.step(input, nowMs);
    this.#options.stepped(this, input);
    this.#wakeAt(wakeAtMs, nowMs);
    for (const effect of effects) {
      this.#options.observe(this, effect);
      this.#carryOut(effect);
    }
  }

  /** A timer that fires soon enough is left alone, as in the driver. */
  #wakeAt(wakeAtMs: number, nowMs: number): void {
    const atMs = Math.ceil(wakeAtMs);
    if (this.#cancelWake !== undefined && this.#wakeAtMs <= atMs && this.#wakeAtMs > nowMs) return;
    this.#cancelWake?.();
    this.#wakeAtMs = atMs;
    this.#cancelWake = this.#timers.at(this.#wakeAtMs, this.#onWake);
  }

  #carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'dial':
        return this.#dial(effect);
      case 'close-connection':
        return this.#close(this.#services.directory.nodeOf(effect.node));
      case 'send-heartbeat':
        for (const to of effect.to) this.#tell(to, HEARTBEAT);
        return;
      case 'send-ping':
        return this.#tell(effect.to, { type: 'ping', nonce: this.#pings.send(this.nowMs()) });
      case 'publish':
        for (const item of this.#options.speak(effect.bytes)) this.#services.gossip.publish(this, item);
        return;
      case 'judge-message':
        return this.#judged(effect);
      case 'request-snapshot':
        return this.#tell(effect.from, { type: 'view-asked', digest: effect.digest });
      case 'answer-snapshot':
        return this.#answerView(effect);
      case 'persist-incarnation':
        return this.#options.disk.saveIncarnation(effect.incarnation);
      case 'persist-peers':
        return this.#options.disk.savePeers(effect.peers);
      case 'member-changed':
      case 'drained':
        return;
      case 'dispatch':
      case 'refuse-request':
      case 'serve':
      case 'queue-serve':
      case 'refuse-serve':
        return this.plane.carryOut(effect);
      default:
        return unreachable(effect);
    }
  }

  #dial({ node, addresses }: Extract<Effect, { type: 'dial' }>): void {
    const { directory, network } = this.#services;
    const [address = ''] = addresses;
    const target = directory.nodeAt(address);
    const failed = (reason: string): void => {
      for (const one of addresses) this.accept({ type: 'dial-failed', address: one, reason });
    };
    if (target < 0 || target === this.node) return failed('nobody lives at this address');
    network.dial(this.node, target, (outcome) => {
      if (this.#gone) return;
      if (outcome.type === 'failed') failed(outcome.reason);
      else if (node === undefined) this.accept({ type: 'connection-opened', node: directory.idOf(target), address });
    });
  }

  #close(remote: number): void {
    const taken = this.connections.take(remote);
    for (const connection of taken) {
      this.#dropped(connection, 'closed here');
      this.#services.network.close(connection);
    }
    if (taken.length > 0) this.#lost(remote);
  }

  #dropped(connection: Connection, reason: string): void {
    this.#services.gossip.connectionClosed(this, connection);
    this.#lines.connectionClosed(connection, reason);
  }

  #lost(remote: number): void {
    this.#services.emit({ type: 'disconnected', node: this.node, peer: remote });
    this.accept({ type: 'connection-lost', node: this.#services.directory.idOf(remote) });
  }

  #tell(to: NodeId, payload: Payload): void {
    const connection = this.connections.to(this.#services.directory.nodeOf(to));
    if (connection !== undefined) this.send(connection, payload);
  }

  #heard(remote: number): void {
    const nowMs = this.nowMs();
    if (nowMs - (this.#heardAtMs[remote] ?? -Infinity) < HEARD_MS) return;
    this.#heardAtMs[remote] = nowMs;
    this.accept({ type: 'heard', node: this.#services.directory.idOf(remote) });
  }

  #ponged(remote: number, nonce: number): void {
    const rttMs = this.#pings.answered(nonce, this.nowMs());
    const node = this.#services.directory.idOf(remote);
    if (rttMs !== undefined) this.accept({ type: 'pong-received', node, rttMs });
  }

  #judged({ messageId, verdict }: Extract<Effect, { type: 'judge-message' }>): void {
    const index = this.#judging.findIndex((judged) => judged.messageId === messageId);
    const item = this.#judging[index]?.item;
    if (item === undefined) return;
    this.#judging.splice(index, 1);
    this.#services.gossip.judged(this, item, verdict);
  }

  /** The message that a verdict is about. */
  itemOf(messageId: number): GossipItem | undefined {
    return this.#judging.find((judged) => judged.messageId === messageId)?.item;
  }

  #viewAsked(connection: Connection, digest: Uint8Array): void {
    this.#nonce += 1;
    const exchangeId = this.#nonce;
    this.#exchanges.set(exchangeId, connection);
    const from = this.#services.directory.idOf(connection.remote);
    this.accept({ type: 'snapshot-requested', exchangeId, from, digest });
  }

  #answerView({ exchangeId, messages }: Extract<Effect, { type: 'answer-snapshot' }>): void {
    const connection = this.#exchanges.get(exchangeId);
    this.#exchanges.delete(exchangeId);
    if (connection !== undefined) this.send(connection, { type: 'view-told', messages });
  }
}
