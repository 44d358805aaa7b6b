/**
 * What does a network do to the messages of N nodes? Each machine has a last mile (loss in bursts, an uplink with a
 * bounded queue), each pair a base delay. A connection is TCP in small: ordered, losses become delay, it breaks when
 * nothing is acknowledged for a minute, and silence tells nobody anything. `network/` has a file for each part:
 * `flow.ts` one direction of a connection, `path.ts` what lies between two machines, `dial.ts` how they connect,
 * `reachability.ts` NATs and relays, `inbox.ts` processes that stand still, `cuts.ts`, `loss-chain.ts`, `last-mile.ts`.
 * Limits: what the parts say of themselves; no keep-alives of the kernel; a half-open end stays until it sends; a relay
 * that was dark forgets its connections without a reset, so their ends time out.
 */
import { invariant } from '../../src/assert.ts';
import type { EventQueue, KeyedRandom } from '../kernel/kernel-port.ts';
import type { Connection, Departure, DialOutcome, Endpoint, NetworkFaults, NetworkPort } from './network-port.ts';
import { Channels, endOf, type Channel } from './channels.ts';
import { Cuts } from './cuts.ts';
import { Datagrams } from './datagrams.ts';
import { Dial, DIAL_TIMEOUT_MS } from './dial.ts';
import { End } from './end.ts';
import { Inbox } from './inbox.ts';
import { LastMile, type Worsening } from './last-mile.ts';
import type { Path } from './path.ts';
import { Paths } from './paths.ts';
import { Reachability, RELAY_CONNECTIONS_MAX } from './reachability.ts';
import type { NatClass, NetworkSpec } from '../scenario.ts';

export interface NetworkInit {
  readonly queue: EventQueue;
  readonly random: KeyedRandom;
  readonly nodes: number;
  readonly spec: NetworkSpec;
  readonly natOf: (node: number) => NatClass;
}

export class Network<Payload> implements NetworkPort<Payload>, NetworkFaults {
  readonly #queue: EventQueue;
  readonly #miles: readonly LastMile[];
  readonly #inboxes: (Inbox<Payload> | undefined)[];
  readonly #asleepSinceMs: number[];
  readonly #cuts: Cuts;
  readonly #paths: Paths;
  readonly #channels: Channels<Payload>;
  readonly #reachability: Reachability;
  readonly #datagrams: Datagrams<Payload>;

  constructor({ queue, random, nodes, spec, natOf }: NetworkInit) {
    this.#queue = queue;
    const miles = Array.from({ length: nodes }, (_, node) => new LastMile(node, spec, random));
    const cuts = new Cuts(nodes);
    const channels = new Channels<Payload>(queue, nodes);
    this.#miles = miles;
    this.#inboxes = miles.map(() => undefined);
    this.#asleepSinceMs = miles.map(() => 0);
    this.#cuts = cuts;
    this.#paths = new Paths({ queue, random, spec, cuts, miles });
    this.#channels = channels;
    const relayedBy = (relay: number): number => channels.relayedBy(relay);
    this.#reachability = new Reachability({ cuts, miles, random, natOf, relayedBy });
    this.#datagrams = new Datagrams({ queue, paths: this.#paths, inboxOf: (node) => this.#inboxes[node] });
  }

