/**
 * A process for one trial: changes the core, if a mutant is to be tried, and only then loads it and runs the world; says
 * what the checkers saw and ends. Nothing of the core may be imported before, not even by way of a scenario.
 */
import { mutate } from './mutate.io.ts';
import type { TrialResult, TrialTask } from './trial-run.ts';

async function run({ trial, edit, enough }: TrialTask): Promise<TrialResult> {
  const mutation = edit === undefined ? undefined : mutate(edit);
  const { loadTrial } = await import('./trial-world.ts');
  const { execute } = await import('../cli/execute.io.ts');
  if (mutation?.isApplied === false) return { type: 'broken', reason: `nothing loads ${edit?.file}` };
  const loaded = loadTrial(trial);
  if (loaded.type === 'invalid') return { type: 'broken', reason: loaded.reason };
  const execution = await execute(
    { ...loaded.options, commit: '', reproduce: '' },
    {
      signal: new AbortController().signal,
      isEnough: ({ violations }) => violations.some(({ id }) => enough.includes(id)),
    },
  );
  const { user, system } = process.cpuUsage();
  const cpuMs = Math.round((user + system) / 1_000);
  if (execution.type === 'crashed') return { ...execution, cpuMs };
  const seen = execution.report.violations.map(({ id, atMs, detail }) => ({ id, atMs, detail }));
  return { type: 'ran', seen, cpuMs };
}

process.once('message', (task: TrialTask) => {
  run(task)
    .catch((error: unknown): TrialResult => ({ type: 'broken', reason: String(error) }))
    .then((result) => process.send?.(result, () => process.disconnect()))
    .catch((error: unknown) => {
      throw error;
    });
});
