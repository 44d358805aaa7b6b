/**
 * How did requests fare? Folds their events into counts, times and failovers, in bounded room. What a client feels
 * decides: a time to first token belongs to the moment of that token, a failover's gap is the pause between the last
 * text before and the first text after it, without the time in which the client's own machine slept, and `refused` means
 * a failure that surely ran nothing (`isDefinite`).
 * The crowding of a window is the greatest ratio, over the nodes, of first tries that came to those that the
 * placements themselves meant for it. It shows chance too; whether nodes herd is V7's to judge, whose herd index takes the
 * shares of ten windows and leaves chance out. Limits: 65,536 open requests, beyond them results count and times do not;
 * 1,000 failovers are listed, all are counted. Source: ours.
 */
import { isDefinite } from '../../src/errors.ts';
import type { NodeId } from '../../src/ids.ts';
import { AwakeTime } from './awake-time.ts';
import { type Quantiles, rounded, Sketch } from './sketch.ts';
import type { Timeline } from './timeline.ts';
import type { WorldEvent } from '../world-event.ts';

const OPEN_MAX = 65_536;
const FAILOVERS_MAX = 1_000;
/** How long a picture of the load is believed, about. Source: guess; the cadence of load beacons in a small mesh. */
const CROWDING_WINDOW_MS = 2_000;
/** Below this many expected requests chance alone makes crowds. Source: guess. */
const CROWDING_EXPECTED_MIN = 3;

export interface FailoverRow {
  readonly requestId: string;
  /** Where the request entered. */
  readonly node: number;
  readonly atMs: number;
  readonly from: number;
  readonly to: number;
  /** Why the try before ended. */
  readonly code: string;
  /** Tokens that the client had: 0 = nothing was read yet. */
  readonly resumedAt: number;
  /** Undefined: no text came any more. */
  readonly gapMs: number | undefined;
}

export interface RequestSummary {
  readonly arrived: number;
  /** Arrived where no node that could serve them was up and reachable, by truth. */
  readonly infeasible: number;
  readonly answered: number;
  readonly failed: number;
  readonly refused: number;
  readonly clientGone: number;
  readonly nodeLost: number;
  /** Neither ended nor given up when the run was over. */
  readonly unfinished: number;
  readonly failedByCode: Readonly<Record<string, number>>;
  readonly refusedByCode: Readonly<Record<string, number>>;
  readonly tokens: number;
  readonly timeToFirstTokenMs: Quantiles | undefined;
  /** What a scheduler that knows everything would have reached for the same requests, where one was asked. */
  readonly omniscientMs?: Quantiles;
  readonly triesPerRequest: Quantiles | undefined;
  readonly busyAnswers: number;
  readonly failovers: number;
  readonly failoversMidAnswer: number;
  /** Of those in the middle of an answer. */
  readonly failoverGapMs: Quantiles | undefined;
  readonly crowding: Quantiles | undefined;
}

export interface RequestMetricsOptions {
  readonly timeline: Timeline;
  readonly nodes: number;
  readonly nodeOf: (id: NodeId) => number | undefined;
  readonly omniscientMs?: ((event: Arrival, atMs: number) => number | undefined) | undefined;
}

export type Arrival = Extract<WorldEvent, { type: 'request-arrived' }>;
type TryStart = Extract<WorldEvent, { type: 'try-started' }>;
type TryEnd = Extract<WorldEvent, { type: 'try-ended' }>;
type End = Extract<WorldEvent, { type: 'request-ended' }>;
type Text = Extract<WorldEvent, { type: 'text' }>;
type Placed = Extract<WorldEvent, { type: 'placed' }>;

interface Open {
  /** When it arrived, and when text last came, by the time that its machine was awake. */
  readonly arrivedAtMs: number;
  readonly omniscientMs: number | undefined;
  tries: number;
  isPlaced: boolean;
  lastTextAtMs: number | undefined;
  lost: { readonly server: number; readonly code: string } | undefined;
  failover: Writable<FailoverRow> | undefined;
}

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

