/**
 * Watches how busy this machine is, and says at every look on how many threads a model should run (`thread-count.ts`).
 * Limits: the system counts the cores of the whole machine, also where a container may use only some of them.
 */
import { cpus } from 'node:os';
import type { ThreadCount } from './thread-count.ts';

/** Source: guess: short against an answer, long against the tenths of a second in which systems count. */
const LOOK_INTERVAL_MS = 2_000;

/** For the life of this process. `onThreads` hears every change. */
export function watchCores(threadCount: ThreadCount, onThreads: (threads: number) => void): void {
  let before = measure();
  const timer = setInterval(() => {
    const now = measure();
    const use = {
      elapsedMs: now.atMs - before.atMs,
      busyMs: now.busyMs - before.busyMs,
      ownMs: now.ownMs - before.ownMs,
    };
    before = now;
    const last = threadCount.threads;
    const threads = threadCount.look(use);
    if (threads !== last) onThreads(threads);
  }, LOOK_INTERVAL_MS);
  timer.unref();
}

function measure(): { readonly atMs: number; readonly busyMs: number; readonly ownMs: number } {
  const { user, system } = process.cpuUsage();
  const busyMs = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return { atMs: performance.now(), busyMs, ownMs: (user + system) / 1_000 };
}
