/**
 * What struck when, and after how long did the others notice? Two pictures on the time axis of the page: a lane for each
 * kind of fault in the plan, and a mark for each fall at the height of the time until most of the others knew, on a
 * logarithmic scale; falls that nobody noticed stand above. Shapes tell the kinds of fall apart without colour.
 * Limits: 2,000 faults and 2,000 falls are drawn. Source: ours.
 */
import { faultNodes, named } from '../faults/fault-nodes.ts';
import type { FallRow } from '../report/falls.ts';
import type { Fault } from '../faults/fault.ts';
import type { RunReport } from '../report/report.ts';
import { duration, fellWord, moment } from '../report/report-words.ts';
import { LEFT, logAxis, RIGHT, short, type TimeAxis, WIDTH } from './axis.ts';
import { html, type Markup, NOTHING, trusted } from './markup.ts';
import { emptyPanel, legend, panel, timeGrid, valueGrid } from './panel.ts';
import { faultEndMs, faultTitle } from './strip.ts';

const LANE_HEIGHT = 15;
const DRAWN_MAX = 2_000;
const DOTS_HEIGHT = 150;
/** The band of falls that nobody noticed. */
const UNNOTICED_HEIGHT = 22;
/** Promise V1: a silent death is noticed within 3 s. */
const GOAL_MS = 3_000;

/** The marks of the kinds of fall, once for the page. */
export const DOTS: Markup = trusted(
  '<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs>' +
    '<path id="dot-crashed" d="M-4-4l8 8M4-4l-8 8"/><circle id="dot-powered-off" r="4"/>' +
    '<path id="dot-left" d="M-4-3h8l-4 7z"/><rect id="dot-paused" x="-3.5" y="-3.5" width="7" height="7"/>' +
    '<path id="dot-suspended" d="M0-5l5 5l-5 5l-5-5z"/></defs></svg>',
);

export function faultPanel({ plan, scenario }: RunReport, time: TimeAxis): Markup {
  const counts = new Map<string, number>();
  for (const { kind } of plan) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const kinds = [...counts].toSorted(([left], [right]) => (left < right ? -1 : 1));
  if (kinds.length === 0) return NOTHING;
  const laneOf = new Map(kinds.map(([kind], index) => [kind, index * LANE_HEIGHT]));
  const height = kinds.length * LANE_HEIGHT;
  const labels = kinds.map(
    ([kind, count], index) =>
      html`<text class="tick" x="${LEFT - 6}" y="${index * LANE_HEIGHT + 11}" text-anchor="end">
        ${count} ${kind}
      </text>`,
  );
  const marks = plan
    .filter(({ atMs }) => atMs <= time.durationMs)
    .slice(0, DRAWN_MAX)
    .map((fault) => {
      const x = time.x(fault.atMs);
      const width = short(Math.max(2.5, time.x(faultEndMs(fault, scenario.healAtMs)) - x));
      const y = (laneOf.get(fault.kind) ?? 0) + 2;
      return html`<rect class="fault" x="${x}" y="${y}" width="${width}" height="${LANE_HEIGHT - 4}" rx="1">
        <title>${whom(fault)}${faultTitle(fault)}</title>
      </rect>`;
    });
  const isHealed = scenario.healAtMs < time.durationMs;
  const note = isHealed
    ? `From ${moment(scenario.healAtMs).slice(0, -4)} on the world is whole, and what was promised must come true.`
    : 'Faults of the plan, from their beginning to their end.';
  return panel(
    { id: 'faults', title: 'What struck', note, legend: NOTHING, height },
    html`${trusted(timeGrid(time, height))}${labels}${marks}${isHealed ? healMark(time.x(scenario.healAtMs), height) : NOTHING}`,
  );
}

function healMark(x: number, height: number): Markup {
  return html`<line class="goal" x1="${x}" x2="${x}" y1="0" y2="${height}" />`;
}

function whom(fault: Fault): string {
  const nodes = faultNodes(fault);
  return nodes.length === 0 ? '' : `${named(nodes)}: `;
}

export function noticedPanel(report: RunReport, time: TimeAxis): Markup {
  const falls = report.metrics.falls.slice(0, DRAWN_MAX);
  const title = 'How long until most of the others noticed';
  if (falls.length === 0) return emptyPanel({ id: 'noticed', title });
  const delays = falls.flatMap((fall) => delayOf(fall) ?? []);
  const axis = logAxis(Math.max(10, Math.min(...delays, GOAL_MS)), Math.max(...delays, GOAL_MS), duration);
  const height = DOTS_HEIGHT - UNNOTICED_HEIGHT;
  const y = (delayMs: number): number => short(UNNOTICED_HEIGHT + height * (1 - axis.height(delayMs)));
  const dots = falls.map((fall) => {
    const delayMs = delayOf(fall);
    const at = delayMs === undefined ? UNNOTICED_HEIGHT / 2 - 2 : y(delayMs);
    return html`<g class="dot ${fall.how}" transform="translate(${time.x(fall.atMs)} ${at})"
      ><use href="#dot-${fall.how}" /><title>${fallTitle(fall)}</title></g
    >`;
  });
  const hows = [...new Set(falls.map(({ how }) => how))].toSorted();
  const goal = y(GOAL_MS);
  const frame = trusted(
    `<g transform="translate(0 ${UNNOTICED_HEIGHT})">${valueGrid(axis, height)}</g>${timeGrid(time, DOTS_HEIGHT)}` +
      `<text class="tick" x="${LEFT - 6}" y="13" text-anchor="end">not noticed</text>` +
      `<line class="goal" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${goal}" y2="${goal}"/>`,
  );
  return panel(
    {
      id: 'noticed',
      title,
      note: `Each mark is a node that went down. The dashed line is the goal of ${duration(GOAL_MS)} for a silent death. Above: up again before anybody noticed, or unnoticed to the end.`,
      legend: legend(hows.map((how) => ({ name: fellWord(how), mark: `dot dot ${how}` }))),
      height: DOTS_HEIGHT,
    },
    html`${frame}${dots}`,
  );
}

function delayOf({ atMs, noticedAtMs }: FallRow): number | undefined {
  return noticedAtMs === undefined ? undefined : noticedAtMs - atMs;
}

function fallTitle(fall: FallRow): string {
  const delayMs = delayOf(fall);
  const back =
    fall.backAtMs === undefined ? 'never came back' : `was back after ${duration(fall.backAtMs - fall.atMs)}`;
  const noticed = delayMs === undefined ? 'not noticed' : `noticed after ${duration(delayMs)}`;
  return `n${fall.node} ${fellWord(fall.how)} at ${moment(fall.atMs)}: ${noticed}, ${back}`;
}
