/**
 * Runs one trial in a process of its own, with a limit of time, and never fails itself: whatever becomes of the process is
 * a result.
 */
import { fork } from 'node:child_process';
import type { TrialResult, TrialTask } from './trial-run.ts';

/** Source: guess: thirty times the longest trial, on an idle machine. */
const TRIAL_MS_MAX = 180_000;
const STDERR_CHARACTERS_MAX = 2_000;

export async function runTrial(task: TrialTask, signal: AbortSignal): Promise<TrialResult> {
  const child = fork(new URL('trial.io.ts', import.meta.url), [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = `${stderr}${text}`.slice(-STDERR_CHARACTERS_MAX);
  });
  const end = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', end);
  return new Promise((resolve) => {
    let result: TrialResult | undefined;
    let isTooLong = false;
    const timer = setTimeout(() => {
      isTooLong = true;
      end();
    }, TRIAL_MS_MAX);
    child.on('message', (message: TrialResult) => {
      result = message;
    });
    child.on('error', ({ message }) => {
      result ??= { type: 'broken', reason: message };
    });
    child.on('close', (code, how) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      const why = isTooLong
        ? `it was not over after ${TRIAL_MS_MAX / 1_000} s`
        : `its process ended with ${how ?? code}`;
      resolve(result ?? { type: 'broken', reason: `${why}\n${stderr}`.trimEnd() });
    });
    child.send(task, (error) => {
      if (error !== null) result ??= { type: 'broken', reason: error.message };
    });
  });
}
