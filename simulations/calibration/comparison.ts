/**
 * Does what was simulated explain what was measured? One row for each strike and change of verdict, and one for each kind
 * of message: the simulated and the real delays side by side, and a verdict. The simulator explains a row when what
 * really happened, from the least to the 99th percentile, lies within the simulated range, widened by a tolerance
 * that is stated with its reason. Limit: a simulated range that is wide explains much; it is printed beside the verdict.
 */
import { expectationsOf, measure, type Measured, type Recording, type Transition, type Verdict } from './recording.ts';
import { type Schedule, type Strike, strikeName } from './schedule.ts';

export interface Figures {
  readonly count: number;
  readonly minMs: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export type Subject = 'noticing' | 'joining' | 'gossip';

export interface Tolerance {
  readonly ms: number;
  readonly reason: string;
}

/** How much a real delay may lie outside of what was simulated: all of it is computing, which takes a simulated process no time. */
export const TOLERANCES: Readonly<Record<Subject, Tolerance>> = {
  /** Source: guess: below the 400 ms late that the core itself takes for a stall. Measured on two quiet cores: up to 110. */
  noticing: {
    ms: 300,
    reason:
      'timers and arrivals wait for a turn on cores that all processes share, two or three times before a verdict',
  },
  /** Source: measured on two cores: nine handshakes cost a process that has just started 0.4 s of computing, its peers as much. */
  joining: {
    ms: 1_200,
    reason: 'a process that has just started makes its handshakes with code that is not compiled yet',
  },
  /** Source: guess: three hops. Measured on two quiet cores: 99 of 100 within 40. */
  gossip: {
    ms: 100,
    reason: 'each hop is deciphered, checked and passed on by a process that waits for its turn',
  },
};

/** missing: a smaller share of the nodes noticed it than in the simulated runs. */
export type Explained = 'explained' | 'faster' | 'slower' | 'missing';

export interface Row {
  readonly subject: Subject;
  /** kill -9; the kind of message. */
  readonly cause: string;
  /** suspect after the signal; delivered. */
  readonly what: string;
  readonly simulated: Figures | undefined;
  readonly real: Figures | undefined;
  /** How often it should have been seen; 0 = nobody can say. */
  readonly realExpected: number;
  /** Real median less simulated median. */
  readonly differenceMs: number | undefined;
  readonly explained: Explained;
}

export interface Comparison {
  readonly rows: readonly Row[];
  readonly simulatedRuns: number;
  readonly realRuns: number;
  /** Per run; changes of a verdict that no strike explains. */
  readonly simulatedStrays: number;
  readonly realStrays: number;
}

/** One run; schedules may differ from run to run in victims and moments, and have the same kinds of strikes. */
export interface Half {
  readonly schedule: Schedule;
  readonly recording: Recording;
}

export function compareHalves(simulated: readonly Half[], real: readonly Half[]): Comparison {
  const gathered = new Gathered();
  for (const half of simulated) gathered.add('simulated', half);
  for (const half of real) gathered.add('real', half);
  return {
    rows: gathered.rows(),
    simulatedRuns: simulated.length,
    realRuns: real.length,
    simulatedStrays: gathered.strays.simulated / Math.max(1, simulated.length),
    realStrays: gathered.strays.real / Math.max(1, real.length),
  };
}

export function figuresOf(valuesMs: readonly number[]): Figures | undefined {
  if (valuesMs.length === 0) return undefined;
  const sorted = valuesMs.toSorted((left, right) => left - right);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const middle = (sorted.length - 1) / 2;
  const medianMs = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
  return { count: sorted.length, minMs: at(0), medianMs, p99Ms: at(0.99), maxMs: at(1) };
}

/** Whether the real range lies within the simulated one. */
export function explain(simulated: Figures, real: Figures, toleranceMs: number): Explained {
  if (real.p99Ms > simulated.maxMs + toleranceMs) return 'slower';
  return real.minMs < simulated.minMs - toleranceMs ? 'faster' : 'explained';
}

/** What one half says about a row. */
interface Delays {
  readonly valuesMs: number[];
  /** 0 = nobody can say. */
  expected: number;
}

interface Pair extends Pick<Row, 'subject' | 'cause' | 'what'> {
  readonly simulated: Delays;
  readonly real: Delays;
}

class Gathered {
  readonly strays = { simulated: 0, real: 0 };
  /** In the order of the schedule. */
  readonly #pairs = new Map<string, Pair>();

  add(side: 'simulated' | 'real', { schedule, recording }: Half): void {
    const measured = measure(schedule, recording);
    this.strays[side] += measured.strays.length;
    this.#addTransitions(side, schedule, measured);
    for (const body of BODIES) {
      const pair = this.#obtain({ subject: 'gossip', cause: `message: ${body}`, what: 'delivered' });
      for (const delivery of measured.deliveries)
        if (delivery.body === body) pair[side].valuesMs.push(delivery.afterMs);
    }
  }

  rows(): readonly Row[] {
    return [...this.#pairs.values()].map(rowOf);
  }

  #addTransitions(side: 'simulated' | 'real', { strikes, nodes }: Schedule, { transitions }: Measured): void {
    for (const [index, strike] of strikes.entries()) {
      for (const { verdict, since } of expectationsOf(strike)) {
        const what = `${VERDICT_WORDS[verdict]} after ${momentName(strike, since)}`;
        const subject = strike.kind === 'kill' && since === 'ended' ? 'joining' : 'noticing';
        const delays = this.#obtain({ subject, cause: strikeName(strike), what })[side];
        const found = transitions.filter((one) => one.strike === index && one.verdict === verdict);
        delays.valuesMs.push(...found.map(({ afterMs }) => afterMs));
        delays.expected += nodes - 1;
      }
    }
  }

  #obtain(of: Pick<Row, 'subject' | 'cause' | 'what'>): Pair {
    const key = `${of.cause}/${of.what}`;
    const known = this.#pairs.get(key);
    if (known !== undefined) return known;
    const pair = { ...of, simulated: { valuesMs: [], expected: 0 }, real: { valuesMs: [], expected: 0 } };
    this.#pairs.set(key, pair);
    return pair;
  }
}

const BODIES = ['load', 'capability', 'accusation', 'goodbye'] as const;

const VERDICT_WORDS: Readonly<Record<Verdict, string>> = {
  suspect: 'suspect',
  dead: 'dead',
  alive: 'alive again',
  left: 'left',
};

function momentName(strike: Strike, since: Transition['since']): string {
  if (since === 'begun') return 'the signal';
  return strike.kind === 'stop' ? 'SIGCONT' : 'the restart';
}

function rowOf(pair: Pair): Row {
  const { subject, cause, what } = pair;
  const simulated = figuresOf(pair.simulated.valuesMs);
  const real = figuresOf(pair.real.valuesMs);
  const realExpected = pair.real.expected;
  const known = { subject, cause, what, simulated, real, realExpected };
  if (simulated === undefined || real === undefined) return { ...known, differenceMs: undefined, explained: 'missing' };
  const isRarer = real.count * pair.simulated.expected < simulated.count * realExpected;
  return {
    ...known,
    differenceMs: real.medianMs - simulated.medianMs,
    explained: isRarer ? 'missing' : explain(simulated, real, TOLERANCES[subject].ms),
  };
}
