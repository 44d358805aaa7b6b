/**
 * How does a person bring a new machine in? With one link that holds the swarm key, the swarm's name and names, up to four
 * addresses to dial first, the owner's id where there is one, and an end date: `skein://join/1/`, canonical CBOR and a
 * checksum (`link-text.ts`), so that a typo or a cut link is told at once instead of failing later as "no peers
 * found". The link IS the key: it is to be shown, never logged. Limits: the end date binds honest software only; a code that
 * works once is another thing (`once-code.ts`). Source: ours.
 */
import { decodeCanonical, encodeCanonical } from '../bytes.ts';
import { type NodeId, parseNodeId } from '../ids.ts';
import { openLink, sealLink } from './link-text.ts';
import { type SwarmAnchor, anchorBytes, anchorOfBytes } from './swarm-anchor.ts';
import { type SwarmKey, swarmKeyOf } from './swarm-key.ts';

export const INVITE_PREFIX = 'skein://join/1/';
/** Longest link. Source: ours: four addresses of 200 characters and the rest fit. */
export const INVITE_CHARACTERS_MAX = 1_500;
const ADDRESSES_MAX = 4;
const ADDRESS_CHARACTERS_MAX = 200;
const NAME_CHARACTERS_MAX = 64;

export interface Invite {
  readonly key: SwarmKey;
  readonly name: string;
  /** Where to dial first, best first. */
  readonly addresses: readonly string[];
  /** Seconds of the wall clock; the link is refused from then on. */
  readonly expiresAt: number;
  /** Of a swarm whose key was rotated; absent = those of the key. */
  readonly anchor?: SwarmAnchor;
  /** Whose signature makes certificates and revocations; the new machine keeps it. */
  readonly owner?: NodeId;
}

export type DecodedInvite =
  { readonly type: 'invite'; readonly invite: Invite } | { readonly type: 'rejected'; readonly reason: string };

/** The link; only the first four addresses that fit are in it. */
export function encodeInvite(invite: Invite): string {
  return sealLink(INVITE_PREFIX, encodeInviteBody(invite));
}

/** What the link holds, also as the answer to a code that works once. */
export function encodeInviteBody(invite: Invite): Uint8Array {
  return encodeCanonical({
    key: invite.key.secretBytes(),
    name: Array.from(invite.name).slice(0, NAME_CHARACTERS_MAX).join(''),
    addresses: invite.addresses.filter((address) => address.length <= ADDRESS_CHARACTERS_MAX).slice(0, ADDRESSES_MAX),
    expiresAt: invite.expiresAt,
    ...(invite.anchor === undefined ? {} : { anchor: anchorBytes(invite.anchor) }),
    ...(invite.owner === undefined ? {} : { owner: invite.owner }),
  });
}

/** The invite in a link as a person pasted it, or what is wrong with it. */
export function decodeInvite(link: string, wallSeconds: number): DecodedInvite {
  const opened = openLink(link, { prefix: INVITE_PREFIX, charactersMax: INVITE_CHARACTERS_MAX });
  if (opened.type === 'rejected') return opened;
  const invite = decodeInviteBody(opened.body);
  if (invite === undefined) return rejected('the link was made by another version of skein');
  if (invite.expiresAt <= wallSeconds)
    return rejected('the link has expired; ask for a new one (or mend the clock of this machine)');
  return { type: 'invite', invite };
}

export function decodeInviteBody(body: Uint8Array): Invite | undefined {
  const value = decodeCanonical(body);
  if (typeof value !== 'object' || value === null) return undefined;
  const { key, name, addresses, expiresAt, anchor, owner, ...unknown }: Readonly<Record<string, unknown>> = {
    ...value,
  };
  if (Object.keys(unknown).length > 0) return undefined;
  if (!(key instanceof Uint8Array) || typeof name !== 'string' || !isAddressList(addresses)) return undefined;
  if (typeof expiresAt !== 'number' || !Number.isSafeInteger(expiresAt)) return undefined;
  if (name.length > 2 * NAME_CHARACTERS_MAX) return undefined;
  const names = readNames(anchor, owner);
  const parsed = swarmKeyOf(key);
  if (parsed.type !== 'swarm-key' || names === undefined) return undefined;
  return { key: parsed.key, name, addresses, expiresAt, ...names };
}

function readNames(anchor: unknown, owner: unknown): Pick<Invite, 'anchor' | 'owner'> | undefined {
  const [readAnchor, readOwner] = [anchorOfBytes(anchor), parseNodeId(owner)];
  if ((anchor !== undefined && readAnchor === undefined) || (owner !== undefined && readOwner === undefined))
    return undefined;
  return {
    ...(readAnchor === undefined ? {} : { anchor: readAnchor }),
    ...(readOwner === undefined ? {} : { owner: readOwner }),
  };
}

function isAddressList(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length <= ADDRESSES_MAX &&
    value.every((address) => typeof address === 'string' && address.length <= ADDRESS_CHARACTERS_MAX)
  );
}

function rejected(reason: string): DecodedInvite {
  return { type: 'rejected', reason };
}
