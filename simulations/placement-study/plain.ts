/**
 * The usual strategies, each on a delayed view of its own: random, random by throughput, fewest requests, least expected
 * time, two choices, weighted rendezvous by conversation. A machine serves first come, first served and measures its own
 * rates with the meter that real nodes use. Two ways to take a refusal: none (every queue is endless), or "busy, ask the
 * next": a node without a free slot refuses, and after `TRIES` refusals the one that told the least wait must queue it.
 */
import { hash64, utf8 } from '../../src/bytes.ts';
import type { ModelLoad } from '../../src/gossip/message.ts';
import { LoadMeter } from '../../src/inference/load-meter.ts';
import { type HashedNodes, rankRows, scrambleNode, WEIGHT_MAX } from '../../src/placement/rendezvous.ts';
import type { RandomStream } from '../kernel/kernel-port.ts';
import { SeededRandom } from '../kernel/keyed-random.ts';
import { Beacons } from './beacons.ts';
import type { Message } from './demand.ts';
import { Machine, type Run } from './machine.ts';
import { modelOf } from './names.ts';
import type { Running, Site, Strategy } from './world.ts';

const TRIES = 4;
const MODEL = modelOf('study');

/** What a ranking may use: the load of each node as the entrance sees it. */
interface View {
  readonly loads: readonly ModelLoad[];
  readonly rttMs: (node: number) => number;
  readonly slots: (node: number) => number;
  readonly hashes: HashedNodes;
  readonly random: RandomStream;
}

/** The nodes to ask, best first, at most `TRIES`. */
type Ranking = (message: Message, view: View) => readonly number[];

const RANKINGS: readonly (readonly [name: string, rank: Ranking])[] = [
  ['random', (_, view) => drawn(view, () => 1)],
  ['random by speed', (_, view) => drawn(view, (load) => 1 / load.slotMs)],
  ['least loaded', (_, view) => lowest(view, (load) => load.busy + load.queued)],
  ['least expected wait', (message, view) => lowest(view, (load, node) => expectedMs(message, view, { load, node }))],
  [
    'two choices',
    (_, view) =>
      pairs(
        view,
        () => 1,
        (load) => load.busy + load.queued,
      ),
  ],
  [
    'two choices, weighted',
    (message, view) =>
      pairs(
        view,
        (load) => 1 / load.slotMs,
        (load, node) => expectedMs(message, view, { load, node }),
      ),
  ],
  ['weighted rendezvous', rendezvous],
];

export const PLAIN_STRATEGIES: readonly Strategy[] = RANKINGS.flatMap(([name, rank]) => [
  { name, start: (site) => new Plain(site, { rank, bounces: false }) },
  { name: `${name}, busy -> next`, start: (site) => new Plain(site, { rank, bounces: true }) },
]);

interface Door {
  readonly machine: Machine;
  readonly meter: LoadMeter;
  readonly queue: Message[];
}

class Plain implements Running {
  readonly machines: readonly Machine[];
  readonly #site: Site;
  readonly #how: { readonly rank: Ranking; readonly bounces: boolean };
  readonly #doors: readonly Door[];
  readonly #beacons: Beacons;
  readonly #hashes: HashedNodes;
  readonly #random = new SeededRandom('placement/plain').stream('draws');

