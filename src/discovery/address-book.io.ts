/**
 * How does a restarted node find the swarm when no bootstrap address answers? It keeps the nodes it knew and their
 * addresses in one JSON file, replaced as a whole. The file is a hint, nothing depends on it: a missing one is an
 * empty book, a damaged one is moved aside with a warning, and nothing in it is believed before the membership proof.
 * Limits: as many nodes and addresses as the book holds.
 */
import { open, rename } from 'node:fs/promises';
import { z } from 'zod';
import { errorCode } from '../file-error.ts';
import { parseNodeId } from '../ids.ts';
import { GOSSIP } from '../params.ts';
import { replaceFile } from '../state-file.io.ts';
import type { KnownPeer } from './address-book.ts';

/** Source: 2,048 nodes with 16 addresses of 100 characters, and a bit. */
const FILE_BYTES_MAX = 4_194_304;

const FILE = z.strictObject({
  version: z.literal(1),
  peers: z
    .array(
      z.strictObject({ node: z.string(), addresses: z.array(z.string().max(256)).max(GOSSIP.addressesPerNodeMax) }),
    )
    .max(GOSSIP.membersMax),
});

export interface RestoredPeers {
  readonly peers: readonly KnownPeer[];
  /** For the log: what was wrong and where the damaged file is now. */
  readonly warning: string | undefined;
}

export async function savePeers(path: string, peers: readonly KnownPeer[]): Promise<void> {
  const kept = peers.slice(0, GOSSIP.membersMax);
  await replaceFile(path, JSON.stringify({ version: 1, peers: kept }) + '\n');
}

/** Never throws: a node starts without its old peers rather than not at all. */
export async function restorePeers(path: string): Promise<RestoredPeers> {
  try {
    const text = await readBounded(path);
    const peers = text === undefined ? undefined : parsePeers(text);
    return peers === undefined ? await moveAside(path) : { peers, warning: undefined };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { peers: [], warning: undefined };
    return { peers: [], warning: `${path}: cannot read the known peers (${errorCode(error)}); starting without them` };
  }
}

function parsePeers(text: string): readonly KnownPeer[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // the caller says so
  }
  const parsed = FILE.safeParse(value);
  if (!parsed.success) return undefined;
  return parsed.data.peers.flatMap((peer) => {
    const node = parseNodeId(peer.node);
    return node === undefined ? [] : [{ node, addresses: peer.addresses }];
  });
}

async function moveAside(path: string): Promise<RestoredPeers> {
  const aside = `${path}.damaged`;
  await rename(path, aside);
  return { peers: [], warning: `${path}: damaged; moved to ${aside}, starting without the known peers` };
}

async function readBounded(path: string): Promise<string | undefined> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    return size > FILE_BYTES_MAX ? undefined : await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}
