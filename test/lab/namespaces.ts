/**
 * A LAN of its own for tests: a bridge and some hosts, each in its own network namespace, joined by veth pairs. Nothing
 * is made in the machine's own namespace, so no packet of a test can leave it. Names hold the pid of the run: two runs
 * never meet, and what a killed run left behind is found and removed by the next one.
 * A node runs in a host (`Host.startNode`); its API, which listens on loopback in there, is reached through a portal.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { NodeProcess, NodeProcessOptions } from '../../src/node/node-process.io.ts';
import { startNode } from '../e2e/harness.ts';

const run = promisify(execFile);
const PREFIX = 'skein-lab-';
const COMMAND_MS_MAX = 10_000;
const API_PORT = 4180;
export const MESH_PORT = 4100;
const SUBNET = '10.77.0';

let lans = 0;

/** Why no LAN can be made here, or undefined when one can. */
export async function whyNoLan(): Promise<string | undefined> {
  const name = `${PREFIX}${process.pid}-probe`;
  try {
    await ip('netns', 'add', name);
    await ip('netns', 'exec', name, 'true');
    return undefined;
  } catch (error) {
    return `this machine gives us no network namespaces: ${firstLine(error)}`;
  } finally {
    await removeNamespace(name);
  }
}

/** One computer: its own interfaces, loopback, routes and ports. */
export class Host {
  readonly namespace: string;
  readonly #bridge: string;
  readonly #port: string;
  readonly #portals: ChildProcess[] = [];
  #address: string;

  constructor(bridge: string, number: number) {
    this.namespace = bridge.replace('bridge', `host${number}`);
    this.#bridge = bridge;
    this.#port = `port${number}`;
    this.#address = addressOf(number);
  }

  get address(): string {
    return this.#address;
  }

