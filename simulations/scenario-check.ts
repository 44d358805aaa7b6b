/**
 * Is this a scenario that can be run? Takes anything (a JSON file, a scenario with overrides) and returns it typed, or
 * every problem with it. First each field by itself, then what fields mean together: more entrances than nodes, a heal
 * after the end, a relay without a public node, a flash crowd where nobody asks. Nothing is mended silently. The bounds
 * are those of a run that one machine can carry; a plan of faults has its own check in `fault-check.ts`.
 */
import { z } from 'zod';
import { parseModelId } from '../src/ids.ts';
import { GOSSIP } from '../src/params.ts';
import { FAULT_KINDS, liarsMax } from './faults/fault-kinds.ts';
import {
  type Checked,
  type Problem,
  checkShape,
  checked,
  exactly,
  numberWithin,
  oneOf,
  wholeNumber,
} from './problem.ts';
import { readJson, show } from './problem.ts';
import type { FaultKind } from './faults/fault.ts';
import type { Scenario } from './scenario.ts';

const MACHINES = ['server', 'gaming', 'mac', 'laptop', 'mini'] as const;
const NAT_CLASSES = ['public', 'punchable', 'relay-only'] as const;

const LIMITS = {
  /** Source: the view's own bound. */
  nodesMax: GOSSIP.membersMax,
  /** Source: guess: a week; no trace of it would fit anywhere. */
  durationMsMax: 604_800_000,
  /** Source: guess: far more than a report can show. */
  faultsMax: 20_000,
  /** Source: spec: what one node may announce. */
  modelsMax: GOSSIP.modelsPerNodeMax,
  /** Source: guess: the largest context that anybody serves. */
  tokensMax: 1_048_576,
} as const;

const SCENARIO_SHAPE = exactly({
  name: matching(/^[a-z][a-z0-9-]{0,39}$/, 'a name of up to 40 small letters, digits and hyphens'),
  question: matching(/^.{1,200}$/, 'a question of 1 to 200 characters'),
  nodes: wholeNumber(1, LIMITS.nodesMax),
  machines: shares(MACHINES),
  nat: shares(NAT_CLASSES),
  bootstraps: wholeNumber(1, LIMITS.nodesMax),
  models: z
    .array(
      exactly({
        name: z
          .string({ error: 'the name of a model' })
          .refine((name) => parseModelId(name) !== undefined, { error: 'the name of a model' }),
        holders: numberWithin(0, 1),
        contextTokens: wholeNumber(1, LIMITS.tokensMax),
        loadMs: wholeNumber(0, 3_600_000),
        speed: numberWithin(0.001, 1_000),
        demand: numberWithin(0, 1_000_000),
      }),
      { error: 'a list of models' },
    )
    .max(LIMITS.modelsMax, { error: `up to ${LIMITS.modelsMax} models` }),
  workload: exactly({
    arrivals: oneOf(['steady', 'bursts', 'none']),
    load: numberWithin(0, 2),
    followUps: numberWithin(0, 1),
    promptTokens: wholeNumber(1, LIMITS.tokensMax),
    answerTokens: wholeNumber(1, LIMITS.tokensMax),
    answerTokensMax: wholeNumber(1, LIMITS.tokensMax),
    ingressNodes: z.exactOptional(wholeNumber(1, LIMITS.nodesMax)),
  }),
  network: exactly({
    delayMsMin: numberWithin(0, 10_000),
    delayMsMax: numberWithin(0, 10_000),
    jitterMs: numberWithin(0, 10_000),
    loss: numberWithin(0, 0.5),
    lossBurstMs: numberWithin(1, 60_000),
    bytesPerSecond: numberWithin(1_000, 1e10),
    queueMs: numberWithin(1, 60_000),
  }),
  gossip: oneOf(['hop', 'aggregated']),
  faults: exactly({
    perNodeHour: shares(FAULT_KINDS),
    enable: numberWithin(0, 1),
    habitSpeed: z.exactOptional(numberWithin(0.001, 10_000)),
  }),
  startWithinMs: wholeNumber(0, LIMITS.durationMsMax),
  faultsFromMs: wholeNumber(0, LIMITS.durationMsMax),
  healAtMs: wholeNumber(0, LIMITS.durationMsMax),
  durationMs: wholeNumber(1_000, LIMITS.durationMsMax),
  drainMs: wholeNumber(0, LIMITS.durationMsMax),
});

