/**
 * What one run of a schedule left behind, real or simulated, in the same words: when each strike really happened, how
 * verdicts changed, how long gossip took. `measure` turns it into delays: for each strike and each other node the time
 * until the first change that the strike had to cause. A change that no strike explains is a stray, and is counted.
 * All times are ms on one clock. Limit: strikes must not overlap; what happens before the first one is not looked at.
 */
import { invariant, unreachable } from '../../src/assert.ts';
import { LIVENESS } from '../../src/params.ts';
import type { Schedule, Strike } from './schedule.ts';

export type Verdict = 'alive' | 'suspect' | 'dead' | 'left';

/** begun: the signal was sent. ended: SIGCONT, or the core of the restarted process ran for the first time. */
export interface Moment {
  readonly strike: number;
  readonly what: 'begun' | 'ended';
  readonly atMs: number;
}

export interface Change {
  readonly atMs: number;
  readonly observer: number;
  readonly target: number;
  readonly verdict: Verdict;
  readonly reason: string;
}

/** One message at one of its receivers, from the moment when its author's core gave it away to the receiver's verdict. */
export interface Delivery {
  readonly madeAtMs: number;
  readonly afterMs: number;
  readonly author: number;
  readonly receiver: number;
  readonly body: string;
}

export interface Recording {
  readonly moments: readonly Moment[];
  readonly changes: readonly Change[];
  readonly deliveries: readonly Delivery[];
}

/** What a strike has to cause at every other node. */
export interface Expectation {
  readonly verdict: Verdict;
  readonly since: Moment['what'];
}

export interface Transition extends Expectation {
  readonly strike: number;
  readonly observer: number;
  readonly afterMs: number;
  readonly reason: string;
}

export interface Measured {
  readonly transitions: readonly Transition[];
  /** Changes that no strike explains. */
  readonly strays: readonly Change[];
  /** Between nodes that nothing happened to at that time. */
  readonly deliveries: readonly Delivery[];
}

/** In the order in which they come. */
export function expectationsOf(strike: Strike): readonly Expectation[] {
  const doubted: Expectation = { verdict: 'suspect', since: 'begun' };
  const givenUp: Expectation = { verdict: 'dead', since: 'begun' };
  const trusted: Expectation = { verdict: 'alive', since: 'ended' };
  switch (strike.kind) {
    case 'kill':
      return [doubted, givenUp, trusted];
    case 'stop':
      return strike.durationMs > LIVENESS.suspectAfterMs + LIVENESS.deadAfterMs
        ? [doubted, givenUp, trusted]
        : [doubted, trusted];
    case 'leave':
      return [{ verdict: 'left', since: 'begun' }];
    default:
      return unreachable(strike);
  }
}

export function measure({ strikes, nodes }: Schedule, recording: Recording): Measured {
  const windows = windowsOf(strikes, recording.moments);
  const changes = recording.changes.toSorted((left, right) => left.atMs - right.atMs);
  const explained = new Set<Change>();
  const transitions: Transition[] = [];
  for (const window of windows) {
    for (let observer = 0; observer < nodes; observer += 1) {
      if (observer === window.node) continue;
      for (const { change, transition } of transitionsOf(window, observer, changes)) {
        explained.add(change);
        transitions.push(transition);
      }
    }
  }
  const [first] = windows;
  const strays = changes.filter(
    (change) => change.atMs >= (first?.fromMs ?? 0) && !explained.has(change) && !isOfBeginner(change, windows),
  );
  const deliveries = recording.deliveries.filter((delivery) => isUndisturbed(delivery, windows));
  return { transitions, strays, deliveries };
}

interface Window {
  readonly index: number;
  readonly node: number;
  readonly kind: Strike['kind'];
  readonly expectations: readonly Expectation[];
  readonly atMs: Readonly<Partial<Record<Moment['what'], number>>>;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Each strike lasts until the next one. One that never happened, because the run was ended, is left out. */
function windowsOf(strikes: readonly Strike[], moments: readonly Moment[]): readonly Window[] {
  const begun = moments.filter(({ what }) => what === 'begun');
  return strikes.flatMap((strike, index) => {
    const fromMs = begun.find((moment) => moment.strike === index)?.atMs;
    if (fromMs === undefined) return [];
    const untilMs = begun.find((moment) => moment.strike === index + 1)?.atMs ?? Infinity;
    invariant(untilMs >= fromMs, 'strikes come one after the other');
    const atMs = Object.fromEntries(
      moments.filter((moment) => moment.strike === index).map((moment) => [moment.what, moment.atMs]),
    );
    const { node, kind } = strike;
    return [{ index, node, kind, expectations: expectationsOf(strike), atMs, fromMs, untilMs }];
  });
}

function transitionsOf(
  { index, node, expectations, atMs, untilMs }: Window,
  observer: number,
  changes: readonly Change[],
): readonly { readonly change: Change; readonly transition: Transition }[] {
  return expectations.flatMap(({ verdict, since }) => {
    const sinceMs = atMs[since];
    if (sinceMs === undefined) return [];
    const change = changes.find(
      (one) =>
        one.observer === observer &&
        one.target === node &&
        one.verdict === verdict &&
        one.atMs >= sinceMs &&
        one.atMs < untilMs,
    );
    if (change === undefined) return [];
    const { reason } = change;
    return [
      { change, transition: { strike: index, observer, verdict, since, afterMs: change.atMs - sinceMs, reason } },
    ];
  });
}

/** Who comes back finds everybody alive: that is no news about them. */
function isOfBeginner({ atMs, observer, verdict }: Change, windows: readonly Window[]): boolean {
  const window = windows.find(({ fromMs, untilMs }) => atMs >= fromMs && atMs < untilMs);
  return window?.node === observer && verdict === 'alive';
}

/** A message that a node sent or got while it was struck says how long the strike was. A goodbye is the strike itself. */
function isUndisturbed({ madeAtMs, afterMs, author, receiver, body }: Delivery, windows: readonly Window[]): boolean {
  const [first] = windows;
  if (first === undefined || madeAtMs < first.fromMs) return false;
  return windows.every(
    ({ node, kind, fromMs, untilMs }) =>
      madeAtMs + afterMs < fromMs ||
      madeAtMs >= untilMs ||
      (receiver !== node && (author !== node || (kind === 'leave' && body === 'goodbye'))),
  );
}
