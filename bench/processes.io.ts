/**
 * The processes that several benchmarks start alike: the fake upstream, a node that serves it, the load generator. Each
 * is a process of its own, so that the measuring one does not stand in the way. Bounded: a mesh that does not answer
 * within 20 s and a load that takes two minutes are errors. Source: ours.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LoadJob, LoadResult } from './load.io.ts';

const run = promisify(execFile);
const fakeUpstream = fileURLToPath(new URL('fake-upstream.io.ts', import.meta.url));
const loadGenerator = fileURLToPath(new URL('load.io.ts', import.meta.url));

const ANSWERS_MS_MAX = 20_000;
const LOAD_MS_MAX = 120_000;

export interface Upstream {
  readonly port: number;
  stop(): Promise<void>;
}

/** Stamps every token with the time; 0 tokens a second = as fast as they are taken. */
export async function startUpstream(tokensPerSecond: number): Promise<Upstream> {
  const child = spawn(
    process.execPath,
    [fakeUpstream, '--tokens-per-second', String(tokensPerSecond), '--tokens', '1000', '--stamp'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  return { port: await portOf(child), stop: async () => end(child) };
}

/** The settings file of a node that serves the upstream, written to `path`. */
export async function writeUpstreamConfig(path: string, port: number): Promise<void> {
  await writeFile(
    path,
    `[[upstreams]]\nname = "fake"\nurl = "http://127.0.0.1:${port}/v1"\nslots = 1100\ncontext-tokens = 100000\n`,
  );
}

/** Waits until the node at `api` answers with the upstream's model. */
export async function untilServed(api: string): Promise<void> {
  const deadlineMs = performance.now() + ANSWERS_MS_MAX;
  const body = JSON.stringify({ model: 'fake', max_tokens: 1, messages: [{ role: 'user', content: 'ready?' }] });
  while (performance.now() < deadlineMs) {
    // One question after the other.
    // eslint-disable-next-line no-await-in-loop
    const response = await fetch(`${api}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    // eslint-disable-next-line no-await-in-loop
    await response.arrayBuffer();
    if (response.ok) return;
    // eslint-disable-next-line no-await-in-loop
    await delay(100);
  }
  throw new Error('the mesh does not answer for the fake upstream');
}

export async function runLoad(job: LoadJob): Promise<LoadResult> {
  const { stdout } = await run(process.execPath, [loadGenerator, JSON.stringify(job)], { timeout: LOAD_MS_MAX });
  return JSON.parse(stdout) as LoadResult;
}

async function portOf(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error('no stdout');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return (JSON.parse(line) as { port: number }).port;
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}