  async create(): Promise<void> {
    const { namespace } = this;
    await ip('netns', 'add', namespace);
    const inBridge = ['-n', this.#bridge, 'link'];
    await ip(...inBridge, 'add', this.#port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    await ip(...inBridge, 'set', this.#port, 'master', 'bridge', 'up');
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
    await this.#takeAddress(this.#address);
  }

  /** Pulls the cable or plugs it in again: the port of the switch goes down, the host only loses its carrier. */
  async plug(state: 'up' | 'down'): Promise<void> {
    await ip('-n', this.#bridge, 'link', 'set', this.#port, state);
  }

  /** As a new DHCP lease does: the old address is gone, and with it its connections. */
  async moveTo(number: number): Promise<void> {
    await ip('-n', this.namespace, 'address', 'del', `${this.#address}/24`, 'dev', 'eth0');
    this.#address = addressOf(number);
    await this.#takeAddress(this.#address);
  }

  async packets(): Promise<{ readonly received: number; readonly sent: number }> {
    const { stdout } = await ip('-n', this.namespace, '-statistics', '-json', 'link', 'show', 'dev', 'eth0');
    // The documented JSON of iproute2; the tests assert the numbers.
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    const [link] = JSON.parse(stdout) as { stats64: { rx: { packets: number }; tx: { packets: number } } }[];
    return { received: link?.stats64.rx.packets ?? 0, sent: link?.stats64.tx.packets ?? 0 };
  }

  /** A node in this host with discovery on, as a person would start it; `api` of the answer works from here. */
  async startNode(options: Partial<NodeProcessOptions> = {}): Promise<NodeProcess> {
    const network = ['--listen', `/ip4/0.0.0.0/tcp/${MESH_PORT}`, '--api-port', String(API_PORT)];
    const wrapper = ['ip', 'netns', 'exec', this.namespace];
    const [node, api] = await Promise.all([startNode({ network, wrapper, ...options }), this.#openPortal()]);
    return { ...node, api };
  }

  /** TCP connections that were opened from within the namespace of a process of this host. */
  static async connectionsOpened(pid: number): Promise<number> {
    const [names = '', values = ''] = (await readFile(`/proc/${pid}/net/snmp`, 'utf8'))
      .split('\n')
      .filter((line) => line.startsWith('Tcp:'));
    return Number(values.split(' ')[names.split(' ').indexOf('ActiveOpens')]);
  }

  /** Idempotent. Nodes are ended by those who started them, before this. */
  async remove(): Promise<void> {
    await Promise.all(
      this.#portals.splice(0).map(async (portal) => {
        const ended = portal.exitCode === null && portal.signalCode === null ? once(portal, 'exit') : undefined;
        portal.kill('SIGKILL');
        await ended;
      }),
    );
    await removeNamespace(this.namespace);
  }

  async #takeAddress(address: string): Promise<void> {
    await ip('-n', this.namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    // mDNS; on a real host the default route covers it.
    await ip('-n', this.namespace, 'route', 'replace', '224.0.0.0/4', 'dev', 'eth0');
  }

  /** A URL out here that leads to the API in there: the portal accepts from our socket and connects on its own side. */
  async #openPortal(): Promise<string> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
    const script = fileURLToPath(new URL('portal.ts', import.meta.url));
    const portal = spawn('ip', ['netns', 'exec', this.namespace, process.execPath, script], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#portals.push(portal);
    await promisify((done: (error: Error | null) => void) => portal.send({ port: API_PORT }, server, {}, done))();
    // Our own copy would accept connections too.
    server.close();
    return `http://127.0.0.1:${address.port}`;
  }
}

/** Makes the LAN; `hosts` get the addresses 10.77.0.1 and so on. */
export async function createLan(hosts: number): Promise<Lan> {
  await removeLeftovers();
  lans += 1;
  const lan = new Lan(`${PREFIX}${process.pid}-${lans}-bridge`, hosts);
  try {
    await lan.create();
  } catch (error) {
    await lan.remove();
    throw error;
  }
  return lan;
}

export class Lan {
  readonly hosts: readonly Host[];
  readonly #bridge: string;

  constructor(bridge: string, hosts: number) {
    this.#bridge = bridge;
    this.hosts = Array.from({ length: hosts }, (_, index) => new Host(bridge, index + 1));
  }

  async create(): Promise<void> {
    await ip('netns', 'add', this.#bridge);
    // Without snooping every multicast reaches every port, as in the plain switches that homes have.
    await ip('-n', this.#bridge, 'link', 'add', 'bridge', 'type', 'bridge', 'mcast_snooping', '0');
    await ip('-n', this.#bridge, 'link', 'set', 'bridge', 'up');
    await Promise.all(this.hosts.map(async (host) => host.create()));
  }

  async remove(): Promise<void> {
    await Promise.all(this.hosts.map(async (host) => host.remove()));
    await removeNamespace(this.#bridge);
  }
}

/** Namespaces of runs that are over without having cleaned up, with the processes that still live in them. */
async function removeLeftovers(): Promise<void> {
  const { stdout } = await ip('netns', 'list');
  const names = stdout.split('\n').map((line) => line.split(' ')[0] ?? '');
  const leftovers = names.filter((name) => {
    const pid = Number(/^skein-lab-(\d+)-/.exec(name)?.[1]);
    return pid > 0 && !isRunning(pid);
  });
  await Promise.all(
    leftovers.map(async (name) => {
      const { stdout: pids } = await ip('netns', 'pids', name);
      for (const pid of pids.split('\n').filter(Boolean).map(Number)) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
      await removeNamespace(name);
    }),
  );
}

async function removeNamespace(name: string): Promise<void> {
  const { stdout } = await ip('netns', 'list').catch(() => ({ stdout: '' })); // no `ip`: nothing was made
  if (stdout.split('\n').some((line) => line.split(' ')[0] === name)) await ip('netns', 'del', name);
}

async function ip(...args: readonly string[]): Promise<{ readonly stdout: string }> {
  return run('ip', args, { timeout: COMMAND_MS_MAX });
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function addressOf(number: number): string {
  return `${SUBNET}.${number}`;
}

function firstLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [, stderr] = error.message.split('\n');
  return stderr === undefined || stderr === '' ? error.message : stderr;
}
