/**
 * Membership as one machine: who is here, what can they do, how busy are they, are they alive? It joins the view, the
 * failure detector, the cadence and the exchange of snapshots; inputs and effects are those of `node/events.ts`.
 * Every step: was this process away, take the input, do what time asks for, say when to be woken. The caller must
 * call `step({ type: 'woke' })` no later than `wakeAtMs`, because being late counts as an own stall, and must not
 * route by a view that `isStale`. Limits: what members claim is stored, not believed; trust is placement's business.
 */
import { unreachable } from '../assert.ts';
import type { NodeId } from '../ids.ts';
import { GOSSIP } from '../params.ts';
import type { Prng } from '../prng.ts';
import { Author } from './author.ts';
import { Cadence, loadIntervalMs } from './cadence.ts';
import { type Census, censusOf } from './census.ts';
import type { GossipCoreOptions } from './core-options.ts';
import type { GossipCounters, GossipEffect, GossipInput, GossipMember, GossipStep } from './gossip-events.ts';
import { Liveness, type LivenessEvent } from './liveness.ts';
import type { Capability, GossipMessage, ModelLoad } from './message.ts';
import { showMember, type ViewMember } from './member.ts';
import { SnapshotExchange } from './snapshot-exchange.ts';
import { View, type ViewVerdict } from './view.ts';
import { Voice } from './voice.ts';

export type { GossipCoreOptions } from './core-options.ts';
export type { GossipCounters, GossipEffect, GossipInput, GossipMember, GossipStep } from './gossip-events.ts';

type Judgement = { readonly verdict: 'accept' | 'ignore' | 'reject'; readonly reason: string };

/** Wake at least this often. Source: guess. */
const IDLE_MS_MAX = 30_000;
/** Size of a load message before one was seen. Source: measured: one model. */
const LOAD_BYTES_TYPICAL = 145;
/** Messages of one snapshot that are looked at; the rest waits for anti-entropy. Source: two beacons and a goodbye each. */
const SNAPSHOT_MESSAGES_MAX = 3 * GOSSIP.membersMax;

export class GossipCore {
  readonly #self: NodeId;
  readonly #bornAs: number;
  readonly #voice: Voice;
  readonly #view: View;
  readonly #liveness: Liveness;
  readonly #cadence: Cadence;
  readonly #exchange: SnapshotExchange;
  readonly #prng: Prng;
  #effects: GossipEffect[];
  #probes: NodeId[] = [];
  #introduced: NodeId[] = [];
  #wakeAtMs = -Infinity;
  #stale = false;
  #counts = { rejected: 0, ignored: 0, stalls: 0 };

