/**
 * S5: equal inputs give an equal ranked list. The record of a placement shows every node's cost, share and rank but not
 * the raw figures, so four things are judged. 1. The production `place` is run again on stand-ins with the costs
 * of the record, in ascending, descending and shuffled order: all three must agree. 2. The list follows its own record:
 * nodes under the level before the others, none refused or twice. 3. Lists of one request follow one order: a node
 * that went before another still does when its weight against the other's did not fall (rendezvous hashing). 4. What a
 * busy answer told is in the costs of the next placements (`s5-busy-answers.ts`).
 * Not covered: what a second node would have answered to the same request, because no request is asked of two.
 */
import { type Hash64, hash64, utf8 } from '../../src/bytes.ts';
import { compareIds, type NodeId } from '../../src/ids.ts';
import type { DispatchPlan } from '../../src/node/events.ts';
import { PLACEMENT } from '../../src/params.ts';
import { place, prepare } from '../../src/placement/place.ts';
import type { Candidate } from '../../src/placement/placement.ts';
import { Prng } from '../../src/prng.ts';
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { BusyAnswers } from './s5-busy-answers.ts';

type Placed = Extract<WorldEvent, { type: 'placed' }>;
type Row = DispatchPlan['explain']['considered'][number];

/** Requests whose last list is remembered; the oldest makes room. Source: guess: more than live at once. */
const REQUESTS_MAX = 8_192;
/** One placement in this many is run again. Source: guess: running three times is dearer than the run itself. */
const AGAIN_EVERY = 8;

/** What placement makes of these candidates, as a text to compare. */
type Rank = (candidates: readonly Candidate[], key: Hash64) => string;

class EqualInputs implements Checker {
  readonly #breaches: Breaches;
  readonly #rank: Rank;
  readonly #prng: Prng;
  readonly #busyAnswers: BusyAnswers;
  readonly #last = new Map<string, DispatchPlan>();
  #placements = 0;

  constructor(context: CheckContext, rank: Rank) {
    this.#breaches = new Breaches(context);
    this.#rank = rank;
    this.#prng = new Prng(`equal inputs/${context.scenario.name}`);
    this.#busyAnswers = new BusyAnswers(context, this.#breaches);
  }

  observe(event: WorldEvent, atMs: number): void {
    this.#busyAnswers.observe(event, atMs);
    if (event.type === 'request-ended') this.#last.delete(event.requestId);
    if (event.type !== 'placed' || event.plan.ranked.length === 0) return;
    this.#againstItself(event, atMs);
    this.#againstEarlier(event, atMs);
    if (this.#placements % AGAIN_EVERY === 0) this.#again(event, atMs);
    this.#placements += 1;
  }

  finish(): void {
    // Everything is judged as it happens.
  }

  #againstItself(event: Placed, atMs: number): void {
    const { ranked, explain } = event.plan;
    if (new Set(ranked).size !== ranked.length)
      this.#add('twice', event, { atMs, detail: `a node twice in ${ranked.join(' ')}` });
    const refused = new Set(explain.refused.map(({ node }) => node));
    const wrong = ranked.find((node) => refused.has(node));
    if (wrong !== undefined) this.#add('refused', event, { atMs, detail: `${wrong} is ranked and refused` });
    const rows = new Map(explain.considered.map((row) => [row.node, row]));
    let fallback: NodeId | undefined;
    for (const node of ranked) {
      const row = rows.get(node);
      if (row === undefined)
        this.#add('unexplained', event, { atMs, detail: `${node} is ranked and not in the record` });
      else if (row.affinity) continue;
      else if (row.weight === 0) fallback = node;
      else if (fallback !== undefined)
        this.#add('tiers', event, { atMs, detail: `${fallback} with weight 0 goes before ${node} with ${row.weight}` });
    }
  }

