/**
 * How did the mesh do over time? The charts below the strip: time to first token, requests, failures, crowding, age of
 * the views, bytes. Each names what its buckets hold. Source: ours.
 */
import type { MetricSeries, SeriesName } from '../report/metrics.ts';
import type { RunReport } from '../report/report.ts';
import { bytes, digits, duration, percent } from '../report/report-words.ts';
import { linearAxis, logAxis, type TimeAxis } from './axis.ts';
import type { Markup } from './markup.ts';
import { chart, type ChartOptions, type Line } from './panel.ts';

type LineOf = readonly [name: string, tone: string, column: SeriesName];

export function figures(report: RunReport, time: TimeAxis): readonly Markup[] {
  const { series } = report.metrics;
  const draw = drawer(series, time);
  return [...ofRequests(report), ...ofNodes(duration(series.bucketMs))].map((drawn) => draw(drawn));
}

function ofRequests({ metrics: { series, summary } }: RunReport): readonly Drawn[] {
  const bucket = duration(series.bucketMs);
  const firstToken: readonly LineOf[] = [
    ['p50', 'a', 'firstTokenMsP50'],
    ['p99', 'b', 'firstTokenMsP99'],
  ];
  const omniscient: readonly LineOf[] = [
    ['omniscient p50', 'a faint', 'omniscientMsP50'],
    ['omniscient p99', 'b faint', 'omniscientMsP99'],
  ];
  return [
    {
      id: 'first-token',
      title: 'Time to first token',
      note: `From the arrival of a request to its first text, at the moment of that text, in buckets of ${bucket}; logarithmic.`,
      lines: summary.requests.omniscientMs === undefined ? firstToken : [...firstToken, ...omniscient],
      scale: 'log',
      say: duration,
    },
    {
      id: 'in-flight',
      title: 'Requests in flight',
      note: `The most that were open at once, in buckets of ${bucket}.`,
      lines: [['in flight', 'a', 'inFlight']],
      say: digits,
      filled: true,
    },
    {
      id: 'failures',
      title: 'Requests that met trouble',
      note: `How many in ${bucket}: failed, refused without having run, or sent on to another node after a try failed.`,
      lines: [
        ['failed', 'b', 'failed'],
        ['refused', 'c', 'refused'],
        ['failovers', 'a', 'failovers'],
      ],
      say: digits,
    },
  ];
}

function ofNodes(bucket: string): readonly Drawn[] {
  return [
    {
      id: 'crowding',
      title: 'Crowding',
      note: `First tries that reached a node in 2 s, against those that the placements meant for it; the worst node, chance included.`,
      lines: [['worst node', 'b', 'crowding']],
      say: digits,
    },
    {
      id: 'view-age',
      title: 'Age of what nodes know of each other',
      note: `Age of the load figures in the views, in buckets of ${bucket}: mean over the nodes, and the oldest view of a node; logarithmic.`,
      lines: [
        ['mean', 'a', 'viewAgeMs'],
        ['oldest', 'b', 'viewAgeMsMax'],
      ],
      scale: 'log',
      say: duration,
    },
    {
      id: 'bytes',
      title: 'Bytes that a node sends in a second',
      note: 'Mean over the nodes that were up.',
      lines: [
        ['gossip', 'a', 'gossipBytesPerSecond'],
        ['heartbeats', 'c', 'heartbeatBytesPerSecond'],
        ['requests', 'b', 'requestBytesPerSecond'],
      ],
      say: bytes,
    },
    {
      id: 'slots',
      title: 'Slots in use',
      note: 'Share of all slots of the nodes that were up.',
      lines: [['in use', 'a', 'utilisation']],
      say: percent,
      filled: true,
    },
  ];
}

interface Drawn extends Pick<ChartOptions, 'id' | 'title' | 'note' | 'say' | 'filled'> {
  readonly lines: readonly LineOf[];
  readonly scale?: 'linear' | 'log';
}

function drawer({ bucketMs, columns }: MetricSeries, time: TimeAxis): (drawn: Drawn) => Markup {
  return ({ lines: wanted, scale, ...rest }) => {
    const lines: readonly Line[] = wanted.map(([name, tone, column]) => ({ name, tone, values: columns[column] }));
    const seen = lines.flatMap(({ values }) => values.filter((value) => value !== null));
    const max = Math.max(0, ...seen);
    const positive = seen.filter((value) => value > 0);
    const axis =
      scale === 'log' && positive.length > 0
        ? logAxis(Math.max(1, Math.min(...positive)), max, rest.say)
        : linearAxis(max, rest.say);
    return chart(time, { ...rest, bucketMs, lines, axis });
  };
}
