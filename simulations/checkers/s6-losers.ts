/**
 * The part of S6 about work that nobody waits for: 2 s after a node gave up a try, the run of it at the other node is over,
 * and none begins later. A try that the same node asks for again there takes the run over.
 * Not covered: pairs that could not talk all that time. Both must have been up, calm and connected from the moment of
 * giving up until the deadline, over a connection that carries (a relay may sleep) and whose relay, if any, was as calm, and the server neither gray nor a liar (a deaf one hears no cancel).
 * Limits: the runs, the tries of the last 2 s, and `OVER_MAX` older ones.
 */
import type { CheckContext } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { Calm } from './calm.ts';
import { Presence } from './presence.ts';

/** Source: the promise. */
const LOSER_MS_MAX = 2_000;

/** Source: guess: the tries of the last minutes. */
const OVER_MAX = 4_096;

type RunEvent = Extract<WorldEvent, { type: 'run-started' | 'run-ended' }>;
type Of<Type extends WorldEvent['type']> = Extract<WorldEvent, { type: Type }>;

interface GivenUp {
  readonly key: string;
  readonly node: number;
  readonly server: number;
  readonly requestId: string;
  readonly atMs: number;
  /** Their connection carried when it was given up. */
  readonly inTouch: boolean;
  /** It asked for the same there again since, and that try counts instead. */
  askedAgain: boolean;
}

export class Losers {
  readonly #context: CheckContext;
  readonly #breaches: Breaches;
  readonly #calm: Calm;
  readonly #presence: Presence;
  /** By server: (asker, request) of each run. */
  readonly #runs: (Set<string> | undefined)[] = [];
  /** Tries under way, by (asker, server, request). */
  readonly #tries = new Set<string>();
  /** The last one given up of each of those that are not judged yet. */
  readonly #pending = new Map<string, GivenUp>();
  /** Given up longer ago; the oldest makes room. */
  readonly #over = new Map<string, GivenUp>();
  /** By time; those before `#judged` are done. */
  #givenUp: GivenUp[] = [];
  #judged = 0;

  constructor(context: CheckContext) {
    this.#context = context;
    this.#breaches = new Breaches(context);
    this.#calm = new Calm(context.plan, context.scenario.nodes);
    this.#presence = new Presence(context.scenario.nodes);
  }

  observe(event: WorldEvent, atMs: number): void {
    this.#judgeBefore(atMs);
    this.#presence.observe(event, atMs);
    switch (event.type) {
      case 'try-started':
        return this.#tryStarted(tryKey(event));
      case 'try-ended':
        return this.#tryEnded(event, atMs);
      case 'run-started':
        return this.#runStarted(event, atMs);
      case 'run-ended':
        this.#runs[event.node]?.delete(runKey(event.from, event.requestId));
        return;
      case 'stopped':
        if (event.how !== 'paused' && event.how !== 'suspended') this.#processGone(event.node);
        return;
      default:
    }
  }

  finish(atMs: number): void {
    this.#judgeBefore(atMs);
  }

  #runStarted({ node: server, from: node, requestId }: RunEvent, atMs: number): void {
    (this.#runs[server] ??= new Set()).add(runKey(node, requestId));
    const key = tryKey({ node, server, requestId });
    const given = this.#over.get(key);
    if (given === undefined || this.#tries.has(key) || !given.inTouch || !this.#stayedInTouch(given, atMs)) return;
    const detail = `begins to run at n${server} ${atMs - given.atMs} ms after n${node} gave it up, promised over within ${LOSER_MS_MAX} ms`;
    this.#breaches.add('late run', { atMs, nodes: [node, server], requestId, detail });
  }

  #tryStarted(key: string): void {
    this.#tries.add(key);
    this.#over.delete(key);
    const pending = this.#pending.get(key);
    if (pending !== undefined) pending.askedAgain = true;
  }

  #tryEnded(event: Of<'try-ended'>, atMs: number): void {
    const { node, server, requestId } = event;
    const key = tryKey(event);
    this.#tries.delete(key);
    const inTouch = node === server || (this.#isCarried(node, server) && this.#presence.isUp(server));
    const given = { key, node, server, requestId, atMs, inTouch, askedAgain: false };
    this.#pending.set(key, given);
    this.#givenUp.push(given);
  }

  #processGone(node: number): void {
    this.#runs[node] = undefined;
    for (const key of this.#tries) if (key.startsWith(`${node}/`)) this.#tries.delete(key);
  }

  #judgeBefore(atMs: number): void {
    for (let next = this.#givenUp[this.#judged]; next !== undefined; next = this.#givenUp[this.#judged]) {
      if (next.atMs + LOSER_MS_MAX >= atMs) break;
      this.#judged += 1;
      this.#judge(next, next.atMs + LOSER_MS_MAX);
    }
    if (this.#judged < 1_024) return;
    this.#givenUp = this.#givenUp.slice(this.#judged);
    this.#judged = 0;
  }

  #judge(given: GivenUp, atMs: number): void {
    if (this.#pending.get(given.key) === given) this.#pending.delete(given.key);
    if (given.askedAgain) return;
    this.#remember(given);
    const { key, node, server, requestId, inTouch } = given;
    const runs = this.#runs[server]?.has(runKey(node, requestId)) === true;
    if (!runs || !inTouch || this.#tries.has(key) || !this.#stayedInTouch(given, atMs)) return;
    const detail = `still runs at n${server} ${LOSER_MS_MAX} ms after n${node} gave it up at ${given.atMs} ms, promised within ${LOSER_MS_MAX} ms`;
    this.#breaches.add('loser', { atMs, nodes: [node, server], requestId, detail });
  }

  #remember(given: GivenUp): void {
    this.#over.delete(given.key);
    this.#over.set(given.key, given);
    if (this.#over.size <= OVER_MAX) return;
    const [oldest] = this.#over.keys();
    if (oldest !== undefined) this.#over.delete(oldest);
  }

  #stayedInTouch({ node, server, atMs: fromMs }: GivenUp, toMs: number): boolean {
    if (!this.#context.truth.isHonest(server)) return false;
    // A relay on a struck line passes nothing on in time.
    const relays = node === server ? [] : this.#context.truth.relaysOf(node, server);
    for (const one of [node, server, ...relays])
      if (!this.#presence.isUpSince(one, fromMs) || !this.#calm.isCalm(one, fromMs, toMs)) return false;
    return node === server || this.#isCarried(node, server);
  }

  #isCarried(left: number, right: number): boolean {
    const { truth } = this.#context;
    return truth.canTalk(left, right) && truth.isConnected(left, right) && truth.isCarried(left, right);
  }
}

function runKey(from: number, requestId: string): string {
  return `${from}/${requestId}`;
}

function tryKey({ node, server, requestId }: Pick<GivenUp, 'node' | 'server' | 'requestId'>): string {
  return `${node}/${server}/${requestId}`;
}
