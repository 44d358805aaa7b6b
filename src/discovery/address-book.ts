/**
 * Whom to dial, at which addresses, and when? A book of nodes and their addresses, plus bootstrap addresses whose node
 * nobody knows yet. A node that is not connected is dialled for ever, with a back-off that doubles from 1 s to
 * 60 s and is spread at random; a new address is tried at once. Either side may dial; the one with the smaller id goes
 * first, so that two nodes that hear of each other at the same time seldom meet twice. Up to `connectionsMax` nodes
 * everybody connects to everybody; beyond that, a random choice keeps the number.
 * Limits: nodes, addresses and bootstrap entries are bounded; the node unheard of for longest makes room.
 * Source: ours; the back-off is the usual "equal jitter".
 */
import { backOffMs, doublingsMax } from '../back-off.ts';
import { compareIds, type NodeId } from '../ids.ts';
import { machineOf, splitAddress } from './dial-address.ts';
import { DialFailures, type DialReport } from './dial-failures.ts';
import { GOSSIP } from '../params.ts';
import type { Prng } from '../prng.ts';

const REDIAL_MS_MIN = 1_000;
const REDIAL = { minMs: REDIAL_MS_MIN, maxMs: 60_000 } as const;
/** Head start of the side with the smaller id. Source: guess: above a dial and a proof on a LAN. */
const SECOND_SIDE_DELAY_MS = 250;
/** A dial without an answer is over by then. Source: libp2p's own dial timeout of 10 s, plus slack. */
const DIAL_TIMEOUT_MS = 15_000;
/** A bootstrap address that led to a known node is dialled by itself again after this many failures of that node. */
const OWNER_FAILURES_MAX = 3;
const BOOTSTRAP_MAX = 64;
/** How far out to wake when there is nothing to dial. */
const IDLE_MS = 3_600_000;

export type AddressSource = 'bootstrap' | 'disk' | 'mdns' | 'identify' | 'gossip';

export interface DialIntent {
  /** Undefined: whoever answers there. */
  readonly node: NodeId | undefined;
  readonly addresses: readonly string[];
}

export interface DialPlan {
  readonly dials: readonly DialIntent[];
  readonly wakeAtMs: number;
}

export interface KnownPeer {
  readonly node: NodeId;
  readonly addresses: readonly string[];
}

export interface AddressBookOptions {
  readonly local: NodeId;
  readonly prng: Prng;
  /** Nodes to be connected to. */
  readonly connectionsMax: number;
}

interface Target {
  readonly node: NodeId | undefined;
  /** Best first: the last one that worked leads. */
  addresses: string[];
  /** Where the live connection comes from or goes to, without the port. */
  liveHost: string | undefined;
  state: 'idle' | 'dialling' | 'connected';
  failures: number;
  /** Before the live connection: they count on where that one is refused. */
  failuresBefore: number;
  dialAtMs: number;
  lastDialMs: number;
  heardAtMs: number;
}

export class AddressBook {
  readonly #options: AddressBookOptions;
  readonly #nodes = new Map<NodeId, Target>();
  readonly #bootstrap = new Map<string, Target>();
  /** Which node answered at a bootstrap address. */
  readonly #owners = new Map<string, NodeId>();
  readonly #failures = new DialFailures();
  /** Nothing is to be dialled before, unless something changes; while there is no room, new addresses do not matter. */
  #planAgainMs = -Infinity;
  #isFull = false;

  constructor(options: AddressBookOptions) {
    this.#options = options;
  }

