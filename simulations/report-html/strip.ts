/**
 * What became of whom? One row for each node, by kind of machine, on the time axis of the page. The body of a row is
 * what is true; a node that is down pales as soon as most of the others know. What they believe is a band at the foot
 * of the row; where rows are too thin for it, a node that is up takes the colour of what is wrongly believed of it.
 * Faults of the plan are marks at the head. Limits: from 120 nodes on, states are drawn as one path each, and a row has
 * one tooltip for all of it; 1,000 nodes give rows of one pixel. Source: ours.
 */
import { faultDurationMs, faultNodes, faultSentence } from '../faults/fault-nodes.ts';
import type { Fault } from '../faults/fault.ts';
import type { NodeStrip, StripInterval } from '../report/node-strips.ts';
import type { RunReport } from '../report/report.ts';
import { duration, moment, percent } from '../report/report-words.ts';
import type { MachineKind } from '../scenario.ts';
import { LEFT, short, type TimeAxis } from './axis.ts';
import { html, type Markup, NOTHING, trusted } from './markup.ts';
import { type Key, legend, panel, timeGrid } from './panel.ts';

/** Up to here every interval is an element with its own tooltip. */
const SINGLE_MAX = 120;
const MARKS_MAX = 2_000;
/** A fall that lasts for less than a pixel is still seen. */
const WIDTH_MIN = 1.5;
const LABEL_HEIGHT = 12;
const KINDS: readonly MachineKind[] = ['server', 'gaming', 'mac', 'mini', 'laptop'];

interface Row {
  readonly strip: NodeStrip;
  readonly kind: MachineKind | undefined;
  readonly y: number;
}

interface Layout {
  readonly rows: readonly Row[];
  readonly rowHeight: number;
  readonly height: number;
  readonly time: TimeAxis;
}

export function stripPanel(report: RunReport, time: TimeAxis): Markup {
  const layout = lay(report, time);
  const isSingle = layout.rows.length <= SINGLE_MAX;
  const body = [
    trusted(timeGrid(time, layout.height)),
    ...(isSingle ? layout.rows.map((row) => singleRow(row, layout)) : [joinedRows(layout)]),
    faultMarks(report, layout),
    rowLabels(layout),
  ];
  const leftOut = report.metrics.strips.reduce((sum, strip) => sum + strip.leftOut, 0);
  return panel(
    {
      id: 'strip',
      title: 'Who was up, and what the others believed',
      note: `One row a node. Strong colour: down, and most of the others do not know; pale: they know.${leftOut > 0 ? ` ${leftOut} later changes found no room.` : ''}`,
      legend: legend(keys(layout)),
      height: layout.height,
    },
    html`${body}`,
  );
}

function lay({ metrics, nodes }: RunReport, time: TimeAxis): Layout {
  const count = metrics.strips.length;
  const steps = [
    [24, 18],
    [60, 11],
    [120, 7],
    [300, 4],
    [700, 2],
  ] as const;
  const rowHeight = steps.find(([most]) => count <= most)?.[1] ?? 1;
  const rows = metrics.strips
    .map((strip) => ({ strip, kind: nodes[strip.node]?.kind }))
    .toSorted((left, right) => rankOf(left.kind) - rankOf(right.kind) || left.strip.node - right.strip.node)
    .map((row, index) => ({ ...row, y: index * rowHeight }));
  return { rows, rowHeight, height: Math.max(1, count * rowHeight), time };
}

function rankOf(kind: MachineKind | undefined): number {
  return kind === undefined ? KINDS.length : KINDS.indexOf(kind);
}