  constructor(options: GossipCoreOptions, nowMs: number) {
    this.#self = options.self;
    this.#bornAs = options.incarnation;
    this.#view = new View(options);
    this.#liveness = new Liveness(options.self, nowMs);
    this.#cadence = new Cadence(options.prng.fork('cadence'), nowMs);
    this.#voice = new Voice({
      author: new Author(options),
      view: this.#view,
      cadence: this.#cadence,
      emit: (effect) => this.#effects.push(effect),
    });
    this.#exchange = new SnapshotExchange(options.prng.fork('snapshots'));
    this.#prng = options.prng.fork('anti-entropy');
    this.#effects = [{ type: 'persist-incarnation', incarnation: options.incarnation }];
  }

  /** True after a sleep until a member's view came: what is known may be hours old, so route nothing by it. */
  get isStale(): boolean {
    return this.#stale;
  }

  get counters(): GossipCounters {
    return { ...this.#counts, equivocations: this.#view.equivocations };
  }

  step(input: GossipInput, nowMs: number): GossipStep {
    this.#begin(nowMs);
    this.#take(input, nowMs);
    return this.#end(nowMs);
  }

  /**
   * Takes in that something came from a member, where that decides nothing now; false and nothing done where a step is
   * needed. What comes in while tokens flow is nearly always of this kind, and need not cost a step.
   */
  heardQuietly(node: NodeId, nowMs: number): boolean {
    if (nowMs >= this.#wakeAtMs || !this.#liveness.heardQuietly(node, nowMs)) return false;
    this.#view.heard(node, nowMs);
    return true;
  }

  /** What this node can do; published when it differs from what was said. */
  setCapability(capability: Capability, nowMs: number): GossipStep {
    this.#begin(nowMs);
    if (this.#voice.author.setCapability(capability)) this.#cadence.capabilityChanged();
    return this.#end(nowMs);
  }

  /** How busy it is, a row for each of the capability's models. Usually that is no news, and nothing is due either. */
  setLoads(loads: readonly ModelLoad[], nowMs: number): GossipStep {
    this.#begin(nowMs);
    if (this.#voice.author.setLoads(loads)) this.#cadence.loadChanged();
    else if (nowMs < this.#wakeAtMs) return { effects: [], probes: [], introduced: [], wakeAtMs: this.#wakeAtMs };
    return this.#end(nowMs);
  }

  /** A dial to a member came to nothing. */
  unreachable(node: NodeId, nowMs: number): GossipStep {
    this.#begin(nowMs);
    this.#liveness.unreachable(node, nowMs);
    return this.#end(nowMs);
  }

  /** Says goodbye; from then on this node is silent. */
  leave(nowMs: number): GossipStep {
    this.#begin(nowMs);
    this.#voice.leave(nowMs);
    return this.#end(nowMs);
  }

  /** Everybody who is here or suspect, this node included, sorted by id. */
  members(nowMs: number): GossipMember[] {
    return this.#view.members().map((member) => this.#show(member, nowMs));
  }

  member(node: NodeId, nowMs: number): GossipMember | undefined {
    const member = this.#view.member(node);
    return member === undefined ? undefined : this.#show(member, nowMs);
  }

  /** This node and everybody who is here or suspect, as sums. */
  census(nowMs: number): Census {
    const own = this.#view.member(this.#self) ?? { node: this.#self, incarnation: this.#bornAs };
    return censusOf(
      this.#view.othersAt(nowMs),
      own,
      this.#liveness.suspects().flatMap((node) => this.#view.member(node) ?? []),
    );
  }

  readonly birthOf = (node: NodeId): ReturnType<View['birthOf']> => this.#view.birthOf(node);

  #show(member: ViewMember, nowMs: number): GossipMember {
    const self = member.node === this.#self;
    return showMember(member, { self, status: this.#liveness.status(member.node) }, nowMs);
  }

  /** Those who watch this node: connections to them are worth keeping. */
  monitors(): NodeId[] {
    return this.#liveness.monitors();
  }

  digest(nowMs: number): Uint8Array {
    return this.#view.digest(nowMs);
  }

  #begin(nowMs: number): void {
    const presence = this.#liveness.begin(nowMs);
    if (presence !== 'on-time') this.#counts.stalls += 1;
    if (presence === 'slept') this.#wakeFromSleep(nowMs);
  }

  #end(nowMs: number): GossipStep {
    const wakeAtMs = this.#voice.hasLeft ? nowMs + IDLE_MS_MAX : this.#advance(nowMs);
    this.#liveness.expect(wakeAtMs);
    this.#wakeAtMs = wakeAtMs;
    const step = { effects: this.#effects, probes: this.#probes, introduced: this.#introduced, wakeAtMs };
    this.#effects = [];
    this.#probes = [];
    this.#introduced = [];
    return step;
  }

  #take(input: GossipInput, nowMs: number): void {
    switch (input.type) {
      case 'woke':
        return;
      case 'connection-opened':
        this.#liveness.connected(input.node, nowMs);
        if (this.#view.member(input.node) === undefined) this.#exchange.wish(input.node);
        return this.#voice.tellIfDead(input.node, nowMs);
      case 'connection-lost':
        this.#liveness.disconnected(input.node, nowMs);
        this.#voice.forget(input.node);
        return this.#exchange.ended(input.node, false, nowMs);
      case 'heard':
        return this.#heard(input.node, nowMs);
      case 'pong-received':
        this.#heard(input.node, nowMs);
        return this.#liveness.pong(input.node, input.rttMs, nowMs);
      case 'message-received':
        return this.#takeMessage(input, nowMs);
      case 'snapshot-received':
        return this.#takeSnapshot(input, nowMs);
      case 'snapshot-failed':
        return this.#exchange.ended(input.from, false, nowMs);
      case 'snapshot-requested': {
        this.#heard(input.from, nowMs);
        const messages = this.#view.messagesMissingIn(input.digest, nowMs);
        this.#effects.push({ type: 'answer-snapshot', exchangeId: input.exchangeId, messages });
        return;
      }
      default:
        return unreachable(input);
    }
  }

  #heard(node: NodeId, nowMs: number): void {
    this.#liveness.heard(node, nowMs);
    this.#view.heard(node, nowMs);
  }

  #takeMessage(input: Extract<GossipInput, { type: 'message-received' }>, nowMs: number): void {
    this.#heard(input.from, nowMs);
    const verdict = this.#view.receive(input.bytes, nowMs, 'gossip');
    const { verdict: judged, reason } = this.#absorb(verdict, input.from, nowMs);
    this.#effects.push({ type: 'judge-message', messageId: input.messageId, verdict: judged, reason });
    this.#voice.tellIfDead(input.from, nowMs);
  }

  #takeSnapshot(input: Extract<GossipInput, { type: 'snapshot-received' }>, nowMs: number): void {
    this.#heard(input.from, nowMs);
    // An answer that nobody asked for, or that came after its time, is no way around the rules of gossip.
    if (!this.#exchange.isAwaited(input.from)) return;
    for (const bytes of input.messages.slice(0, SNAPSHOT_MESSAGES_MAX))
      this.#absorb(this.#view.receive(bytes, nowMs, 'snapshot'), input.from, nowMs);
    this.#exchange.ended(input.from, true, nowMs);
    this.#stale = false;
  }

  /** One message, whichever way it came: the same consequences. */
  #absorb(verdict: ViewVerdict, from: NodeId, nowMs: number): Judgement {
    switch (verdict.type) {
      case 'reject':
        this.#counts.rejected += 1;
        return { verdict: 'reject', reason: verdict.reason };
      case 'ignore':
        this.#counts.ignored += 1;
        if (verdict.message !== undefined) this.#voice.defend(verdict.message, nowMs);
        return { verdict: 'ignore', reason: verdict.reason };
      case 'accept':
        return this.#accept(verdict, from, nowMs);
      default:
        return unreachable(verdict);
    }
  }

  #accept(verdict: Extract<ViewVerdict, { type: 'accept' }>, from: NodeId, nowMs: number): Judgement {
    const { message } = verdict;
    if (message.body.type === 'accusation') return this.#takeAccusation(message, verdict.ageMs, nowMs);
    if (message.body.type === 'goodbye') {
      const known = this.#liveness.status(message.author) !== undefined;
      this.#liveness.depart(message.author);
      if (known) this.#changed(message.author, 'left', 'said goodbye');
      return { verdict: 'accept', reason: 'goodbye' };
    }
    if (verdict.displaced !== undefined) {
      this.#liveness.depart(verdict.displaced);
      this.#changed(verdict.displaced, 'dead', 'made room in a full view');
    }
    if (verdict.gap) this.#exchange.wish(from);
    const { author, incarnation } = message;
    const { loadBytes } = verdict;
    const intervalMs = loadIntervalMs(this.#view.size, loadBytes === 0 ? LOAD_BYTES_TYPICAL : loadBytes);
    this.#liveness.beacon({ node: author, incarnation, ageMs: verdict.ageMs, intervalMs }, nowMs);
    if (message.body.type === 'capability') this.#introduced.push(author);
    return { verdict: 'accept', reason: message.body.type };
  }

  #takeAccusation(message: GossipMessage, ageMs: number, nowMs: number): Judgement {
    const { author: accuser, incarnation, sequence, body } = message;
    if (body.type !== 'accusation') return { verdict: 'ignore', reason: 'no accusation' };
    if (body.target === this.#self) {
      this.#voice.defend(message, nowMs);
      return { verdict: 'accept', reason: 'accusation of this node' };
    }
    const { target, targetIncarnation, cause } = body;
    const news = { accuser, incarnation, sequence, target, targetIncarnation, cause, ageMs };
    return this.#liveness.accused(news, nowMs)
      ? { verdict: 'accept', reason: 'accusation' }
      : { verdict: 'ignore', reason: 'accusation of no news' };
  }

  #wakeFromSleep(nowMs: number): void {
    // Everybody suspects us by now, and a clock that stood still must not go on under the same incarnation.
    this.#voice.raise(0, nowMs);
    if (this.#view.size <= 1) return;
    this.#stale = true;
    this.#exchange.need();
  }

  /** What time asks for; returns when to be woken. */
  #advance(nowMs: number): number {
    this.#liveness.check(nowMs);
    for (const event of this.#liveness.drain()) this.#follow(event, nowMs);
    this.#cadence.setMembers(this.#view.size);
    const due = this.#cadence.due(nowMs);
    if (due.capability) this.#voice.sayCapability(nowMs);
    if (due.load) this.#voice.sayLoad(nowMs);
    if (due.antiEntropy) this.#wishAnybody(nowMs);
    this.#ask(nowMs);
    const nextMs = Math.min(
      this.#liveness.nextMs(),
      this.#cadence.nextMs(this.#voice.author.canSpeak),
      this.#nextExchangeMs(nowMs),
    );
    return Math.min(nowMs + IDLE_MS_MAX, nextMs);
  }

  #follow(event: LivenessEvent, nowMs: number): void {
    switch (event.type) {
      case 'heartbeat':
        this.#effects.push({ type: 'send-heartbeat', to: event.to });
        return;
      case 'ping':
        this.#effects.push({ type: 'send-ping', to: event.to });
        return;
      case 'probe':
        this.#probes.push(event.node);
        return;
      case 'close':
        this.#effects.push({ type: 'close-connection', node: event.node, reason: event.reason });
        return;
      case 'verdict':
        if (event.verdict === 'dead') this.#view.bury(event.node, nowMs);
        return this.#changed(event.node, event.verdict, event.reason);
      case 'accuse':
        return this.#voice.accuse(event, nowMs);
      default:
        return unreachable(event);
    }
  }

  #changed(node: NodeId, verdict: 'alive' | 'suspect' | 'dead' | 'left', reason: string): void {
    this.#effects.push({ type: 'member-changed', node, verdict, reason });
  }

  #wishAnybody(nowMs: number): void {
    this.#cadence.antiEntropyDone(nowMs);
    const connections = this.#liveness.connections();
    const node = connections[this.#prng.nextBelow(connections.length)];
    if (node !== undefined) this.#exchange.wish(node);
  }

  #ask(nowMs: number): void {
    if (nowMs < this.#exchange.nextMs()) return;
    const asked = this.#exchange.next(this.#liveness.connections(), nowMs);
    if (asked === undefined) return;
    const digest = asked.everything ? new Uint8Array(0) : this.#view.digest(nowMs);
    this.#effects.push({ type: 'request-snapshot', from: asked.node, digest });
  }

  /** A moment that is over means that nobody is there to ask: the next connection will be a step of its own. */
  #nextExchangeMs(nowMs: number): number {
    const nextMs = this.#exchange.nextMs();
    return nextMs > nowMs ? nextMs : Infinity;
  }
}