  constructor(site: Site, how: { readonly rank: Ranking; readonly bounces: boolean }) {
    this.#site = site;
    this.#how = how;
    const { agenda, demand, beaconMs, liars } = site;
    this.#doors = demand.machines.map((spec, node) => {
      const listener = {
        firstToken: (run: Run): void => this.#firstToken(node, run),
        ended: (run: Run): void => this.#ended(node, run),
      };
      return { machine: new Machine(spec, agenda, listener), meter: new LoadMeter(), queue: [] };
    });
    this.machines = this.#doors.map(({ machine }) => machine);
    const scrambled = demand.machines.map(({ node }) => scrambleNode(node));
    this.#hashes = {
      low: Int32Array.from(scrambled, ({ low }) => low),
      high: Int32Array.from(scrambled, ({ high }) => high),
    };
    this.#beacons = new Beacons({ agenda, demand, beaconMs, liars, loadOf: (node) => this.#loadOf(node) });
  }

  arrived(message: Message): void {
    const { machines } = this.#site.demand;
    const view: View = {
      loads: machines.map((_, node) => this.#beacons.visible(node, message.ingress).load),
      rttMs: (node) => this.#rttMs(message, node),
      slots: (node) => machines[node]?.slots ?? 1,
      hashes: this.#hashes,
      random: this.#random,
    };
    this.#ask(message, { ranked: this.#how.rank(message, view), place: 0, waits: [] });
  }

  #ask(
    message: Message,
    list: { readonly ranked: readonly number[]; readonly place: number; readonly waits: readonly number[] },
  ): void {
    const { agenda, tally, liars } = this.#site;
    const { ranked, place, waits } = list;
    const mustTake = place >= ranked.length;
    const node = ranked[mustTake ? waits.indexOf(Math.min(...waits)) : place] ?? 0;
    const wayMs = this.#rttMs(message, node) / 2;
    agenda.at(agenda.nowMs + wayMs, () => {
      tally.offered(node, agenda.nowMs);
      const door = this.#doors[node];
      if (door === undefined) throw new Error(`there is no node ${node}`);
      const isFree = door.machine.busy < door.machine.spec.slots;
      if (isFree) door.machine.start(message);
      else if (mustTake || !this.#how.bounces || liars.has(node)) door.queue.push(message);
      else {
        tally.bounced(message);
        const { queued, slotMs } = this.#loadOf(node);
        const next = { ranked, place: place + 1, waits: [...waits, (queued + 1) * slotMs] };
        agenda.at(agenda.nowMs + wayMs, () => this.#ask(message, next));
      }
    });
  }

  #firstToken(node: number, run: Run): void {
    const { agenda, tally } = this.#site;
    const { message, startedAtMs, cachedTokens } = run;
    const door = this.#doors[node];
    const times = { newTokens: message.promptTokens - cachedTokens, elapsedMs: agenda.nowMs - startedAtMs };
    door?.meter.firstToken(MODEL, { ...times, busy: door.machine.busy }, agenda.nowMs);
    tally.firstToken(message, agenda.nowMs + this.#rttMs(message, node) / 2, cachedTokens);
  }

  #ended(node: number, run: Run): void {
    const door = this.#doors[node];
    const { nowMs } = this.#site.agenda;
    if (door === undefined) return;
    const times = { serviceMs: nowMs - run.startedAtMs, decodeMs: nowMs - (run.firstTokenAtMs ?? nowMs) };
    door.meter.ended(MODEL, { ...times, completionTokens: run.message.answerTokens }, nowMs);
    const next = door.queue.shift();
    if (next !== undefined) door.machine.start(next);
  }

  #loadOf(node: number): ModelLoad {
    const door = this.#doors[node];
    if (door === undefined) throw new Error(`there is no node ${node}`);
    const { machine, meter, queue } = door;
    const occupancy = { busy: machine.busy, queued: queue.length, slots: machine.spec.slots };
    return meter.load(MODEL, occupancy, Math.floor(this.#site.agenda.nowMs));
  }

  #rttMs({ ingress }: Message, node: number): number {
    const { rttMs, machines } = this.#site.demand;
    return rttMs[ingress * machines.length + node] ?? 0;
  }
}

function expectedMs(message: Message, view: View, { load, node }: { load: ModelLoad; node: number }): number {
  const backlog = Math.max(0, load.busy + load.queued + 1 - view.slots(node));
  const prefillMs = (load.prefillUsPerToken * message.promptTokens) / 1_000;
  return view.rttMs(node) + backlog * load.slotMs + prefillMs + load.decodeMs;
}

/** Without putting back. */
function drawn({ loads, random }: View, weightOf: (load: ModelLoad) => number): readonly number[] {
  const weights = loads.map(weightOf);
  const taken: number[] = [];
  while (taken.length < Math.min(TRIES, weights.length)) {
    let aim = random.ratio() * weights.reduce((sum, weight) => sum + weight, 0);
    let node = weights.findIndex((weight) => (aim -= weight) < 0);
    // Rounding at the very end of the line.
    if (node < 0) node = weights.findLastIndex((weight) => weight > 0);
    weights[node] = 0;
    taken.push(node);
  }
  return taken;
}

/** Equals in random order: all entrances would pick the same one otherwise. */
function lowest({ loads, random }: View, costOf: (load: ModelLoad, node: number) => number): readonly number[] {
  const start = random.below(loads.length);
  const order = loads.map((load, node) => ({
    node,
    cost: costOf(load, node),
    turn: (node - start + loads.length) % loads.length,
  }));
  return order
    .toSorted((left, right) => left.cost - right.cost || left.turn - right.turn)
    .slice(0, TRIES)
    .map(({ node }) => node);
}

/** The better of two drawn ones, then the other, then the better of two further ones, then the other. */
function pairs(
  view: View,
  weightOf: (load: ModelLoad) => number,
  costOf: (load: ModelLoad, node: number) => number,
): readonly number[] {
  const cost = (node: number): number => {
    const load = view.loads[node];
    return load === undefined ? Infinity : costOf(load, node);
  };
  const [first = 0, second = first, third = first, fourth = third] = drawn(view, weightOf);
  const better = (left: number, right: number): number[] => (cost(left) <= cost(right) ? [left, right] : [right, left]);
  return [...better(first, second), ...better(third, fourth)];
}

function rendezvous(message: Message, { loads, hashes }: View): readonly number[] {
  const weights = Int32Array.from(loads, ({ slotMs }) => Math.max(1, Math.min(WEIGHT_MAX, Math.floor(1e7 / slotMs))));
  const key = hash64(utf8(`conversation/${message.conversation}`));
  return rankRows({ key, nodes: hashes, rows: Int32Array.from(weights.keys()), weights, limit: TRIES });
}
