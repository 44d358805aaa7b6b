/**
 * Runs a simulation to its end without holding the process: pieces of virtual time, each so short that Ctrl-C and progress
 * are seen between two of them. The pieces have no part in what happens. An error of the core does not end the program: it
 * is what the run found, with the time at which it came. Time of the machine is measured here and nowhere inside.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RunReport } from '../report/report.ts';
import { Run, type RunOptions } from '../run.ts';

/** What a piece may take of the machine's time. Source: guess: shorter than a person notices. */
const PIECE_TOOK_MS = 50;
const PIECE_MS_MIN = 10;
const PIECE_MS_MAX = 60_000;

export type Execution =
  /** Over, or ended before by the signal or by `isEnough`: see the report's `endedEarly`. */
  | { readonly type: 'ended'; readonly report: RunReport }
  | { readonly type: 'crashed'; readonly atMs: number; readonly error: string };

export interface Watching {
  readonly signal: AbortSignal;
  /** Virtual time of each piece; undefined = as much as the machine does in a moment. */
  readonly pieceMs?: number;
  /** After each piece. */
  readonly onPiece?: (run: Run) => void | Promise<void>;
  /** Asked after each piece: is there no reason to go on? */
  readonly isEnough?: (run: Run) => boolean;
}

export async function execute(options: RunOptions, watching: Watching): Promise<Execution> {
  const startedMs = performance.now();
  let run: Run | undefined;
  try {
    run = new Run(options);
    await runPieces(run, watching);
    return { type: 'ended', report: run.finish(Math.round(performance.now() - startedMs)) };
  } catch (error) {
    return { type: 'crashed', atMs: run?.nowMs ?? 0, error: textOf(error) };
  }
}

async function runPieces(run: Run, watching: Watching): Promise<void> {
  const { pieceMs } = watching;
  let lengthMs = pieceMs ?? PIECE_MS_MIN;
  while (goesOn(run, watching)) {
    const beforeMs = performance.now();
    run.advance(run.nowMs + lengthMs);
    const tookMs = performance.now() - beforeMs;
    if (pieceMs === undefined) lengthMs = nextLength(lengthMs, tookMs);
    // eslint-disable-next-line no-await-in-loop
    await watching.onPiece?.(run);
    // eslint-disable-next-line no-await-in-loop
    await nextTurn();
  }
}

function goesOn(run: Run, { signal, isEnough }: Watching): boolean {
  return !run.isOver && !signal.aborted && isEnough?.(run) !== true;
}

function nextLength(lengthMs: number, tookMs: number): number {
  if (tookMs > PIECE_TOOK_MS) return Math.max(PIECE_MS_MIN, Math.floor(lengthMs / 2));
  return tookMs < PIECE_TOOK_MS / 3 ? Math.min(PIECE_MS_MAX, lengthMs * 2) : lengthMs;
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
