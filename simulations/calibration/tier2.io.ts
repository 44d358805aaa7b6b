/**
 * `tier2`: is the simulated world the real one? The same strikes against real processes and against simulated ones, and the
 * differences as a table or as JSON. Exit codes: 0 everything real is explained by the simulator, 1 something is not or
 * the real half failed, 130 ended by Ctrl-C; the caller passes the signal and every process is ended first.
 * Takes about two minutes for each real run and 1.2 GB of memory for ten nodes. Figures of a busy machine are worth little:
 * how late its timers were is printed with them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { compareHalves, type Comparison, type Half } from './comparison.ts';
import { measure } from './recording.ts';
import { type RealRun, runReal } from './real.io.ts';
import { makeSchedule, type Schedule } from './schedule.ts';
import { simulate } from './simulated.ts';
import { comparisonText, strayLines } from './table.ts';

export const TIER2_USUAL = { seed: 1, nodes: 10, realRuns: 1, simulatedRuns: 10 } as const;

export interface Tier2Options {
  /** Of the schedule; real run k has the schedule of seed + k. */
  readonly seed: number;
  readonly nodes: number;
  readonly realRuns: number;
  /** For each schedule. */
  readonly simulatedRuns: number;
  /** A command that runs each real node, e.g. `['chrt', '-r', '1']` on a busy machine. */
  readonly wrapper: readonly string[];
  /** One line of JSON with every single delay instead of the table. */
  readonly json: boolean;
  readonly signal: AbortSignal;
  readonly out: (text: string) => void;
  readonly note: (text: string) => void;
  /** `share` from 0 to 1. */
  readonly progress: (share: number, what: string) => void;
}

export async function runTier2(options: Tier2Options): Promise<number> {
  const { seed, realRuns, nodes, simulatedRuns, wrapper, json, signal, out, note } = options;
  const schedules = Array.from({ length: realRuns }, (_, index) => makeSchedule(seed + index, nodes));
  note(`tier2 seed=${seed} nodes=${nodes} realRuns=${realRuns} simulatedRuns=${simulatedRuns}\n`);
  const simulated = await simulateAll(schedules, options);
  const real: RealRun[] = [];
  for (const schedule of schedules) {
    try {
      // eslint-disable-next-line no-await-in-loop
      real.push(await runReal({ schedule, wrapper, signal, progress: options.progress }));
    } catch (error) {
      if (!signal.aborted) note(`the real half failed: ${error instanceof Error ? error.message : String(error)}\n`);
      break;
    }
  }
  const comparison = compareHalves(simulated, real);
  out(json ? `${JSON.stringify(jsonOf(comparison, simulated, real))}\n` : textOf(comparison, real));
  if (signal.aborted) return 130;
  const isWhole = real.length === realRuns && comparison.rows.every(({ explained }) => explained === 'explained');
  return isWhole ? 0 : 1;
}

async function simulateAll(
  schedules: readonly Schedule[],
  { simulatedRuns, progress, signal }: Tier2Options,
): Promise<readonly Half[]> {
  const halves: Half[] = [];
  for (const schedule of schedules) {
    for (let run = 0; run < simulatedRuns && !signal.aborted; run += 1) {
      progress(run / simulatedRuns, `simulating the schedule of seed ${schedule.seed}`);
      halves.push(simulate(schedule, run));
      // A signal is only heard between runs.
      // eslint-disable-next-line no-await-in-loop
      await nextTurn();
    }
  }
  return halves;
}

function textOf(comparison: Comparison, real: readonly RealRun[]): string {
  const lines = real.map(({ schedule, recording, conditions }) => {
    const { strays } = measure(schedule, recording);
    const strayText = strayLines(strays, recording.moments[0]?.atMs ?? 0);
    const { lateTimers, latestMs, restartTookMs, startedMs, metMs } = conditions;
    const restart = restartTookMs === undefined ? '' : `, the restart took ${seconds(restartTookMs)} to its first step`;
    return `Real run of seed ${schedule.seed}: ${schedule.nodes} processes started in ${seconds(startedMs)}, all connected after ${seconds(metMs)}${restart}; ${lateTimers} timers fired 20 ms late or more, the worst ${Math.round(latestMs)} ms.\n${strayText}`;
  });
  return `${comparisonText(comparison)}${lines.join('')}`;
}

function jsonOf(comparison: Comparison, simulated: readonly Half[], real: readonly RealRun[]): object {
  return {
    comparison,
    real: real.map((run) => ({ ...whole(run), conditions: run.conditions })),
    simulated: simulated.map(whole),
  };
}

function whole({ schedule, recording }: Half): object {
  const { transitions, strays } = measure(schedule, recording);
  return { seed: schedule.seed, strikes: schedule.strikes, moments: recording.moments, transitions, strays };
}

function seconds(valueMs: number): string {
  return `${(valueMs / 1_000).toFixed(1)} s`;
}
