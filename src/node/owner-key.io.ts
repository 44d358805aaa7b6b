/**
 * Where is the owner's key, and how is something signed with it? `owner.key` in the config directory of the one machine where
 * `skein trust init` made it: an Ed25519 key in the form of a node's, readable by its user only. It is read for each
 * signature and kept nowhere else: a node that runs does not hold it in memory, unless a code that works once needs a certificate.
 */
import { join } from 'node:path';
import { createIdentityFile, loadIdentityFile, type LoadedIdentity } from './identity.io.ts';

export function ownerKeyPath(configDirectory: string): string {
  return join(configDirectory, 'owner.key');
}

/** Undefined where this machine is not the owner's. */
export async function loadOwnerKey(configDirectory: string): Promise<LoadedIdentity | undefined> {
  return loadIdentityFile({ path: ownerKeyPath(configDirectory), what: 'owner key' });
}

/** The owner's key, made if there is none. */
export async function createOwnerKey(configDirectory: string): Promise<LoadedIdentity> {
  return createIdentityFile({ path: ownerKeyPath(configDirectory), what: 'owner key' });
}
