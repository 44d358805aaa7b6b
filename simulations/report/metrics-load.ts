/**
 * How busy and how well informed were the nodes? Folds the look that is taken at each node every second: bytes by kind,
 * use of slots, connections, age of the load figures. All are means over the nodes that were up; peaks are named so.
 * Source: ours.
 */
import { type Quantiles, rounded, Sketch } from './sketch.ts';
import type { Timeline } from './timeline.ts';
import { type NodeSample, SAMPLE_INTERVAL_MS } from '../world-event.ts';

export interface LoadSummary {
  /** Sent by a node in a second, on average. */
  readonly bytesPerNodeSecond: { readonly gossip: number; readonly heartbeats: number; readonly requests: number };
  /** Slots that worked, 0 to 1. */
  readonly utilisation: number | undefined;
  readonly queuedMax: number;
  readonly connectionsMean: number | undefined;
  readonly connectionsMax: number;
  readonly bufferedBytesMax: number;
  readonly viewAgeMs: Quantiles | undefined;
  /** Share of the looks at which a node itself took its view for stale. */
  readonly staleShare: number | undefined;
}

export class LoadMetrics {
  readonly columns;
  readonly #viewAge = new Sketch();
  readonly #totals = {
    looks: 0,
    gossip: 0,
    heartbeats: 0,
    requests: 0,
    running: 0,
    slots: 0,
    connections: 0,
    stale: 0,
  };
  readonly #peaks = { queued: 0, connections: 0, bufferedBytes: 0 };

  constructor(timeline: Timeline) {
    this.columns = {
      looks: timeline.sum(),
      gossip: timeline.sum(),
      heartbeats: timeline.sum(),
      requests: timeline.sum(),
      running: timeline.sum(),
      slots: timeline.sum(),
      connections: timeline.sum(),
      viewAgeMs: timeline.sum(),
      viewAgeMsMax: timeline.peak(),
      queued: timeline.sum(),
    };
  }

  sampled(sample: NodeSample, atMs: number): void {
    const { columns } = this;
    columns.looks.add(atMs);
    columns.gossip.add(atMs, sample.gossipBytes);
    columns.heartbeats.add(atMs, sample.heartbeatBytes);
    columns.requests.add(atMs, sample.requestBytes);
    columns.running.add(atMs, sample.running);
    columns.slots.add(atMs, sample.slots);
    columns.connections.add(atMs, sample.connections);
    columns.viewAgeMs.add(atMs, sample.viewAgeMs);
    columns.viewAgeMsMax.add(atMs, sample.viewAgeMs);
    columns.queued.add(atMs, sample.queued);
    this.#viewAge.add(sample.viewAgeMs);
    this.#total(sample);
  }

  summary(): LoadSummary {
    const { looks, gossip, heartbeats, requests, running, slots, connections, stale } = this.#totals;
    const perNodeSecond = (bytes: number): number =>
      looks === 0 ? 0 : Math.round((bytes * 1_000) / (looks * SAMPLE_INTERVAL_MS));
    return {
      bytesPerNodeSecond: {
        gossip: perNodeSecond(gossip),
        heartbeats: perNodeSecond(heartbeats),
        requests: perNodeSecond(requests),
      },
      utilisation: ratio(running, slots),
      queuedMax: this.#peaks.queued,
      connectionsMean: ratio(connections, looks),
      connectionsMax: this.#peaks.connections,
      bufferedBytesMax: this.#peaks.bufferedBytes,
      viewAgeMs: this.#viewAge.quantiles(),
      staleShare: ratio(stale, looks),
    };
  }

  #total(sample: NodeSample): void {
    const totals = this.#totals;
    const peaks = this.#peaks;
    totals.looks += 1;
    totals.gossip += sample.gossipBytes;
    totals.heartbeats += sample.heartbeatBytes;
    totals.requests += sample.requestBytes;
    totals.running += sample.running;
    totals.slots += sample.slots;
    totals.connections += sample.connections;
    if (sample.isStale) totals.stale += 1;
    peaks.queued = Math.max(peaks.queued, sample.queued);
    peaks.connections = Math.max(peaks.connections, sample.connections);
    peaks.bufferedBytes = Math.max(peaks.bufferedBytes, sample.bufferedBytes);
  }
}

/** Undefined where there is nothing to divide by. */
export function ratio(part: number, whole: number): number | undefined {
  return whole === 0 ? undefined : rounded(part / whole);
}