  #againstEarlier(event: Placed, atMs: number): void {
    const { requestId, plan } = event;
    const earlier = this.#last.get(requestId);
    this.#last.delete(requestId);
    this.#last.set(requestId, plan);
    if (this.#last.size > REQUESTS_MAX) {
      const [oldest] = this.#last.keys();
      if (oldest !== undefined) this.#last.delete(oldest);
    }
    const turned = earlier === undefined ? undefined : turnedPair(earlier, plan);
    if (turned !== undefined) this.#add('order', event, { atMs, detail: turned });
  }

  #again(event: Placed, atMs: number): void {
    const { considered, model } = event.plan.explain;
    if (considered.length < 2) return;
    const ascending = considered
      .map((row) => standIn(row, model))
      .toSorted((left, right) => compareIds(left.node, right.node));
    const key = hash64(utf8(event.requestId));
    const orders = [ascending, ascending.toReversed(), this.#shuffled(ascending)];
    const [first = '', ...others] = orders.map((candidates) => this.#rank(candidates, key));
    const other = others.find((text) => text !== first);
    if (other !== undefined)
      this.#add('again', event, { atMs, detail: `equal candidates in another order: first ${first}, then ${other}` });
  }

  #shuffled(candidates: readonly Candidate[]): readonly Candidate[] {
    return candidates
      .map((candidate) => ({ candidate, draw: this.#prng.nextUint32() }))
      .toSorted((left, right) => left.draw - right.draw)
      .map(({ candidate }) => candidate);
  }

  #add(kind: string, { node, requestId }: Placed, what: { readonly atMs: number; readonly detail: string }): void {
    this.#breaches.add(kind, { ...what, nodes: [node], requestId });
  }
}

function rankAsNodesDo(candidates: readonly Candidate[], keyHash: Hash64): string {
  const [first] = candidates;
  if (first === undefined) return 'nobody';
  const prepared = prepare(candidates, { arrivalsPerKs: 1_000, viewAgeMs: 1_000 });
  const request = { keyHash, model: first.model, promptTokens: 0, answerTokens: 1, excluded: new Set<NodeId>() };
  const placement = place(request, prepared, PLACEMENT);
  return placement.type === 'placed' ? `${placement.levelMs} ms: ${placement.ranked.join(' ')}` : 'impossible';
}

/** Two nodes under the level in both lists that changed places although the weights give no reason to. */
function turnedPair(earlier: DispatchPlan, later: DispatchPlan): string | undefined {
  const before = weightedRanks(earlier);
  const after = weightedRanks(later);
  for (const [index, first] of before.entries()) {
    const firstAfter = after.find(({ node }) => node === first.node);
    if (firstAfter === undefined) continue;
    for (const second of before.slice(index + 1)) {
      const secondAfter = after.find(({ node }) => node === second.node);
      if (secondAfter === undefined || secondAfter.rank > firstAfter.rank) continue;
      if (firstAfter.weight * second.weight < first.weight * secondAfter.weight) continue;
      return `${first.node} (weight ${first.weight}) before ${second.node} (${second.weight}), later after it (${firstAfter.weight} and ${secondAfter.weight})`;
    }
  }
  return undefined;
}

function weightedRanks({ ranked, explain }: DispatchPlan): { node: NodeId; rank: number; weight: number }[] {
  const rows = new Map(explain.considered.map((row) => [row.node, row]));
  return ranked.flatMap((node, rank) => {
    const row = rows.get(node);
    return row === undefined || row.affinity || row.weight === 0 ? [] : [{ node, rank, weight: row.weight }];
  });
}

/** A candidate whose cost is that of the row: all of it as time to make the model ready. */
function standIn(row: Row, model: Candidate['model']): Candidate {
  return {
    node: row.node,
    model,
    alive: true,
    usable: true,
    contextTokens: 0,
    slots: 1,
    busy: 0,
    queued: 0,
    ownInFlight: 0,
    slotMs: 1_000,
    prefillUsPerToken: 0,
    decodeMs: 0,
    loadMs: row.costMs,
    rttMs: 0,
    correctionPerMille: 1_000,
    reliabilityPerMille: 1_000,
    priceMs: 0,
    ageMs: 0,
  };
}

/** With another way to rank in place of the production one. */
export function equalInputs(rank: Rank): CheckerKind {
  return {
    id: 'S5',
    promise: 'equal views and an equal request give an equal ranked list, in whatever order things arrived',
    when: 'always',
    create: (context) => new EqualInputs(context, rank),
  };
}

export const equalInputsEqualLists = equalInputs(rankAsNodesDo);