export function checkScenario(input: unknown): Checked<Scenario> {
  const shape = checkShape(SCENARIO_SHAPE, input);
  if (shape.type === 'invalid') return shape;
  const scenario: Scenario = shape.value;
  const problems = [populationProblems, modelProblems, workloadProblems, timeProblems, faultProblems].flatMap(
    (problemsOf) => problemsOf(scenario),
  );
  return checked(scenario, problems);
}

/** Whole nodes of the share that is public. */
export function publicNodes({ nodes, nat }: Pick<Scenario, 'nodes' | 'nat'>): number {
  return Math.ceil((nodes * (nat.public ?? 0)) / (sum(nat) || 1));
}

/** Overrides as a command line gives them: `nodes=50`, `workload.load=0.7`, `models.0.holders=1`; `null` takes a field away. */
export function withOverrides(scenario: Scenario, overrides: readonly string[]): Checked<Scenario> {
  let changed: unknown = scenario;
  const problems: Problem[] = [];
  for (const override of overrides) {
    const parts = /^(?<path>[\w-]+(?:\.[\w-]+)*)=(?<value>.*)$/s.exec(override)?.groups;
    if (parts === undefined) problems.push({ field: '', expected: 'field=value', got: show(override) });
    else changed = replaced(changed, (parts['path'] ?? '').split('.'), valueOf(parts['value'] ?? ''));
  }
  return problems.length > 0 ? { type: 'invalid', problems } : checkScenario(changed);
}

/** JSON where it is JSON, a text otherwise, so that nobody has to quote a word twice. */
function valueOf(text: string): unknown {
  const json = readJson(text);
  return json.type === 'valid' ? json.value : text;
}

/** A copy with one value in another place. A path that leads nowhere makes fields that the check then refuses by name. */
function replaced(whole: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (Array.isArray(whole) && Number(key) < whole.length)
    return whole.map((item: unknown, index) => (index === Number(key) ? replaced(item, rest, value) : item));
  const fields = typeof whole === 'object' && whole !== null && !Array.isArray(whole) ? Object.entries(whole) : [];
  const others = fields.filter(([name]) => name !== key);
  if (rest.length === 0 && value === null) return Object.fromEntries(others);
  const old: unknown = fields.find(([name]) => name === key)?.[1];
  return Object.fromEntries([...others, [key, replaced(old, rest, value)]]);
}

// What fields mean together.

function populationProblems({ nodes, machines, nat, bootstraps, workload }: Scenario): readonly Problem[] {
  return [
    ...(sum(machines) > 0 ? [] : [at('machines', 'a share above 0', 'only zeros')]),
    ...natProblems({ nodes, nat, bootstraps }),
    ...atMost('workload.ingressNodes', workload.ingressNodes ?? 0, { name: 'nodes', max: nodes }),
  ];
}

/** Whom nobody can dial meets others, and relays, only through somebody whom everybody can. */
function natProblems({ nodes, nat, bootstraps }: Pick<Scenario, 'nodes' | 'nat' | 'bootstraps'>): readonly Problem[] {
  if (sum(nat) === 0) return [at('nat', 'a share above 0', 'only zeros')];
  const max = publicNodes({ nodes, nat });
  return max === 0
    ? [at('nat.public', 'a share above 0: the others meet at public nodes and relay through them', 0)]
    : atMost('bootstraps', bootstraps, { name: 'public nodes', max });
}

function modelProblems({ models, workload }: Scenario): readonly Problem[] {
  if (models.length === 0)
    return workload.arrivals === 'none' ? [] : [at('models', 'at least one model to ask for', 'none')];
  const names = models.map(({ name }) => name);
  const usual = workload.promptTokens + workload.answerTokens;
  return [
    ...models.flatMap((model, index) => [
      ...(names.indexOf(model.name) === index ? [] : [at(`models[${index}].name`, 'a name of its own', model.name)]),
      ...(model.holders > 0 ? [] : [at(`models[${index}].holders`, 'a share above 0, so that somebody holds it', '0')]),
      ...(model.contextTokens >= usual
        ? []
        : [at(`models[${index}].contextTokens`, `room for a usual prompt and answer (${usual})`, model.contextTokens)]),
    ]),
    ...(models.some(({ demand }) => demand > 0) ? [] : [at('models', 'a demand above 0', 'only zeros')]),
  ];
}

