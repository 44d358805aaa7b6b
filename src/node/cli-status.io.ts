/**
 * `skein status`: the mesh as the node of this machine sees it, once, or with `--watch` every second until Ctrl-C. On a
 * terminal the screen is drawn anew each time; with `--json` each look is one line, so that programs can follow.
 * Ends with 69 when no node runs, also when it goes away while it is watched.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { askStatus } from './ask-status.io.ts';
import { EXIT_UNAVAILABLE, fail } from './exit.io.ts';
import { readSettings } from './settings.io.ts';
import { statusText } from './status-text.ts';

/** Between two looks. Source: requirement. */
const WATCH_INTERVAL_MS = 1_000;
/** Where nobody says how wide the screen is. Source: requirement. */
const WIDTH = 100;
/** To the top left, and everything below is cleared. Source: spec: ECMA-48, CUP and ED. */
const CLEAR = '\u001B[H\u001B[J';
const NO_NODE = 'no node runs on this machine with these settings: start one with `skein up`';

export interface StatusCommand {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly json: boolean;
  readonly watch?: boolean;
}

export async function status({ flags, json, watch }: StatusCommand): Promise<number> {
  const settings = await readSettings(flags);
  if (settings.type === 'unusable') return fail(settings.problems, settings.exitCode);
  const { state } = settings.paths;
  return watch === true ? watchStatus(state, json) : showStatus(state, { json, clear: false });
}

async function watchStatus(state: string, json: boolean): Promise<number> {
  const over = untilEnded();
  while (!over.aborted) {
    // eslint-disable-next-line no-await-in-loop
    const exitCode = await showStatus(state, { json, clear: process.stdout.isTTY });
    if (exitCode !== 0) return exitCode;
    // eslint-disable-next-line no-await-in-loop
    await pause(over);
  }
  return 0;
}

async function showStatus(
  state: string,
  { json, clear }: { readonly json: boolean; readonly clear: boolean },
): Promise<number> {
  const answer = await askStatus(state);
  if (answer.type === 'none') return fail([NO_NODE], EXIT_UNAVAILABLE);
  if (answer.type === 'problem') return fail([answer.message], EXIT_UNAVAILABLE);
  const width = process.stdout.isTTY ? process.stdout.columns : WIDTH;
  const text = json ? `${JSON.stringify(answer.status)}\n` : statusText(answer.status, width);
  process.stdout.write(clear ? `${CLEAR}${text}` : text);
  return 0;
}

async function pause(over: AbortSignal): Promise<void> {
  try {
    await delay(WATCH_INTERVAL_MS, undefined, { signal: over });
  } catch (error) {
    // Ended before its time.
    if (!over.aborted) throw error;
  }
}

/** Ctrl-C, a polite kill, or a reader that wants no more. */
function untilEnded(): AbortSignal {
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort());
  process.stdout.once('error', () => ended.abort());
  return ended.signal;
}
