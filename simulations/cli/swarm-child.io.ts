/**
 * One job of a swarm: a process that is told a scenario and a seed, runs it, and says what came of it; then the next. It
 * gives signs of life, so that its parent can tell long from stuck, ends when its parent is gone, and leaves Ctrl-C to it:
 * a terminal sends that to both.
 */
import { CHECKERS } from '../checkers/index.ts';
import type { CheckerKind } from '../checker.ts';
import { violationCount } from '../report/report.ts';
import { SCENARIOS } from '../scenarios/index.ts';
import { seededRun } from '../seeded-run.ts';
import { moment } from '../report/report-words.ts';
import { execute } from './execute.io.ts';
import type { SwarmOutcome } from './swarm-ledger.ts';
import { type AnswerMessage, readTask, type TaskMessage } from './swarm-message.ts';

/** Source: guess: far below the time after which a silent job is given up. */
const ALIVE_INTERVAL_MS = 1_000;

/** Serves its parent until that is gone. */
export function serveSwarm(checkers: readonly CheckerKind[]): void {
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit());
  process.on('message', (message) => {
    const task = readTask(message);
    if (task === undefined) return;
    simulate(task, checkers)
      .then((outcome) => answer({ type: 'end', number: task.number, outcome }))
      .catch((error: unknown) => {
        throw error;
      });
  });
}

async function simulate(
  { scenario: name, seed }: TaskMessage,
  checkers: readonly CheckerKind[],
): Promise<SwarmOutcome> {
  const scenario = SCENARIOS.get(name);
  if (scenario === undefined) return { type: 'crashed', reason: `there is no scenario ${name}` };
  let saidMs = performance.now();
  const execution = await execute(
    { ...seededRun(scenario, seed), checkers, commit: '', reproduce: '' },
    {
      signal: new AbortController().signal,
      onPiece: () => {
        if (performance.now() - saidMs < ALIVE_INTERVAL_MS) return;
        saidMs = performance.now();
        answer({ type: 'alive' });
      },
    },
  );
  if (execution.type === 'crashed')
    return { type: 'crashed', reason: `at ${moment(execution.atMs)}: ${execution.error}` };
  const { report } = execution;
  const { nodeHours } = report;
  const [first] = report.violations;
  if (first === undefined) return { type: 'passed', nodeHours };
  const { id, atMs, detail } = first;
  return { type: 'failed', nodeHours, violations: violationCount(report), first: { id, atMs, detail } };
}

function answer(message: AnswerMessage): void {
  process.send?.(message);
}

if (import.meta.main) serveSwarm(CHECKERS);
