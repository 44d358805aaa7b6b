/**
 * S4: what a node believes of another never goes back. For each observer and author, over the messages that the observer
 * accepted: (incarnation, sequence) of each kind of message only rises, nothing is accepted twice, nothing forged, nothing
 * older than `messageAgeMsMax`, and nothing of a departed incarnation while its tombstone stands. Whoever was away for so
 * long that it had to notice speaks under a new incarnation from then on (`s4-returns.ts`).
 * Messages of a told view count like those of gossip, as far as the view shows what they changed (`view-watch.ts`).
 * Not covered: the first message of an author under an incarnation counts as fresh, because there is nothing to measure
 * its age by, and its delay is added to what later ones may have; while the clock of an observer or of an author stood
 * still during a sleep, messages did not age. Limits: N^2 numbers.
 */
import { GOSSIP } from '../../src/params.ts';
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { endMs } from './calm.ts';
import { Returns } from './s4-returns.ts';

type Judged = Extract<WorldEvent, { type: 'judged' }>;

/** Scheduling and whole milliseconds, on top of the drift of both clocks. Source: guess. */
const CLOCK_ERROR_MS = 1_000;
/** Drift of a machine that no fault makes worse. Source: guess: ten times a bad quartz. */
const DRIFT_PPM = 500;
/** The time over which drift adds up: the window of `gossip/age.ts` and the age itself. */
const DRIFT_WINDOW_MS = 360_000;
/** Accusations of one author that an observer remembers. Source: guess: within the age at which they lapse. */
const ACCUSATIONS_MAX = 64;
const NONE = -1;

/** What one observer believes of an author: the columns of its row. Together, because they are read together. */
const ROW = 7;
const INCARNATION = 0;
const SEQUENCE = { capability: 1, load: 2 } as const;
/** The least age that was seen under this incarnation. */
const AGE_MS_MIN = 3;
const DEPARTED = 4;
const DEPARTED_AT_MS = 5;
/** NONE = it said none. */
const GOODBYE = 6;

/** What one observer believes, by author. */
class Beliefs {
  readonly #rows: Float64Array;
  readonly accusations = new Map<number, string[]>();

  constructor(nodes: number) {
    this.#rows = new Float64Array(nodes * ROW).fill(NONE);
  }

  get(author: number, column: number): number {
    return this.#rows[author * ROW + column] ?? NONE;
  }

  set(author: number, column: number, value: number): void {
    this.#rows[author * ROW + column] = value;
  }

  forget(author: number): void {
    this.set(author, INCARNATION, NONE);
    this.set(author, SEQUENCE.capability, NONE);
    this.set(author, SEQUENCE.load, NONE);
  }

  bury(author: number, incarnation: number, atMs: number): void {
    this.forget(author);
    this.set(author, DEPARTED, incarnation);
    this.set(author, DEPARTED_AT_MS, atMs);
    this.set(author, GOODBYE, NONE);
  }
}

class Views implements Checker {
  readonly #context: CheckContext;
  readonly #breaches: Breaches;
  readonly #returns: Returns;
  readonly #beliefs: (Beliefs | undefined)[] = [];
  /** The last sleep of each node during which its clock stood still. */
  readonly #halted = new Map<number, { readonly fromMs: number; toMs: number }>();
  readonly #clockErrorMs: number;
  readonly #tombstoneMs: number;
  #nowMs = 0;

  constructor(context: CheckContext) {
    this.#context = context;
    this.#breaches = new Breaches(context);
    this.#returns = new Returns(context);
    const drifts = context.plan.map((fault) => (fault.kind === 'clock-drift' ? Math.abs(fault.partsPerMillion) : 0));
    const share = drifts.reduce((most, drift) => Math.max(most, drift), DRIFT_PPM) / 1e6;
    this.#clockErrorMs = CLOCK_ERROR_MS + 2 * share * DRIFT_WINDOW_MS;
    this.#tombstoneMs = GOSSIP.tombstoneMs * (1 - share) - CLOCK_ERROR_MS;
  }

  observe(event: WorldEvent, atMs: number): void {
    this.#nowMs = atMs;
    this.#returns.observe(event, atMs);
    switch (event.type) {
      case 'judged':
        if (event.verdict === 'accept') this.#accepted(event, atMs);
        return;
      case 'verdict':
        return this.#verdict(event, atMs);
      case 'started':
        this.#beliefs[event.node] = undefined;
        return;
      case 'stopped':
        if (event.how === 'suspended' && this.#haltsAt(event.node, atMs))
          this.#halted.set(event.node, { fromMs: atMs, toMs: Infinity });
        return;
      case 'resumed': {
        const halted = this.#halted.get(event.node);
        if (halted?.toMs === Infinity) halted.toMs = atMs;
        return;
      }
      default:
    }
  }

  finish(): void {
    // Everything is judged as it happens.
  }

  #verdict({ node, target, verdict, reason }: Extract<WorldEvent, { type: 'verdict' }>, atMs: number): void {
    const beliefs = this.#beliefs[node];
    if (beliefs === undefined || (verdict !== 'dead' && verdict !== 'left')) return;
    // Who made room in a full view leaves no tombstone.
    if (reason.includes('made room')) beliefs.forget(target);
    else if (beliefs.get(target, INCARNATION) !== NONE) beliefs.bury(target, beliefs.get(target, INCARNATION), atMs);
  }