  attach(node: number, endpoint: Endpoint<Payload>): void {
    const mile = this.#mileOf(node);
    invariant(this.#inboxes[node] === undefined, 'one process listens at a node');
    this.#inboxes[node] = new Inbox(this.#queue, endpoint);
    mile.isPowered = true;
    mile.isAsleep = false;
    mile.canRelay = true;
  }

  detach(node: number, departure: Departure): void {
    const mile = this.#mileOf(node);
    this.#inboxes[node]?.end();
    this.#inboxes[node] = undefined;
    for (const channel of this.#channels.of(node)) {
      const end = endOf(channel, node);
      const wasOpen = end.open;
      end.shut();
      if (departure === 'silent') end.outgoing?.vanish();
      else if (wasOpen) end.outgoing?.abort();
    }
    for (const channel of this.#channels.through(node)) {
      this.#channels.unrelay(channel);
      if (departure === 'reset' && mile.isAwake) this.#tellOfRelay(channel, node);
    }
    mile.canRelay = false;
    if (departure === 'silent') mile.isPowered = false;
  }

  dial(from: number, to: number, done: (outcome: DialOutcome) => void): void {
    const dialler = this.#inboxes[from];
    invariant(from !== to && dialler !== undefined, 'a process that runs dials another node');
    const route = this.#reachability.route(from, to);
    const failed = (reason: string): void => done({ type: 'failed', reason });
    if (route.type === 'none') {
      this.#queue.at(this.#queue.nowMs + DIAL_TIMEOUT_MS, () => dialler.give(() => failed('unreachable')));
      return;
    }
    const relay = route.type === 'relay' ? route.relay : undefined;
    const forward = this.#path(from, to, relay);
    const backward = this.#path(to, from, relay);
    const connected = (listener: Inbox<Payload>): void => {
      if (relay !== undefined && this.#channels.relayedBy(relay) >= RELAY_CONNECTIONS_MAX) {
        dialler.give(() => failed('the relay is full'));
        return;
      }
      this.#announce(this.#channels.open({ from, to, relay, forward, backward, dialler, listener }), done);
    };
    const extraMs = route.type === 'direct' ? route.extraMs : 0;
    const listener = (): Inbox<Payload> | undefined => this.#inboxes[to];
    // eslint-disable-next-line no-new -- It lives in the queue until it calls back.
    new Dial<Payload>({ queue: this.#queue, forward, backward, dialler, extraMs, listener, connected, failed });
  }

  send(connection: Connection, bytes: number, payload: Payload): boolean {
    invariant(this.#isEnd(connection), 'a connection comes from this network');
    if (!connection.open) return false;
    if (connection.outgoing?.send(bytes, payload) === true) return true;
    connection.shut();
    connection.outgoing?.abort();
    const { inbox } = connection;
    this.#queue.at(this.#queue.nowMs, () =>
      inbox.give(() => inbox.endpoint.connectionClosed(connection, 'send buffer full')),
    );
    return false;
  }

  close(connection: Connection): void {
    invariant(this.#isEnd(connection), 'a connection comes from this network');
    if (!connection.open) return;
    connection.shut();
    connection.outgoing?.finish();
  }

  bufferedBytes(node: number): number {
    return this.#channels.bufferedBytes(node);
  }

  pause(node: number): void {
    this.#mileOf(node).canRelay = false;
    this.#inboxes[node]?.stand();
  }

  suspend(node: number): void {
    const mile = this.#mileOf(node);
    this.pause(node);
    if (mile.isAsleep) return;
    mile.isAsleep = true;
    this.#asleepSinceMs[node] = this.#queue.nowMs;
  }

  resume(node: number): void {
    const mile = this.#mileOf(node);
    const sleptMs = mile.isAsleep ? this.#queue.nowMs - (this.#asleepSinceMs[node] ?? 0) : 0;
    mile.isAsleep = false;
    mile.canRelay = this.#inboxes[node] !== undefined;
    this.#inboxes[node]?.goOn();
    for (const channel of this.#channels.of(node)) {
      const end = endOf(channel, node);
      if (sleptMs > 0) end.outgoing?.wokeUp(sleptMs);
      else endOf(channel, end.remote).outgoing?.urged();
    }
    for (const { dialler, listener } of this.#channels.through(node)) {
      dialler.outgoing?.urged();
      listener.outgoing?.urged();
    }
  }

  isConnected(left: number, right: number): boolean {
    return this.#channels.isConnected(left, right);
  }

  isCarried(left: number, right: number): boolean {
    return this.#channels.isCarried(left, right);
  }

  relaysOf(left: number, right: number): readonly number[] {
    return this.#channels.relaysOf(left, right);
  }

  /** By cuts, NATs and relays alone: whether the two are up is another question. */
  canTalk(left: number, right: number): boolean {
    return this.#reachability.canTalk(left, right);
  }

  cut(from: readonly number[], to: readonly number[]): () => void {
    return this.#cuts.cut(from, to);
  }

  worsen(node: number, change: Worsening): () => void {
    return this.#mileOf(node).worsen(change, this.#queue.nowMs);
  }

  /** The relays that carry connections of this node drop these, and take none of it until undone. */
  dropRelaysOf(node: number): () => void {
    const relays = new Set<number>();
    for (const channel of this.#channels.of(node)) {
      if (channel.relay === undefined) continue;
      relays.add(channel.relay);
      this.#channels.unrelay(channel);
      this.#tellOfRelay(channel, channel.relay);
    }
    return this.#reachability.refuse(node, [...relays]);
  }

  rebind(node: number): void {
    for (const { forward, backward } of this.#channels.of(node)) {
      forward.isDead = true;
      backward.isDead = true;
    }
  }

  /** Lost, overtaken and doubled as it comes; `deliver` is called at the receiver, while a process runs there. */
  sendDatagram(from: number, to: number, datagram: { readonly bytes: number; readonly deliver: () => void }): void {
    this.#datagrams.send({ from: this.#mileOf(from), to: this.#mileOf(to), ...datagram });
  }

  /** Datagrams from and to this node arrive twice. */
  duplicate(node: number): () => void {
    return this.#datagrams.duplicate(node);
  }

  #announce({ dialler, listener }: Channel<Payload>, done: (outcome: DialOutcome) => void): void {
    listener.inbox.give(() => listener.inbox.endpoint.connectionOpened(listener));
    dialler.inbox.give(() => {
      dialler.inbox.endpoint.connectionOpened(dialler);
      done({ type: 'connected', connection: dialler });
    });
  }

  /** Each end hears from the relay itself, if that leg carries. */
  #tellOfRelay({ dialler, listener }: Channel<Payload>, relay: number): void {
    for (const end of [dialler, listener]) {
      const leg = this.#path(relay, end.local, undefined);
      if (!leg.isOpen) continue;
      this.#queue.at(this.#queue.nowMs + leg.delayMs, () => {
        if (leg.reaches) end.broke('the relay dropped it');
      });
    }
  }

  #path(from: number, to: number, relay: number | undefined): Path {
    return this.#paths.make('stream', {
      from: this.#mileOf(from),
      to: this.#mileOf(to),
      relay: relay === undefined ? undefined : this.#mileOf(relay),
    });
  }

  #mileOf(node: number): LastMile {
    const mile = this.#miles[node];
    invariant(mile !== undefined, 'a node of this network');
    return mile;
  }

  #isEnd(connection: Connection): connection is End<Payload> {
    return connection instanceof End;
  }
}
