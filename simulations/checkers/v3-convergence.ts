/**
 * V3: once the world is whole, views become equal and complete within 2T + 5 s, and who joins can be used at once. 1. Counted from
 * the healing, or from the last coming or going after it: in one round of samples by then, all live nodes that can talk
 * to most others show the same view hash and take exactly those for alive. That moment is enough: what happens to
 * views later is V2's business. 2. The first sample of a process 3 s after its start holds every settled node, and is not
 * stale; the same for one that was away for longer than `sleptAfterMs`, once it had the time to notice which links are dead.
 * 3. Everybody who is connected exchanges views now and then (`v3-exchanges.ts`).
 * Not covered: joiners that were struck, or for which no settled bootstrap node could be reached, and what they must
 * hold leaves out nodes that were touched lately or that they cannot reach.
 */
import { LIVENESS } from '../../src/params.ts';
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import { type NodeSample, SAMPLE_INTERVAL_MS, type WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { Calm, endMs, struckNodes } from './calm.ts';
import { scenarioIntervalMs } from './load-interval.ts';
import { Presence } from './presence.ts';
import { Exchanges } from './v3-exchanges.ts';

/** Source: the promise: two beacons and this. */
export const CONVERGED_MS = 5_000;
/** Source: the promise says two round trips and the checks; this is a few of the slowest, dialling included. */
export const USABLE_MS = 3_000;
/** For who comes back: its links may all be dead. Source: computed: a silence, and then as for one that joins. */
export const BACK_MS = LIVENESS.suspectAfterMs + USABLE_MS;

interface Joiner {
  readonly atMs: number;
  readonly dueMs: number;
  readonly what: 'start' | 'return';
}

interface Seen {
  readonly atMs: number;
  readonly sample: NodeSample;
}

class Convergence implements Checker {
  readonly #context: CheckContext;
  readonly #breaches: Breaches;
  readonly #calm: Calm;
  readonly #presence: Presence;
  readonly #exchanges: Exchanges;
  readonly #limitMs: number;
  readonly #seen: (Seen | undefined)[] = [];
  /** Who began, or came back, and had no sample in time since. */
  readonly #joining = new Map<number, Joiner>();
  #healed = false;
  /** From when on the views have to become equal; undefined = they did, or nothing is due. */
  #dueFromMs: number | undefined;
  #roundAtMs = 0;

  constructor(context: CheckContext) {
    const { nodes } = context.scenario;
    this.#context = context;
    this.#breaches = new Breaches(context);
    this.#calm = new Calm(context.plan, nodes);
    this.#presence = new Presence(nodes);
    this.#exchanges = new Exchanges(context, this.#breaches);
    this.#limitMs = 2 * scenarioIntervalMs(context.scenario) + CONVERGED_MS;
  }

  observe(event: WorldEvent, atMs: number): void {
    this.#exchanges.observe(event, atMs);
    this.#closeRounds(atMs);
    if (event.type === 'resumed' && atMs - this.#presence.sinceMs(event.node) > LIVENESS.sleptAfterMs)
      this.#joining.set(event.node, { atMs, dueMs: atMs + BACK_MS, what: 'return' });
    this.#presence.observe(event, atMs);
    switch (event.type) {
      case 'healed':
        this.#healed = true;
        this.#restart(atMs);
        return;
      case 'started':
        this.#joining.set(event.node, { atMs, dueMs: atMs + USABLE_MS, what: 'start' });
        this.#restart(atMs);
        return;
      case 'stopped':
        this.#joining.delete(event.node);
        this.#restart(atMs);
        return;
      case 'resumed':
        this.#restart(atMs);
        return;
      case 'sampled':
        this.#seen[event.node] = { atMs, sample: event.sample };
        return this.#judgeJoiner(event.node, event.sample, atMs);
      default:
    }
  }

  finish(atMs: number): void {
    this.#closeRounds(atMs + 1);
  }

  #restart(atMs: number): void {
    if (!this.#healed) return;
    this.#dueFromMs = atMs;
    this.#roundAtMs = atMs;
  }

  /** A round is an interval in which every node was looked at once. */
  #closeRounds(atMs: number): void {
    while (this.#dueFromMs !== undefined && this.#roundAtMs + SAMPLE_INTERVAL_MS < atMs) {
      const fromMs = this.#roundAtMs;
      this.#roundAtMs += SAMPLE_INTERVAL_MS;
      if (this.#isEqual(fromMs)) this.#dueFromMs = undefined;
      // The first round that lies wholly behind the time limit is the last one.
      else if (fromMs >= this.#dueFromMs + this.#limitMs) this.#unequal(fromMs, this.#dueFromMs);
    }
  }

  #isEqual(fromMs: number): boolean {
    const hashes = new Set<number>();
    for (let node = 0; node < this.#context.truth.nodes; node += 1) {
      if (!this.#presence.isUp(node)) continue;
      const seen = this.#seen[node];
      if (seen === undefined || seen.atMs < fromMs || seen.sample.alive !== this.#presence.upCount) return false;
      hashes.add(seen.sample.viewHash);
      if (hashes.size > 1) return false;
    }
    return true;
  }

  #unequal(fromMs: number, dueFromMs: number): void {
    this.#dueFromMs = undefined;
    const nodes = this.#sociable();
    const byHash = new Map<string, number[]>();
    for (const node of nodes) {
      const seen = this.#seen[node];
      const isFresh = seen !== undefined && seen.atMs >= fromMs;
      const name = isFresh ? `${seen.sample.viewHash} (${seen.sample.alive} alive)` : 'no sample';
      byHash.set(name, [...(byHash.get(name) ?? []), node]);
    }
    const groups = [...byHash].toSorted(([, left], [, right]) => right.length - left.length);
    const [first] = groups;
    if (first === undefined) return;
    if (groups.length === 1 && this.#seen[nodes[0] ?? 0]?.sample.alive === nodes.length) return;
    const others = groups.slice(1).flatMap(([, group]) => group);
    const detail = `${groups.length} different views of ${nodes.length} nodes ${fromMs - dueFromMs} ms after the last change in a whole world, one promised within ${this.#limitMs} ms; n${first[1][0]} and ${first[1].length - 1} more hold ${first[0]}`;
    this.#breaches.add('views', { atMs: fromMs, nodes: (others.length > 0 ? others : nodes).slice(0, 16), detail });
  }

  /** Live nodes that can talk to most of the others. */
  #sociable(): number[] {
    const { truth } = this.#context;
    const up = Array.from({ length: truth.nodes }, (_, node) => node).filter((node) => this.#presence.isUp(node));
    return up.filter((node) => {
      const reached = up.filter((other) => other === node || truth.canTalk(node, other)).length;
      return 2 * reached > up.length;
    });
  }

  #judgeJoiner(node: number, sample: NodeSample, atMs: number): void {
    const joiner = this.#joining.get(node);
    if (joiner === undefined || atMs < joiner.dueMs) return;
    this.#joining.delete(node);
    const startedAtMs = joiner.atMs;
    // The fault that took it away ended when it started; what else touched it counts.
    const isStruck = this.#context.plan.some(
      (fault) => fault.atMs <= atMs && endMs(fault) > startedAtMs && struckNodes(fault).includes(node),
    );
    const known = sample.alive + sample.suspect;
    const settled = this.#settledFor(node, startedAtMs, atMs);
    const needed = settled.length + 1;
    if (isStruck || !settled.some((other) => other < this.#context.scenario.bootstraps)) return;
    if (known >= needed && !sample.isStale) return;
    const detail = `${atMs - startedAtMs} ms after its ${joiner.what} it knows ${known} nodes${sample.isStale ? ' and is stale' : ''}, at least ${needed} promised`;
    this.#breaches.add('joiner', { atMs, nodes: [node], detail });
  }

  /** Nodes that everybody knew before it started, and that it could reach all the time. */
  #settledFor(joiner: number, startedAtMs: number, atMs: number): number[] {
    const settled: number[] = [];
    for (let node = 0; node < this.#context.truth.nodes; node += 1) {
      if (node === joiner || !this.#presence.isUpSince(node, startedAtMs - this.#limitMs)) continue;
      if (this.#calm.isCalm(node, startedAtMs - this.#limitMs, atMs) && this.#context.truth.canTalk(joiner, node))
        settled.push(node);
    }
    return settled;
  }
}

export const viewsConverge: CheckerKind = {
  id: 'V3',
  promise:
    'all live nodes hold equal views within 2T + 5 s of a whole world, a joiner holds the mesh after 3 s, and all exchange views',
  when: 'after-healing',
  create: (context) => new Convergence(context),
};
