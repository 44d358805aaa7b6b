/**
 * Real node processes on loopback for end-to-end tests: start, wait until ready, ask, kill. Every process started here
 * is ended by `stopAll`, by its own pid; homes are temporary folders. `until` polls a condition with a deadline
 * and says what it waited for.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type NodeProcess, type NodeProcessOptions, startNodeProcess } from '../../src/node/node-process.io.ts';

const homes: string[] = [];
const nodes: NodeProcess[] = [];

export async function newHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'skein-e2e-'));
  homes.push(home);
  return home;
}

export async function startNode(options: Partial<NodeProcessOptions> = {}): Promise<NodeProcess> {
  const node = await startNodeProcess({ ...options, home: options.home ?? (await newHome()) });
  nodes.push(node);
  return node;
}

/** A mesh whose nodes are all connected and see each other alive: one node per row of arguments, joined by the first one's invite. */
export async function startMesh(rows: readonly (readonly string[])[]): Promise<NodeProcess[]> {
  const [firstArgs = [], ...otherArgs] = rows;
  const first = await startNode({ args: firstArgs });
  const others = await Promise.all(otherArgs.map(async (args) => startNode({ command: ['join', first.invite], args })));
  const mesh = [first, ...others];
  await untilAllAlive(mesh);
  return mesh;
}

export async function untilAllAlive(mesh: readonly NodeProcess[]): Promise<void> {
  await Promise.all(
    mesh.map(async (node) => {
      await until(
        `${node.name} is connected to ${mesh.length - 1} living nodes`,
        async () => (await connectedCount(node)) === mesh.length,
      );
    }),
  );
}

export interface NodeStatus {
  readonly nodes: readonly {
    readonly node: string;
    readonly verdict: string;
    readonly connected: boolean;
    readonly models: readonly { readonly model: string; readonly busy: number }[];
  }[];
  readonly requests: readonly { readonly requestId: string; readonly side: 'entered' | 'served' }[];
}

export async function statusOf(node: NodeProcess): Promise<NodeStatus> {
  const response = await fetch(`${node.api}/api/status`);
  // Our own process's answer: the tests assert the fields that they read.
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  return (await response.json()) as NodeStatus;
}

export async function verdictOf(target: NodeProcess, seenBy: NodeProcess): Promise<string | undefined> {
  return (await statusOf(seenBy)).nodes.find(({ node }) => node === target.node)?.verdict;
}

/** Living nodes with a connection, `node` itself included. */
async function connectedCount(node: NodeProcess): Promise<number> {
  return (await statusOf(node)).nodes.filter(({ verdict, connected }) => verdict === 'alive' && connected).length;
}

/** Polls until `condition` holds; the time it took in ms. */
export async function until(
  what: string,
  condition: () => Promise<boolean>,
  limitMs: number = 20_000,
): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    // eslint-disable-next-line no-await-in-loop
    if (await condition()) return performance.now() - startedMs;
    if (performance.now() - startedMs > limitMs) throw new Error(`gave up after ${limitMs} ms waiting until ${what}`);
    // eslint-disable-next-line no-await-in-loop
    await delay(10);
  }
}

/** Ends every process and removes every home; for `after` and `afterEach`. */
export async function stopAll(): Promise<void> {
  await Promise.all(nodes.splice(0).map(async (node) => node.end('SIGKILL')));
  await Promise.all(homes.splice(0).map(async (home) => rm(home, { recursive: true, force: true, maxRetries: 5 })));
}
