/**
 * What this node believes about every member: the latest signed capability and load of each. Idea: per author and
 * type the message with the highest (incarnation, sequence) wins, whatever the order of arrival, so that all nodes
 * that saw the same messages hold the same view. Two messages under one number are an equivocation: counted, and the
 * one whose bytes sort first stays everywhere. A load whose capability has not come yet waits (a gap).
 * What is too old by the sender's own clock, replayed or from a departed incarnation is ignored before a signature is
 * paid for. Limits: at most `membersMax` members, the silent longest makes room; liveness is not decided here.
 */
import { invariant } from '../assert.ts';
import { equalBytes, type Hash64, hash64 } from '../bytes.ts';
import { compareIds, type NodeId, type SwarmFingerprint } from '../ids.ts';
import { GOSSIP, LIVENESS } from '../params.ts';
import { OffsetWindow } from './age.ts';
import { AuthorBudgets } from './author-budget.ts';
import { bucketOf, ViewDigest } from './anti-entropy.ts';
import { fingerprintOf, MadeAtColumn } from './census.ts';
import { isSigned, type Parse, type Parsed, parseMessage, type Rejection, type Verify } from './message-codec.ts';
import { type Entry, hasGap, newEntry, show, type Slot, slotType, type ViewMember } from './member.ts';
import type { GossipMessage } from './message.ts';
import { type Tombstone, Tombstones } from './tombstones.ts';

/** `message` is there only when its signature was checked. */
export type ViewVerdict =
  | {
      readonly type: 'accept';
      readonly message: GossipMessage;
      readonly ageMs: number;
      readonly joined: boolean;
      /** The load belongs to a capability that is not here: it waits, and somebody should be asked. */
      readonly gap: boolean;
      /** Who was forgotten to make room. */
      readonly displaced: NodeId | undefined;
      /** Size of the author's last load message; 0 before the first. */
      readonly loadBytes: number;
    }
  | { readonly type: 'ignore'; readonly reason: IgnoreReason; readonly message: GossipMessage | undefined }
  | { readonly type: 'reject'; readonly reason: Rejection };

export type IgnoreReason =
  | 'own'
  | 'departed'
  | 'old-incarnation'
  | 'replayed'
  | 'duplicate'
  | 'equivocation'
  | 'over-age'
  | 'unknown-accuser'
  | 'too-much'
  | 'other-version';

/** A member that answers with its snapshot passes nothing on: what comes that way is bounded by the exchange. */
export type Way = 'gossip' | 'snapshot';

export interface ViewOptions {
  readonly self: NodeId;
  readonly swarm: SwarmFingerprint;
  readonly verify: Verify;
  /** Absent = `parseMessage`. Who shows the same bytes to many views may remember what they say. */
  readonly parse?: Parse;
}

/** This node is not in the census of others. */
const NO_ROW = -1;

type ParsedMessage = Extract<Parsed, { type: 'parsed' }>;

interface Arrival {
  readonly bytes: Uint8Array;
  /** Of the bytes. */
  readonly hash: Hash64;
  readonly nowMs: number;
  /** Of the author; undefined when it is not here. */
  readonly entry: Entry | undefined;
}

export class View {
  readonly #self: NodeId;
  readonly #swarm: SwarmFingerprint;
  readonly #verify: Verify;
  readonly #parse: Parse;
  readonly #entries = new Map<NodeId, Entry>();
  readonly #tombstones = new Tombstones();
  readonly #digest = new ViewDigest();
  readonly #budgets = new AuthorBudgets();
  readonly #madeAt = new MadeAtColumn();
  #fingerprint = 0;
  #sorted: readonly NodeId[] | undefined;
  #equivocations = 0;

  constructor(options: ViewOptions) {
    this.#self = options.self;
    this.#parse = options.parse ?? parseMessage;
    this.#swarm = options.swarm;
    this.#verify = options.verify;
  }

  get size(): number {
    return this.#entries.size;
  }

  get equivocations(): number {
    return this.#equivocations;
  }

