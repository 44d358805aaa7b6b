/**
 * Where does a node keep the owner's word (`trust-state.ts`) and the addresses of its invite? `trust.cbor` and
 * `bootstrap.json` in the state directory, each replaced as a whole, so that a crash leaves the old or the new one. A
 * damaged trust file is refused, not ignored: a node that forgot who was revoked would let them in.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../file-error.ts';
import { replaceFile } from '../state-file.io.ts';
import type { VerifySignature } from './signed-record.ts';
import { decodeTrust, emptyTrust, encodeTrust, type TrustState } from './trust-state.ts';

export type LoadedTrust =
  | { readonly type: 'loaded'; readonly trust: TrustState }
  /** `message` says the path, what is wrong and how to mend it. */
  | { readonly type: 'refused'; readonly message: string };

/** Source: the same bound as in an invite, and what a person adds by hand. */
const BOOTSTRAP_MAX = 16;

export async function loadTrust(stateDirectory: string, verify: VerifySignature): Promise<LoadedTrust> {
  const path = join(stateDirectory, 'trust.cbor');
  const bytes = await contentOf(path);
  if (bytes === undefined) return { type: 'loaded', trust: emptyTrust(undefined) };
  const trust = decodeTrust(new Uint8Array(bytes), verify);
  if (trust !== undefined) return { type: 'loaded', trust };
  const mend = 'move it away and run `skein trust pin OWNER-ID`; the lists come back from the other nodes';
  return { type: 'refused', message: `${path}: damaged, so that it is not known who was revoked; ${mend}` };
}

export async function saveTrust(stateDirectory: string, trust: TrustState): Promise<void> {
  await replaceFile(join(stateDirectory, 'trust.cbor'), encodeTrust(trust));
}

/** Where the invite said to dial first. Damaged = none. */
export async function loadBootstrap(stateDirectory: string): Promise<readonly string[]> {
  const bytes = await contentOf(join(stateDirectory, 'bootstrap.json'));
  if (bytes === undefined) return [];
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return Array.isArray(value)
      ? value.filter((item) => typeof item === 'string' && item.startsWith('/')).slice(0, BOOTSTRAP_MAX)
      : [];
  } catch {
    return []; // a hint that is lost: mDNS, --bootstrap and known peers remain
  }
}

export async function saveBootstrap(stateDirectory: string, addresses: readonly string[]): Promise<void> {
  await replaceFile(join(stateDirectory, 'bootstrap.json'), `${JSON.stringify(addresses.slice(0, BOOTSTRAP_MAX))}\n`);
}

async function contentOf(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
