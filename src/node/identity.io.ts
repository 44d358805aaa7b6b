/**
 * Who is this node? An Ed25519 key made on first start and kept in the state directory (0600); its peer id is the node
 * id, so that a node keeps its name wherever it moves. Signatures use node's own crypto with key objects that are made
 * once: libp2p's verify imports the key on each call. Public keys come out of the node ids themselves.
 * The incarnation orders one boot after another even when the clock goes backwards: the boot's second, or one more than
 * the last one kept. Limits: the cache of public keys is bounded, the one unused for longest goes.
 * Source: measured (verify 60 us cached, 79 us through libp2p, 936 us in plain JavaScript).
 */
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { invariant } from '../assert.ts';
import { danglingLinkProblem, errorCode, keyDirectoryProblem, keyFileProblem } from '../file-error.ts';
import { type NodeId, parseNodeId } from '../ids.ts';
import { GOSSIP } from '../params.ts';
import { createFile, replaceFile } from '../state-file.io.ts';

const KEY_FILE_BYTES_MAX = 256;
const SIGNATURE_BYTES = 64;

export interface Identity {
  readonly node: NodeId;
  readonly privateKey: Ed25519PrivateKey;
  sign(bytes: Uint8Array): Uint8Array;
  /** True when `signature` is `node`'s over `bytes`; false for anything malformed. */
  verify(node: NodeId, bytes: Uint8Array, signature: Uint8Array): boolean;
}

export type LoadedIdentity =
  | { readonly type: 'loaded'; readonly identity: Identity; readonly created: boolean }
  /** `message` says the path, what is wrong and how to mend it. */
  | { readonly type: 'refused'; readonly message: string };

/** The key in `stateDirectory`, made if there is none. */
export async function loadIdentity(stateDirectory: string): Promise<LoadedIdentity> {
  return createIdentityFile({ path: join(stateDirectory, 'node.key'), what: 'node key' });
}

export interface KeyFile {
  readonly path: string;
  /** How messages call it: a node and the owner of a swarm have keys of one kind. */
  readonly what: string;
}

/** The key in a file, made if there is none. */
export async function createIdentityFile(file: KeyFile): Promise<LoadedIdentity> {
  const { path, what } = file;
  try {
    const existing = await readKey(file);
    if (existing !== undefined) return existing;
    const fresh = await generateKeyPair('Ed25519');
    if (await createFile(path, privateKeyToProtobuf(fresh)))
      return { type: 'loaded', identity: identityOf(fresh), created: true };
    // Another process was faster: its key is the node's. Nothing to read where something is: a link that leads nowhere.
    return (await readKey(file)) ?? refused(`${path}: cannot use the ${what}: ${danglingLinkProblem(path)}`);
  } catch (error) {
    return refused(`${path}: cannot use the ${what}: ${keyFileProblem(path, error)}`);
  }
}

/** The key in a file; undefined when there is none. */
export async function loadIdentityFile(file: KeyFile): Promise<LoadedIdentity | undefined> {
  try {
    return await readKey(file);
  } catch (error) {
    return refused(`${file.path}: cannot use the ${file.what}: ${keyFileProblem(file.path, error)}`);
  }
}

/** An identity of a key in memory, for tests and tools. */
export async function createIdentity(): Promise<Identity> {
  return identityOf(await generateKeyPair('Ed25519'));
}

/** The incarnation of this boot, kept before it is used. */
export async function nextIncarnation(stateDirectory: string, bootWallSeconds: number): Promise<number> {
  const path = join(stateDirectory, 'incarnation');
  const last = await readIncarnation(path);
  const incarnation = Math.max(Math.floor(bootWallSeconds), last + 1);
  await replaceFile(path, `${incarnation}\n`);
  return incarnation;
}

/** Keeps an incarnation that rose while running. */
export async function persistIncarnation(stateDirectory: string, incarnation: number): Promise<void> {
  await replaceFile(join(stateDirectory, 'incarnation'), `${incarnation}\n`);
}

export function identityOf(privateKey: Ed25519PrivateKey): Identity {
  const node = parseNodeId(peerIdFromPrivateKey(privateKey).toString());
  invariant(node !== undefined, 'an Ed25519 key has a node id');
  const raw = privateKey.raw;
  const jwk = { kty: 'OKP', crv: 'Ed25519', d: base64Url(raw.subarray(0, 32)), x: base64Url(raw.subarray(32, 64)) };
  const signingKey = createPrivateKey({ key: jwk, format: 'jwk' });
  const keys = new PublicKeys();
  return {
    node,
    privateKey,
    sign: (bytes) => new Uint8Array(sign(null, bytes, signingKey)),
    verify: (author, bytes, signature) => {
      const key = signature.length === SIGNATURE_BYTES ? keys.get(author) : undefined;
      return key !== undefined && verify(null, bytes, key, signature);
    },
  };
}

/** Key objects of the node ids seen lately. */
class PublicKeys {
  readonly #keys = new Map<NodeId, KeyObject>();

  get(node: NodeId): KeyObject | undefined {
    const key = this.#keys.get(node) ?? importKey(node);
    if (key === undefined) return undefined;
    this.#keys.delete(node);
    this.#keys.set(node, key);
    const oldest = this.#keys.size > GOSSIP.membersMax ? this.#keys.keys().next() : undefined;
    if (oldest?.value !== undefined) this.#keys.delete(oldest.value);
    return key;
  }
}

function importKey(node: NodeId): KeyObject | undefined {
  try {
    const raw = peerIdFromString(node).publicKey?.raw;
    if (raw?.length !== 32) return undefined;
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: base64Url(raw) }, format: 'jwk' });
  } catch {
    return undefined; // the id has the right shape, but is no key: its signatures are all false
  }
}

/** Undefined when there is none. */
async function readKey({ path, what }: KeyFile): Promise<LoadedIdentity | undefined> {
  const handle = await openExisting(path);
  if (handle === undefined) return undefined;
  try {
    const file = await handle.stat();
    // Before its mode: a directory is no key with the wrong permissions.
    if (file.isDirectory()) return refused(`${path}: cannot use the ${what}: ${keyDirectoryProblem(path)}`);
    if (process.platform !== 'win32' && (file.mode & 0o077) !== 0)
      return refused(`${path}: others can read or change the ${what}; run: chmod 600 ${path}`);
    if (file.size > KEY_FILE_BYTES_MAX) return refused(damaged({ path, what }));
    const key = parseKey(await handle.readFile());
    return key === undefined
      ? refused(damaged({ path, what }))
      : { type: 'loaded', identity: identityOf(key), created: false };
  } finally {
    await handle.close();
  }
}

function parseKey(bytes: Uint8Array): Ed25519PrivateKey | undefined {
  try {
    const key = privateKeyFromProtobuf(bytes);
    return key.type === 'Ed25519' ? key : undefined;
  } catch {
    return undefined; // the caller says so
  }
}

async function readIncarnation(path: string): Promise<number> {
  const handle = await openExisting(path);
  if (handle === undefined) return 0;
  try {
    const text = (await handle.readFile('utf8')).trim();
    // A damaged file counts as none: the boot's second is ahead of it anyway unless the clock went back as well.
    return /^\d{1,15}$/.test(text) ? Number(text) : 0;
  } finally {
    await handle.close();
  }
}

async function openExisting(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function damaged({ path, what }: KeyFile): string {
  return `${path}: not an Ed25519 ${what}; move it away to get a new identity`;
}

function refused(message: string): LoadedIdentity {
  return { type: 'refused', message };
}

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
