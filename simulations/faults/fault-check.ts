/**
 * Can this plan of faults strike this scenario? Takes anything and returns a plan in the order of time, or every problem
 * with it: nodes that do not exist, faults outside of the time for faults, a node that is crashed and suspended at once,
 * partitions without two sides. Plans are edited by hand, so that a problem names the fault by its place in the list as
 * it was written. Limit: whether a fault has any effect (a rebinding of a node without connections) is not asked.
 */
import { z } from 'zod';
import { endOf, compareFaults, liarsMax, nodeOf, occupies } from './fault-kinds.ts';
import type { Fault, FaultPlan } from './fault.ts';
import {
  type Checked,
  type Problem,
  checkShape,
  checked,
  exactly,
  numberWithin,
  oneOf,
  wholeNumber,
} from '../problem.ts';
import type { Scenario } from '../scenario.ts';

/** Source: guess: a week, as the longest run. */
const MS_MAX = 604_800_000;
/** Source: guess: more than any generated plan has. */
const FAULTS_MAX = 500_000;
/** Source: guess: a tenth too fast or too slow; no quartz is off by more than a thousandth of that. */
const DRIFT_MAX = 100_000;

const node = wholeNumber(0, 1_000_000);
const struck = { atMs: wholeNumber(0, MS_MAX) };
const lasting = { ...struck, durationMs: wholeNumber(1, MS_MAX) };
const nodes = z.array(node, { error: 'a list of node numbers' });

/** A fault of this kind with these fields besides `kind`. */
function kindOf<const Kind extends string, Shape extends z.core.$ZodShape>(kind: Kind, shape: Shape) {
  return exactly({ kind: z.literal(kind), ...shape });
}

const FAULT_SHAPE = z.discriminatedUnion(
  'kind',
  [
    kindOf('crash', { ...lasting, node, state: oneOf(['kept', 'lost']) }),
    kindOf('power-loss', { ...lasting, node }),
    kindOf('leave', { ...lasting, node }),
    kindOf('pause', { ...lasting, node }),
    kindOf('suspend', { ...lasting, node, clock: oneOf(['counts', 'halts']) }),
    kindOf('partition', {
      ...lasting,
      groups: z.array(nodes, { error: 'a list of groups of nodes' }),
      direction: oneOf(['both', 'from-first']),
    }),
    kindOf('swizzle', { ...lasting, nodes }),
    kindOf('loss', { ...lasting, node, loss: numberWithin(0, 1) }),
    kindOf('delay', { ...lasting, node, addedMs: numberWithin(0, 60_000) }),
    kindOf('bandwidth', { ...lasting, node, bytesPerSecond: numberWithin(100, 1e10) }),
    kindOf('duplicate', { ...lasting, node }),
    kindOf('clock-step', { ...struck, node, byMs: wholeNumber(-MS_MAX, MS_MAX) }),
    kindOf('clock-drift', { ...lasting, node, partsPerMillion: wholeNumber(-DRIFT_MAX, DRIFT_MAX) }),
    kindOf('slow', { ...lasting, node, factor: numberWithin(1, 1_000) }),
    kindOf('gray', { ...lasting, node, how: oneOf(['mute', 'deaf']) }),
    kindOf('disk-full', { ...lasting, node }),
    kindOf('flash-crowd', { ...lasting, factor: numberWithin(1, 1_000) }),
    kindOf('relay-loss', { ...lasting, node }),
    kindOf('nat-rebinding', { ...struck, node }),
    kindOf('version-skew', { ...lasting, node }),
    kindOf('liar', { ...lasting, node, lie: oneOf(['load', 'replay', 'forge', 'equivocate', 'flood', 'accuse']) }),
  ],
  {
    error: (issue) => (issue.code === 'invalid_union' ? 'a known kind of fault' : 'a fault: an object with kind, atMs'),
  },
);

const PLAN_SHAPE = z
  .array(FAULT_SHAPE, { error: 'a list of faults' })
  .max(FAULTS_MAX, { error: `up to ${FAULTS_MAX} faults` });

export function checkPlan(input: unknown, scenario: Scenario): Checked<FaultPlan> {
  const shape = checkShape(PLAN_SHAPE, input);
  if (shape.type === 'invalid') return shape;
  const plan: FaultPlan = shape.value;
  const problems = [
    ...plan.flatMap((fault, index) => [
      ...timeProblems(fault, index, scenario),
      ...nodeProblems(fault, index, scenario),
      ...groupProblems(fault, index),
    ]),
    ...overlapProblems(plan),
    ...liarProblems(plan, scenario),
    ...crowdProblems(plan, scenario),
  ];
  return checked(plan.toSorted(compareFaults), problems);
}

