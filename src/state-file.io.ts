/**
 * How does a node keep a few bytes on disk so that a crash leaves either the old or the new ones, and nobody else can
 * read them? A temporary file beside the target (0600, in a 0700 directory), fsync, then a rename, or a hard link where
 * an existing file must win. Limits: small files, whole contents; the directory entry itself is not synced on systems
 * that cannot open directories. Source: the usual POSIX recipe for atomic replacement.
 */
import { randomBytes } from 'node:crypto';
import { link, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from './file-error.ts';
import { makeDirectory } from './make-directory.io.ts';

/** Replaces `path` as a whole. Throws the file system's error. */
export async function replaceFile(path: string, content: Uint8Array | string): Promise<void> {
  const temporary = await writeTemporary(path, content);
  try {
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary);
    throw error;
  }
  await syncDirectory(path);
}

/** Creates `path`; false when something is there already (which stays as it is). Throws the file system's other errors. */
export async function createFile(path: string, content: Uint8Array | string): Promise<boolean> {
  const temporary = await writeTemporary(path, content);
  try {
    // A rename would replace what another process wrote in the meantime; a link refuses.
    await link(temporary, path);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(temporary);
  }
  await syncDirectory(path);
  return true;
}

async function writeTemporary(path: string, content: Uint8Array | string): Promise<string> {
  await makeDirectory(dirname(path));
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return temporary;
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return; // cannot open directories
  const handle = await open(dirname(path), 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
