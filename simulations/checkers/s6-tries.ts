/**
 * The part of S6 about the tries of one request. A node that takes over an answer is told what was said: its run begins at a
 * token at which a try of the asking node at it began. And a request that nobody takes does not hammer: between two
 * placements that follow each other without a try between them, or one under way, lies the shortest pause.
 * Limits: requests that live, each with at most `TRIES.triesMax` tries.
 */
import { TRIES } from '../../src/inference/tries.ts';
import type { CheckContext } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';

/** Clocks that run fast, and whole milliseconds. Source: guess. */
const PAUSE_MS_MIN = 0.9 * TRIES.pauseMsMin;

type Of<Type extends WorldEvent['type']> = Extract<WorldEvent, { type: Type }>;

interface Asked {
  /** The position at which each try began, by server. */
  readonly starts: { readonly server: number; readonly resumedAt: number }[];
  /** When it was placed, if no try followed. */
  idleAtMs: number | undefined;
  trying: boolean;
}

export class RequestTries {
  readonly #breaches: Breaches;
  readonly #asked = new Map<string, Asked>();

  constructor(context: Pick<CheckContext, 'report'>) {
    this.#breaches = new Breaches(context);
  }

  observe(event: WorldEvent, atMs: number): void {
    switch (event.type) {
      case 'request-arrived':
        this.#asked.set(keyOf(event.node, event.requestId), { starts: [], idleAtMs: undefined, trying: false });
        return;
      case 'placed':
        return this.#placed(event, atMs);
      case 'try-started':
        return this.#tryStarted(event);
      case 'try-ended': {
        const asked = this.#asked.get(keyOf(event.node, event.requestId));
        if (asked !== undefined) asked.trying = false;
        return;
      }
      case 'run-started':
        return this.#runStarted(event, atMs);
      case 'request-ended':
        this.#asked.delete(keyOf(event.node, event.requestId));
        return;
      default:
    }
  }

  #tryStarted({ node, requestId, server, resumedAt }: Of<'try-started'>): void {
    const asked = this.#asked.get(keyOf(node, requestId));
    if (asked === undefined) return;
    asked.starts.push({ server, resumedAt });
    asked.idleAtMs = undefined;
    asked.trying = true;
  }

  #placed({ node, requestId }: Of<'placed'>, atMs: number): void {
    const asked = this.#asked.get(keyOf(node, requestId));
    if (asked === undefined || asked.trying) return;
    const pauseMs = asked.idleAtMs === undefined ? Infinity : atMs - asked.idleAtMs;
    asked.idleAtMs = atMs;
    if (pauseMs >= PAUSE_MS_MIN) return;
    const detail = `placed again ${pauseMs} ms after nobody could be asked, at least ${PAUSE_MS_MIN} ms promised`;
    this.#breaches.add('no pause', { atMs, nodes: [node], requestId, detail });
  }

  #runStarted({ node: server, from, requestId, resumedAt }: Of<'run-started'>, atMs: number): void {
    const starts = this.#asked.get(keyOf(from, requestId))?.starts.filter((start) => start.server === server) ?? [];
    // A try that was given up may still be let in late: any of them will do.
    if (starts.length === 0 || starts.some((start) => start.resumedAt === resumedAt)) return;
    const detail = `n${server} begins it at token ${resumedAt}, n${from} asked it to at ${starts.map((start) => start.resumedAt).join(' or ')}`;
    this.#breaches.add('position', { atMs, nodes: [server, from], requestId, detail });
  }
}

function keyOf(node: number, requestId: string): string {
  return `${node}/${requestId}`;
}