  #accepted(event: Judged, atMs: number): void {
    const beliefs = (this.#beliefs[event.node] ??= new Beliefs(this.#context.scenario.nodes));
    const { author, incarnation, body } = event;
    if (event.forged || body === 'garbage')
      return this.#breach('forged', event, 'promised that nothing forged or malformed is accepted, it was');
    if (this.#isFromTheGrave(beliefs, event, atMs)) {
      const numbers = `incarnation ${incarnation} accepted, ${beliefs.get(author, DEPARTED)} departed ${atMs - beliefs.get(author, DEPARTED_AT_MS)} ms ago`;
      return this.#breach('departed', event, `promised that only a higher incarnation returns: ${numbers}`);
    }
    if (body === 'goodbye') {
      beliefs.bury(author, incarnation, atMs);
      beliefs.set(author, GOODBYE, atMs);
      return;
    }
    const believed = beliefs.get(author, INCARNATION);
    if (incarnation < believed)
      return this.#breach('incarnation', event, `incarnation ${incarnation} accepted after ${believed}`);
    if (incarnation === believed && this.#isOverAge(beliefs, event, atMs)) return;
    if (body === 'accusation') return this.#accusation(beliefs, event);
    this.#take(beliefs, event, atMs);
  }

  #take(beliefs: Beliefs, event: Judged, atMs: number): void {
    const { author, incarnation, sequence, body } = event;
    if (body !== 'capability' && body !== 'load') return;
    if (incarnation > beliefs.get(author, INCARNATION)) {
      beliefs.forget(author);
      beliefs.set(author, INCARNATION, incarnation);
      beliefs.set(author, AGE_MS_MIN, this.#ageMs(event, atMs));
      beliefs.set(author, DEPARTED, NONE);
    }
    const believed = beliefs.get(author, SEQUENCE[body]);
    if (sequence < believed)
      return this.#breach('sequence', event, `sequence ${sequence} of a ${body} accepted after ${believed}`);
    if (sequence === believed)
      return this.#breach('replayed', event, `${body} ${sequence} accepted twice, promised once`);
    beliefs.set(author, SEQUENCE[body], sequence);
  }

  #accusation(beliefs: Beliefs, event: Judged): void {
    const known = beliefs.accusations.get(event.author) ?? [];
    const name = `${event.incarnation}/${event.sequence}`;
    if (known.includes(name))
      return this.#breach('replayed', event, `accusation ${name} accepted twice, promised once`);
    known.push(name);
    if (known.length > ACCUSATIONS_MAX) known.shift();
    beliefs.accusations.set(event.author, known);
  }

  #isFromTheGrave(beliefs: Beliefs, { author, incarnation, body }: Judged, atMs: number): boolean {
    const departed = beliefs.get(author, DEPARTED);
    if (departed === NONE || incarnation > departed) return false;
    if (atMs - beliefs.get(author, DEPARTED_AT_MS) > this.#tombstoneMs) return false;
    // A goodbye may still explain a death of its own incarnation, once.
    return !(body === 'goodbye' && incarnation === departed && beliefs.get(author, GOODBYE) === NONE);
  }

  #isOverAge(beliefs: Beliefs, event: Judged, atMs: number): boolean {
    const ageMs = this.#ageMs(event, atMs);
    const least = beliefs.get(event.author, AGE_MS_MIN);
    const ageMsMax = GOSSIP.messageAgeMsMax + least + this.#clockErrorMs;
    beliefs.set(event.author, AGE_MS_MIN, Math.min(least, ageMs));
    if (ageMs <= ageMsMax) return false;
    this.#breach('over-age', event, `a ${event.body} of ${ageMs} ms accepted, at most ${ageMsMax} ms promised`);
    return true;
  }

  /** True age, less what the observer or the author slept through with a clock that stood still. */
  #ageMs({ node, author, madeAtMs }: Judged, atMs: number): number {
    const haltedMs = this.#haltedMs(node, madeAtMs, atMs) + this.#haltedMs(author, madeAtMs, atMs);
    return Math.max(0, atMs - madeAtMs - haltedMs);
  }

  #haltedMs(node: number, fromMs: number, toMs: number): number {
    const halted = this.#halted.get(node);
    return halted === undefined ? 0 : Math.max(0, Math.min(toMs, halted.toMs) - Math.max(fromMs, halted.fromMs));
  }

  #haltsAt(node: number, atMs: number): boolean {
    return this.#context.plan.some(
      (fault) =>
        fault.kind === 'suspend' &&
        fault.node === node &&
        fault.clock === 'halts' &&
        fault.atMs <= atMs &&
        endMs(fault) >= atMs,
    );
  }

  #breach(kind: string, event: Judged, what: string): void {
    const { node, author, body, incarnation, sequence } = event;
    const message = `${body} ${incarnation}/${sequence} of n${author} at n${node}`;
    this.#breaches.add(kind, { atMs: this.#nowMs, nodes: [node, author], detail: `${message}: ${what}` });
  }
}

export const viewsOnlyAdvance: CheckerKind = {
  id: 'S4',
  promise:
    'what a node believes of another never goes back: no stale, replayed, forged or over-age message is accepted',
  when: 'always',
  create: (context) => new Views(context),
};
