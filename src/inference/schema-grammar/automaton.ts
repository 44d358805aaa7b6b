/**
 * A term as rules of a grammar: the automaton whose states are its derivatives, one rule for each, so that at any point of
 * a text exactly one rule can go on, and nothing is ever tried twice. What cannot reach an end is left out.
 * Limits: `STATES_MAX`, because "not" and "and" can need exponentially many; then there is no answer.
 */
import { type CharacterSet, characters, partition } from './characters.ts';
import type { TermId, Terms } from './terms.ts';

interface Edge {
  readonly set: CharacterSet;
  /** Index of a state. */
  readonly to: number;
}

export interface State {
  /** The text may end here. */
  readonly isEnd: boolean;
  readonly edges: readonly Edge[];
}

/** Source: guess: an address of IPv6 needs 400, and each is a rule of some 40 characters. */
export const STATES_MAX = 1_000;

/** The states from the first on, all of which can reach an end; none = no text fits; undefined = too many. */
export function automatonOf(terms: Terms, start: TermId): readonly State[] | undefined {
  const states = explore(terms, start);
  return states === undefined ? undefined : prune(states);
}

function explore(terms: Terms, start: TermId): readonly State[] | undefined {
  const alphabet = partition(terms.classes);
  const indexes = new Map<TermId, number>([[start, 0]]);
  const order = [start];
  const states: State[] = [];
  for (const id of order) {
    terms.work.spend(alphabet.length);
    const targets = new Map<number, CharacterSet[]>();
    for (const set of alphabet) {
      const derived = terms.derive(id, set[0]?.[0] ?? 0);
      if (derived === terms.never) continue;
      const index = indexes.get(derived) ?? order.push(derived) - 1;
      indexes.set(derived, index);
      targets.set(index, [...(targets.get(index) ?? []), set]);
    }
    if (order.length > STATES_MAX || terms.full) return undefined;
    states.push({
      isEnd: terms.isNullable(id),
      edges: [...targets].map(([to, sets]) => ({ set: characters(...sets), to })),
    });
  }
  return states;
}

function prune(states: readonly State[]): readonly State[] {
  const before = states.map((): number[] => []);
  for (const [from, { edges }] of states.entries()) for (const { to } of edges) before[to]?.push(from);
  const living = new Set(states.flatMap(({ isEnd }, index) => (isEnd ? [index] : [])));
  for (const index of living) for (const from of before[index] ?? []) living.add(from);
  if (!living.has(0)) return [];
  const numbers = new Map([...living].toSorted((left, right) => left - right).map((old, index) => [old, index]));
  return states.flatMap(({ isEnd, edges }, index) => {
    if (!living.has(index)) return [];
    const kept = edges.flatMap(({ set, to }) => {
      const number = numbers.get(to);
      return number === undefined ? [] : [{ set, to: number }];
    });
    return [{ isEnd, edges: kept }];
  });
}
