/**
 * Where does this node's swarm key come from? The first of: the file named on the command line, the file named by
 * `SKEIN_SWARM_KEY_FILE`, a systemd credential, a Docker secret, `SKEIN_SWARM_KEY` (with a warning: other processes of
 * the same user can read it), the configuration directory. A key that others can read is refused, not used: the
 * answer names the path and the command that mends it. Never taken from the command line itself, which everybody sees.
 * A new key is created only where none is, and never over an existing file.
 */
import { randomBytes } from 'node:crypto';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { invariant } from '../assert.ts';
import { danglingLinkProblem, errorCode, keyDirectoryProblem, keyFileProblem } from '../file-error.ts';
import { createFile } from '../state-file.io.ts';
import { utf8 } from '../bytes.ts';
import { parseSwarmKey, SWARM_KEY_BYTES, SWARM_KEY_FILE_BYTES_MAX, type SwarmKey, swarmKeyOf } from './swarm-key.ts';

export interface SwarmKeySources {
  /** From the command line. */
  readonly file: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The file in the configuration directory, used when nothing else names a key. */
  readonly configFile: string;
  /** Where the container runtime puts secrets. */
  readonly secretsDirectory?: string;
}

export type LoadedSwarmKey =
  | {
      readonly type: 'loaded';
      readonly key: SwarmKey;
      readonly source: string;
      /** True for files of systemd and containers, which are replaced elsewhere. */
      readonly isProvided?: boolean;
      readonly warnings: readonly string[];
    }
  | { readonly type: 'missing'; readonly path: string }
  /** `message` says the path, what is wrong and how to mend it. */
  | { readonly type: 'refused'; readonly message: string };

/** Strict: our own files. Runtime: files that systemd or Docker provide with modes of their own. */
type Trust = 'strict' | 'runtime';

export async function loadSwarmKey(sources: SwarmKeySources): Promise<LoadedSwarmKey> {
  const { environment } = sources;
  const named = sources.file ?? nonEmpty(environment['SKEIN_SWARM_KEY_FILE']);
  if (named !== undefined) {
    const loaded = await readKeyFile(named, 'strict');
    return loaded.type === 'missing' ? refused(`${named}: no such file; name the swarm key file that exists`) : loaded;
  }
  const credentials = nonEmpty(environment['CREDENTIALS_DIRECTORY']);
  const provided = [
    ...(credentials === undefined ? [] : [join(credentials, 'swarm.key')]),
    join(sources.secretsDirectory ?? '/run/secrets', 'swarm.key'),
  ];
  for (const path of provided) {
    const loaded = await readKeyFile(path, 'runtime');
    if (loaded.type === 'loaded') return { ...loaded, isProvided: true };
    if (loaded.type === 'refused') return loaded;
  }
  const inline = nonEmpty(environment['SKEIN_SWARM_KEY']);
  if (inline !== undefined) return fromEnvironment(inline);
  return readKeyFile(sources.configFile, 'strict');
}

/** Creates a random key at `path`, or loads the one that is there. */
export async function createSwarmKey(path: string): Promise<LoadedSwarmKey> {
  const made = swarmKeyOf(randomBytes(SWARM_KEY_BYTES));
  invariant(made.type === 'swarm-key', 'the random source of the system is random');
  return storeSwarmKey(path, made.key);
}

/** A file that is there wins and is loaded instead. */
async function storeSwarmKey(path: string, key: SwarmKey): Promise<LoadedSwarmKey> {
  try {
    if (!(await createFile(path, key.fileText()))) return await readKeyFile(path, 'strict');
  } catch (error) {
    return refused(`${path}: cannot create the swarm key: ${keyFileProblem(path, error)}`);
  }
  return { type: 'loaded', key, source: path, warnings: [] };
}

function fromEnvironment(text: string): LoadedSwarmKey {
  const source = 'SKEIN_SWARM_KEY';
  // A file pasted into a variable often lost its line ends; the bare digits are accepted as well.
  const file = /^[0-9a-fA-F]{64}$/.test(text.trim()) ? `/key/swarm/psk/1.0.0/\n/base16/\n${text.trim()}` : text;
  const parsed = parseSwarmKey(utf8(file));
  if (parsed.type === 'rejected') return refused(`$${source}: not a swarm key: ${parsed.reason}`);
  const warning =
    'SKEIN_SWARM_KEY is readable by other processes of this user; put it in a file (SKEIN_SWARM_KEY_FILE)';
  return { type: 'loaded', key: parsed.key, source, warnings: [warning] };
}

async function readKeyFile(path: string, trust: Trust): Promise<LoadedSwarmKey> {
  let isLink = false;
  try {
    const entry = await lstat(path);
    isLink = entry.isSymbolicLink();
    const handle = await open(path, 'r');
    try {
      // Judged on the open file: what was checked is what is read.
      const file = await handle.stat();
      const problem = judgeFile({ path, trust, file, link: isLink ? entry : undefined });
      if (problem !== undefined) return refused(problem);
      const buffer = new Uint8Array(SWARM_KEY_FILE_BYTES_MAX + 1);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      const parsed = parseSwarmKey(buffer.subarray(0, bytesRead));
      if (parsed.type === 'rejected') return refused(`${path}: not a swarm key: ${parsed.reason}`);
      return { type: 'loaded', key: parsed.key, source: path, warnings: [] };
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = errorCode(error);
    const isAbsent = code === 'ENOENT' && !isLink;
    // Not our directories: what is wrong with them is no business of ours.
    if (isAbsent || (trust === 'runtime' && ['ENOENT', 'ENOTDIR'].includes(code))) return { type: 'missing', path };
    const problem = code === 'ENOENT' ? danglingLinkProblem(path) : keyFileProblem(path, error);
    return refused(`${path}: cannot read the swarm key: ${problem}`);
  }
}

interface FileFacts {
  readonly isDirectory: () => boolean;
  readonly isFile: () => boolean;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
}

interface Judged {
  readonly path: string;
  readonly trust: Trust;
  readonly file: FileFacts;
  readonly link: { readonly uid: number } | undefined;
}

function judgeFile({ path, trust, file, link }: Judged): string | undefined {
  if (file.isDirectory()) return `${path}: cannot read the swarm key: ${keyDirectoryProblem(path)}`;
  if (!file.isFile()) return `${path}: expected a file`;
  if (file.size > SWARM_KEY_FILE_BYTES_MAX)
    return `${path}: not a swarm key: expected at most ${SWARM_KEY_FILE_BYTES_MAX} bytes, got ${file.size}`;
  if (process.platform === 'win32' || trust === 'runtime') return undefined; // modes mean nothing, or are not ours
  if (link !== undefined && link.uid !== file.uid)
    return `${path}: is a symbolic link to a file of another owner; copy the key there instead`;
  if ((file.mode & 0o077) !== 0) return `${path}: others can read or change the swarm key; run: chmod 600 ${path}`;
  return undefined;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text;
}

function refused(message: string): LoadedSwarmKey {
  return { type: 'refused', message };
}
