/**
 * S6: each request ends exactly once, and what its client reads is one answer. Positions are gap-free and free of repeats
 * from 0, nothing comes after the end, the count of an answered request is what was read. At the end of the run
 * every request whose entry node lived has ended, if it had the scenario's drain time in a whole world and nothing
 * moved for `SILENT_MS`: neither text came, nor a run of it began, nor did the queue move in which it waits. After a try
 * was given up, its run at the other node ends within 2 s (`s6-losers.ts`). Where an answer goes on, and how often a
 * request asks, is judged too (`s6-tries.ts`).
 * Not covered: requests whose entry node died, left or began anew. Limits: `ENDED_MAX` ended ones are remembered.
 */
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { Losers } from './s6-losers.ts';
import { RequestTries } from './s6-tries.ts';

/** Source: guess: every request of the last minutes. */
const ENDED_MAX = 16_384;
/** What still moves is under way, however long it is. Source: guess: the longest run of the slowest machine. */
const SILENT_MS = 60_000;

type Of<Type extends WorldEvent['type']> = Extract<WorldEvent, { type: Type }>;

interface Live {
  readonly node: number;
  readonly requestId: string;
  readonly arrivedAtMs: number;
  tokens: number;
  movedAtMs: number;
  /** In whose queue it is: that moves whenever a run ends there. */
  waitsAt: number | undefined;
  /** Its entry node is gone. */
  orphan: boolean;
}

class Requests implements Checker {
  readonly #context: CheckContext;
  readonly #breaches: Breaches;
  readonly #losers: Losers;
  readonly #tries: RequestTries;
  readonly #live = new Map<string, Live>();
  /** Oldest first, with how each ended. */
  readonly #ended = new Map<string, string>();
  #healedAtMs = Infinity;
  /** By node: when a run last ended there. */
  readonly #runEndedAtMs: number[] = [];

  constructor(context: CheckContext) {
    this.#context = context;
    this.#breaches = new Breaches(context);
    this.#losers = new Losers(context);
    this.#tries = new RequestTries(context);
  }

  observe(event: WorldEvent, atMs: number): void {
    this.#losers.observe(event, atMs);
    this.#tries.observe(event, atMs);
    switch (event.type) {
      case 'request-arrived':
        return this.#arrived(event, atMs);
      case 'text':
        return this.#text(event, atMs);
      case 'request-ended':
        return this.#endedOnce(event, atMs);
      case 'try-started':
      case 'offered':
      case 'run-started':
        return this.#moved(event, atMs);
      case 'run-ended':
        this.#runEndedAtMs[event.node] = atMs;
        return;
      case 'healed':
        this.#healedAtMs = atMs;
        return;
      case 'stopped':
        if (event.how === 'paused' || event.how === 'suspended') return;
        for (const live of this.#live.values()) if (live.node === event.node) live.orphan = true;
        return;
      default:
    }
  }

  finish(atMs: number): void {
    this.#losers.finish(atMs);
    const { drainMs } = this.#context.scenario;
    for (const { node, requestId, arrivedAtMs, tokens, waitsAt, orphan, ...live } of this.#live.values()) {
      const wholeMs = atMs - Math.max(arrivedAtMs, this.#healedAtMs);
      const queueMovedAtMs = waitsAt === undefined ? 0 : (this.#runEndedAtMs[waitsAt] ?? 0);
      const movedAtMs = Math.max(live.movedAtMs, queueMovedAtMs);
      if (orphan || !(wholeMs >= drainMs) || atMs - movedAtMs < SILENT_MS) continue;
      const detail = `not ended ${wholeMs} ms after its arrival in a whole world (${drainMs} ms are enough), ${tokens} tokens read, the last thing ${atMs - movedAtMs} ms ago`;
      this.#breaches.add('never ended', { atMs, nodes: [node], requestId, detail });
    }
  }

  #arrived({ node, requestId }: Of<'request-arrived'>, atMs: number): void {
    if (this.#live.has(requestId) || this.#ended.has(requestId))
      this.#breaches.add('arrived twice', { atMs, nodes: [node], requestId, detail: 'this id arrived before' });
    this.#live.set(requestId, {
      node,
      requestId,
      arrivedAtMs: atMs,
      tokens: 0,
      movedAtMs: atMs,
      waitsAt: undefined,
      orphan: false,
    });
  }

  /** It entered a queue, left it, or runs. */
  #moved(event: Of<'try-started' | 'offered' | 'run-started'>, atMs: number): void {
    const live = this.#live.get(event.requestId);
    if (live === undefined || (event.type !== 'try-started' && event.from !== live.node)) return;
    if (event.type === 'run-started') live.movedAtMs = atMs;
    live.waitsAt = event.type === 'offered' && event.answer === 'queued' ? event.node : undefined;
  }

  #text({ node, requestId, position, tokens }: Of<'text'>, atMs: number): void {
    const live = this.#live.get(requestId);
    if (live === undefined) {
      const how = this.#ended.get(requestId);
      if (how === undefined) return;
      const detail = `token ${position} after the end (${how})`;
      return this.#breaches.add('after the end', { atMs, nodes: [node], requestId, detail });
    }
    live.movedAtMs = atMs;
    if (position !== live.tokens) {
      const kind = position < 0 ? 'nonsense' : position > live.tokens ? 'gap' : 'repeat';
      const detail = `${kind}: token ${live.tokens} was due, ${position} came`;
      this.#breaches.add(kind, { atMs, nodes: [node], requestId, detail });
    }
    // One gap is one breach: go on from what was read.
    live.tokens = position < 0 ? live.tokens + tokens : position + tokens;
  }

  #endedOnce({ node, requestId, result, tokens, completionTokens }: Of<'request-ended'>, atMs: number): void {
    const live = this.#live.get(requestId);
    const add = (kind: string, detail: string): void =>
      this.#breaches.add(kind, { atMs, nodes: [node], requestId, detail });
    if (live === undefined) {
      const how = this.#ended.get(requestId);
      if (how !== undefined) add('ended twice', `ended as ${result} after it had ended as ${how}`);
      else add('ended unseen', `ended as ${result} without having arrived`);
      return this.#remember(requestId, result);
    }
    if (tokens !== live.tokens && result !== 'node-lost')
      add('tokens', `${tokens} tokens said to be read, ${live.tokens} seen`);
    if (result === 'answered' && completionTokens !== live.tokens)
      add('count', `${completionTokens} completion tokens counted, ${live.tokens} read`);
    this.#live.delete(requestId);
    this.#remember(requestId, result);
  }

  #remember(requestId: string, result: string): void {
    this.#ended.set(requestId, result);
    if (this.#ended.size <= ENDED_MAX) return;
    const [oldest] = this.#ended.keys();
    if (oldest !== undefined) this.#ended.delete(oldest);
  }
}

export const requestsEndOnce: CheckerKind = {
  id: 'S6',
  promise:
    'each request ends exactly once, its text has no gap and no repeat, and what it left behind elsewhere ends within 2 s',
  when: 'always',
  create: (context) => new Requests(context),
};