  /** Judges a message from anybody and takes it in if it is news. Cases, in this order: 1 malformed, 2 stale (no
   *  signature needed), 3 forged, 4 our own, 5 its author says too much, 6 an accusation, 7 a goodbye, 8 over-age,
   *  9 equivocation, 10 news. */
  receive(bytes: Uint8Array, nowMs: number, way: Way = 'gossip'): ViewVerdict {
    const parsed = this.#parse(bytes, this.#swarm);
    if (parsed.type === 'rejected')
      return parsed.reason === 'other-version' ? ignored('other-version') : { type: 'reject', reason: parsed.reason };
    const { message } = parsed;
    const entry = this.#entries.get(message.author);
    const stale = this.#staleReason(message, { bytes, nowMs, entry });
    if (stale !== undefined) return this.#ignoreStale(stale, parsed);
    if (!isSigned(parsed, this.#verify)) return { type: 'reject', reason: 'bad-signature' };
    if (message.author === this.#self) return ignored('own', message);
    if (way === 'gossip' && this.#saysTooMuch(message, nowMs)) return ignored('too-much', message);
    if (message.body.type === 'accusation') return this.#judgeAccusation(message, entry, nowMs);
    const arrival = { bytes, hash: parsed.hash, nowMs, entry };
    if (message.body.type === 'goodbye') return this.#takeGoodbye(message, arrival);
    return this.#judgeBeacon(message, arrival);
  }

  /** Takes in a message that this node made itself. */
  publishOwn(message: GossipMessage, bytes: Uint8Array, nowMs: number): void {
    invariant(message.author === this.#self, 'only own messages skip the checks');
    if (message.body.type === 'accusation') return;
    const arrival = { bytes, hash: hash64(bytes), nowMs, entry: this.#entries.get(message.author) };
    if (message.body.type === 'goodbye') this.#takeGoodbye(message, arrival);
    else this.#take(message, arrival);
  }

  /** Of everybody else here, alive or not: how many, the sum of the ages of their load rows, and the fingerprint. */
  othersAt(nowMs: number): { readonly count: number; readonly ageMs: number; readonly fingerprint: number } {
    const count = this.#entries.size - (this.#entries.has(this.#self) ? 1 : 0);
    return { count, ageMs: this.#madeAt.ageMs(nowMs), fingerprint: this.#fingerprint };
  }

  member(node: NodeId): ViewMember | undefined {
    return this.#entries.get(node)?.shown;
  }

  /** When the member's own clock began, on ours, with the number of that boot; undefined before its first beacon. */
  birthOf(node: NodeId): { readonly incarnation: number; readonly bornAtMs: number } | undefined {
    const entry = this.#entries.get(node);
    const slot = entry?.slots.load ?? entry?.slots.capability;
    if (entry === undefined || slot === undefined) return undefined;
    return { incarnation: entry.incarnation, bornAtMs: slot.madeAtMs - slot.message.uptimeMs };
  }

  /** Sorted by node id. */
  members(): ViewMember[] {
    const members: ViewMember[] = [];
    for (const node of this.#nodes()) {
      const entry = this.#entries.get(node);
      if (entry !== undefined) members.push(entry.shown);
    }
    return members;
  }

  tombstone(node: NodeId, nowMs: number): Tombstone | undefined {
    return this.#tombstones.get(node, nowMs);
  }

  /** Any byte from a member keeps it from making room for others. */
  heard(node: NodeId, nowMs: number): void {
    const entry = this.#entries.get(node);
    if (entry !== undefined) entry.heardAtMs = Math.max(entry.heardAtMs, nowMs);
  }

  /** The member was found dead: only a higher incarnation brings it back. */
  bury(node: NodeId, nowMs: number): void {
    const entry = this.#entries.get(node);
    invariant(node !== this.#self, 'a node does not bury itself');
    if (entry === undefined) return;
    this.#remove(entry);
    this.#addTombstone(node, { incarnation: entry.incarnation, goodbye: undefined }, nowMs);
  }

  /** 512 bytes that differ where two views differ. */
  digest(nowMs: number): Uint8Array {
    this.#expireTombstones(nowMs);
    return this.#digest.bytes();
  }

  /** The signed messages of every bucket in which `digest` differs from this view; an empty digest asks for all. */
  messagesMissingIn(digest: Uint8Array, nowMs: number): Uint8Array[] {
    this.#expireTombstones(nowMs);
    const buckets = this.#digest.differingBuckets(digest);
    const goodbyes = this.#tombstones.goodbyes().filter(([node]) => buckets.has(bucketOf(node)));
    const messages = goodbyes.map(([, bytes]) => bytes);
    for (const node of this.#nodes()) {
      const entry = this.#entries.get(node);
      if (entry === undefined || !buckets.has(entry.bucket)) continue;
      const { capability, load } = entry.slots;
      if (capability !== undefined) messages.push(capability.bytes);
      if (load !== undefined) messages.push(load.bytes);
    }
    return messages;
  }

  /** Everything, for a late joiner. */
  snapshot(nowMs: number): Uint8Array[] {
    return this.messagesMissingIn(new Uint8Array(0), nowMs);
  }

  #staleReason(message: GossipMessage, arrival: Omit<Arrival, 'hash'>): IgnoreReason | undefined {
    if (message.author === this.#self) return undefined;
    const tombstone = this.#tombstones.get(message.author, arrival.nowMs);
    if (tombstone !== undefined && !outlives(message, tombstone)) return 'departed';
    const { entry } = arrival;
    if (entry !== undefined && message.incarnation < entry.incarnation) return 'old-incarnation';
    return entry?.incarnation === message.incarnation ? replayReason(entry, message, arrival.bytes) : undefined;
  }

  #saysTooMuch({ author, body }: GossipMessage, nowMs: number): boolean {
    return !this.#budgets.spend(author, body.type === 'accusation' ? 'accusation' : 'beacon', nowMs);
  }

  /** Who accuses this node is heard even from the grave: two halves of a healed mesh hold each other for dead. */
  #ignoreStale(reason: IgnoreReason, parsed: ParsedMessage): ViewVerdict {
    const { body } = parsed.message;
    if (body.type !== 'accusation' || body.target !== this.#self) return ignored(reason);
    return isSigned(parsed, this.#verify)
      ? ignored(reason, parsed.message)
      : { type: 'reject', reason: 'bad-signature' };
  }

  #judgeAccusation(message: GossipMessage, entry: Entry | undefined, nowMs: number): ViewVerdict {
    if (entry === undefined || entry.incarnation !== message.incarnation) return ignored('unknown-accuser', message);
    const ageMs = entry.offsets.observe(message.uptimeMs, nowMs);
    // Evidence about a third one is worth nothing once it is older than the time in which suspects die.
    if (ageMs > LIVENESS.deadAfterMs) return ignored('over-age', message);
    return { type: 'accept', message, ageMs, joined: false, gap: false, displaced: undefined, loadBytes: 0 };
  }

  /** Old or not, a goodbye ends its incarnation: refusing an old one would only delay what everybody will know. */
  #takeGoodbye(message: GossipMessage, arrival: Arrival): ViewVerdict {
    const { entry } = arrival;
    const ageMs = entry?.offsets.observe(message.uptimeMs, arrival.nowMs) ?? 0;
    if (entry !== undefined) this.#remove(entry);
    const departed = { incarnation: message.incarnation, goodbye: arrival.bytes };
    this.#addTombstone(message.author, departed, arrival.nowMs);
    return { type: 'accept', message, ageMs, joined: false, gap: false, displaced: undefined, loadBytes: 0 };
  }

  #judgeBeacon(message: GossipMessage, arrival: Arrival): ViewVerdict {
    const { entry } = arrival;
    if (entry?.incarnation === message.incarnation) {
      const ageMs = entry.offsets.observe(message.uptimeMs, arrival.nowMs);
      if (ageMs > GOSSIP.messageAgeMsMax) return ignored('over-age', message);
      const slot = entry.slots[slotType(message)];
      if (slot?.message.sequence === message.sequence) return this.#settleEquivocation(message, { arrival, slot });
    }
    return this.#take(message, arrival);
  }

  /** Both are validly signed under one number: every node keeps the one whose bytes sort first, and none passes it on. */
  #settleEquivocation(message: GossipMessage, found: { arrival: Arrival; slot: Slot }): ViewVerdict {
    this.#equivocations += 1;
    if (sortsBefore(found.arrival.bytes, found.slot.bytes)) this.#take(message, found.arrival);
    return ignored('equivocation', message);
  }

  #take(message: GossipMessage, arrival: Arrival): ViewVerdict {
    const existing = arrival.entry;
    const displaced = existing === undefined ? this.#makeRoom() : undefined;
    const entry = existing ?? this.#addEntry(message);
    if (message.incarnation > entry.incarnation) this.#restart(entry, message.incarnation);
    const ageMs = entry.offsets.observe(message.uptimeMs, arrival.nowMs);
    const type = slotType(message);
    const replaced = entry.slots[type];
    if (replaced !== undefined) this.#digest.toggle(entry.bucket, replaced.hash);
    this.#digest.toggle(entry.bucket, arrival.hash);
    entry.slots[type] = { message, bytes: arrival.bytes, hash: arrival.hash, madeAtMs: arrival.nowMs - ageMs };
    entry.heardAtMs = Math.max(entry.heardAtMs, arrival.nowMs);
    entry.shown = show(entry);
    if (entry.row !== NO_ROW) this.#madeAt.set(entry.row, entry.shown.loadsMadeAtMs);
    const { loadBytes } = entry.shown;
    const joined = existing === undefined;
    return { type: 'accept', message, ageMs, joined, gap: hasGap(entry), displaced, loadBytes };
  }

  #addEntry(message: GossipMessage): Entry {
    const row = message.author === this.#self ? NO_ROW : this.#madeAt.take();
    const entry = newEntry(message.author, message.incarnation, row);
    this.#entries.set(entry.node, entry);
    this.#toggleFingerprint(entry);
    this.#sorted = undefined;
    const tombstone = this.#tombstones.delete(entry.node);
    if (tombstone?.goodbye !== undefined) this.#digest.toggle(entry.bucket, hash64(tombstone.goodbye));
    return entry;
  }

  #restart(entry: Entry, incarnation: number): void {
    this.#untoggle(entry);
    entry.slots.capability = undefined;
    entry.slots.load = undefined;
    this.#toggleFingerprint(entry);
    entry.incarnation = incarnation;
    this.#toggleFingerprint(entry);
    entry.offsets = new OffsetWindow();
  }

  #makeRoom(): NodeId | undefined {
    if (this.#entries.size < GOSSIP.membersMax) return undefined;
    let victim: Entry | undefined;
    for (const node of this.#nodes()) {
      const entry = this.#entries.get(node);
      if (entry === undefined || node === this.#self) continue;
      if (victim === undefined || entry.heardAtMs < victim.heardAtMs) victim = entry;
    }
    if (victim !== undefined) this.#remove(victim);
    return victim?.node;
  }

  #remove(entry: Entry): void {
    this.#untoggle(entry);
    this.#toggleFingerprint(entry);
    if (entry.row !== NO_ROW) this.#madeAt.release(entry.row);
    this.#entries.delete(entry.node);
    this.#sorted = undefined;
  }

  #addTombstone(node: NodeId, departed: Pick<Tombstone, 'incarnation' | 'goodbye'>, nowMs: number): void {
    this.#forgetGoodbyes(this.#tombstones.add(node, departed, nowMs));
    if (departed.goodbye !== undefined) this.#digest.toggle(bucketOf(node), hash64(departed.goodbye));
  }