function keys({ rows, rowHeight }: Layout): readonly Key[] {
  const seen = new Set(rows.flatMap(({ strip }) => strip.intervals.flatMap((one) => [tone(one), one.belief])));
  const body = [
    ['up', 'up'],
    ['stopped', 'stopped'],
    ['asleep', 'asleep'],
    ['paused', 'standing still'],
    ['stopped noticed', 'stopped, known'],
    ['asleep noticed', 'asleep, known'],
    ['paused noticed', 'standing still, known'],
  ] as const;
  const beliefs = [
    ['suspect', 'most take it for suspect'],
    ['dead', 'most take it for dead or gone'],
  ] as const;
  const shape = rowHeight >= 5 ? 'band believed-' : 'box believed-';
  const also = rowHeight >= 5 ? '' : ' while it is up';
  return [
    ...body.filter(([name]) => seen.has(name)).map(([name, words]) => ({ name: words, mark: `box ${name}` })),
    ...beliefs.filter(([name]) => seen.has(name)).map(([name, words]) => ({ name: words + also, mark: shape + name })),
  ];
}

/** Class of an interval's body. */
function tone({ truth, belief }: StripInterval): string {
  return truth === 'up' || truth === 'unborn' || belief === 'trusted' ? truth : `${truth} noticed`;
}

function singleRow({ strip, kind, y }: Row, { rowHeight, time }: Layout): Markup {
  const gap = rowHeight >= 10 ? 2 : 1;
  const height = rowHeight - gap;
  const parts = strip.intervals
    .filter(({ truth }) => truth !== 'unborn')
    // Falls last, so that a short one is not covered.
    .toSorted((left, right) => Number(left.truth !== 'up') - Number(right.truth !== 'up'))
    .map((interval) => {
      const [x, width] = extent(interval, time);
      const title = html`<title>${nameOf(strip.node, kind)}: ${spoken(interval)}</title>`;
      const body = html`<rect class="${tone(interval)}" x="${x}" y="${y}" width="${width}" height="${height}">
        ${title}
      </rect>`;
      if (interval.belief === 'trusted') return body;
      // What is wrong must catch the eye, what is right need not.
      const band = Math.max(2, Math.round(height * (interval.truth === 'up' ? 0.6 : 0.25)));
      return html`${body}<rect
          class="believed-${interval.belief}"
          x="${x}"
          y="${y + height - band}"
          width="${width}"
          height="${band}"
          >${title}</rect
        >`;
    });
  return html`${parts}`;
}

/** One path a state: a thousand rows stay one light picture. Painted in the order in which they may cover each other. */
function joinedRows({ rows, rowHeight, time }: Layout): Markup {
  const height = rowHeight >= 4 ? rowHeight - 1 : rowHeight;
  const paths = new Map<string, string>();
  for (const { strip, y } of rows)
    for (const interval of strip.intervals) {
      if (interval.truth === 'unborn') continue;
      const isWronged = interval.truth === 'up' && interval.belief !== 'trusted';
      const name = isWronged ? `believed-${interval.belief}` : tone(interval);
      const [x, width] = extent(interval, time);
      paths.set(name, `${paths.get(name) ?? ''}M${x} ${y}h${width}v${height}h-${width}z`);
    }
  const order = ['up', 'believed-suspect', 'believed-dead', 'noticed', ''];
  const rank = (name: string): number => order.findIndex((part) => name.includes(part));
  const drawn = [...paths]
    .toSorted(([left], [right]) => rank(left) - rank(right) || (left < right ? -1 : 1))
    .map(([name, path]) => html`<path class="${name}" d="${path}" />`);
  const hits = rows.map(
    ({ strip, kind, y }) =>
      html`<rect class="cell" x="${LEFT}" y="${y}" width="${time.x(time.durationMs) - LEFT}" height="${rowHeight}"
        ><title>${nameOf(strip.node, kind)}: ${whole(strip)}</title></rect
      >`,
  );
  return html`${drawn}${hits}`;
}

function extent({ fromMs, toMs, truth }: StripInterval, time: TimeAxis): readonly [x: number, width: number] {
  const x = time.x(fromMs);
  const width = time.x(toMs) - x;
  return [x, short(truth === 'up' ? width : Math.max(WIDTH_MIN, width))];
}

