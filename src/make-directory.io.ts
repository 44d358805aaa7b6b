/**
 * How is a directory made with all that are missing above it, in a bounded number of steps? From the path upwards until a
 * parent exists, then downwards, each level once. Node's own recursive way starts over as long as the system says "no such
 * directory", which /proc says for ever: the process then spins at full load instead of failing.
 * Limits: as many steps as the path has levels. Source: measured, Node 24.21 on Linux.
 */
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from './file-error.ts';

/** For this user alone (0700) what has to be made; what is there stays as it is. Throws the file system's error. */
export async function makeDirectory(path: string): Promise<void> {
  const refusal = await tryToMake(path);
  if (refusal === undefined) return;
  const parent = dirname(path);
  if (errorCode(refusal) !== 'ENOENT' || parent === path) throw refusal;
  await makeDirectory(parent);
  // The parent is there: what is refused now stays refused.
  const final = await tryToMake(path);
  if (final !== undefined) throw final;
}

/** The refusal; undefined when the directory is there. */
async function tryToMake(path: string): Promise<Error | undefined> {
  try {
    await mkdir(path, { mode: 0o700 });
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    // Of a directory that exists, systems say that it exists, is read-only, or is not ours to make.
    return errorCode(error) !== 'ENOENT' && (await isDirectory(path)) ? undefined : error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // Not to be looked at, so not to be used: the first refusal says why.
    return false;
  }
}
