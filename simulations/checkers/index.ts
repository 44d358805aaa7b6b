/**
 * All that the mesh promises, in order: S1 to S13 always hold, V1 to V8 say what it gets done. Those without `create`
 * speak of machines that do not exist yet; their names are kept here so that nobody takes silence for proof.
 */
import type { CheckerKind } from '../checker.ts';
import { stateIsBounded } from './s12-bounds.ts';
import { liarsGainLittle } from './s13-liars.ts';
import { viewsOnlyAdvance } from './s4-views.ts';
import { equalInputsEqualLists } from './s5-placement.ts';
import { requestsEndOnce } from './s6-requests.ts';
import { nothingRunsAmiss } from './s7-fitness.ts';
import { slotsAreKept } from './s8-slots.ts';
import { stopsAreNoticed } from './v1-detection.ts';
import { alarmsAreRare } from './v2-false-alarms.ts';
import { viewsConverge } from './v3-convergence.ts';
import { answersCome } from './v5-answers.ts';
import { nobodyHerds } from './v7-herd.ts';
import { crowdsPass } from './v8-crowds.ts';

export const CHECKERS: readonly CheckerKind[] = [
  notYet('S1', 'at most one valid lease at any true time among awake nodes'),
  notYet('S2', 'executed ballots of a scope never fall, and none is expired or unproven'),
  notYet('S3', 'a voter never has two live grants, and is mute in quarantine'),
  viewsOnlyAdvance,
  equalInputsEqualLists,
  requestsEndOnce,
  nothingRunsAmiss,
  slotsAreKept,
  notYet('S9', 'what is spent stays within the quota under any partition'),
  notYet('S10', 'a voluntary eviction never leaves too few ready replicas'),
  notYet('S11', 'the stages of a pipeline share one ballot'),
  stateIsBounded,
  liarsGainLittle,
  stopsAreNoticed,
  alarmsAreRare,
  viewsConverge,
  notYet('V4', 'a leader within 15 s of a quorum, and no harm without one', 'after-healing'),
  answersCome,
  notYet('V6', 'a model in demand is ready within its load time and two epochs', 'after-healing'),
  nobodyHerds,
  crowdsPass,
];

function notYet(id: string, promise: string, when: CheckerKind['when'] = 'always'): CheckerKind {
  return { id, promise: `${promise} (not yet)`, when, create: undefined };
}
