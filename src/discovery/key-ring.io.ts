/**
 * How do the keys of a swarm live on disk while they change? The primary one is the swarm key file; beside it, in
 * `swarm.key.d`, the other accepted ones, the latest order and the names of the swarm. Every step writes what is new
 * before it takes away what is old, so that a crash leaves too many keys and never too few; carrying the order out again, at
 * the next start, finishes the work. Where the primary key comes from the environment or a container's secret, only
 * the directory is written, and the order says which key counts.
 * Limits: the files hold secrets: 0600 in a 0700 directory; damaged ones are left out and named.
 */
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../file-error.ts';
import type { NodeId } from '../ids.ts';
import { replaceFile } from '../state-file.io.ts';
import { fingerprintsOf, type KeyRing, primaryOf, ringOf, withAccepted } from './key-ring.ts';
import { follow, readOrder, type SignedOrder } from './rotation.ts';
import type { VerifySignature } from './signed-record.ts';
import { anchorText, parseAnchor, type SwarmAnchor } from './swarm-anchor.ts';
import { parseSwarmKey, type SwarmKey } from './swarm-key.ts';

export interface RingPlace {
  /** The file of the primary key. */
  readonly keyFile: string;
  /** False where the key comes from somewhere that is not ours to write. */
  readonly ownsKeyFile: boolean;
}

export interface LoadedRing {
  readonly ring: KeyRing;
  readonly order: SignedOrder | undefined;
  readonly warnings: readonly string[];
}

export interface RingSources extends RingPlace {
  readonly primary: SwarmKey;
  readonly owner: NodeId | undefined;
  readonly verify: VerifySignature;
}

export async function loadRing(sources: RingSources): Promise<LoadedRing> {
  const { primary, owner, verify } = sources;
  const directory = directoryOf(sources);
  const warnings: string[] = [];
  let ring = ringOf(primary);
  for (const name of (await entriesOf(directory)).filter((one) => one.endsWith('.key')).toSorted()) {
    // eslint-disable-next-line no-await-in-loop
    const parsed = parseSwarmKey((await contentOf(join(directory, name))) ?? new Uint8Array());
    if (parsed.type === 'swarm-key') ring = withAccepted(ring, parsed.key);
    else warnings.push(`${join(directory, name)}: not a swarm key: ${parsed.reason}; it is not accepted`);
  }
  const orderBytes = await contentOf(join(directory, 'order'));
  const order = orderBytes === undefined ? undefined : readOrder(orderBytes, owner, verify);
  if (order !== undefined) ring = follow(ring, order.order);
  else if (orderBytes !== undefined)
    warnings.push(`${join(directory, 'order')}: not an order of the owner; it is not followed`);
  const anchor = readAnchor(await contentOf(join(directory, 'names')), ring);
  return { ring: anchor === undefined ? ring : { ...ring, anchor }, order, warnings };
}

/** Keeps `ring`, and the order that led to it. The names first, the primary key last but the removals. */
export async function saveRing(place: RingPlace, ring: KeyRing, order?: Uint8Array): Promise<void> {
  const directory = directoryOf(place);
  const primary = primaryOf(ring);
  const isPlain = ring.keys.length === 1 && anchorText(ring.anchor) === anchorText(primary.anchor());
  if (!isPlain || order !== undefined) await saveBeside(place, ring);
  if (order !== undefined) await replaceFile(join(directory, 'order'), order);
  if (place.ownsKeyFile) await replaceFile(place.keyFile, primary.fileText());
  const kept = new Set(ring.keys.slice(place.ownsKeyFile ? 1 : 0).map(({ fingerprint }) => `${fingerprint}.key`));
  const stale = (await entriesOf(directory)).filter((name) => name.endsWith('.key') && !kept.has(name));
  await Promise.all(stale.map(async (name) => rm(join(directory, name), { force: true })));
}

/** The names count for the old primary key too, until it is replaced. */
async function saveBeside(place: RingPlace, ring: KeyRing): Promise<void> {
  const directory = directoryOf(place);
  const before = await contentOf(place.keyFile);
  const old = before === undefined ? undefined : parseSwarmKey(before);
  const keys = [...fingerprintsOf(ring), ...(old?.type === 'swarm-key' ? [old.key.fingerprint] : [])];
  await replaceFile(join(directory, 'names'), `${anchorText(ring.anchor)}\n${[...new Set(keys)].join(' ')}\n`);
  for (const key of ring.keys)
    // eslint-disable-next-line no-await-in-loop
    await replaceFile(join(directory, `${key.fingerprint}.key`), key.fileText());
}

/** Names that a swarm brought with it in an invite. Written before its key. */
export async function saveNames(place: RingPlace, anchor: SwarmAnchor, key: SwarmKey): Promise<void> {
  await replaceFile(join(directoryOf(place), 'names'), `${anchorText(anchor)}\n${key.fingerprint}\n`);
}

/** Moves the keys of the swarm that this machine leaves out of the way. They are kept: nobody else may have them. */
export async function setAside(place: RingPlace, key: SwarmKey): Promise<string> {
  const kept = `${place.keyFile}.${key.fingerprint}.old`;
  await replaceFile(kept, key.fileText());
  await rm(`${directoryOf(place)}.${key.fingerprint}.old`, { recursive: true, force: true });
  try {
    await rename(directoryOf(place), `${directoryOf(place)}.${key.fingerprint}.old`);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  return kept;
}

function directoryOf({ keyFile }: RingPlace): string {
  return `${keyFile}.d`;
}

/** Names count for the keys that stand beside them: those of a swarm that was left do not. */
function readAnchor(bytes: Uint8Array | undefined, ring: KeyRing): SwarmAnchor | undefined {
  if (bytes === undefined) return undefined;
  const [names, keys = ''] = new TextDecoder().decode(bytes).split('\n');
  return keys.split(' ').includes(primaryOf(ring).fingerprint) ? parseAnchor(names) : undefined;
}

async function entriesOf(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Undefined when it is not there. */
async function contentOf(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
