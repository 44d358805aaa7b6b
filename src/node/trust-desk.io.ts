/**
 * What a running node does about trust: it holds the keys in use and the owner's word, answers the membership proof with
 * them, keeps both on disk, exchanges them with the other members, and closes the connections of those who are out. Everything
 * new is in force at once, then on disk, then told to the others. The owner's private key is not here.
 * Bounds: those of `trust-state.ts` and `key-ring.ts`; one line in the log for each node and reason a minute.
 */
import type { Admission } from '../discovery/admission.ts';
import { explainRefusal, judgeAdmission } from '../discovery/admission.ts';
import { endsSoon, endText } from '../discovery/certificate-renewal.ts';
import { fingerprintsOf, type KeyRing, primaryOf } from '../discovery/key-ring.ts';
import { loadRing, type RingPlace, saveRing } from '../discovery/key-ring.io.ts';
import { follow, readOrder, type SignedOrder, supersedes } from '../discovery/rotation.ts';
import { anchorText } from '../discovery/swarm-anchor.ts';
import { formatFingerprint, type SwarmKey } from '../discovery/swarm-key.ts';
import { TrustExchange } from '../discovery/trust-exchange.io.ts';
import type { AdmissionMode } from '../discovery/admission-mode.ts';
import type { TrustMessage } from '../discovery/trust-message.ts';
import {
  emptyTrust,
  isRevoked,
  mergeTrust,
  type TrustBundle,
  trustListOf,
  type TrustState,
} from '../discovery/trust-state.ts';
import { loadTrust, saveTrust } from '../discovery/trust-store.io.ts';
import type { Invite } from '../discovery/invite.ts';
import { reasonOf } from '../errors.ts';
import { type NodeId, shortNodeId, type SwarmFingerprint } from '../ids.ts';
import type { Identity } from './identity.io.ts';
import type { Network } from './network.ts';
import type { Logger } from './telemetry.io.ts';

/** Between two looks at the dates of certificates. Source: guess: dates are forgiven five minutes anyway. */
const DATES_MS = 60_000;
/** Between two warnings that our own certificate ends. Source: guess: whoever reads logs does so once a day. */
const ENDS_AGAIN_MS = 86_400_000;
/** Source: guess: a node that is out dials every minute. */
const SAY_AGAIN_MS = 60_000;
const SAID_MAX = 256;

export interface TrustDeskOptions {
  readonly identity: Identity;
  readonly stateDirectory: string;
  readonly place: RingPlace;
  readonly primary: SwarmKey;
  readonly mode: AdmissionMode;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly log: Logger;
}

export type OpenedTrustDesk =
  { readonly type: 'open'; readonly desk: TrustDesk } | { readonly type: 'refused'; readonly message: string };

export type OfferResult =
  { readonly type: 'taken'; readonly changed: boolean } | { readonly type: 'refused'; readonly message: string };

export async function openTrustDesk(options: TrustDeskOptions): Promise<OpenedTrustDesk> {
  const { identity, stateDirectory, place, primary, log } = options;
  const verify = identity.verify.bind(identity);
  const loaded = await loadTrust(stateDirectory, verify);
  if (loaded.type === 'refused') return loaded;
  const { trust } = loaded;
  const { ring, order, warnings } = await loadRing({ ...place, primary, owner: trust.owner, verify });
  for (const warning of warnings) log.warn(warning);
  if (primaryOf(ring).fingerprint !== primary.fingerprint)
    log.warn(
      `the swarm key changed to ${formatFingerprint(primaryOf(ring).fingerprint)}: change it where ${place.keyFile} comes from`,
    );
  return { type: 'open', desk: new TrustDesk(options, { trust, ring, order }) };
}

interface Held {
  readonly trust: TrustState;
  readonly ring: KeyRing;
  readonly order: SignedOrder | undefined;
}

export class TrustDesk {
  readonly #options: TrustDeskOptions;
  readonly #peerKeys = new Map<NodeId, readonly SwarmFingerprint[]>();
  readonly #said = new Map<string, number>();
  /** Why a node is not admitted, or does not admit us: the last word on each, until it is connected. */
  readonly #refusals = new Map<NodeId, { readonly text: string; readonly byThem: boolean }>();
  #held: Held;
  #memberKeys: readonly Uint8Array[];
  #network: Network | undefined;
  #exchange: TrustExchange | undefined;
  #dates: NodeJS.Timeout | undefined;
  #warnedAtMs = -ENDS_AGAIN_MS;
  #addressesOf: (node: NodeId) => readonly string[] = () => [];
  #written: Promise<void> = Promise.resolve();

  constructor(options: TrustDeskOptions, held: Held) {
    this.#options = options;
    this.#held = held;
    this.#memberKeys = held.ring.keys.map((key) => key.memberKey());
  }

  readonly ring = (): KeyRing => this.#held.ring;

  get trust(): TrustState {
    return this.#held.trust;
  }

  get order(): SignedOrder | undefined {
    return this.#held.order;
  }

