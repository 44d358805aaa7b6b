/**
 * Two arms of the engine's benchmark: our engine port with its real child, and the yardstick in a process of its own.
 * Ours packs prompts into the model's chat template, and gets them shorter by as many tokens, so that both read as many. Source: ours.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { EngineRun, Job } from '../src/inference/engine.ts';
import { LlamaEngine } from '../src/inference/llama/llama-engine.io.ts';
import type { StoredModel } from '../src/inference/stored-model.ts';
import { type Arm, type ArmJob, type ArmResult, arrivals } from './engine-arms.ts';
import type { RawStrategy } from './engine-raw.io.ts';

export interface ArmOptions {
  readonly stored: StoredModel;
  readonly slots: number;
  readonly contextTokens: number;
  readonly threads: number;
}

export interface OurArm extends Arm {
  /** Starts one answer and leaves it to the caller. */
  start(prompt: string, on: OurEvents): EngineRun;
  /** Until the first token of one more answer. */
  untilServed(prompt: string): Promise<void>;
}

export interface OurEvents {
  readonly tokens: number;
  /** Absent = all of them. */
  readonly grantedTokens?: number;
  onTokens(count: number): void;
  onProgress?(done: number): void;
  onEnd?(promptTokens: number): void;
}

export async function openOurs({ stored, slots, contextTokens, threads }: ArmOptions): Promise<OurArm> {
  const engine = new LlamaEngine({ models: [stored], slots, contextTokens, maxThreads: threads });
  const loaded = await engine.ready(stored.model);
  if (loaded?.state !== 'ready') throw new Error(`the model did not load: ${loaded?.problem ?? ''}`);
  let templateTokens = 0;
  const start = (prompt: string, on: OurEvents): EngineRun => {
    const run = engine.start(
      jobOf(stored, prompt.slice(0, Math.max(1, prompt.length - templateTokens)), on.tokens),
      (event) => {
        if (event.type === 'tokens') on.onTokens(event.tokens);
        if (event.type === 'progress') on.onProgress?.(event.promptTokensDone);
        if (event.type === 'ended') on.onEnd?.(event.usage.promptTokens);
        if (event.type === 'failed') throw new Error(event.failure.message);
      },
    );
    run.grant(on.grantedTokens ?? on.tokens);
    return run;
  };
  templateTokens = await new Promise<number>((resolve) => {
    start('a', { tokens: 1, onTokens: () => undefined, onEnd: (promptTokens) => resolve(promptTokens - 1) });
  });
  return {
    name: 'ours',
    start,
    run: async (job) => runAll(job, start),
    untilServed: async (prompt) => {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      start(prompt, { tokens: 1, onTokens: () => resolve(undefined) });
      await promise;
    },
    cpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000 + cpuMsOf(engine.pidOf(stored.model));
    },
    close: async () => engine.close(),
  };
}

export async function openRaw(strategy: RawStrategy, options: ArmOptions): Promise<Arm> {
  const { stored, slots, contextTokens, threads } = options;
  const file = fileURLToPath(new URL('./engine-raw.io.ts', import.meta.url));
  const child = fork(file, [stored.path, strategy, ...[slots, contextTokens, threads].map(String)]);
  await answerOf(child);
  return {
    name: strategy,
    run: async (job) => {
      child.send(job);
      // The other side is ours.
      // eslint-disable-next-line typescript/no-unsafe-type-assertion
      return (await answerOf(child)) as ArmResult;
    },
    cpuMs: () => cpuMsOf(child.pid),
    close: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Linux only. */
export function cpuMsOf(pid: number | undefined): number {
  try {
    // Behind the name, which may contain anything: fields 14 and 15 of the manual, in hundredths of a second.
    const [, fields = ''] = readFileSync(`/proc/${pid ?? 0}/stat`, 'utf8').split(') ');
    const [user, system] = fields.split(' ').slice(11, 13);
    return (Number(user) + Number(system)) * 10;
  } catch {
    return Number.NaN;
  }
}

async function runAll({ prompts, tokens }: ArmJob, start: OurArm['start']): Promise<ArmResult> {
  const startedMs = performance.now();
  const arrivalsMs = await Promise.all(
    prompts.map(
      async (prompt) =>
        new Promise<readonly number[]>((resolve) => {
          const times: number[] = [];
          start(prompt, {
            tokens,
            onTokens: (count) => times.push(...arrivals(count, performance.now() - startedMs)),
            onEnd: () => resolve(times),
          });
        }),
    ),
  );
  return { arrivalsMs };
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error('the yardstick ended'));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message);
    });
  });
}

function jobOf(stored: StoredModel, prompt: string, maxTokens: number): Job {
  return {
    model: stored.model,
    messages: [{ role: 'user', content: prompt }],
    sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [], maxTokens },
  };
}
