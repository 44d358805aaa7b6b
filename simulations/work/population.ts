/**
 * Who lives in a simulated world: which machine each node is, how it can be reached, which models it holds. Shares are met
 * as exactly as whole nodes can, and a seed only decides who is who: two seeds of a scenario are as big as each other.
 * The bootstrap nodes come first and are public.
 */
import { invariant } from '../../src/assert.ts';
import type { KeyedRandom } from '../kernel/kernel-port.ts';
import { drawMachine, type Machine } from './machines.ts';
import type { MachineKind, NatClass, Scenario } from '../scenario.ts';

export interface Inhabitant {
  readonly machine: Machine;
  readonly nat: NatClass;
  /** Indices of the scenario's models. */
  readonly models: readonly number[];
}

const KINDS: readonly MachineKind[] = ['server', 'gaming', 'mac', 'laptop', 'mini'];
const CLASSES: readonly NatClass[] = ['public', 'punchable', 'relay-only'];

export function populate(scenario: Scenario, random: KeyedRandom): readonly Inhabitant[] {
  const { nodes, bootstraps, machines, nat, models } = scenario;
  const kinds = shuffled(shareOut(KINDS, machines, nodes), random, 'machine');
  const publics = Array.from({ length: bootstraps }, (): NatClass => 'public');
  const others = shareOut(CLASSES, nat, nodes).toSorted(
    (left, right) => CLASSES.indexOf(left) - CLASSES.indexOf(right),
  );
  const classes = [...publics, ...shuffled(others.slice(bootstraps), random, 'nat')];
  const held = models.map(({ holders }, model) => {
    const everybody = Array.from({ length: nodes }, (_, node) => node);
    const count = Math.min(nodes, Math.max(1, Math.round(holders * nodes)));
    return new Set(shuffled(everybody, random, `model-${model}`).slice(0, count));
  });
  return kinds.map((kind, node) => ({
    machine: drawMachine(kind, random.stream('machine-speed', node)),
    nat: classes[node] ?? 'public',
    models: held.flatMap((holders, model) => (holders.has(node) ? [model] : [])),
  }));
}

/** `count` names in the proportion of their weights, by largest remainders, in the order of `names`. */
export function shareOut<Name extends string>(
  names: readonly Name[],
  weights: Readonly<Partial<Record<Name, number>>>,
  count: number,
): Name[] {
  const total = names.reduce((sum, name) => sum + (weights[name] ?? 0), 0);
  invariant(total > 0, 'some share is above zero');
  const exact = names.map((name) => ({ name, share: ((weights[name] ?? 0) * count) / total }));
  const whole = exact.map(({ name, share }) => ({ name, count: Math.floor(share), rest: share - Math.floor(share) }));
  let missing = count - whole.reduce((sum, one) => sum + one.count, 0);
  for (const one of whole.toSorted((left, right) => right.rest - left.rest)) {
    if (missing <= 0) break;
    one.count += 1;
    missing -= 1;
  }
  return whole.flatMap((one) => Array.from({ length: one.count }, () => one.name));
}

function shuffled<Value>(values: readonly Value[], random: KeyedRandom, purpose: string): Value[] {
  return values
    .map((value, index) => ({ value, index, key: random.stream(purpose, index).uint32() }))
    .toSorted((left, right) => left.key - right.key || left.index - right.index)
    .map(({ value }) => value);
}