  get options(): TrustDeskOptions {
    return this.#options;
  }

  /** What the membership proof asks. */
  get admission(): Admission {
    return {
      memberKeys: () => this.#memberKeys,
      certificate: () => this.#held.trust.certificates.get(this.#options.identity.node)?.bytes ?? new Uint8Array(),
      judge: (node, certificate) => {
        const { mode, allow, deny, identity } = this.#options;
        const verify = identity.verify.bind(identity);
        const rules = { mode, allow, deny, trust: this.#held.trust, verify, wallSeconds: nowSeconds() };
        const refusal = judgeAdmission(rules, node, certificate);
        if (refusal !== undefined)
          this.#refused(node, {
            text: `not admitted: ${explainRefusal(refusal, rules.wallSeconds, 'refuser')}`,
            byThem: false,
          });
        return refusal;
      },
      refusedBy: (node, refusal) =>
        this.#refused(node, {
          text: `the other side does not admit this node: ${explainRefusal(refusal, nowSeconds(), 'refused')}`,
          byThem: true,
        }),
    };
  }

  /** What an invite of this swarm holds besides addresses and dates. */
  invitation(): Pick<Invite, 'key' | 'anchor' | 'owner'> {
    const { ring, trust } = this.#held;
    const key = primaryOf(ring);
    return {
      key,
      ...(anchorText(ring.anchor) === anchorText(key.anchor()) ? {} : { anchor: ring.anchor }),
      ...(trust.owner === undefined ? {} : { owner: trust.owner }),
    };
  }

  /** `addressesOf`: where a node is dialled that is let in again. */
  async attach(network: Network, addressesOf?: (node: NodeId) => readonly string[]): Promise<void> {
    const { identity, log } = this.#options;
    this.#network = network;
    this.#addressesOf = addressesOf ?? this.#addressesOf;
    this.#exchange = new TrustExchange(
      {
        self: identity.node,
        knowledge: () => ({
          trust: this.#held.trust,
          order: this.#held.order?.bytes,
          keys: fingerprintsOf(this.#held.ring),
        }),
        learn: (from, message) => this.#learn(from, message),
        onProblem: (where, error) => log.debug({ where, reason: reasonOf(error) }, 'trust exchange'),
      },
      network,
    );
    await this.#exchange.start();
    for (const node of network.members()) this.connected(node);
    this.#dates = setInterval(() => {
      network.reviewMembers();
      this.#warnOfEnd();
    }, DATES_MS).unref();
    this.#warnOfEnd();
  }

  async stop(): Promise<void> {
    clearInterval(this.#dates);
    this.#exchange?.stop();
    await this.#written;
  }

  connected(node: NodeId): void {
    this.#refusals.delete(node);
    this.#exchange?.connected(node);
  }

  lost(node: NodeId): void {
    this.#peerKeys.delete(node);
  }

  /** Why there can be no connection to that node; undefined where nothing stands against one. */
  refusalOf(node: NodeId): string | undefined {
    if (isRevoked(this.#held.trust, node)) return `not admitted: ${explainRefusal('revoked', nowSeconds(), 'refuser')}`;
    return this.#refusals.get(node)?.text;
  }

  /** The last connection to that node ended because it does not admit us. */
  isRefusedBy(node: NodeId): boolean {
    return this.#refusals.get(node)?.byThem === true;
  }

  /** Which keys a member accepts, as it said last. */
  keysOf(node: NodeId): readonly SwarmFingerprint[] | undefined {
    return node === this.#options.identity.node ? fingerprintsOf(this.#held.ring) : this.#peerKeys.get(node);
  }

  /** Of this machine's user: signed records, and the owner's id where none is known yet. On disk when it resolves. */
  async offer(bundle: TrustBundle, owner: NodeId | undefined): Promise<OfferResult> {
    const { trust } = this.#held;
    if (owner !== undefined && trust.owner !== undefined && trust.owner !== owner)
      return { type: 'refused', message: `this machine trusts the owner ${trust.owner} already` };
    const isPinned = owner !== undefined && trust.owner === undefined;
    if (isPinned) this.#held = { ...this.#held, trust: emptyTrust(owner) };
    const { changed, refused } = this.#merge(bundle, undefined, isPinned);
    await this.#written;
    if (refused > 0)
      return { type: 'refused', message: 'signed by somebody who is not the owner that this machine trusts' };
    return { type: 'taken', changed: changed || isPinned };
  }

  /** Of this machine's user: a step of a key change. On disk when it resolves. */
  async carryOut(order: Uint8Array): Promise<OfferResult> {
    const { identity } = this.#options;
    const read = readOrder(order, this.#held.trust.owner, identity.verify.bind(identity));
    if (read === undefined)
      return { type: 'refused', message: 'only the owner of this swarm orders a change of its key' };
    const changed = this.#follow(read);
    await this.#written;
    return { type: 'taken', changed };
  }

  #learn(from: NodeId, { keys, bundle, order }: TrustMessage): void {
    const { identity, log } = this.#options;
    if (this.#network?.isConnected(from) === true) this.#peerKeys.set(from, keys);
    const { refused } = this.#merge(bundle, from, false);
    if (refused > 0 && this.#held.trust.owner !== undefined)
      this.#say(from, 'it sends lists of another owner than this machine trusts; they are not used');
    const read =
      order === undefined ? undefined : readOrder(order, this.#held.trust.owner, identity.verify.bind(identity));
    if (read !== undefined && this.#follow(read))
      log.info(
        { from: shortNodeId(from), step: read.order.step, key: formatFingerprint(read.order.key.fingerprint) },
        'the swarm changes its key',
      );
  }

  #merge(
    bundle: TrustBundle,
    from: NodeId | undefined,
    isPinned: boolean,
  ): { readonly changed: boolean; readonly refused: number } {
    const { identity, stateDirectory } = this.#options;
    const before = this.#held.trust;
    const { state, changed, refused } = mergeTrust(before, bundle, identity.verify.bind(identity));
    if (!changed && !isPinned) return { changed, refused };
    this.#held = { ...this.#held, trust: state };
    this.#write('the lists of the owner', async () => saveTrust(stateDirectory, state));
    this.#sayChanges(before, state);
    // Told first: who is out hears it, if at all, with the others.
    this.#exchange?.spread(from);
    this.#network?.reviewMembers();
    for (const { node } of trustListOf(before).revoked) if (!isRevoked(state, node)) this.#callAgain(node);
    return { changed, refused };
  }

  #sayChanges(before: TrustState, state: TrustState): void {
    const { identity, log } = this.#options;
    if (state.lists.length > 1 && state.lists.length !== before.lists.length)
      log.warn(
        `the owner signed ${state.lists.length} different lists as version ${state.lists[0]?.list.version ?? 0}: what either revokes is out, until the next list`,
      );
    if (isRevoked(state, identity.node) && !isRevoked(before, identity.node))
      log.error('the owner revoked this node: the others refuse it; it goes on alone');
  }

  /** It waits up to a minute between its own tries, and so do we. */
  #callAgain(node: NodeId): void {
    this.#refusals.delete(node);
    const addresses = this.#addressesOf(node);
    if (addresses.length === 0) return;
    this.#network
      ?.dial(node, addresses)
      .catch((error: unknown) => this.#options.log.debug({ node, reason: reasonOf(error) }, 'let in again'));
  }

  #warnOfEnd(): void {
    const { identity, mode, log } = this.#options;
    const asked = { node: identity.node, isAsked: mode === 'certified' };
    const endsAt = endsSoon(this.#held.trust, asked, nowSeconds());
    const nowMs = performance.now();
    if (endsAt === undefined || nowMs < this.#warnedAtMs + ENDS_AGAIN_MS) return;
    this.#warnedAtMs = nowMs;
    log.warn(endText(endsAt, nowSeconds()));
  }

  #follow(read: SignedOrder): boolean {
    const { order, trust } = this.#held;
    // What somebody else ordered before the owner was known does not stand in the owner's way.
    const isForeign = trust.owner !== undefined && order?.order.author !== trust.owner;
    if (!supersedes(read.order, isForeign ? undefined : order?.order)) return false;
    const ring = follow(this.#held.ring, read.order);
    this.#held = { ...this.#held, ring, order: read };
    this.#memberKeys = ring.keys.map((key) => key.memberKey());
    this.#write('the swarm keys', async () => saveRing(this.#options.place, ring, read.bytes));
    // Everybody hears which keys are accepted here now, the one who told us too.
    this.#exchange?.spread();
    this.#network?.reviewMembers();
    return true;
  }

  /** One after the other: the last state is the one that stays. */
  #write(what: string, work: () => Promise<void>): void {
    this.#written = this.#written
      .then(work)
      .catch((error: unknown) => this.#options.log.error(`cannot keep ${what}: ${reasonOf(error)}`));
  }

  #refused(node: NodeId, refusal: { readonly text: string; readonly byThem: boolean }): void {
    this.#refusals.delete(node);
    this.#refusals.set(node, refusal);
    const oldest = this.#refusals.size > SAID_MAX ? this.#refusals.keys().next() : undefined;
    if (oldest?.value !== undefined) this.#refusals.delete(oldest.value);
    this.#say(node, refusal.text);
  }

  #say(node: NodeId, text: string): void {
    const key = `${node} ${text.slice(0, 40)}`;
    const now = performance.now();
    if (now - (this.#said.get(key) ?? -SAY_AGAIN_MS) < SAY_AGAIN_MS) return;
    this.#said.delete(key);
    this.#said.set(key, now);
    const oldest = this.#said.size > SAID_MAX ? this.#said.keys().next() : undefined;
    if (oldest?.value !== undefined) this.#said.delete(oldest.value);
    // The whole id: it is what `skein trust` commands take.
    this.#options.log.warn({ node }, text);
  }
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}