  #expireTombstones(nowMs: number): void {
    this.#forgetGoodbyes(this.#tombstones.expire(nowMs));
  }

  #forgetGoodbyes(forgotten: ReadonlyMap<NodeId, Tombstone>): void {
    for (const [node, { goodbye }] of forgotten)
      if (goodbye !== undefined) this.#digest.toggle(bucketOf(node), hash64(goodbye));
  }

  /** Puts a member in, or takes it out again. */
  #toggleFingerprint(entry: Entry): void {
    if (entry.row !== NO_ROW) this.#fingerprint ^= fingerprintOf(entry);
  }

  #untoggle({ bucket, slots: { capability, load } }: Entry): void {
    if (capability !== undefined) this.#digest.toggle(bucket, capability.hash);
    if (load !== undefined) this.#digest.toggle(bucket, load.hash);
  }

  #nodes(): readonly NodeId[] {
    this.#sorted ??= [...this.#entries.keys()].toSorted(compareIds);
    return this.#sorted;
  }
}

function replayReason(entry: Entry, message: GossipMessage, bytes: Uint8Array): IgnoreReason | undefined {
  if (message.body.type === 'accusation' || message.body.type === 'goodbye') return undefined;
  const slot = entry.slots[message.body.type];
  if (slot === undefined || message.sequence > slot.message.sequence) return undefined;
  if (message.sequence < slot.message.sequence) return 'replayed';
  return equalBytes(slot.bytes, bytes) ? 'duplicate' : undefined;
}

/** A goodbye may still explain a death of the same incarnation. */
function outlives(message: GossipMessage, tombstone: Tombstone): boolean {
  if (message.incarnation !== tombstone.incarnation) return message.incarnation > tombstone.incarnation;
  return message.body.type === 'goodbye' && tombstone.goodbye === undefined;
}

function ignored(reason: IgnoreReason, message?: GossipMessage): ViewVerdict {
  return { type: 'ignore', reason, message };
}

function sortsBefore(left: Uint8Array, right: Uint8Array): boolean {
  const at = left.findIndex((byte, index) => byte !== right[index]);
  return at === -1 ? left.length < right.length : (left[at] ?? 0) < (right[at] ?? 0);
}
