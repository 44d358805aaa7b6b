/**
 * What a tapped process writes down: one JSON object a line, with the machine's monotonic time in ms, which is the same clock
 * for every process of the machine. Read leniently at the end only: a killed process may leave half a line behind.
 * `recordingOf` joins the taps of all processes: a message is known by its hash, its author by who published it.
 */
import type { Change, Delivery, Moment, Recording, Verdict } from './recording.ts';

export type TapLine =
  /** The core ran for the first time. */
  | { readonly type: 'started'; readonly atMs: number }
  | { readonly type: 'published'; readonly atMs: number; readonly message: string; readonly body: string }
  | { readonly type: 'judged'; readonly atMs: number; readonly message: string }
  | {
      readonly type: 'changed';
      readonly atMs: number;
      readonly target: string;
      readonly verdict: Verdict;
      readonly reason: string;
    }
  /** The core was woken this much later than it had asked for. */
  | { readonly type: 'late'; readonly atMs: number; readonly lateMs: number };

/** Everything that one process, or several of the same node, wrote down. */
export interface Tap {
  readonly node: number;
  readonly lines: readonly TapLine[];
}

const TYPES: ReadonlySet<unknown> = new Set(['started', 'published', 'judged', 'changed', 'late']);

export function writeTapLine(line: TapLine): string {
  return `${JSON.stringify(line)}\n`;
}

export function readTap(text: string): readonly TapLine[] {
  return text.split('\n').flatMap((line) => {
    if (!line.endsWith('}')) return [];
    const value: unknown = JSON.parse(line);
    return isTapLine(value) ? [value] : [];
  });
}

function isTapLine(value: unknown): value is TapLine {
  return typeof value === 'object' && value !== null && 'type' in value && TYPES.has(value.type);
}

/** `nodeOf` says which node an id is; -1 for nobody. */
export function recordingOf(
  taps: readonly Tap[],
  moments: readonly Moment[],
  nodeOf: (id: string) => number,
): Recording {
  const changes: Change[] = [];
  for (const { node: observer, lines } of taps) {
    for (const line of lines) {
      if (line.type !== 'changed') continue;
      const { atMs, target, verdict, reason } = line;
      changes.push({ atMs, observer, target: nodeOf(target), verdict, reason });
    }
  }
  return { moments, changes, deliveries: deliveriesOf(taps) };
}

function deliveriesOf(taps: readonly Tap[]): readonly Delivery[] {
  const published = new Map<string, { readonly author: number; readonly madeAtMs: number; readonly body: string }>();
  for (const { node: author, lines } of taps) {
    for (const line of lines)
      if (line.type === 'published') published.set(line.message, { author, madeAtMs: line.atMs, body: line.body });
  }
  const deliveries: Delivery[] = [];
  for (const { node: receiver, lines } of taps) {
    const seen = new Set<string>();
    for (const line of lines) {
      if (line.type !== 'judged' || seen.has(line.message)) continue;
      seen.add(line.message);
      const message = published.get(line.message);
      if (message === undefined || message.author === receiver) continue;
      const { author, madeAtMs, body } = message;
      deliveries.push({ madeAtMs, afterMs: line.atMs - madeAtMs, author, receiver, body });
    }
  }
  return deliveries;
}
