/**
 * The part of S4 about those who come back: a process that stood still, or slept, for longer than `sleptAfterMs` says
 * nothing more under the incarnation from before, because the others may hold it for dead under that one, and its clock may
 * have stood still. Looked at are messages that were made after it went on, whoever judges them, however it judges.
 * Not covered: machines whose monotonic clock stood still (the process cannot know), and liars.
 */
import { LIVENESS } from '../../src/params.ts';
import type { CheckContext } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { endMs } from './calm.ts';
import { scenarioIntervalMs } from './load-interval.ts';

/** Between two heartbeats a core asks to be woken; what it sleeps beyond that is its lateness. Source: guess, twice that. */
const WAKE_SLACK_MS = 2 * LIVENESS.heartbeatIntervalMs;
const NONE = -1;

type Of<Type extends WorldEvent['type']> = Extract<WorldEvent, { type: Type }>;

export class Returns {
  readonly #context: CheckContext;
  readonly #breaches: Breaches;
  readonly #awayMsMin: number;
  /** The highest incarnation that each spoke under. */
  readonly #incarnation: Float64Array;
  readonly #stoppedAtMs: Float64Array;
  readonly #resumedAtMs: Float64Array;
  /** The incarnation from before its last long absence; NONE = there was none. */
  readonly #outlived: Float64Array;

  constructor(context: CheckContext) {
    const column = (): Float64Array => new Float64Array(context.scenario.nodes).fill(NONE);
    this.#context = context;
    this.#breaches = new Breaches(context);
    // Who is alone has no heartbeats to send and only wakes for its beacons.
    this.#awayMsMin = LIVENESS.sleptAfterMs + Math.max(WAKE_SLACK_MS, 2 * scenarioIntervalMs(context.scenario));
    this.#incarnation = column();
    this.#stoppedAtMs = column();
    this.#resumedAtMs = column();
    this.#outlived = column();
  }

  observe(event: WorldEvent, atMs: number): void {
    switch (event.type) {
      case 'started':
        this.#incarnation[event.node] = event.incarnation;
        this.#outlived[event.node] = NONE;
        return;
      case 'stopped':
        this.#stoppedAtMs[event.node] = atMs;
        return;
      case 'resumed':
        return this.#resumed(event.node, atMs);
      case 'judged':
        return this.#judged(event, atMs);
      default:
    }
  }

  #resumed(node: number, atMs: number): void {
    const stoppedAtMs = this.#stoppedAtMs[node] ?? 0;
    if (atMs - stoppedAtMs <= this.#awayMsMin || this.#clockHalted(node, stoppedAtMs)) return;
    this.#resumedAtMs[node] = atMs;
    this.#outlived[node] = this.#incarnation[node] ?? NONE;
  }

  #judged({ node, author, incarnation, madeAtMs, forged, body }: Of<'judged'>, atMs: number): void {
    if (forged || body === 'garbage') return;
    const outlived = this.#outlived[author] ?? NONE;
    const isAfter = madeAtMs >= (this.#resumedAtMs[author] ?? 0);
    if (outlived !== NONE && isAfter && incarnation <= outlived && this.#context.truth.isHonest(author)) {
      const detail = `n${author} speaks under incarnation ${incarnation} (${body}) ${madeAtMs - (this.#resumedAtMs[author] ?? 0)} ms after it came back from an absence; one above ${outlived} promised`;
      this.#breaches.add('outlived', { atMs, nodes: [author, node], detail });
    }
    this.#incarnation[author] = Math.max(this.#incarnation[author] ?? NONE, incarnation);
  }

  #clockHalted(node: number, atMs: number): boolean {
    return this.#context.plan.some(
      (fault) =>
        fault.kind === 'suspend' &&
        fault.node === node &&
        fault.clock === 'halts' &&
        fault.atMs <= atMs &&
        endMs(fault) >= atMs,
    );
  }
}
