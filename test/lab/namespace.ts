/**
 * What the laboratory is made of: network namespaces, cables between them, packet filters in them, and their counters.
 * Nothing is made in the machine's own namespace, so no packet of a test can leave it. Names hold the pid of the run: two
 * runs never meet, and what a killed run left behind is found and removed by the next one, with the processes in it.
 * Needs root, iproute2 and nftables; `whyNoLaboratory` says what is missing.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { isRunning } from '../../src/is-running.io.ts';

const run = promisify(execFile);
const PREFIX = 'skein-lab-';
const COMMAND_MS_MAX = 10_000;

let laboratories = 0;

/** Counted by the kernel where the packets pass. */
export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

/** Why no laboratory can be set up here, or undefined when one can. */
export async function whyNoLaboratory(): Promise<string | undefined> {
  const probe = new Namespace(nextLaboratory(), 'probe');
  try {
    await probe.create();
    await probe.nft('table ip probe');
    return undefined;
  } catch (error) {
    return `this machine gives us no network namespaces: ${firstLine(error)}`;
  } finally {
    await probe.remove();
  }
}

/** A name for a set of namespaces that no other run uses. */
export function nextLaboratory(): string {
  laboratories += 1;
  return `${PREFIX}${process.pid}-${laboratories}`;
}

/** One network stack: a host, a router or a switch. */
export class Namespace {
  readonly name: string;

  constructor(laboratory: string, role: string) {
    this.name = `${laboratory}-${role}`;
  }

  async create(): Promise<void> {
    await run('ip', ['netns', 'add', this.name], { timeout: COMMAND_MS_MAX });
    await this.ip('link', 'set', 'lo', 'up');
  }

  async ip(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('ip', ['-n', this.name, ...args], { timeout: COMMAND_MS_MAX });
    return stdout;
  }

  /** A command to its end; its output. */
  async run(...command: readonly string[]): Promise<string> {
    const { stdout } = await run('ip', ['netns', 'exec', this.name, ...command], { timeout: COMMAND_MS_MAX });
    return stdout;
  }

  /** Adds rules, in the language of nft. */
  async nft(rules: string): Promise<void> {
    const running = run('ip', ['netns', 'exec', this.name, 'nft', '-f', '-'], { timeout: COMMAND_MS_MAX });
    running.child.stdin?.end(rules);
    await running;
  }

  /** A cable: a device here, up, and one in `far`, up. */
  async cable(device: string, far: { readonly namespace: Namespace; readonly device: string }): Promise<void> {
    const peer = ['peer', 'name', far.device, 'netns', far.namespace.name];
    await this.ip('link', 'add', device, 'type', 'veth', ...peer);
    await Promise.all([this.ip('link', 'set', device, 'up'), far.namespace.ip('link', 'set', far.device, 'up')]);
  }

  /** What a device sent and received so far. */
  async traffic(device: string): Promise<Traffic> {
    // The documented JSON of iproute2; the tests assert the numbers.
    const [link] = JSON.parse(await this.ip('-statistics', '-json', 'link', 'show', 'dev', device)) as {
      readonly stats64: { readonly rx: Traffic; readonly tx: Traffic };
    }[];
    if (link === undefined) throw new Error(`no device ${device} in ${this.name}`);
    const { rx, tx } = link.stats64;
    return { packets: rx.packets + tx.packets, bytes: rx.bytes + tx.bytes };
  }

  /** Idempotent. Ends what still runs in here. */
  async remove(): Promise<void> {
    if ((await namespaces()).includes(this.name)) await removeNamespace(this.name);
  }
}

/** Namespaces of runs that are over without having cleaned up, with the processes that still live in them. */
export async function removeLeftovers(): Promise<void> {
  const leftovers = (await namespaces()).filter((name) => {
    const pid = Number(/^skein-lab-(\d+)-/.exec(name)?.[1]);
    return pid > 0 && !isRunning(pid);
  });
  await Promise.all(leftovers.map(removeNamespace));
}

async function removeNamespace(name: string): Promise<void> {
  const { stdout: pids } = await run('ip', ['netns', 'pids', name], { timeout: COMMAND_MS_MAX });
  for (const pid of pids.split('\n').filter(Boolean).map(Number)) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  await run('ip', ['netns', 'del', name], { timeout: COMMAND_MS_MAX });
}

async function namespaces(): Promise<readonly string[]> {
  const { stdout } = await run('ip', ['netns', 'list'], { timeout: COMMAND_MS_MAX }).catch(() => ({ stdout: '' })); // no `ip`: nothing was made
  return stdout.split('\n').map((line) => line.split(' ')[0] ?? '');
}

function firstLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [, stderr] = error.message.split('\n');
  return stderr === undefined || stderr === '' ? error.message : stderr;
}
