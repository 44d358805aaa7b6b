/**
 * A third yardstick for the engine's benchmark, where somebody has it: llama.cpp's own server, asked over loopback. Source:
 * the server's README (`/completion`, `/health`).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Arm, arrivals } from './engine-arms.ts';
import { type ArmOptions, cpuMsOf } from './engine-ours.io.ts';

const PORT = 18_437;
const START_ATTEMPTS_MAX = 100;

/** Its path, or undefined. */
export async function findLlamaServer(): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, 'llama-server');
    // eslint-disable-next-line no-await-in-loop
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}

export async function openLlamaServer(options: ArmOptions, path: string): Promise<Arm> {
  const { stored, slots, contextTokens, threads } = options;
  const sizes = ['-np', slots, '-c', contextTokens * slots, '-t', threads, '-tb', threads, '--port', PORT].map(String);
  const child = spawn(path, ['-m', stored.path, ...sizes, '--no-webui'], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${PORT}`;
  await healthy(url);
  return {
    name: 'llama-server',
    run: async ({ prompts, tokens }) => {
      const startedMs = performance.now();
      return {
        arrivalsMs: await Promise.all(prompts.map(async (prompt) => completion(url, { prompt, tokens, startedMs }))),
      };
    },
    cpuMs: () => cpuMsOf(child.pid),
    close: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function healthy(url: string): Promise<void> {
  for (let attempt = 0; attempt < START_ATTEMPTS_MAX; attempt += 1) {
    // eslint-disable-next-line no-await-in-loop
    const ok = await fetch(`${url}/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (ok) return;
    // eslint-disable-next-line no-await-in-loop
    await delay(100);
  }
  throw new Error('llama-server did not start');
}

interface Completion {
  readonly prompt: string;
  readonly tokens: number;
  readonly startedMs: number;
}

async function completion(url: string, { prompt, tokens, startedMs }: Completion): Promise<readonly number[]> {
  const body = { prompt, n_predict: tokens, temperature: 0, stream: true, cache_prompt: false, ignore_eos: true };
  const response = await fetch(`${url}/completion`, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok || response.body === null) throw new Error(`llama-server answered ${response.status}`);
  const arrivalsMs: number[] = [];
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    const events = decoder.decode(chunk, { stream: true }).split('"stop":false').length - 1;
    arrivalsMs.push(...arrivals(events, performance.now() - startedMs));
  }
  return arrivalsMs;
}
