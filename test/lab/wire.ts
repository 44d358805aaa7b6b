/**
 * A cable that loses, delays and reorders: two VXLAN devices, whose frames travel as UDP through a process of ours in a
 * namespace between (`wire-process.ts`). It needs neither netem, which many kernels lack, nor raw sockets, which
 * Node lacks. Where the kernel has no VXLAN either there is no such cable: `whyNoWire` says so.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Namespace, nextLaboratory } from './namespace.ts';
import type { Impairment, WireSetup } from './wire-process.ts';

const script = fileURLToPath(new URL('wire-process.ts', import.meta.url));

const THERE = '10.255.0.1';
const HERE = '10.255.0.2';
const PORTS = [4_801, 4_802] as const;
/** 1500 bytes of a frame, and what VXLAN puts around it. */
const MTU = '1600';

export interface WireEnd {
  readonly namespace: Namespace;
  readonly device: string;
}

export async function whyNoWire(): Promise<string | undefined> {
  const probe = new Namespace(nextLaboratory(), 'wire');
  try {
    await probe.create();
    await probe.ip('link', 'add', 'probe', 'type', 'vxlan', 'id', '1', 'remote', '127.0.0.2', 'dstport', '4801');
    return undefined;
  } catch {
    return 'this kernel has no VXLAN: loss without delay and jitter';
  } finally {
    await probe.remove();
  }
}

export class Wire {
  readonly #air: Namespace;
  #process: ChildProcess | undefined;

  constructor(laboratory: string) {
    this.#air = new Namespace(laboratory, 'air');
  }

  /** Between two namespaces that exist; both devices are made, and up. */
  async create(near: WireEnd, far: WireEnd): Promise<void> {
    await this.#air.create();
    await near.namespace.cable('under', { namespace: this.#air, device: 'under' });
    for (const [namespace, address] of [
      [near.namespace, THERE],
      [this.#air, HERE],
    ] as const) {
      // One after the other: few and quick.
      // eslint-disable-next-line no-await-in-loop
      await namespace.ip('link', 'set', 'under', 'mtu', MTU);
      // eslint-disable-next-line no-await-in-loop
      await namespace.ip('address', 'add', `${address}/30`, 'dev', 'under');
    }
    // A VXLAN device keeps the network stack in which it was made for its own datagrams, wherever it moves.
    await addVxlan(near.namespace, near.device, PORTS[0]);
    await addVxlan(near.namespace, 'far', PORTS[1]);
    await near.namespace.ip('link', 'set', 'far', 'netns', far.namespace.name, 'name', far.device);
    await near.namespace.ip('link', 'set', near.device, 'up');
    await far.namespace.ip('link', 'set', far.device, 'up');
    await this.#start();
  }

  /** From now on; the frames that were lost since the last time. */
  async impair(impairment: Impairment): Promise<number> {
    if (this.#process === undefined) throw new Error('the wire is not there');
    const answered = once(this.#process, 'message') as Promise<[number]>;
    this.#process.send(impairment);
    const [lost] = await answered;
    return lost;
  }

  /** Idempotent. */
  async remove(): Promise<void> {
    const child = this.#process;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    await this.#air.remove();
  }

  async #start(): Promise<void> {
    const setup: WireSetup = { here: HERE, there: THERE, ports: PORTS, seed: 'wire' };
    const command = ['netns', 'exec', this.#air.name, process.execPath, script, JSON.stringify(setup)];
    this.#process = spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    if (this.#process.stdout !== null) await once(this.#process.stdout, 'data');
  }
}

/** Cut into single frames: one that stands for many would be one huge datagram. */
async function addVxlan(namespace: Namespace, device: string, port: number): Promise<void> {
  const tunnel = ['type', 'vxlan', 'id', '1', 'remote', HERE, 'dstport', String(port), 'nolearning'];
  await namespace.ip('link', 'add', device, 'mtu', '1500', ...tunnel);
  await namespace.ip('link', 'set', device, 'gso_max_segs', '1');
}