export class RequestMetrics {
  readonly #options: RequestMetricsOptions;
  readonly #open = new Map<string, Open>();
  readonly #awake: AwakeTime;
  readonly #failed = new Map<string, number>();
  readonly #refused = new Map<string, number>();
  readonly #counts = { arrived: 0, infeasible: 0, answered: 0, failed: 0, refused: 0, clientGone: 0, nodeLost: 0 };
  #ended = 0;
  #tokens = 0;
  #busy = 0;
  #failovers = 0;
  #failoversMidAnswer = 0;
  readonly #rows: FailoverRow[] = [];
  readonly #firstToken = new Sketch();
  readonly #omniscient = new Sketch();
  readonly #tries = new Sketch();
  readonly #gaps = new Sketch();
  readonly #crowding: Crowding;
  readonly columns;

  constructor(options: RequestMetricsOptions) {
    const { timeline } = options;
    this.#options = options;
    this.#awake = new AwakeTime(options.nodes);
    this.#crowding = new Crowding(timeline, options.nodes);
    this.columns = {
      arrived: timeline.sum(),
      answered: timeline.sum(),
      failed: timeline.sum(),
      refused: timeline.sum(),
      failovers: timeline.sum(),
      busy: timeline.sum(),
      inFlight: timeline.peak(),
      firstTokenMs: timeline.spread(),
      omniscientMs: timeline.spread(),
      crowding: this.#crowding.column,
    };
  }

  /** The machine of this node sleeps, and whoever sits at it waits for nothing. */
  fellAsleep(node: number, atMs: number): void {
    this.#awake.fellAsleep(node, atMs);
  }

  woke(node: number, atMs: number): void {
    this.#awake.woke(node, atMs);
  }

  get failovers(): readonly FailoverRow[] {
    return this.#rows;
  }

