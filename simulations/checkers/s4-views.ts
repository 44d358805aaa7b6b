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

/** What one observer believes, by author. */
class Beliefs {
  readonly incarnation: Float64Array;
  readonly sequences: Readonly<Record<'capability' | 'load', Float64Array>>;
  /** The least age that was seen under this incarnation. */
  readonly ageMsMin: Float64Array;
  readonly departed: Float64Array;
  readonly departedAtMs: Float64Array;
  readonly saidGoodbye: Uint8Array;
  readonly accusations = new Map<number, string[]>();

  constructor(nodes: number) {
    const column = (): Float64Array => new Float64Array(nodes).fill(NONE);
    this.incarnation = column();
    this.sequences = { capability: column(), load: column() };
    this.ageMsMin = column();
    this.departed = column();
    this.departedAtMs = column();
    this.saidGoodbye = new Uint8Array(nodes);
  }

  forget(author: number): void {
    this.incarnation[author] = NONE;
    this.sequences.capability[author] = NONE;
    this.sequences.load[author] = NONE;
  }

  bury(author: number, incarnation: number, atMs: number): void {
    this.forget(author);
    this.departed[author] = incarnation;
    this.departedAtMs[author] = atMs;
    this.saidGoodbye[author] = 0;
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
    else if ((beliefs.incarnation[target] ?? NONE) !== NONE)
      beliefs.bury(target, beliefs.incarnation[target] ?? NONE, atMs);
  }

  #accepted(event: Judged, atMs: number): void {
    const beliefs = (this.#beliefs[event.node] ??= new Beliefs(this.#context.scenario.nodes));
    const { author, incarnation, body } = event;
    if (event.forged || body === 'garbage')
      return this.#breach('forged', event, 'promised that nothing forged or malformed is accepted, it was');
    if (this.#isFromTheGrave(beliefs, event, atMs)) {
      const numbers = `incarnation ${incarnation} accepted, ${beliefs.departed[author]} departed ${atMs - (beliefs.departedAtMs[author] ?? 0)} ms ago`;
      return this.#breach('departed', event, `promised that only a higher incarnation returns: ${numbers}`);
    }
    if (body === 'goodbye') {
      beliefs.bury(author, incarnation, atMs);
      beliefs.saidGoodbye[author] = 1;
      return;
    }
    const believed = beliefs.incarnation[author] ?? NONE;
    if (incarnation < believed)
      return this.#breach('incarnation', event, `incarnation ${incarnation} accepted after ${believed}`);
    if (incarnation === believed && this.#isOverAge(beliefs, event, atMs)) return;
    if (body === 'accusation') return this.#accusation(beliefs, event);
    this.#take(beliefs, event, atMs);
  }

  #take(beliefs: Beliefs, event: Judged, atMs: number): void {
    const { author, incarnation, sequence, body } = event;
    if (body !== 'capability' && body !== 'load') return;
    if (incarnation > (beliefs.incarnation[author] ?? NONE)) {
      beliefs.forget(author);
      beliefs.incarnation[author] = incarnation;
      beliefs.ageMsMin[author] = this.#ageMs(event, atMs);
      beliefs.departed[author] = NONE;
    }
    const believed = beliefs.sequences[body][author] ?? NONE;
    if (sequence < believed)
      return this.#breach('sequence', event, `sequence ${sequence} of a ${body} accepted after ${believed}`);
    if (sequence === believed)
      return this.#breach('replayed', event, `${body} ${sequence} accepted twice, promised once`);
    beliefs.sequences[body][author] = sequence;
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
    const departed = beliefs.departed[author] ?? NONE;
    if (departed === NONE || incarnation > departed) return false;
    if (atMs - (beliefs.departedAtMs[author] ?? 0) > this.#tombstoneMs) return false;
    // A goodbye may still explain a death of its own incarnation, once.
    return !(body === 'goodbye' && incarnation === departed && beliefs.saidGoodbye[author] === 0);
  }

  #isOverAge(beliefs: Beliefs, event: Judged, atMs: number): boolean {
    const ageMs = this.#ageMs(event, atMs);
    const least = beliefs.ageMsMin[event.author] ?? 0;
    const ageMsMax = GOSSIP.messageAgeMsMax + least + this.#clockErrorMs;
    beliefs.ageMsMin[event.author] = Math.min(least, ageMs);
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
