/**
 * What have all pictures of the page in common? A frame with the time axis below and values at the left, lines with
 * gaps where nothing was seen, bars, and cells that carry what a pointer wants to know as a <title>. A picture is one
 * image to a screen reader, named and described in words. Source: ours.
 */
import { moment } from '../report/report-words.ts';
import { LEFT, RIGHT, short, type TimeAxis, type ValueAxis, WIDTH } from './axis.ts';
import { html, type Markup, trusted } from './markup.ts';

/** Cells that can be pointed at; more would make the page heavy. */
const CELLS_MAX = 120;
const HEIGHT = 110;
const AXIS_HEIGHT = 20;
const TOP = 8;

export interface Line {
  readonly name: string;
  /** A class of the style sheet: colour and dashes. */
  readonly tone: string;
  readonly values: readonly (number | null)[];
}

export interface ChartOptions {
  readonly id: string;
  readonly title: string;
  /** What is drawn, and what a reader should know to judge it. */
  readonly note: string;
  readonly bucketMs: number;
  readonly lines: readonly Line[];
  readonly axis: ValueAxis;
  readonly say: (value: number) => string;
  /** Filled down to the axis. */
  readonly filled?: boolean;
}

export function chart(time: TimeAxis, options: ChartOptions): Markup {
  const seen = options.lines.filter(({ values }) => values.some((value) => value !== null));
  // A picture of nothing but zeros says less than the words.
  if (!seen.some(({ values }) => values.some((value) => value !== null && value !== 0))) return emptyPanel(options);
  const paths = seen.map((line) => linePath(line, { time, options }));
  const body = trusted(
    `${valueGrid(options.axis)}${timeGrid(time, HEIGHT)}${paths.join('')}${cells(time, seen, options)}`,
  );
  return panel({ ...options, legend: legend(seen.map(({ name, tone }) => ({ name, mark: `line ${tone}` }))) }, body);
}

export function emptyPanel({ id, title }: { readonly id: string; readonly title: string }): Markup {
  return html`<section aria-labelledby="${id}-title">
    <h3 id="${id}-title">${title}</h3>
    <p class="note">Nothing was seen.</p>
  </section>`;
}

export interface PanelOptions {
  readonly id: string;
  readonly title: string;
  readonly note: string;
  readonly legend: Markup;
  readonly height?: number;
}

/** Frame, name and words around the insides of an SVG. */
export function panel({ id, title, note, legend: keys, height }: PanelOptions, body: Markup): Markup {
  const whole = (height ?? HEIGHT) + TOP + AXIS_HEIGHT;
  return html`<section aria-labelledby="${id}-title">
    <h3 id="${id}-title">${title}</h3>
    <p class="note" id="${id}-note">${note}</p>
    ${keys}
    <div class="scroll">
      <svg viewBox="0 0 ${WIDTH} ${whole}" role="img" aria-labelledby="${id}-title" aria-describedby="${id}-note">
        <g transform="translate(0 ${TOP})">${body}</g>
        <line class="cursor" x1="-9" x2="-9" y1="0" y2="${whole}" />
      </svg>
    </div>
  </section>`;
}

export interface Key {
  readonly name: string;
  /** "line a", "box up". */
  readonly mark: string;
}

export function legend(keys: readonly Key[]): Markup {
  const items = keys.map(
    ({ name, mark }) =>
      html`<li>
        <svg class="key" viewBox="0 0 20 12" aria-hidden="true">${keyMark(mark)}</svg>
        ${name}
      </li>`,
  );
  return html`<ul class="legend">
    ${items}
  </ul>`;
}

export function timeGrid({ ticks }: TimeAxis, height: number): string {
  return ticks
    .map(
      ({ at, label }) =>
        `<line class="grid" x1="${at}" x2="${at}" y1="0" y2="${height}"/><text class="tick" x="${at}" y="${height + 14}" text-anchor="${at > WIDTH - 2 * RIGHT ? 'end' : 'middle'}" ${at > WIDTH - 2 * RIGHT ? `dx="${RIGHT}"` : ''}>${label}</text>`,
    )
    .join('');
}

export function valueGrid({ ticks }: ValueAxis, height = HEIGHT): string {
  return ticks
    .map(({ at, label }) => {
      const y = short(height * (1 - at));
      return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/><text class="tick" x="${LEFT - 6}" y="${y + 4}" text-anchor="end">${label}</text>`;
    })
    .join('');
}

function keyMark(mark: string): Markup {
  const [shape = '', ...tones] = mark.split(' ');
  const tone = tones.join(' ');
  switch (shape) {
    case 'line':
      return trusted(`<path class="line ${tone}" d="M0 6h20"/>`);
    case 'dot':
      return trusted(`<g class="${tone}" transform="translate(10 6)"><use href="#dot-${tones.at(-1) ?? ''}"/></g>`);
    case 'band':
      return trusted(`<rect class="up" width="20" height="12"/><rect class="${tone}" y="8" width="20" height="4"/>`);
    default:
      return trusted(`<rect class="${tone}" width="20" height="12"/>`);
  }
}

/** A bucket's value stands in its middle; a lonely one is drawn as a short dash. */
function linePath(line: Line, { time, options }: { readonly time: TimeAxis; readonly options: ChartOptions }): string {
  const { axis, bucketMs, filled } = options;
  const runs = unbroken(line.values).map((run) =>
    run.map(({ bucket, value }) => `${time.x((bucket + 0.5) * bucketMs)} ${short(HEIGHT * (1 - axis.height(value)))}`),
  );
  const path = runs.map((points) => (points.length === 1 ? `M${points[0]}h2` : `M${points.join('L')}`)).join('');
  const areas = runs.map((points) => {
    const [first = '', last = ''] = [points[0], points.at(-1)].map((point) => point?.split(' ')[0]);
    return `M${first} ${HEIGHT}L${points.join('L')}L${last} ${HEIGHT}Z`;
  });
  const below = filled === true ? `<path class="area ${line.tone}" d="${areas.join('')}"/>` : '';
  return `${below}<path class="line ${line.tone}" d="${path}"/>`;
}

interface Point {
  readonly bucket: number;
  readonly value: number;
}

/** Stretches without a gap. */
function unbroken(values: readonly (number | null)[]): readonly (readonly Point[])[] {
  const runs: Point[][] = [];
  for (const [bucket, value] of values.entries()) {
    if (value === null) continue;
    const run = runs.at(-1);
    if (run?.at(-1)?.bucket === bucket - 1) run.push({ bucket, value });
    else runs.push([{ bucket, value }]);
  }
  return runs;
}

/** Transparent columns with all values of their buckets; of several buckets the greatest. */
function cells(time: TimeAxis, lines: readonly Line[], { bucketMs, say }: ChartOptions): string {
  const length = Math.max(...lines.map(({ values }) => values.length));
  const step = Math.ceil(length / CELLS_MAX);
  return Array.from({ length: Math.ceil(length / step) }, (_, cell) => {
    const from = cell * step;
    const spoken = lines.flatMap(({ name, values }) => {
      const seen = values.slice(from, from + step).filter((value) => value !== null);
      return seen.length === 0 ? [] : [`${name} ${say(Math.max(...seen))}`];
    });
    const x = time.x(from * bucketMs);
    const width = short(time.x((from + step) * bucketMs) - x);
    const text = `${moment(from * bucketMs).slice(0, -4)}: ${spoken.join(', ') || 'nothing'}`;
    return html`<rect class="cell" x="${x}" y="0" width="${width}" height="${HEIGHT}"><title>${text}</title></rect>`
      .markup;
  }).join('');
}