function workloadProblems({ workload, faults, network }: Scenario): readonly Problem[] {
  const asks = workload.arrivals !== 'none';
  const crowds = (faults.perNodeHour['flash-crowd'] ?? 0) > 0;
  return [
    ...(asks && workload.load === 0
      ? [at('workload.load', 'a load above 0, or workload.arrivals none', workload.load)]
      : []),
    ...(crowds && !asks
      ? [
          at(
            'faults.perNodeHour.flash-crowd',
            'no flash crowd where workload.arrivals is none',
            perHour(faults.perNodeHour['flash-crowd']),
          ),
        ]
      : []),
    ...atMost('workload.answerTokens', workload.answerTokens, {
      name: 'workload.answerTokensMax',
      max: workload.answerTokensMax,
    }),
    ...atMost('network.delayMsMin', network.delayMsMin, { name: 'network.delayMsMax', max: network.delayMsMax }),
  ];
}

/** Starts, faults, healing, end: in this order. */
function timeProblems(scenario: Scenario): readonly Problem[] {
  const { startWithinMs, faultsFromMs, healAtMs, durationMs, drainMs, models } = scenario;
  return [
    ...atMost('startWithinMs', startWithinMs, { name: 'faultsFromMs', max: faultsFromMs }),
    ...atMost('faultsFromMs', faultsFromMs, { name: 'healAtMs', max: healAtMs }),
    ...atMost('healAtMs', healAtMs, { name: 'durationMs', max: durationMs }),
    ...atMost('drainMs', drainMs, { name: 'durationMs', max: durationMs }),
    ...models.flatMap(({ loadMs }, index) =>
      atMost(`models[${index}].loadMs`, loadMs, { name: 'durationMs', max: durationMs }),
    ),
  ];
}

function faultProblems({ nodes, nat, faults, faultsFromMs, healAtMs }: Scenario): readonly Problem[] {
  const expected = (sum(faults.perNodeHour) * nodes * Math.max(0, healAtMs - faultsFromMs)) / 3_600_000;
  const needs = (kind: FaultKind, holds: boolean, what: string): readonly Problem[] => {
    const rate = faults.perNodeHour[kind] ?? 0;
    return rate === 0 || holds ? [] : [at(`faults.perNodeHour.${kind}`, what, perHour(rate))];
  };
  return [
    ...needs('partition', nodes > 1, 'no partition of a single node'),
    ...needs('swizzle', nodes > 1, 'no swizzle of a single node'),
    ...needs('liar', liarsMax(nodes) > 0, 'no liars among fewer than 3 nodes'),
    ...needs('relay-loss', (nat['relay-only'] ?? 0) > 0, 'no relay-loss where nat has nobody who is relay-only'),
    ...atMost('faults.perNodeHour', Math.round(expected), { name: 'the faults of one run', max: LIMITS.faultsMax }),
  ];
}

function at(field: string, expected: string, got: string | number): Problem {
  return { field, expected, got: String(got) };
}

function atMost(
  field: string,
  value: number,
  limit: { readonly name: string; readonly max: number },
): readonly Problem[] {
  return value <= limit.max ? [] : [at(field, `at most ${limit.name} (${limit.max})`, value)];
}

function perHour(rate: number | undefined): string {
  return `${rate ?? 0} per node and hour`;
}

function sum(weights: Readonly<Record<string, number>>): number {
  return Object.keys(weights)
    .toSorted()
    .reduce((total, key) => total + (weights[key] ?? 0), 0);
}

function shares<const Word extends string>(words: readonly Word[]): z.ZodType<Partial<Record<Word, number>>> {
  const error = `an object with numbers for any of ${words.join(', ')}`;
  return z.partialRecord(oneOf(words), numberWithin(0, 1_000_000), { error });
}

function matching(pattern: RegExp, error: string): z.ZodType<string> {
  return z.string({ error }).regex(pattern, { error });
}
