/**
 * What does a run come to in figures? Folds the trace into a bounded summary, bounded time series and the strips of the
 * nodes, while the run goes on, so that no trace has to be kept. The parts count requests, load and membership; this
 * file sends each event where it belongs and reads the columns out. Gossip that is judged is the most frequent event
 * and is left alone. Limits: 300 buckets, see `timeline.ts`. Source: ours.
 */
import type { NodeId } from '../../src/ids.ts';
import { LoadMetrics, type LoadSummary } from './metrics-load.ts';
import type { FallRow } from './falls.ts';
import { MembershipMetrics, type MembershipSummary, type PathTruth } from './metrics-membership.ts';
import { type Arrival, type FailoverRow, RequestMetrics, type RequestSummary } from './metrics-requests.ts';
import type { NodeStrip } from './node-strips.ts';
import { rounded } from './sketch.ts';
import { type Spread, type Tally, Timeline } from './timeline.ts';
import { SAMPLE_INTERVAL_MS, type WorldEvent } from '../world-event.ts';

export interface MetricsOptions {
  readonly nodes: number;
  /** The number of a node that a placement names. */
  readonly nodeOf: (id: NodeId) => number | undefined;
  /** Without it no suspicion is excused by the network. */
  readonly truth?: PathTruth;
  /** What a scheduler that knows everything would need for this request; undefined where nobody can say. */
  readonly omniscientMs?: (event: Arrival, atMs: number) => number | undefined;
}

/** Per bucket; null where nothing was seen. Counts are per bucket, the rest as the names say. */
export interface MetricSeries {
  readonly bucketMs: number;
  readonly columns: Readonly<Record<SeriesName, readonly (number | null)[]>>;
}

export type SeriesName =
  | 'arrived'
  | 'answered'
  | 'failed'
  | 'refused'
  | 'failovers'
  | 'busy'
  | 'inFlight'
  | 'firstTokenMsP50'
  | 'firstTokenMsP90'
  | 'firstTokenMsP99'
  | 'omniscientMsP50'
  | 'omniscientMsP99'
  | 'crowding'
  | 'viewAgeMs'
  | 'viewAgeMsMax'
  | 'gossipBytesPerSecond'
  | 'heartbeatBytesPerSecond'
  | 'requestBytesPerSecond'
  | 'utilisation'
  | 'queuedPerNode'
  | 'connections'
  | 'nodesUp';

export interface MetricSummary {
  readonly durationMs: number;
  readonly requests: RequestSummary;
  readonly membership: MembershipSummary;
  readonly load: LoadSummary;
}

/** Everything that a report keeps of a run. */
export interface MetricsReport {
  readonly summary: MetricSummary;
  readonly series: MetricSeries;
  readonly strips: readonly NodeStrip[];
  readonly falls: readonly FallRow[];
  readonly failovers: readonly FailoverRow[];
}

export class Metrics {
  readonly #timeline = new Timeline();
  readonly #requests: RequestMetrics;
  readonly #load = new LoadMetrics(this.#timeline);
  readonly #membership: MembershipMetrics;
  #endMs = 0;

  constructor({ nodes, nodeOf, truth, omniscientMs }: MetricsOptions) {
    this.#requests = new RequestMetrics({ timeline: this.#timeline, nodes, nodeOf, omniscientMs });
    this.#membership = new MembershipMetrics(nodes, truth);
  }

  observe(event: WorldEvent, atMs: number): void {
    switch (event.type) {
      case 'sampled':
        this.#load.sampled(event.sample, atMs);
        this.#requests.looked(atMs);
        break;
      case 'text':
        this.#requests.text(event, atMs);
        break;
      case 'request-arrived':
        this.#requests.arrived(event, atMs);
        break;
      case 'placed':
        this.#requests.placed(event, atMs);
        break;
      case 'try-started':
        this.#requests.tryStarted(event, atMs);
        break;
      case 'try-ended':
        this.#requests.tryEnded(event, atMs);
        break;
      case 'request-ended':
        this.#requests.ended(event, atMs);
        break;
      default:
        this.#observeNode(event, atMs);
    }
  }

  /** The run is over, or was ended early. */
  finish(atMs: number): void {
    this.#endMs = atMs;
    this.#requests.finish();
    this.#membership.finish(atMs);
  }

