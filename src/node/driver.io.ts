/**
 * The one loop that owns a node's core: inputs go in one at a time, effects come out and are carried out, and the core is
 * woken when it asked to be. Effects may cause inputs at once; they wait in a queue until the step is over, so that the
 * core never sees itself half changed. Slow work runs outside and reports back as another input.
 * What is slow or can fail (dials, disk, snapshots) is behind the ports of `DriverPorts`.
 */
import type { NodeId } from '../ids.ts';
import type { Clock } from './clock.io.ts';
import type { Effect, Input } from './events.ts';
import type { Mesh } from './mesh.ts';

/** The longest sleep of the timer: a bound for mistakes, not a rhythm. Source: guess. */
const WAKE_MS_MAX = 60_000;

/** What carries the effects out, by kind. Every port handles its own errors: an effect never throws. */
export interface DriverPorts {
  network(
    effect: Extract<
      Effect,
      { type: 'dial' | 'close-connection' | 'publish' | 'judge-message' | 'request-snapshot' | 'answer-snapshot' }
    >,
  ): void;
  dataPlane(
    effect: Extract<
      Effect,
      {
        type: 'send-heartbeat' | 'send-ping' | 'dispatch' | 'refuse-request' | 'serve' | 'queue-serve' | 'refuse-serve';
      }
    >,
  ): void;
  disk(effect: Extract<Effect, { type: 'persist-incarnation' | 'persist-peers' }>): void;
  memberChanged(change: { readonly node: NodeId; readonly verdict: string; readonly reason: string }): void;
  drained(): void;
  /** Sees everything, for the explain records; changes nothing. */
  observe(
    event:
      | { readonly type: 'input'; readonly input: Input; readonly nowMs: number }
      | { readonly type: 'effect'; readonly effect: Effect },
  ): void;
}

export class Driver {
  readonly #mesh: Mesh;
  readonly #clock: Clock;
  readonly #ports: DriverPorts;
  readonly #waiting: Input[] = [];
  #stepping = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  /** The moment that the timer was set for. */
  #timerForMs = 0;

  constructor(parts: { readonly mesh: Mesh; readonly clock: Clock; readonly ports: DriverPorts }) {
    this.#mesh = parts.mesh;
    this.#clock = parts.clock;
    this.#ports = parts.ports;
  }

  /** Feeds one input; its effects are carried out before this returns, unless a step is under way. */
  accept(input: Input): void {
    if (this.#stopped) return;
    this.#waiting.push(input);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) this.#step(next);
    } finally {
      this.#stepping = false;
    }
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #step(input: Input): void {
    const nowMs = this.#clock.nowMs();
    this.#ports.observe({ type: 'input', input, nowMs });
    const { effects, wakeAtMs } = this.#mesh.step(input, nowMs);
    this.#wakeAt(wakeAtMs, nowMs);
    for (const effect of effects) {
      this.#ports.observe({ type: 'effect', effect });
      this.#carryOut(effect);
    }
  }

  /** Tokens make many steps: a timer that fires soon enough is left alone. */
  #wakeAt(wakeAtMs: number, nowMs: number): void {
    if (this.#timer !== undefined && this.#timerForMs <= wakeAtMs && this.#timerForMs > nowMs) return;
    clearTimeout(this.#timer);
    const waitMs = Math.ceil(Math.min(WAKE_MS_MAX, Math.max(0, wakeAtMs - nowMs)));
    this.#timerForMs = Math.min(wakeAtMs, nowMs + WAKE_MS_MAX);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.accept({ type: 'woke' });
    }, waitMs);
  }

  #carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'dial':
      case 'close-connection':
      case 'publish':
      case 'judge-message':
      case 'request-snapshot':
      case 'answer-snapshot':
        return this.#ports.network(effect);
      case 'send-heartbeat':
      case 'send-ping':
      case 'dispatch':
      case 'refuse-request':
      case 'serve':
      case 'queue-serve':
      case 'refuse-serve':
        return this.#ports.dataPlane(effect);
      case 'persist-incarnation':
      case 'persist-peers':
        return this.#ports.disk(effect);
      case 'member-changed':
        return this.#ports.memberChanged(effect);
      case 'drained':
        return this.#ports.drained();
    }
  }
}