function spoken({ fromMs, toMs, truth, belief }: StripInterval): string {
  const words = truth === 'paused' ? 'standing still' : truth;
  const held = belief === 'trusted' ? (truth === 'up' ? '' : ', most do not know') : `, most take it for ${belief}`;
  return `${words}${held}, from ${moment(fromMs)} to ${moment(toMs)} (${duration(toMs - fromMs)})`;
}

function whole({ intervals }: NodeStrip): string {
  const lengthOf = (chosen: (one: StripInterval) => boolean): number =>
    intervals.filter(chosen).reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
  const all = lengthOf(({ truth }) => truth !== 'unborn');
  const falls = intervals.filter(({ truth }, index) => truth !== 'up' && intervals[index - 1]?.truth === 'up').length;
  const up = all === 0 ? 0 : lengthOf(({ truth }) => truth === 'up') / all;
  return `up ${percent(up)} of the time, went down ${falls} times`;
}

function nameOf(node: number, kind: MachineKind | undefined): string {
  return kind === undefined ? `n${node}` : `n${node}, ${kind}`;
}

/** Where there is no room for a name at every row, a kind is named where its rows begin. */
function rowLabels({ rows, rowHeight }: Layout): Markup {
  if (rowHeight >= LABEL_HEIGHT)
    return html`${rows.map(
      ({ strip, kind, y }) =>
        html`<text class="tick" x="${LEFT - 6}" y="${y + rowHeight - 5}" text-anchor="end"
          >${kind ?? ''} n${strip.node}</text
        >`,
    )}`;
  const counts = new Map<string, { readonly y: number; readonly count: number }>();
  for (const { kind = 'node', y } of rows) {
    const before = counts.get(kind);
    counts.set(kind, { y: before?.y ?? y, count: (before?.count ?? 0) + 1 });
  }
  let free = 0;
  const labels = [...counts].map(([kind, { y, count }]) => {
    const at = Math.max(free, y);
    free = at + LABEL_HEIGHT;
    return html`<text class="tick" x="${LEFT - 6}" y="${at + 9}" text-anchor="end">${count} ${kind}</text>
      <line class="grid" x1="${LEFT - 4}" x2="${LEFT}" y1="${y}" y2="${y}" />`;
  });
  return html`${labels}`;
}

function faultMarks({ plan, scenario }: RunReport, { rows, rowHeight, time }: Layout): Markup {
  const rowOf = new Map(rows.map(({ strip, y }) => [strip.node, y]));
  const struck = plan.flatMap((fault) => faultNodes(fault).map((node) => ({ fault, y: rowOf.get(node) })));
  const marks = struck.slice(0, MARKS_MAX).map(({ fault, y }) => {
    if (y === undefined || fault.atMs > time.durationMs) return NOTHING;
    const x = time.x(fault.atMs);
    // Thin rows have their faults in the picture above.
    if (rowHeight < 5) return html`<path class="mark" d="M${x} ${y}h1.5v${rowHeight}h-1.5z" />`;
    const end = time.x(faultEndMs(fault, scenario.healAtMs));
    const size = rowHeight >= 10 ? 4 : 3;
    return html`<g class="mark"
      ><title>${faultTitle(fault)}</title>
      <path d="M${x - size} ${y}h${2 * size}l-${size} ${size * 1.4}z" />
      <rect x="${x}" y="${y}" width="${short(Math.max(0, end - x))}" height="1.5"
    /></g>`;
  });
  return html`${marks}`;
}

export function faultEndMs(fault: Fault, healAtMs: number): number {
  return Math.max(fault.atMs, Math.min(healAtMs, fault.atMs + faultDurationMs(fault)));
}

export function faultTitle(fault: Fault): string {
  const lasts = faultDurationMs(fault);
  const time = lasts === 0 ? '' : ` for ${duration(lasts)}`;
  return `${fault.kind} at ${moment(fault.atMs)}${time}: ${faultSentence(fault)}`;
}