  arrived(event: Arrival, atMs: number): void {
    this.#counts.arrived += 1;
    if (event.feasible === 0) this.#counts.infeasible += 1;
    this.columns.arrived.add(atMs);
    if (this.#open.size < OPEN_MAX)
      this.#open.set(event.requestId, {
        arrivedAtMs: this.#awake.at(event.node, atMs),
        omniscientMs: this.#options.omniscientMs?.(event, atMs),
        tries: 0,
        isPlaced: false,
        lastTextAtMs: undefined,
        lost: undefined,
        failover: undefined,
      });
    this.looked(atMs);
  }

  /** The first plan of a request counts: a second one is meant for what the first left over. */
  placed(event: Placed, atMs: number): void {
    const open = this.#open.get(event.requestId);
    if (open === undefined || open.isPlaced) return;
    open.isPlaced = true;
    for (const row of event.plan.explain.considered) {
      const node = this.#options.nodeOf(row.node);
      if (node !== undefined) this.#crowding.expect(node, row.sharePerMille / 1_000, atMs);
    }
  }

  tryStarted(event: TryStart, atMs: number): void {
    const open = this.#open.get(event.requestId);
    if (open === undefined) return;
    open.tries += 1;
    if (open.tries === 1 && open.isPlaced) this.#crowding.came(event.server, atMs);
    if (open.lost === undefined) return;
    const { server: from, code } = open.lost;
    const { requestId, node, server: to, resumedAt } = event;
    open.lost = undefined;
    open.failover = { requestId, node, atMs, from, to, code, resumedAt, gapMs: undefined };
    this.#failovers += 1;
    if (resumedAt > 0) this.#failoversMidAnswer += 1;
    this.columns.failovers.add(atMs);
    if (this.#rows.length < FAILOVERS_MAX) this.#rows.push(open.failover);
  }

  tryEnded(event: TryEnd, atMs: number): void {
    if (event.outcome === 'busy') {
      this.#busy += 1;
      this.columns.busy.add(atMs);
    }
    if (event.outcome !== 'failed') return;
    const open = this.#open.get(event.requestId);
    if (open !== undefined) open.lost = { server: event.server, code: event.code };
  }

  text(event: Text, atMs: number): void {
    const open = this.#open.get(event.requestId);
    if (open === undefined || event.tokens === 0) return;
    const awakeMs = this.#awake.at(event.node, atMs);
    if (open.lastTextAtMs === undefined) this.#firstTokenSeen(open, awakeMs - open.arrivedAtMs, atMs);
    if (open.failover !== undefined) {
      const gapMs = awakeMs - (open.lastTextAtMs ?? open.arrivedAtMs);
      open.failover.gapMs = gapMs;
      if (open.failover.resumedAt > 0) this.#gaps.add(gapMs);
      open.failover = undefined;
    }
    open.lastTextAtMs = awakeMs;
  }

  ended(event: End, atMs: number): void {
    const open = this.#open.get(event.requestId);
    this.#ended += 1;
    this.#tokens += event.tokens;
    if (open !== undefined) this.#tries.add(open.tries);
    this.#open.delete(event.requestId);
    this.#count(event, atMs);
  }

  /** How many are open now, so that quiet buckets show it too. */
  looked(atMs: number): void {
    this.columns.inFlight.add(atMs, this.#counts.arrived - this.#ended);
  }

  finish(): void {
    this.#crowding.close();
  }

  summary(): RequestSummary {
    const omniscientMs = this.#omniscient.quantiles();
    return {
      ...this.#counts,
      unfinished: this.#counts.arrived - this.#ended,
      failedByCode: sorted(this.#failed),
      refusedByCode: sorted(this.#refused),
      tokens: this.#tokens,
      timeToFirstTokenMs: this.#firstToken.quantiles(),
      ...(omniscientMs === undefined ? {} : { omniscientMs }),
      triesPerRequest: this.#tries.quantiles(),
      busyAnswers: this.#busy,
      failovers: this.#failovers,
      failoversMidAnswer: this.#failoversMidAnswer,
      failoverGapMs: this.#gaps.quantiles(),
      crowding: this.#crowding.quantiles(),
    };
  }

  #firstTokenSeen(open: Open, tookMs: number, atMs: number): void {
    this.#firstToken.add(tookMs);
    this.columns.firstTokenMs.add(atMs, tookMs);
    if (open.omniscientMs === undefined) return;
    this.#omniscient.add(open.omniscientMs);
    this.columns.omniscientMs.add(atMs, open.omniscientMs);
  }

  #count({ result, failure }: End, atMs: number): void {
    switch (result) {
      case 'answered':
        this.#counts.answered += 1;
        this.columns.answered.add(atMs);
        break;
      case 'client-gone':
        this.#counts.clientGone += 1;
        break;
      case 'node-lost':
        this.#counts.nodeLost += 1;
        break;
      case 'failed': {
        const code = failure?.code ?? 'internal';
        const kind = isDefinite(code) ? 'refused' : 'failed';
        const byCode = kind === 'refused' ? this.#refused : this.#failed;
        byCode.set(code, (byCode.get(code) ?? 0) + 1);
        this.#counts[kind] += 1;
        this.columns[kind].add(atMs);
        break;
      }
    }
  }
}

/** Windows follow each other; one without a request has no index. */
class Crowding {
  readonly column;
  readonly #expected: Float64Array;
  readonly #came: Float64Array;
  readonly #sketch = new Sketch(0.01);
  #window = -1;

  constructor(timeline: Timeline, nodes: number) {
    this.column = timeline.peak();
    this.#expected = new Float64Array(nodes);
    this.#came = new Float64Array(nodes);
  }

  expect(node: number, share: number, atMs: number): void {
    this.#turn(atMs);
    this.#expected[node] = (this.#expected[node] ?? 0) + share;
  }

  came(node: number, atMs: number): void {
    this.#turn(atMs);
    this.#came[node] = (this.#came[node] ?? 0) + 1;
  }

  quantiles(): Quantiles | undefined {
    return this.#sketch.quantiles();
  }

  close(): void {
    let worst = 0;
    for (const [node, came] of this.#came.entries())
      worst = Math.max(worst, came / Math.max(CROWDING_EXPECTED_MIN, this.#expected[node] ?? 0));
    if (worst > 0) {
      this.#sketch.add(worst);
      this.column.add(this.#window * CROWDING_WINDOW_MS, rounded(worst));
    }
    this.#came.fill(0);
    this.#expected.fill(0);
  }

  #turn(atMs: number): void {
    const window = Math.floor(atMs / CROWDING_WINDOW_MS);
    if (window === this.#window) return;
    this.close();
    this.#window = window;
  }
}

function sorted(counts: ReadonlyMap<string, number>): Readonly<Record<string, number>> {
  return Object.fromEntries([...counts].toSorted(([left], [right]) => (left < right ? -1 : 1)));
}
