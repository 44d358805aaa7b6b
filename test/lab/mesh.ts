/**
 * A mesh on the small internet: relays that everybody reaches, somebody who asks at home a, somebody who serves at home b.
 * Nobody finds another by mDNS; everyone starts from the relays. What passes where is counted by the kernel.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { APIError } from 'openai';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { writeUpstreamConfig } from '../../bench/processes.io.ts';
import { newHome, until } from '../e2e/harness.ts';
import { type Host, MESH_PORT } from './host.ts';
import type { Internet } from './internet.ts';
import type { Traffic } from './namespace.ts';
import { type Answer, askFor, newSwarmKey, type OnText } from './watching.ts';

const UPSTREAM_PORT = 4_190;
const upstreamScript = import.meta.resolve('../../bench/fake-upstream.io.ts');

export interface Carried {
  /** Of the relays together, in and out. */
  readonly relays: Traffic;
  /** Between the two homes, without a stop. */
  readonly direct: Traffic;
}

export interface MeshNode {
  readonly args: readonly string[];
  /** That of a node that ran before. Default: a new one. */
  readonly home?: string;
  /** Default: the mesh's own. */
  readonly keyFile?: string;
  /** Default: all relays. */
  readonly bootstraps?: readonly string[];
}

/** Where a node on a public host is dialled. */
export function addressOf({ host, node }: { readonly host: Host; readonly node: NodeProcess }): string {
  return `/ip4/${host.address}/tcp/${MESH_PORT}/p2p/${node.node}`;
}

export class Mesh {
  readonly internet: Internet;
  readonly #keyFile: string;
  #bootstraps: readonly string[] = [];

  private constructor(internet: Internet, keyFile: string) {
    this.internet = internet;
    this.#keyFile = keyFile;
  }

  static async create(internet: Internet): Promise<Mesh> {
    return new Mesh(internet, await newSwarmKey());
  }

  /** A public node, from which all that are started later start. */
  async startRelay(host: Host): Promise<NodeProcess> {
    const node = await this.startNode(host, { args: ['--no-default-model'] });
    this.#bootstraps = [...this.#bootstraps, addressOf({ host, node })];
    return node;
  }

  async startNode(host: Host, options: MeshNode): Promise<NodeProcess> {
    const { args, home, keyFile = this.#keyFile, bootstraps = this.#bootstraps } = options;
    const starts = bootstraps.flatMap((address) => ['--bootstrap', address]);
    return host.startNode({
      args: ['--name', host.role, '--no-mdns', '--swarm-key-file', keyFile, ...starts, ...args],
      ...(home === undefined ? {} : { home }),
    });
  }

  /** In home b, with a model "fake" that says as many tokens as it is asked for; 0 a second = as fast as they are taken. */
  async startServer(tokensPerSecond: number): Promise<NodeProcess> {
    const folder = join(await newHome(), 'server');
    await mkdir(folder);
    const config = join(folder, 'config.toml');
    await writeUpstreamConfig(config, UPSTREAM_PORT);
    const pace = ['--tokens-per-second-max', String(tokensPerSecond)];
    return this.startNode(this.internet.b.host, { args: ['--config', config, '--no-default-model', ...pace] });
  }

  /** What the server in home b serves. */
  async startUpstream(): Promise<void> {
    await this.internet.b.host.startProgram(upstreamScript, '--port', String(UPSTREAM_PORT), '--tokens', '1000000');
  }

  async carried(): Promise<Carried> {
    const { a, b, relay, relay2 } = this.internet;
    const [one, other, direct] = await Promise.all([
      relay.traffic(),
      relay2.traffic(),
      a.router.trafficWith(b.router.address),
    ]);
    return { relays: { packets: one.packets + other.packets, bytes: one.bytes + other.bytes }, direct };
  }

  /** Asks again and again until most of an answer goes straight from home to home; the time it took. */
  async untilDirect(ask: () => Promise<unknown>, limitMs: number): Promise<number> {
    return until(
      'the answers go straight',
      async () => {
        const { relays, direct } = await this.carriedDuring(ask);
        return direct.bytes > relays.bytes;
      },
      limitMs,
    );
  }

  /** What was carried where while `action` ran. */
  async carriedDuring<Result>(
    action: () => Promise<Result>,
  ): Promise<Carried & { readonly result: Result; readonly tookMs: number }> {
    const before = await this.carried();
    const startedAtMs = performance.now();
    const result = await action();
    const tookMs = performance.now() - startedAtMs;
    const after = await this.carried();
    return { result, tookMs, relays: less(after.relays, before.relays), direct: less(after.direct, before.direct) };
  }
}

/** Asks the server for so many tokens; the same words every time. */
export async function askServer(front: NodeProcess, tokens: number, onText?: OnText): Promise<Answer> {
  return askFor({ front, model: 'fake', tokens }, onText);
}

/** Until the server answers a question, which what was asked before a change was noticed may not be; the time it took. */
export async function untilAnswered(front: NodeProcess, limitMs: number): Promise<number> {
  return until('the server answers', async () => isAnswered(front), limitMs);
}

async function isAnswered(front: NodeProcess): Promise<boolean> {
  try {
    return (await askServer(front, 1)).text !== '';
  } catch (error) {
    if (error instanceof APIError) return false;
    throw error;
  }
}

function less(after: Traffic, before: Traffic): Traffic {
  return { packets: after.packets - before.packets, bytes: after.bytes - before.bytes };
}
