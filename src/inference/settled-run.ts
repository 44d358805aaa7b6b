/**
 * Starts a run once the schemas of its job are worked out, and passes for the run until then: grants are kept, and a cancelled
 * one never starts. Where nothing has to be waited for, the run starts inside the call, as every other run does.
 */
import type { Constraint, Grammars } from './answer-format.ts';
import type { EngineEvent, EngineRun } from './engine.ts';

export interface Unsettled {
  readonly job: Constraint;
  readonly grammars: Grammars;
  readonly on: (event: EngineEvent) => void;
}

export function startSettled({ job, grammars, on }: Unsettled, start: () => EngineRun): EngineRun {
  let run: EngineRun | undefined;
  let granted = 0;
  let isOver = false;
  grammars.settle(job, (problem) => {
    if (isOver) return;
    if (problem === undefined) {
      run = start();
      if (granted > 0) run.grant(granted);
    } else {
      isOver = true;
      on({ type: 'failed', failure: problem });
    }
  });
  return {
    grant: (tokens) => {
      if (run === undefined) granted += tokens;
      else run.grant(tokens);
    },
    cancel: () => {
      isOver = true;
      run?.cancel();
    },
  };
}