  summary(): MetricSummary {
    return {
      durationMs: this.#endMs,
      requests: this.#requests.summary(),
      membership: this.#membership.summary(),
      load: this.#load.summary(),
    };
  }

  series(): MetricSeries {
    const { columns: load } = this.#load;
    const { columns: requests } = this.#requests;
    const perSecond = (column: Tally): Values => this.#ratios(column, load.looks, 1_000 / SAMPLE_INTERVAL_MS);
    return {
      bucketMs: this.#timeline.bucketMs,
      columns: {
        arrived: this.#counts(requests.arrived),
        answered: this.#counts(requests.answered),
        failed: this.#counts(requests.failed),
        refused: this.#counts(requests.refused),
        failovers: this.#counts(requests.failovers),
        busy: this.#counts(requests.busy),
        inFlight: this.#counts(requests.inFlight),
        firstTokenMsP50: this.#quantiles(requests.firstTokenMs, 0.5),
        firstTokenMsP90: this.#quantiles(requests.firstTokenMs, 0.9),
        firstTokenMsP99: this.#quantiles(requests.firstTokenMs, 0.99),
        omniscientMsP50: this.#quantiles(requests.omniscientMs, 0.5),
        omniscientMsP99: this.#quantiles(requests.omniscientMs, 0.99),
        crowding: this.#each((bucket) => requests.crowding.value(bucket) || null),
        viewAgeMs: this.#ratios(load.viewAgeMs, load.looks),
        viewAgeMsMax: this.#each((bucket) => (load.looks.value(bucket) === 0 ? null : load.viewAgeMsMax.value(bucket))),
        gossipBytesPerSecond: perSecond(load.gossip),
        heartbeatBytesPerSecond: perSecond(load.heartbeats),
        requestBytesPerSecond: perSecond(load.requests),
        utilisation: this.#ratios(load.running, load.slots),
        queuedPerNode: this.#ratios(load.queued, load.looks),
        connections: this.#ratios(load.connections, load.looks),
        nodesUp: this.#each((bucket) => this.#nodesUp(bucket)),
      },
    };
  }

  report(): MetricsReport {
    return {
      summary: this.summary(),
      series: this.series(),
      strips: this.#membership.strips(),
      falls: this.#membership.falls,
      failovers: this.#requests.failovers,
    };
  }

  #observeNode(event: WorldEvent, atMs: number): void {
    switch (event.type) {
      case 'verdict':
        this.#membership.verdict(event, atMs);
        break;
      case 'started':
        this.#requests.woke(event.node, atMs);
        this.#membership.started(event.node, atMs);
        break;
      case 'stopped':
        if (event.how === 'suspended') this.#requests.fellAsleep(event.node, atMs);
        this.#membership.stopped(event.node, event.how, atMs);
        break;
      case 'resumed':
        this.#requests.woke(event.node, atMs);
        this.#membership.resumed(event.node, atMs);
        break;
      default:
      // Gossip, connections and single offers are not counted.
    }
  }

  /** Looks come once a second from every node that is up. */
  #nodesUp(bucket: number): number | null {
    const looks = this.#load.columns.looks.value(bucket);
    const { bucketMs } = this.#timeline;
    const coveredMs = Math.min(bucketMs, this.#endMs - bucket * bucketMs);
    return looks === 0 ? null : rounded(looks / Math.max(1, coveredMs / SAMPLE_INTERVAL_MS));
  }

  #counts(column: Tally): Values {
    return this.#each((bucket) => column.value(bucket));
  }

  #ratios(part: Tally, whole: Tally, factor = 1): Values {
    return this.#each((bucket) =>
      whole.value(bucket) === 0 ? null : rounded((part.value(bucket) * factor) / whole.value(bucket)),
    );
  }

  #quantiles(column: Spread, share: number): Values {
    return this.#each((bucket) => {
      const value = column.quantile(bucket, share);
      return value === undefined ? null : rounded(value);
    });
  }

  #each(value: (bucket: number) => number | null): Values {
    return Array.from({ length: this.#timeline.length(this.#endMs) }, (_, bucket) => value(bucket));
  }
}

type Values = readonly (number | null)[];
