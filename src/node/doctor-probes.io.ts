/**
 * The looks that `skein doctor` takes at this machine: files, ports, the mDNS socket, the engine's binary, kernel switches,
 * limits, disks. Each changes nothing, says "unknown" where a system has no answer, and ends within its own time: a port is
 * bound for a moment, the engine is loaded in a process of its own, so that a crash of it is an answer as well.
 */
import { execFile } from 'node:child_process';
import type { StatsFs } from 'node:fs';
import { createSocket } from 'node:dgram';
import { access, constants, readdir, readFile, stat, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableMemory, constrainedMemory } from 'node:process';
import { totalmem } from 'node:os';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCode, fileErrorReason } from '../file-error.ts';
import { engineMend } from '../inference/llama/problems.ts';
import type { DiskFact, EngineFact, MemoryFact, PathFact, PortFact, SandboxFact } from './doctor.ts';

/** Source: guess: seconds on a cold disk; the whole command is to end within ten. */
const ENGINE_MS_MAX = 8_000;
/** Source: guess: a sentence or two. */
const REASON_CHARACTERS_MAX = 240;
const MDNS_PORT = 5_353;
/** Source: spec: RFC 6762. */
const MDNS_GROUP = '224.0.0.251';
/** The kernel's views of itself, which look like directories: /proc and /sys. Source: spec: linux/magic.h. */
const NO_DISKS: readonly number[] = process.platform === 'linux' ? [0x9fa0, 0x62_65_65_72] : [];
/** Files of one directory that are looked at. Source: guess: the state directory holds about ten. */
const FILES_MAX = 256;

/** The answer, or `late` when it takes longer. */
export async function inTime<Answer>(work: Promise<Answer>, limitMs: number, late: Answer): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const timer = setTimeout(() => resolve(late), limitMs);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

export async function lookAtPath(asked: Pick<PathFact, 'what' | 'path' | 'rule'>): Promise<PathFact> {
  try {
    const found = await stat(asked.path);
    const isDirectory = found.isDirectory();
    // Modes mean nothing on Windows.
    const mode = process.platform === 'win32' ? 0 : found.mode & 0o777;
    const isOurs = process.getuid === undefined || process.getuid() === found.uid;
    const isWritable = await mayWrite(asked.path, isDirectory);
    return { ...asked, found: { type: 'there', isDirectory, mode, isOurs, isWritable } };
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') return { ...asked, found: { type: 'problem', problem: fileErrorReason(error) } };
    const place = await fileSystemOf(asked.path);
    const isDisk = place === undefined || !NO_DISKS.includes(place.type);
    return {
      ...asked,
      found: isDisk ? { type: 'absent' } : { type: 'problem', problem: 'nothing can be made there' },
    };
  }
}

/** Files of a private directory that others may read, except those that are looked at as keys. */
export async function openFilesIn(directory: string, except: readonly string[]): Promise<readonly PathFact[]> {
  const names = (await namesIn(directory)).filter((name) => !except.includes(name)).slice(0, FILES_MAX);
  const facts = await Promise.all(
    names.map(async (name) => lookAtPath({ what: 'state', path: join(directory, name), rule: 'private' })),
  );
  return facts.filter(({ found }) => found.type === 'there' && !found.isDirectory && (found.mode & 0o077) !== 0);
}

export async function lookAtPort(asked: Omit<PortFact, 'found'>, host: string): Promise<PortFact> {
  const { promise, resolve } = Promise.withResolvers<PortFact['found']>();
  const server = createServer();
  server.once('error', (error) => {
    const code = errorCode(error);
    resolve(code === 'EADDRINUSE' ? 'taken' : code === 'EACCES' ? 'forbidden' : 'unknown');
  });
  server.listen({ port: asked.port, host, exclusive: true }, () => server.close(() => resolve('free')));
  return { ...asked, found: await promise };
}

/** '' when nodes on the local network can be found. */
export async function lookAtMdns(): Promise<string> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.once('error', (error) => resolve(error.message));
  socket.bind(MDNS_PORT, () => {
    try {
      socket.addMembership(MDNS_GROUP);
      resolve('');
    } catch (error) {
      resolve(error instanceof Error ? error.message : String(error));
    }
  });
  const answer = await promise;
  socket.close();
  return answer;
}

