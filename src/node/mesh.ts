/**
 * The core of a node: one synchronous state machine that owns everything a decision needs. `step` takes what happened and
 * the time, and returns what to do and when to be woken. It composes gossip (who is here), the address book (whom to
 * dial), the request desk (requests that entered here) and the serve desk (requests served here); it has no clock, no
 * randomness of its own and no I/O, so that a simulator can run it unchanged.
 * Obligations of the caller: inputs one at a time; `nowMs` never goes back; every effect is carried out, in order; a node
 * is named in an input only after its membership proof; `woke` comes no later than `wakeAtMs`.
 */
import { AddressBook } from '../discovery/address-book.ts';
import type { DialReport } from '../discovery/dial-failures.ts';
import { failure } from '../errors.ts';
import type { Census } from '../gossip/census.ts';
import {
  GossipCore,
  type GossipCoreOptions,
  type GossipCounters,
  type GossipMember,
  type GossipStep,
} from '../gossip/gossip-core.ts';
import type { Capability } from '../gossip/message.ts';
import { compareIds, type NodeId, type ParamsFingerprint } from '../ids.ts';
import { GOSSIP, paramsFingerprint } from '../params.ts';
import type { Effect, Input, Listening, StepResult } from './events.ts';
import { ModelMemory } from './model-memory.ts';
import { RequestDesk, type RequestInput } from './request-desk.ts';
import { ServeDesk } from './serve-desk.ts';

/** Connections kept: while the mesh is smaller, everybody knows everybody. Source: guess (see address-book.ts). */
const CONNECTIONS_MAX = 32;

/** Least time between two writes of the known peers. Source: guess: a disk is not worn out, and a crash loses little. */
const PERSIST_INTERVAL_MS = 5_000;

/** Between two measurements of the round trip to those we beat for. Source: guess: paths change in minutes. */
const MEASURE_INTERVAL_MS = 10_000;

/** When a client may try again while the view is fetched after a sleep. Source: guess: a round trip and a little. */
const STALE_RETRY_MS = 1_000;

const NO_EFFECTS: readonly Effect[] = [];

export interface MeshOptions extends GossipCoreOptions {
  /** What the owner calls this machine. */
  readonly name: string;
  readonly version: string;
  readonly bootstrap: readonly string[];
  readonly knownPeers: readonly { readonly node: NodeId; readonly addresses: readonly string[] }[];
  /** Of the protocol parameters; absent = those of this build. */
  readonly params?: ParamsFingerprint;
}

export class Mesh {
  readonly #options: MeshOptions;
  readonly #params: ParamsFingerprint;
  readonly #gossip: GossipCore;
  readonly #book: AddressBook;
  readonly #requests: RequestDesk;
  readonly #serves = new ServeDesk();
  readonly #models = new ModelMemory();
  #effects: Effect[] = [];
  #gossipWakeAtMs: number;
  #dialAtMs = -Infinity;
  #measuredAtMs = -Infinity;
  #listening: Listening = { addresses: [] };
  #loadsAtMs = -Infinity;
  #loadsChanged = false;
  #persistedAtMs = -Infinity;
  #peersChanged = false;
  #drainedSaid = false;
  /** What the last step said, and until when a `heard` changes nothing about it. */
  #quiet: StepResult = { effects: NO_EFFECTS, wakeAtMs: -Infinity };
  #quietUntilMs = -Infinity;