  /** Addresses for `node`, or of nobody known. Unusable ones are left out. Says whether any was new. */
  learn(
    found: { node: NodeId | undefined; addresses: readonly string[]; source: AddressSource },
    nowMs: number,
  ): boolean {
    let isNew = false;
    for (const raw of found.addresses) {
      const { address, node } = splitAddress(raw);
      if (address === undefined) continue;
      // An address that names another node than its teller is that node's.
      // The caller's own string where they are equal: what was cut out of an address is slow to compare.
      const owner = node === undefined || node === found.node ? found.node : node;
      if (this.#learnOne({ node: owner, address, source: found.source }, nowMs)) isNew = true;
    }
    return isNew;
  }

  connected(node: NodeId, address: string, nowMs: number): void {
    const plain = splitAddress(address).address;
    const target = this.#targetOf(node, nowMs);
    if (target === undefined) return;
    if (target.state !== 'connected') target.failuresBefore = target.failures;
    target.state = 'connected';
    target.failures = 0;
    target.heardAtMs = nowMs;
    target.liveHost = plain === undefined ? undefined : machineOf(plain);
    if (plain === undefined) return;
    this.#failures.forget(plain);
    // Inbound connections come from ports where nobody listens: only an address that we know can be confirmed.
    if (target.addresses.includes(plain)) target.addresses = withFirst(plain, target.addresses);
    else putLiveHostFirst(target);
    const bootstrap = this.#bootstrap.get(plain);
    if (bootstrap === undefined) return;
    bootstrap.state = 'idle';
    this.#replan();
    bootstrap.failures = 0;
    this.#owners.set(plain, node);
    if (!target.addresses.includes(plain)) target.addresses = [plain, ...target.addresses].slice(0, ADDRESSES_MAX);
  }

  /** `isRefused`: it does not admit us. That is no connection but a dial in vain: it is tried again, ever more seldom. */
  lost(node: NodeId, nowMs: number, isRefused: boolean = false): void {
    const target = this.#nodes.get(node);
    if (target?.state !== 'connected') return; // it said goodbye before
    this.#replan();
    target.liveHost = undefined;
    if (isRefused) {
      target.failures = target.failuresBefore;
      this.#fail(target, nowMs);
      for (const [address, owner] of this.#owners) {
        const bootstrap = owner === node ? this.#bootstrap.get(address) : undefined;
        if (bootstrap !== undefined) bootstrap.dialAtMs = Math.max(bootstrap.dialAtMs, target.dialAtMs);
      }
      return;
    }
    target.state = 'idle';
    target.dialAtMs = nowMs + this.#firstDelay(node) + this.#options.prng.nextBelow(100);
  }

  /** The node said goodbye: it is tried again, but not soon. */
  left(node: NodeId, nowMs: number): void {
    const target = this.#nodes.get(node);
    if (target === undefined) return;
    this.#replan();
    target.state = 'idle';
    target.liveHost = undefined;
    target.failures = doublingsMax(REDIAL) + 1;
    target.dialAtMs = nowMs + this.#backOff(target.failures);
  }

  /** The node may be gone: it is dialled next, or tells at once that a dial has failed just now. Never a second dial within a second. */
  probe(node: NodeId, nowMs: number): 'failed' | 'dialled' {
    const target = this.#nodes.get(node);
    if (target?.state !== 'idle') return 'dialled';
    const restMs = target.lastDialMs + REDIAL_MS_MIN - nowMs;
    if (target.failures > 0 && restMs > 0) return 'failed';
    target.dialAtMs = Math.min(target.dialAtMs, nowMs + Math.max(0, restMs));
    this.#planBy(target.dialAtMs);
    return 'dialled';
  }

  /** A request wants to go there now: dialled at once, also beyond the usual number, unless a dial just came to nothing. */
  call(node: NodeId, nowMs: number): DialIntent | undefined {
    const target = this.#nodes.get(node);
    if (target?.state !== 'idle' || target.addresses.length === 0) return undefined;
    if (target.failures > 0 && nowMs < target.lastDialMs + REDIAL_MS_MIN) return undefined;
    this.#planAgainMs = Math.min(this.#planAgainMs, nowMs + DIAL_TIMEOUT_MS);
    target.state = 'dialling';
    target.lastDialMs = nowMs;
    return { node, addresses: target.addresses };
  }

  /** Any dial that included this address came to nothing. Returns the nodes that were sought there. */
  dialFailed(address: string, nowMs: number, reason: string = ''): readonly NodeId[] {
    const { address: plain, node } = splitAddress(address);
    const failed: NodeId[] = [];
    if (plain === undefined) return failed;
    this.#failures.failed({ address: plain, reason, atMs: nowMs });
    for (const target of this.#targets()) {
      if (target.state !== 'dialling' || !target.addresses.includes(plain)) continue;
      if (node !== undefined && target.node !== undefined && target.node !== node) continue;
      this.#fail(target, nowMs);
      if (target.node !== undefined) failed.push(target.node);
    }
    return failed;
  }

  /** What to dial now, and when to ask again. */
  plan(nowMs: number): DialPlan {
    if (nowMs < this.#planAgainMs) return { dials: NO_DIALS, wakeAtMs: this.#planAgainMs };
    const { due, dueLaterMs, timeoutMs, busy } = this.#survey(nowMs);
    const room = Math.max(0, this.#options.connectionsMax - busy);
    const dialled = room === 0 ? [] : this.#shuffled(due).slice(0, room);
    for (const target of dialled) {
      target.state = 'dialling';
      target.lastDialMs = nowMs;
    }
    // Those that find no room wait for a connection or a dial that ends.
    this.#isFull = dialled.length === room;
    this.#planAgainMs = Math.min(
      timeoutMs,
      dialled.length > 0 ? nowMs + DIAL_TIMEOUT_MS : Infinity,
      this.#isFull ? Infinity : dueLaterMs,
    );
    return { dials: dialled.map(({ node, addresses }) => ({ node, addresses })), wakeAtMs: this.#planAgainMs };
  }

  addressesOf(node: NodeId): readonly string[] {
    return this.#nodes.get(node)?.addresses ?? [];
  }

  /** Undefined while it is connected, or nothing is known of it. */
  report(node: NodeId): DialReport | undefined {
    const target = this.#nodes.get(node);
    return target === undefined || target.state === 'connected' ? undefined : this.#reportOf(target);
  }

  /** Everybody who was dialled in vain and is not connected. */
  unreached(): readonly DialReport[] {
    return [...this.#targets()]
      .filter((target) => target.state !== 'connected' && target.failures > 0 && !this.#isOwned(target))
      .map((target) => this.#reportOf(target));
  }

  #reportOf({ node, addresses, state, failures, dialAtMs }: Target): DialReport {
    const lastFailures = this.#failures.of(addresses);
    return { node, addresses, isDialling: state === 'dialling', failures, nextAtMs: dialAtMs, lastFailures };
  }

  /** Everybody with an address, in the order of ids: what is kept on disk. */
  peers(): readonly KnownPeer[] {
    return [...this.#nodes]
      .filter(([, target]) => target.addresses.length > 0)
      .map(([node, target]) => ({ node, addresses: target.addresses }))
      .toSorted((left, right) => compareIds(left.node, right.node));
  }

  /** Everybody once: who is due, when the next one is, when the next dial is over, and how many are dialled or connected. */
  #survey(nowMs: number): { due: Target[]; dueLaterMs: number; timeoutMs: number; busy: number } {
    const found = { due: [] as Target[], dueLaterMs: nowMs + IDLE_MS, timeoutMs: nowMs + IDLE_MS, busy: 0 };
    for (const target of this.#targets()) {
      const timeoutMs = target.lastDialMs + DIAL_TIMEOUT_MS;
      if (target.state === 'dialling' && nowMs >= timeoutMs) this.#fail(target, nowMs);
      if (target.state === 'dialling') found.timeoutMs = Math.min(found.timeoutMs, timeoutMs);
      if (target.state !== 'idle') found.busy += 1;
      else if (!this.#isOwned(target)) {
        if (nowMs >= target.dialAtMs) found.due.push(target);
        else found.dueLaterMs = Math.min(found.dueLaterMs, target.dialAtMs);
      }
    }
    return found;
  }

  #learnOne(found: { node: NodeId | undefined; address: string; source: AddressSource }, nowMs: number): boolean {
    const { node, address, source } = found;
    if (node === this.#options.local) return false;
    if (node === undefined) {
      if (source !== 'bootstrap' || this.#bootstrap.has(address) || this.#bootstrap.size >= BOOTSTRAP_MAX) return false;
      this.#bootstrap.set(address, newTarget(undefined, [address], nowMs));
      this.#planBy(nowMs);
      return true;
    }
    const target = this.#targetOf(node, nowMs);
    if (target === undefined) return false;
    target.heardAtMs = nowMs;
    if (target.addresses.includes(address)) return false;
    const [best, ...others] = target.addresses;
    // The address that worked keeps its place; of the others the oldest goes first.
    target.addresses = (best === undefined ? [address] : [best, address, ...others]).slice(0, ADDRESSES_MAX);
    putLiveHostFirst(target);
    if (target.state !== 'idle') return true;
    const delayMs = source === 'bootstrap' || source === 'disk' ? 0 : this.#firstDelay(node);
    target.dialAtMs = Math.min(target.dialAtMs, Math.max(nowMs + delayMs, target.lastDialMs + REDIAL_MS_MIN));
    this.#planBy(target.dialAtMs);
    return true;
  }

  /** The book's entry for a node, made if there is room or somebody can go. */
  #targetOf(node: NodeId, nowMs: number): Target | undefined {
    const known = this.#nodes.get(node);
    if (known !== undefined) return known;
    if (this.#nodes.size >= GOSSIP.membersMax && !this.#dropOldest()) return undefined;
    const target = newTarget(node, [], nowMs + IDLE_MS);
    this.#nodes.set(node, target);
    return target;
  }

  #dropOldest(): boolean {
    let oldest: Target | undefined;
    for (const target of this.#nodes.values())
      if (target.state === 'idle' && (oldest === undefined || target.heardAtMs < oldest.heardAtMs)) oldest = target;
    return oldest?.node !== undefined && this.#nodes.delete(oldest.node);
  }

  #fail(target: Target, nowMs: number): void {
    this.#replan();
    target.state = 'idle';
    target.failures += 1;
    target.dialAtMs = nowMs + this.#backOff(target.failures);
  }

  #backOff(failures: number): number {
    const delayMs = backOffMs(REDIAL, failures - 1);
    return delayMs / 2 + this.#options.prng.nextBelow(delayMs / 2 + 1);
  }

  #firstDelay(node: NodeId): number {
    return compareIds(this.#options.local, node) < 0 ? 0 : SECOND_SIDE_DELAY_MS;
  }

  /** A bootstrap address whose node is known and reachable need not be dialled for its own sake. */
  #isOwned(target: Target): boolean {
    if (target.node !== undefined) return target.addresses.length === 0;
    const [address = ''] = target.addresses;
    const owner = this.#owners.get(address);
    const known = owner === undefined ? undefined : this.#nodes.get(owner);
    return known !== undefined && known.failures < OWNER_FAILURES_MAX;
  }

  *#targets(): Generator<Target> {
    yield* this.#nodes.values();
    yield* this.#bootstrap.values();
  }

  /** There may be room again. */
  #replan(): void {
    this.#isFull = false;
    this.#planAgainMs = -Infinity;
  }

  #planBy(atMs: number): void {
    if (!this.#isFull) this.#planAgainMs = Math.min(this.#planAgainMs, atMs);
  }

  #shuffled(targets: readonly Target[]): readonly Target[] {
    return targets
      .map((target) => ({ target, key: this.#options.prng.nextUint32() }))
      .toSorted((left, right) => left.key - right.key)
      .map(({ target }) => target);
  }
}

const NO_DIALS: readonly DialIntent[] = [];
const ADDRESSES_MAX = GOSSIP.addressesPerNodeMax;

function newTarget(node: NodeId | undefined, addresses: string[], nowMs: number): Target {
  return {
    node,
    addresses,
    liveHost: undefined,
    state: 'idle',
    failures: 0,
    failuresBefore: 0,
    dialAtMs: nowMs,
    lastDialMs: -IDLE_MS,
    heardAtMs: nowMs,
  };
}

/** A node that moved connects to us from its new host, and tells the port there only afterwards. */
function putLiveHostFirst(target: Target): void {
  const { liveHost, addresses } = target;
  const [best] = addresses;
  if (liveHost === undefined || best === undefined || machineOf(best) === liveHost) return;
  const live = addresses.find((address) => machineOf(address) === liveHost);
  if (live !== undefined) target.addresses = withFirst(live, addresses);
}

function withFirst(first: string, addresses: readonly string[]): string[] {
  return [first, ...addresses.filter((address) => address !== first)];
}
