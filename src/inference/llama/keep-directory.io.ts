/**
 * The directory for conversations that have no slot (`state-files.io.ts`). They are what people wrote, in the clear, so that it
 * lies in memory and not on a disk, is readable for nobody else, and ends with the node; what a killed node left is
 * removed by the next one. Source: ours.
 * Limits: only on Linux, whose /dev/shm is such a place; elsewhere nothing is kept.
 */
import { mkdirSync } from 'node:fs';
import { access, constants, mkdtemp, readdir, rm } from 'node:fs/promises';
import { freemem } from 'node:os';
import { join } from 'node:path';
import { isRunning } from '../../is-running.io.ts';
import type { KeepDirectory } from './child-protocol.ts';

const MEMORY_DIRECTORY = '/dev/shm';
const PREFIX = 'skein-kept-';
/** Of the memory that is free at the start. Source: guess: the owner comes first. */
const FREE_MEMORY_SHARE = 8;

/** Undefined where there is no such place, or nothing is wanted. */
export async function openKeepDirectory(
  bytesMax: number,
  parent: string = MEMORY_DIRECTORY,
): Promise<KeepDirectory | undefined> {
  if (bytesMax === 0) return undefined;
  try {
    await access(parent, constants.W_OK);
  } catch {
    return undefined;
  }
  await removeLeftovers(parent);
  const directory = await mkdtemp(join(parent, `${PREFIX}${process.pid}-`));
  return { directory, bytesMax: Math.min(bytesMax, Math.floor(freemem() / FREE_MEMORY_SHARE)) };
}

export async function removeKeepDirectory({ directory }: KeepDirectory): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}

/** One for each model, so that no model's process sees another's. */
export function subdirectory({ directory, bytesMax }: KeepDirectory, name: string): KeepDirectory {
  const path = join(directory, name);
  mkdirSync(path, { mode: 0o700 });
  return { directory: path, bytesMax };
}

/** True when there was something. */
export async function emptyDirectory(directory: string): Promise<boolean> {
  const names = await readdir(directory).catch(() => []);
  await Promise.all(names.map(async (name) => rm(join(directory, name), { recursive: true, force: true })));
  return names.length > 0;
}

/** Those of other people cannot be removed, and stay. */
async function removeLeftovers(parent: string): Promise<void> {
  const leftovers = (await readdir(parent)).filter((name) => {
    const pid = name.startsWith(PREFIX) ? Number.parseInt(name.slice(PREFIX.length), 10) : Number.NaN;
    return pid > 0 && !isRunning(pid);
  });
  await Promise.all(
    leftovers.map(async (name) => rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined)),
  );
}