  constructor(options: MeshOptions, nowMs: number) {
    const { self, prng } = options;
    this.#options = options;
    this.#params = options.params ?? paramsFingerprint();
    this.#gossipWakeAtMs = nowMs;
    this.#gossip = new GossipCore({ ...options, prng: prng.fork('gossip') }, nowMs);
    this.#book = new AddressBook({ local: self, prng: prng.fork('address-book'), connectionsMax: CONNECTIONS_MAX });
    this.#requests = new RequestDesk({
      self,
      params: this.#params,
      arrivalsPerKsHere: (model, atMs) => this.#serves.arrivalsPerKs(model, atMs),
      mayExist: (model, atMs) => this.#hasHeardNobody || this.#models.has(model, atMs),
    });
    this.#book.learn({ node: undefined, addresses: options.bootstrap, source: 'bootstrap' }, nowMs);
    for (const peer of options.knownPeers) this.#book.learn({ ...peer, source: 'disk' }, nowMs);
  }

  step(input: Input, nowMs: number): StepResult {
    // Tokens and gossip make many `heard`s, and hardly any of them decides anything.
    if (input.type === 'heard' && nowMs < this.#quietUntilMs && this.#gossip.heardQuietly(input.node, nowMs))
      return this.#quiet;
    this.#take(input, nowMs);
    this.#tellLoads(nowMs);
    this.#dial(nowMs);
    this.#persistPeers(nowMs);
    this.#sayDrained();
    const effects = this.#effects.length === 0 ? NO_EFFECTS : this.#effects;
    if (effects !== NO_EFFECTS) this.#effects = [];
    const persistAtMs = this.#peersChanged ? this.#persistedAtMs + PERSIST_INTERVAL_MS : Infinity;
    const loadsAtMs = this.#loadsChanged ? this.#loadsAtMs + GOSSIP.beaconEventGapMs : Infinity;
    const wakeAtMs = Math.min(this.#gossipWakeAtMs, this.#dialAtMs, persistAtMs, loadsAtMs);
    // A step with nothing to do says the same as all that change nothing after it.
    this.#quiet = { effects: NO_EFFECTS, wakeAtMs };
    this.#quietUntilMs = Math.min(wakeAtMs, this.#loadsAtMs + GOSSIP.beaconEventGapMs);
    return effects === NO_EFFECTS ? this.#quiet : { effects, wakeAtMs };
  }

  /** Everybody who is here or suspect, ourselves included, by id. Our own row is as we are now, not as we last said. */
  members(nowMs: number): readonly GossipMember[] {
    const { self, name } = this.#options;
    const loads = this.#serves.loads(nowMs);
    const own = { node: self, self: true, name, verdict: 'alive', capability: this.#capability(), loads } as const;
    const exact = {
      ...own,
      // It rises to refute an accusation, and after a sleep.
      incarnation: this.#gossip.member(self, nowMs)?.incarnation ?? this.#options.incarnation,
      loadsMadeAtMs: nowMs,
      ageMs: 0,
      rttMs: 0,
      connected: true,
    };
    const members: GossipMember[] = this.#gossip.members(nowMs);
    const place = members.findIndex(({ node }) => compareIds(node, self) >= 0);
    const isListed = members[place]?.self === true;
    members.splice(place === -1 ? members.length : place, isListed ? 1 : 0, exact);
    return members;
  }

  /** As sums over `members`, for who looks often. */
  census(nowMs: number): Census {
    return this.#gossip.census(nowMs);
  }

  /** Another member, as `members` lists it. */
  member(node: NodeId, nowMs: number): GossipMember | undefined {
    return this.#gossip.member(node, nowMs);
  }

  addressesOf(node: NodeId): readonly string[] {
    return this.#book.addressesOf(node);
  }

  /** What came of the dials of a node. */
  dialsOf(node: NodeId): DialReport | undefined {
    return this.#book.report(node);
  }

  /** Who is sought and not found: nodes, and bootstrap addresses of nobody known. */
  unreached(): readonly DialReport[] {
    return this.#book.unreached();
  }

  /** When a member's own clock began, on ours; its incarnation is the second of that boot by its calendar, or later. */
  birthOf(node: NodeId): { readonly incarnation: number; readonly bornAtMs: number } | undefined {
    return this.#gossip.birthOf(node);
  }

  /** Why placement leaves a member out as a whole, if it does. */
  problemOf(member: GossipMember): string | undefined {
    if (member.capability === undefined) return 'its capability is not known yet';
    return member.capability.params === this.#params
      ? undefined
      : 'it runs other protocol parameters: update skein there or here';
  }

  get counters(): GossipCounters {
    return this.#gossip.counters;
  }

  /** True after a sleep until a member told what is new. */
  get isStale(): boolean {
    return this.#gossip.isStale;
  }

  get isDraining(): boolean {
    return this.#serves.draining;
  }

  #take(input: Input, nowMs: number): void {
    switch (input.type) {
      case 'woke':
      case 'connection-opened':
      case 'connection-lost':
      case 'heard':
      case 'pong-received':
      case 'message-received':
      case 'snapshot-received':
      case 'snapshot-failed':
      case 'snapshot-requested':
        this.#gossiped(this.#gossip.step(input, nowMs), nowMs);
        return this.#afterGossip(input, nowMs);
      case 'dial-failed':
        for (const node of this.#book.dialFailed(input.address, nowMs, input.reason)) this.#unreachable(node, nowMs);
        return;
      case 'addresses-found':
        this.#book.learn(input, nowMs);
        return;
      case 'listening':
        this.#listening = input;
        return this.#tellCapability(nowMs);
      case 'models-changed':
        this.#effects.push(...this.#serves.setModels(input.models, nowMs));
        return this.#tellCapability(nowMs);
      case 'drain-requested':
        this.#effects.push(...this.#serves.drain());
        return this.#tellCapability(nowMs);
      case 'stop-requested':
        return this.#gossiped(this.#gossip.leave(nowMs), nowMs);
      default:
        return this.#takeRequest(input, nowMs);
    }
  }

  #takeRequest(input: RequestInput, nowMs: number): void {
    switch (input.type) {
      case 'request-arrived':
        return this.#arrived(input, nowMs);
      case 'replan-wanted': {
        const effect = this.#requests.replan(input, this.#routable(nowMs), nowMs);
        if (effect !== undefined) this.#direct(effect);
        return;
      }
      case 'try-started':
        this.#call(input.node, nowMs);
        return this.#requests.tryStarted(input, nowMs);
      case 'first-token-seen':
        return this.#requests.firstTokenSeen(input, nowMs);
      case 'try-ended':
        return this.#requests.tryEnded(input, nowMs);
      case 'request-ended':
        return this.#requests.ended(input.requestId);
      case 'open-received':
        this.#effects.push(this.#serves.opened(input, nowMs));
        this.#loadsChanged = true;
        return;
      case 'serve-first-token':
        return this.#serves.firstToken(input, nowMs);
      case 'serve-ended':
        this.#effects.push(...this.#serves.ended(input, nowMs));
        this.#loadsChanged = true;
        return;
    }
  }

  #arrived(input: Extract<Input, { type: 'request-arrived' }>, nowMs: number): void {
    const { requestId, request: summary } = input;
    this.#serves.arrived(summary.model, nowMs);
    this.#direct(this.#requests.arrived({ requestId, summary }, this.#routable(nowMs), nowMs));
  }

  /** What is known may be hours old after a sleep: only our own row is sure until a member told what is new. */
  #routable(nowMs: number): readonly GossipMember[] {
    return this.members(nowMs).filter(({ self }) => self || !this.isStale);
  }

  /** Says where a request goes; while the view is from before a sleep, why nobody can be named. */
  #direct(effect: Effect): void {
    if (effect.type !== 'refuse-request' || !this.isStale) return void this.#effects.push(effect);
    const text = 'This machine has just woken up and is asking the mesh what is new: try again in a moment.';
    this.#effects.push({ ...effect, failure: failure('no-node-available', text, { retryAfterMs: STALE_RETRY_MS }) });
  }

  #dial(nowMs: number): void {
    const { dials, wakeAtMs } = this.#book.plan(nowMs);
    this.#dialAtMs = wakeAtMs;
    for (const dial of dials) this.#effects.push({ type: 'dial', ...dial });
  }

  /** In a mesh larger than the connections that are kept, a request may go to somebody who is not connected yet. */
  #call(node: NodeId, nowMs: number): void {
    if (node === this.#options.self || this.#gossip.member(node, nowMs)?.connected === true) return;
    const dial = this.#book.call(node, nowMs);
    if (dial !== undefined) this.#effects.push({ type: 'dial', ...dial });
  }

  /** What a connection or a message also means to the address book. */
  #afterGossip(input: Input, nowMs: number): void {
    if (input.type === 'connection-opened') {
      this.#book.connected(input.node, input.address, nowMs);
      this.#peersChanged = true;
    } else if (input.type === 'connection-lost') this.#book.lost(input.node, nowMs, input.isRefused);
  }

  #gossiped(step: GossipStep, nowMs: number): void {
    this.#gossipWakeAtMs = step.wakeAtMs;
    for (const effect of step.effects) {
      this.#effects.push(effect);
      if (effect.type === 'send-heartbeat') this.#measureWays(effect.to, nowMs);
      if (effect.type === 'member-changed') this.#memberChanged(effect, nowMs);
    }
    for (const node of step.introduced) this.#learnCapability(node, nowMs);
    for (const node of step.probes) if (this.#book.probe(node, nowMs) === 'failed') this.#unreachable(node, nowMs);
  }

  /** There are others, by what was configured or written down, and none of them said yet what it offers. */
  get #hasHeardNobody(): boolean {
    const { bootstrap, knownPeers } = this.#options;
    return this.#models.isEmpty && bootstrap.length + knownPeers.length > 0;
  }

  #unreachable(node: NodeId, nowMs: number): void {
    this.#gossiped(this.#gossip.unreachable(node, nowMs), nowMs);
  }

  /** Heartbeats need no answer; now and then one is asked for, because placement wants the round trip. */
  #measureWays(nodes: readonly NodeId[], nowMs: number): void {
    const isDue = nowMs >= this.#measuredAtMs + MEASURE_INTERVAL_MS;
    if (isDue) this.#measuredAtMs = nowMs;
    for (const node of nodes) {
      if (isDue || this.#gossip.member(node, nowMs)?.rttMs === undefined)
        this.#effects.push({ type: 'send-ping', to: node });
    }
  }

  #memberChanged({ node, verdict }: Extract<Effect, { type: 'member-changed' }>, nowMs: number): void {
    if (verdict === 'dead' || verdict === 'left') this.#models.gone(node, nowMs);
    if (verdict === 'left') this.#book.left(node, nowMs);
  }

  #learnCapability(node: NodeId, nowMs: number): void {
    const capability = this.#gossip.member(node, nowMs)?.capability;
    if (capability === undefined) return;
    this.#models.announced(
      node,
      capability.models.map(({ model }) => model),
    );
    if (this.#book.learn({ node, addresses: capability.addresses, source: 'gossip' }, nowMs)) this.#peersChanged = true;
  }

  #tellCapability(nowMs: number): void {
    this.#gossiped(this.#gossip.setCapability(this.#capability(), nowMs), nowMs);
    // The load rows follow the models: they go with this very step.
    this.#loadsAtMs = -Infinity;
  }

  #capability(): Capability {
    const { name, version } = this.#options;
    const addresses = this.#listening.addresses.slice(0, GOSSIP.addressesPerNodeMax);
    const relays = this.#listening.relays === true ? ({ relays: true } as const) : {};
    return { name, version, params: this.#params, addresses, models: this.#serves.capabilities(), ...relays };
  }

  /** A busy node has hundreds of changes a second, and gossip tells them no faster than this. */
  #tellLoads(nowMs: number): void {
    if (nowMs < this.#loadsAtMs + GOSSIP.beaconEventGapMs) return;
    this.#loadsAtMs = nowMs;
    this.#loadsChanged = false;
    this.#gossiped(this.#gossip.setLoads(this.#serves.loads(nowMs), nowMs), nowMs);
  }

  #persistPeers(nowMs: number): void {
    if (!this.#peersChanged || nowMs < this.#persistedAtMs + PERSIST_INTERVAL_MS) return;
    this.#peersChanged = false;
    this.#persistedAtMs = nowMs;
    this.#effects.push({ type: 'persist-peers', peers: this.#book.peers() });
  }

  #sayDrained(): void {
    if (!this.#serves.draining || this.#drainedSaid || this.#serves.size > 0 || this.#requests.size > 0) return;
    this.#drainedSaid = true;
    this.#effects.push({ type: 'drained' });
  }
}