export async function lookAtEngine(): Promise<EngineFact> {
  const mend = engineMend({ platform: process.platform, architecture: process.arch });
  const { promise, resolve } = Promise.withResolvers<EngineFact>();
  // Compiled files end otherwise.
  const script = new URL(`engine-probe.io${extname(import.meta.url)}`, import.meta.url);
  execFile(
    process.execPath,
    [fileURLToPath(script)],
    { timeout: ENGINE_MS_MAX, killSignal: 'SIGKILL' },
    (error, stdout, stderr) => {
      if (error === null) return resolve({ type: 'loads', detail: stdout });
      if (error.killed === true) return resolve({ type: 'slow', waitedMs: ENGINE_MS_MAX });
      return resolve({ type: 'fails', reason: reasonIn(stderr) ?? error.signal ?? `exit code ${error.code}`, mend });
    },
  );
  return promise;
}

/** Of an uncaught error Node prints a line that begins with its class. */
function reasonIn(stderr: string): string | undefined {
  const line = stderr.split('\n').find((one) => /^\w*Error\b/.test(one));
  return line?.slice(0, REASON_CHARACTERS_MAX).trim();
}

/** What the kernel says about the namespaces that bubblewrap needs. */
export async function namespacesForbiddenBy(): Promise<SandboxFact['namespacesForbiddenBy']> {
  if ((await kernelSwitch('kernel/apparmor_restrict_unprivileged_userns')) === 1) return 'apparmor';
  const isForbidden = (await kernelSwitch('kernel/unprivileged_userns_clone')) === 0;
  return isForbidden || (await kernelSwitch('user/max_user_namespaces')) === 0 ? 'kernel' : undefined;
}

/** Of a process; of this one where it cannot be told. */
export async function openFilesMax(pid: number | undefined): Promise<number | undefined> {
  if (process.platform === 'win32') return undefined;
  for (const of of pid === undefined ? ['self'] : [String(pid), 'self']) {
    // eslint-disable-next-line no-await-in-loop
    const soft = /^Max open files\s+(\d+)/m.exec((await textOf(`/proc/${of}/limits`)) ?? '')?.[1];
    if (soft !== undefined) return Number(soft);
  }
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  execFile('sh', ['-c', 'ulimit -n'], { timeout: 1_000 }, (_, stdout) => {
    const limit = Number.parseInt(stdout, 10);
    resolve(Number.isNaN(limit) ? undefined : limit);
  });
  return promise;
}

/** Where the directory is not there yet, the disk is that of the one above. */
export async function lookAtDisk(what: string, path: string): Promise<readonly DiskFact[]> {
  const place = await fileSystemOf(path);
  return place === undefined || NO_DISKS.includes(place.type)
    ? []
    : [{ what, path, freeBytes: place.bavail * place.bsize }];
}

/** Of the path, or of the nearest directory above it that is there. */
async function fileSystemOf(path: string): Promise<StatsFs | undefined> {
  for (let directory = path; ; directory = dirname(directory)) {
    try {
      // eslint-disable-next-line no-await-in-loop
      return await statfs(directory);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || dirname(directory) === directory) return undefined;
    }
  }
}

export async function lookAtMemory(places: readonly string[]): Promise<MemoryFact> {
  const limitBytes = constrainedMemory();
  const totalBytes = limitBytes > 0 ? Math.min(totalmem(), limitBytes) : totalmem();
  const models = (await Promise.all(places.map(modelsAt))).flat();
  return { totalBytes, availableBytes: Math.min(totalBytes, availableMemory()), models };
}

async function modelsAt(place: string): Promise<MemoryFact['models']> {
  const isFile = /\.gguf$/i.test(place);
  const names = isFile ? [basename(place)] : (await namesIn(place)).filter((name) => /\.gguf$/i.test(name));
  const directory = isFile ? dirname(place) : place;
  const sizes = await Promise.all(
    names.slice(0, FILES_MAX).map(async (name) => {
      try {
        return [{ name, sizeBytes: (await stat(join(directory, name))).size }];
      } catch {
        return []; // its own check says so when the node starts
      }
    }),
  );
  return sizes.flat();
}

async function mayWrite(path: string, isDirectory: boolean): Promise<boolean> {
  try {
    await access(path, isDirectory ? constants.W_OK | constants.X_OK : constants.W_OK);
    return true;
  } catch {
    return false; // which is the answer
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch {
    return []; // the directory itself is looked at elsewhere
  }
}

async function kernelSwitch(name: string): Promise<number | undefined> {
  const text = await textOf(`/proc/sys/${name}`);
  return text === undefined ? undefined : Number.parseInt(text, 10);
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined; // this system has no such file
  }
}
