/**
 * The directory for conversations that have no slot (`state-files.io.ts`). They are what people wrote, in the clear, so that it
 * lies in memory and not on a disk, is readable for nobody else, and ends with the node; what a killed node left is
 * removed by the next one. What a model's process did to its own directory hinders nobody. Source: ours.
 * Limits: only on Linux, whose /dev/shm is such a place; elsewhere nothing is kept. Where there is swap, memory may reach the
 * disk. Two nodes of one person that share /dev/shm but not their process ids (containers) may remove each other's.
 */
import { mkdirSync } from 'node:fs';
import { access, constants, lstat, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isRunning } from '../../is-running.io.ts';
import type { KeepDirectory } from './child-protocol.ts';

const MEMORY_DIRECTORY = '/dev/shm';
const PREFIX = 'skein-kept-';
/** Of the memory that is free at the start. Source: guess: the owner comes first. */
const FREE_MEMORY_SHARE = 8;

/** Those of this process, which lives. */
const opened = new Set<string>();

/** Undefined where there is no such place, or nothing is wanted. */
export async function openKeepDirectory(
  bytesMax: number,
  parent: string = MEMORY_DIRECTORY,
): Promise<KeepDirectory | undefined> {
  if (bytesMax === 0) return undefined;
  try {
    await access(parent, constants.W_OK);
    await removeLeftovers(parent);
    const directory = await mkdtemp(join(parent, `${PREFIX}${process.pid}-`));
    opened.add(directory);
    return { directory, bytesMax: Math.min(bytesMax, Math.floor(process.availableMemory() / FREE_MEMORY_SHARE)) };
  } catch {
    return undefined;
  }
}

export async function removeKeepDirectory({ directory }: KeepDirectory): Promise<void> {
  await remove(directory);
  opened.delete(directory);
}

/** One for each model, so that no model's process sees another's; an even share of the bytes. */
export function subdirectory({ directory, bytesMax }: KeepDirectory, name: string, shares: number): KeepDirectory {
  const path = join(directory, name);
  mkdirSync(path, { mode: 0o700 });
  return { directory: path, bytesMax: Math.floor(bytesMax / shares) };
}

/** True when there were conversations in it. Whoever opens it afterwards finds it empty. Never rejects. */
export async function emptyDirectory(directory: string): Promise<boolean> {
  try {
    const names = await readdir(directory);
    if (names.length === 0) return false;
    const gone = `${directory}-gone`;
    await remove(gone);
    await rename(directory, gone);
    await mkdir(directory, { mode: 0o700 });
    await remove(gone);
    return names.some((name) => name.endsWith('.state'));
  } catch {
    return false;
  }
}

/** Only our own: in a directory of somebody else, names may come to mean other files while they are removed. */
async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    const pid = name.startsWith(PREFIX) ? Number.parseInt(name.slice(PREFIX.length), 10) : Number.NaN;
    const isLeft = pid === process.pid ? !opened.has(path) : pid > 0 && !isRunning(pid);
    // Few, and one after the other.
    // eslint-disable-next-line no-await-in-loop
    if (isLeft && (await isOurs(path))) await remove(path);
  }
}

async function isOurs(path: string): Promise<boolean> {
  const status = await lstat(path).catch(() => undefined);
  return status?.isDirectory() === true && status.uid === process.getuid?.();
}

/** What cannot be removed stays. */
async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => undefined);
}