function timeProblems(fault: Fault, index: number, { faultsFromMs, healAtMs }: Scenario): readonly Problem[] {
  const problems: Problem[] = [];
  if (fault.atMs < faultsFromMs || fault.atMs > healAtMs)
    problems.push({
      field: `[${index}].atMs`,
      expected: `a time from faultsFromMs (${faultsFromMs}) to healAtMs (${healAtMs})`,
      got: String(fault.atMs),
    });
  else if (endOf(fault) > healAtMs)
    problems.push({
      field: `[${index}].durationMs`,
      expected: `an end by healAtMs (${healAtMs}), so at most ${healAtMs - fault.atMs}`,
      got: String(endOf(fault) - fault.atMs),
    });
  return problems;
}

function nodeProblems(fault: Fault, index: number, scenario: Scenario): readonly Problem[] {
  return namedNodes(fault).flatMap(({ field, number }) =>
    number < scenario.nodes
      ? []
      : [{ field: `[${index}].${field}`, expected: `a node from 0 to ${scenario.nodes - 1}`, got: String(number) }],
  );
}

function namedNodes(fault: Fault): readonly { readonly field: string; readonly number: number }[] {
  switch (fault.kind) {
    case 'partition':
      return fault.groups.flatMap((group, place) =>
        group.map((number, index) => ({ field: `groups[${place}][${index}]`, number })),
      );
    case 'swizzle':
      return fault.nodes.map((number, index) => ({ field: `nodes[${index}]`, number }));
    default: {
      const number = nodeOf(fault);
      return number === undefined ? [] : [{ field: 'node', number }];
    }
  }
}

/** Two groups or more, none empty, nobody in two; a swizzle takes somebody, and everybody once. */
function groupProblems(fault: Fault, index: number): readonly Problem[] {
  const problems: Problem[] = [];
  if (fault.kind === 'partition') {
    if (fault.groups.length < 2)
      problems.push({
        field: `[${index}].groups`,
        expected: 'two groups or more',
        got: String(fault.groups.length),
      });
    for (const [place, group] of fault.groups.entries())
      if (group.length === 0)
        problems.push({ field: `[${index}].groups[${place}]`, expected: 'at least one node', got: 'none' });
  }
  if (fault.kind === 'swizzle' && fault.nodes.length === 0)
    problems.push({ field: `[${index}].nodes`, expected: 'at least one node', got: 'none' });
  if (fault.kind === 'partition' || fault.kind === 'swizzle') problems.push(...repeatedNodes(fault, index));
  return problems;
}

function repeatedNodes(fault: Fault, index: number): readonly Problem[] {
  const seen = new Set<number>();
  const problems: Problem[] = [];
  for (const { field, number } of namedNodes(fault)) {
    if (seen.has(number))
      problems.push({ field: `[${index}].${field}`, expected: 'each node once', got: `node ${number} again` });
    seen.add(number);
  }
  return problems;
}

/** Of what occupies the same, each begins after the one before it ended. */
function overlapProblems(plan: FaultPlan): readonly Problem[] {
  const latest = new Map<string, { readonly index: number; readonly endMs: number }>();
  const problems: Problem[] = [];
  const inTime = plan.map((fault, index) => ({ fault, index }));
  for (const { fault, index } of inTime.toSorted((left, right) => left.fault.atMs - right.fault.atMs)) {
    const what = occupies(fault);
    if (what === undefined) continue;
    const before = latest.get(what);
    const other = before === undefined ? undefined : plan[before.index];
    if (before !== undefined && other !== undefined && fault.atMs <= before.endMs) {
      const where = nodeOf(fault) === undefined ? '' : ` of node ${nodeOf(fault)}`;
      problems.push({
        field: `[${index}].atMs`,
        expected: `a time after ${before.endMs}, when the ${other.kind}${where} in [${before.index}] ends`,
        got: String(fault.atMs),
      });
    }
    if (before === undefined || endOf(fault) > before.endMs) latest.set(what, { index, endMs: endOf(fault) });
  }
  return problems;
}

function liarProblems(plan: FaultPlan, scenario: Scenario): readonly Problem[] {
  const liars = new Set(plan.flatMap((fault) => (fault.kind === 'liar' ? [fault.node] : [])));
  const max = liarsMax(scenario.nodes);
  return liars.size <= max
    ? []
    : [{ field: '', expected: `at most a third of the nodes as liars (${max})`, got: String(liars.size) }];
}

function crowdProblems(plan: FaultPlan, scenario: Scenario): readonly Problem[] {
  if (scenario.workload.arrivals !== 'none') return [];
  return plan.flatMap((fault, index) =>
    fault.kind === 'flash-crowd'
      ? [{ field: `[${index}].kind`, expected: 'no flash crowd where workload.arrivals is none', got: fault.kind }]
      : [],
  );
}
