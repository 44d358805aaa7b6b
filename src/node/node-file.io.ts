/**
 * How do the commands of one machine find its node, and how does a second node notice the first? A node that runs leaves
 * `node.json` in its state directory and takes it away when it ends. A file whose process is gone, or whose API does not
 * answer (a process id is used again after a reboot), counts as none.
 * Limits: two nodes that start in the same second both see nobody.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isRunning } from '../is-running.io.ts';
import { replaceFile } from '../state-file.io.ts';

/** Source: guess: a node on this machine answers in a few milliseconds. */
const ANSWER_MS_MAX = 3_000;

export interface NodeFile {
  readonly pid: number;
  readonly api: string;
  readonly node: string;
  /** Best first. */
  readonly addresses: readonly string[];
}

/** Of the node that runs with this state directory; undefined where none does. */
export async function readNodeFile(stateDirectory: string): Promise<NodeFile | undefined> {
  try {
    const file: unknown = JSON.parse(await readFile(pathIn(stateDirectory), 'utf8'));
    // A node that was killed left its file behind.
    return isNodeFile(file) && isRunning(file.pid) ? file : undefined;
  } catch {
    // No file, or half of one: no node of ours runs here.
    return undefined;
  }
}

export async function writeNodeFile(stateDirectory: string, file: NodeFile): Promise<void> {
  await replaceFile(pathIn(stateDirectory), `${JSON.stringify(file)}\n`);
}

export async function removeNodeFile(stateDirectory: string): Promise<void> {
  await rm(pathIn(stateDirectory), { force: true });
}

/** The answer of its API; undefined where nobody answers. */
export async function askNode(file: NodeFile, path: string): Promise<Response | undefined> {
  try {
    return await fetch(`${file.api}${path}`, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  } catch {
    // Not running after all.
    return undefined;
  }
}

function pathIn(stateDirectory: string): string {
  return join(stateDirectory, 'node.json');
}

function isNodeFile(file: unknown): file is NodeFile {
  return (
    typeof file === 'object' &&
    file !== null &&
    'api' in file &&
    typeof file.api === 'string' &&
    'pid' in file &&
    typeof file.pid === 'number' &&
    'addresses' in file &&
    Array.isArray(file.addresses)
  );
}
