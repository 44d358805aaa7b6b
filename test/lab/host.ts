/**
 * One computer of the laboratory: its own interfaces, loopback, routes and ports, at one end of a cable. A node runs in it
 * (`startNode`) as a person would start it; its API, which listens on loopback in there, is reached through a portal.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import type { Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { NodeProcess, NodeProcessOptions } from '../../src/node/node-process.io.ts';
import { startNode } from '../e2e/harness.ts';
import type { AgentReply, AgentRequest } from './agent.ts';
import type { Namespace, Traffic } from './namespace.ts';

/** On its own loopback. */
export const API_PORT = 4180;
export const MESH_PORT = 4100;
const DEVICE = 'eth0';
/** Source: guess: the longest benchmark is 10 minutes. */
const PROGRAM_MS_MAX = 1_200_000;
const agentScript = fileURLToPath(new URL('agent.ts', import.meta.url));

export interface Cabling {
  /** Where the host's cable ends: a switch or a router. */
  readonly switch: Namespace;
  readonly port: string;
  /** With the length of the network's prefix: "192.168.1.2/24". */
  readonly address: string;
  /** The default route's next hop. */
  readonly gateway?: string;
}

type AgentTask = AgentRequest extends infer Request
  ? Request extends AgentRequest
    ? Omit<Request, 'id'>
    : never
  : never;

/** In a host, in the hands of the test. */
type Handle = UdpSocket | Server | Socket;

export class Host {
  readonly namespace: Namespace;
  readonly #cabling: Cabling;
  #address: string;
  readonly #programs: ChildProcess[] = [];
  readonly #handedOut = new Set<Handle>();
  #agent: Agent | undefined;

  constructor(namespace: Namespace, cabling: Cabling) {
    this.namespace = namespace;
    this.#cabling = cabling;
    this.#address = cabling.address;
  }

  /** Its name within the laboratory. */
  get role(): string {
    return this.namespace.name.replace(/.*-/, '');
  }

  get address(): string {
    return this.#address.replace(/\/\d+$/, '');
  }

  async create(): Promise<void> {
    await this.namespace.create();
    await this.#cabling.switch.cable(this.#cabling.port, { namespace: this.namespace, device: DEVICE });
    await this.#takeAddress(this.#address);
  }

  /** Pulls the cable or plugs it in again: the other end goes down, the host only loses its carrier. */
  async plug(state: 'up' | 'down'): Promise<void> {
    await this.#cabling.switch.ip('link', 'set', this.#cabling.port, state);
  }

  /** As a new DHCP lease does: the old address is gone, and with it its connections. */
  async moveTo(address: string): Promise<void> {
    await this.namespace.ip('address', 'del', this.#address, 'dev', DEVICE);
    this.#address = address;
    await this.#takeAddress(address);
  }

  async traffic(): Promise<Traffic> {
    return this.namespace.traffic(DEVICE);
  }

  /** A node in this host with discovery on; `api` of the answer works from here. */
  async startNode(options: Partial<NodeProcessOptions> = {}): Promise<NodeProcess> {
    const network = ['--listen', `/ip4/0.0.0.0/tcp/${MESH_PORT}`, '--api-port', String(API_PORT)];
    const wrapper = ['ip', 'netns', 'exec', this.namespace.name];
    const [node, api] = await Promise.all([startNode({ network, wrapper, ...options }), this.portal(API_PORT)]);
    return { ...node, api };
  }

  /** A program of ours in this host, until the host is removed; its first line of output. */
  async startProgram(script: string, ...args: readonly string[]): Promise<string> {
    const command = ['netns', 'exec', this.namespace.name, process.execPath, fileURLToPath(script), ...args];
    const child = spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#programs.push(child);
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    return line;
  }

  /** A program of ours in this host to its end; what it printed. */
  async runProgram(script: string, ...args: readonly string[]): Promise<string> {
    const command = ['netns', 'exec', this.namespace.name, process.execPath, fileURLToPath(script), ...args];
    const { stdout } = await promisify(execFile)('ip', command, { timeout: PROGRAM_MS_MAX });
    return stdout;
  }

  /** A URL out here that leads to a port of the loopback in there. */
  async portal(port: number): Promise<string> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
    await this.#ask({ type: 'portal', port }, server);
    // Our own copy would accept connections too.
    server.close();
    return `http://127.0.0.1:${address.port}`;
  }

  /** Port 0: any. */
  async udpSocket(port: number = 0): Promise<UdpSocket> {
    return this.#handOut((await this.#ask({ type: 'udp', port })) as UdpSocket);
  }

  async listen(port: number): Promise<Server> {
    const server = this.#handOut((await this.#ask({ type: 'listen', port })) as Server);
    return server.on('connection', (socket) => this.#handOut(socket));
  }

  /** Rejects with the system's code, e.g. ETIMEDOUT. */
  async connect(host: string, port: number): Promise<Socket> {
    return this.#handOut((await this.#ask({ type: 'connect', host, port })) as Socket);
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
    this.#handedOut.forEach(closeHandle);
    await Promise.all(this.#programs.splice(0).map(end));
    await this.#agent?.end();
    await this.namespace.remove();
  }

  async #takeAddress(address: string): Promise<void> {
    const { gateway } = this.#cabling;
    await this.namespace.ip('address', 'add', address, 'dev', DEVICE);
    if (gateway !== undefined) await this.namespace.ip('route', 'replace', 'default', 'via', gateway);
    // mDNS; on a real host the default route covers it.
    else await this.namespace.ip('route', 'replace', '224.0.0.0/4', 'dev', DEVICE);
  }

  /** Until the host is removed: a connection to what is gone by then would never end, and neither would the test's process. */
  #handOut<T extends Handle>(handle: T): T {
    this.#handedOut.add(handle);
    handle.once('close', () => this.#handedOut.delete(handle));
    return handle;
  }

  async #ask(task: AgentTask, handle?: Server): Promise<unknown> {
    this.#agent ??= new Agent(this.namespace);
    return this.#agent.ask(task, handle);
  }
}

/** The process in the namespace that opens sockets for us. */
class Agent {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (reply: AgentReply, socket: unknown) => void>();
  #asked = 0;

  constructor(namespace: Namespace) {
    this.#child = spawn('ip', ['netns', 'exec', namespace.name, process.execPath, agentScript], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child.on('message', (message, socket) => {
      const reply = message as unknown as AgentReply;
      this.#waiting.get(reply.id)?.(reply, socket);
      this.#waiting.delete(reply.id);
    });
  }

  async ask(task: AgentTask, handle?: Server): Promise<unknown> {
    this.#asked += 1;
    const request: AgentRequest = { ...task, id: this.#asked };
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, ({ problem }, socket) => {
        if (problem === undefined) resolve(socket);
        else reject(new Error(problem));
      });
      this.#child.send(request, handle, {}, (error) => {
        if (error !== null) reject(error);
      });
    });
  }

  async end(): Promise<void> {
    return end(this.#child);
  }
}

function closeHandle(handle: Handle): void {
  if ('destroy' in handle) handle.destroy();
  else handle.close();
}

async function end(child: ChildProcess): Promise<void> {
  const { exitCode, signalCode } = child;
  if (exitCode !== null || signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
