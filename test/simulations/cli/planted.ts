/**
 * The simulator with a promise that it cannot keep: no run has both a crash and a pause. A correct core cannot be broken by
 * a scenario or a plan, so that what is done with a broken promise is tested with one that asks too much.
 */
import type { CheckerKind } from '../../../simulations/checker.ts';
import { SCENARIOS } from '../../../simulations/scenarios/index.ts';
import { seededRun } from '../../../simulations/seeded-run.ts';

export const PLANTED: CheckerKind = {
  id: 'X1',
  promise: 'a run has no crash or no pause',
  when: 'always',
  create: (context) => {
    const struck = new Set<string>();
    return {
      observe: (event, atMs) => {
        if (event.type !== 'fault-began') return;
        const before = struck.size;
        struck.add(context.plan[event.fault]?.kind ?? '');
        if (before < struck.size && struck.has('crash') && struck.has('pause'))
          context.report({ atMs, nodes: [], detail: 'a crash and a pause' });
      },
      finish: () => undefined,
    };
  },
};

/** The first seeds of `smoke` that break it, or keep it. */
export function plantedSeeds(isBroken: boolean): readonly number[] {
  const smoke = SCENARIOS.get('smoke');
  if (smoke === undefined) throw new Error('there is no scenario smoke');
  return Array.from({ length: 200 }, (_, seed) => seed).filter((seed) => {
    const kinds = new Set(seededRun(smoke, seed).plan.map(({ kind }) => kind));
    return (kinds.has('crash') && kinds.has('pause')) === isBroken;
  });
}
