/**
 * Who fell, and after how long did anybody notice? One row for each time that a node went down, whatever the reason,
 * filled as the others come to doubt it, give it up, and trust it again after it came back. Noticed means: by more than
 * half of those that were up and knew it. Limits: 5,000 rows are listed, all falls are counted. Source: ours.
 */
import { type Quantiles, Sketch } from './sketch.ts';
import type { WorldEvent } from '../world-event.ts';

const FALLS_MAX = 5_000;

export type How = Extract<WorldEvent, { type: 'stopped' }>['how'];
const HOWS: readonly How[] = ['crashed', 'powered-off', 'left', 'paused', 'suspended'];

export interface FallRow {
  readonly node: number;
  readonly how: How;
  readonly atMs: number;
  /** Nodes that were up and could notice. */
  readonly observers: number;
  /** When the first one, and when more than half of them, took it for suspect, dead or left. */
  readonly firstNoticedAtMs: number | undefined;
  readonly noticedAtMs: number | undefined;
  /** When more than half took it for dead or left. */
  readonly heldDeadAtMs: number | undefined;
  readonly backAtMs: number | undefined;
  /** When more than half trusted it again. */
  readonly trustedAgainAtMs: number | undefined;
}

export interface DetectionByHow {
  readonly how: How;
  readonly falls: number;
  readonly noticed: number;
  /** Was up again before the majority noticed. */
  readonly backFirst: number;
  /** From the fall until the majority noticed. */
  readonly noticedAfterMs: Quantiles | undefined;
  /** From the fall until one observer noticed, over all observers that were up all the time. */
  readonly observerAfterMs: Quantiles | undefined;
  readonly heldDeadAfterMs: Quantiles | undefined;
}

/** What the others hold of a node now. */
export interface Standing {
  /** How many doubt it. */
  readonly doubted: number;
  readonly isNoticed: boolean;
  readonly isHeldDead: boolean;
}

type Fall = { -readonly [Key in keyof FallRow]: FallRow[Key] };

export class Falls {
  readonly #rows: Fall[] = [];
  /** The fall of each node that is not over: it is down, or up and not trusted again. */
  readonly #current: (Fall | undefined)[];
  readonly #byHow: Readonly<Record<How, Detection>> = {
    crashed: new Detection(),
    'powered-off': new Detection(),
    left: new Detection(),
    paused: new Detection(),
    suspended: new Detection(),
  };
  readonly #trustedAgain = new Sketch();

  constructor(nodes: number) {
    this.#current = Array.from({ length: nodes }, () => undefined);
  }

  get rows(): readonly FallRow[] {
    return this.#rows;
  }

  get trustedAgainAfterMs(): Quantiles | undefined {
    return this.#trustedAgain.quantiles();
  }

  fell(node: number, cause: { readonly how: How; readonly observers: number }, atMs: number): void {
    const fall: Fall = {
      node,
      ...cause,
      atMs,
      firstNoticedAtMs: undefined,
      noticedAtMs: undefined,
      heldDeadAtMs: undefined,
      backAtMs: undefined,
      trustedAgainAtMs: undefined,
    };
    this.#current[node] = fall;
    this.#byHow[cause.how].falls += 1;
    if (this.#rows.length < FALLS_MAX) this.#rows.push(fall);
  }

  rose(node: number, atMs: number): void {
    const fall = this.#current[node];
    if (fall === undefined) return;
    fall.backAtMs = atMs;
    if (fall.noticedAtMs !== undefined) return;
    this.#byHow[fall.how].backFirst += 1;
    this.#current[node] = undefined;
  }

  /** One observer that saw everything came to doubt a node that is down. */
  observed(node: number, atMs: number): void {
    const fall = this.#current[node];
    if (fall !== undefined) this.#byHow[fall.how].observerAfterMs.add(atMs - fall.atMs);
  }

  follow(node: number, standing: Standing, atMs: number): void {
    const fall = this.#current[node];
    if (fall === undefined) return;
    if (fall.backAtMs === undefined) this.#followDown(fall, standing, atMs);
    else if (!standing.isNoticed) {
      fall.trustedAgainAtMs = atMs;
      this.#trustedAgain.add(atMs - fall.backAtMs);
      this.#current[node] = undefined;
    }
  }

  byHow(): readonly DetectionByHow[] {
    return HOWS.filter((how) => this.#byHow[how].falls > 0).map((how) => this.#byHow[how].shown(how));
  }

  #followDown(fall: Fall, { doubted, isNoticed, isHeldDead }: Standing, atMs: number): void {
    const detection = this.#byHow[fall.how];
    if (doubted > 0) fall.firstNoticedAtMs ??= atMs;
    if (isNoticed && fall.noticedAtMs === undefined) {
      fall.noticedAtMs = atMs;
      detection.noticed += 1;
      detection.noticedAfterMs.add(atMs - fall.atMs);
    }
    if (isHeldDead && fall.heldDeadAtMs === undefined) {
      fall.heldDeadAtMs = atMs;
      detection.heldDeadAfterMs.add(atMs - fall.atMs);
    }
  }
}

class Detection {
  falls = 0;
  noticed = 0;
  backFirst = 0;
  readonly noticedAfterMs = new Sketch();
  readonly observerAfterMs = new Sketch();
  readonly heldDeadAfterMs = new Sketch();

  shown(how: How): DetectionByHow {
    const { falls, noticed, backFirst } = this;
    return {
      how,
      falls,
      noticed,
      backFirst,
      noticedAfterMs: this.noticedAfterMs.quantiles(),
      observerAfterMs: this.observerAfterMs.quantiles(),
      heldDeadAfterMs: this.heldDeadAfterMs.quantiles(),
    };
  }
}
