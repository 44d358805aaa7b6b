/**
 * How long does a machine take? Processor sharing: all streams together get speed * busy^0.6 tokens per second, in equal
 * shares; prompt tokens are 15 times as cheap as those of the answer; what its cache holds of a conversation costs
 * nothing. The cache keeps whole conversations, least recently used out first. Who may run is decided elsewhere.
 * Source: the placement study; the size of the cache (8,192 tokens per slot) is a guess.
 */
import type { EventQueue } from '../kernel/kernel-port.ts';
import { type MachineSpec, type Message, PREFILL_SPEEDUP, throughput } from './demand.ts';

const CACHE_TOKENS_PER_SLOT = 24_576;
/** Rounding must not leave a crumb of work. */
const CRUMB_TOKENS = 1e-6;

export interface Run {
  readonly message: Message;
  readonly startedAtMs: number;
  readonly cachedTokens: number;
  firstTokenAtMs: number | undefined;
  /** Until the first token, then until the end, in tokens of answer. */
  leftTokens: number;
}

export interface MachineListener {
  firstToken(run: Run): void;
  ended(run: Run): void;
}

export class Machine {
  readonly spec: MachineSpec;
  readonly #agenda: EventQueue;
  readonly #listener: MachineListener;
  #running: Run[] = [];
  /** Tokens kept of each conversation, least recently used first. */
  readonly #cache = new Map<number, number>();
  #cacheTokens = 0;
  #advancedAtMs = 0;
  #plans = 0;
  /** In tokens of answer, since the start. */
  #doneTokens = 0;
  /** Tokens per ms of each stream, by how many there are. */
  readonly #share: readonly number[];

  constructor(spec: MachineSpec, agenda: EventQueue, listener: MachineListener) {
    this.spec = spec;
    this.#agenda = agenda;
    this.#listener = listener;
    this.#share = Array.from({ length: spec.slots + 1 }, (_, busy) =>
      busy === 0 ? 0 : throughput(spec, busy) / busy / 1_000,
    );
  }

  get busy(): number {
    return this.#running.length;
  }

  /** Tokens per ms of one stream among `busy`. */
  shareOf(busy: number): number {
    return this.#share[Math.min(busy, this.spec.slots)] ?? 0;
  }

  /** How many of this prompt's tokens need no evaluation here. */
  cachedTokens(message: Message): number {
    return Math.min(this.#cache.get(message.conversation) ?? 0, message.promptTokens - 1);
  }

  /** Work that was done up to now. */
  doneTokens(): number {
    this.#advance();
    return this.#doneTokens;
  }

  start(message: Message): Run {
    this.#advance();
    const cachedTokens = this.cachedTokens(message);
    // The first token of the answer comes out of the prompt's evaluation and one step of decoding.
    const leftTokens = (message.promptTokens - cachedTokens) / PREFILL_SPEEDUP + 1;
    const startedAtMs = this.#agenda.nowMs;
    const run: Run = { message, startedAtMs, cachedTokens, firstTokenAtMs: undefined, leftTokens };
    this.#running.push(run);
    this.#plan();
    return run;
  }

  #advance(): void {
    const elapsedMs = this.#agenda.nowMs - this.#advancedAtMs;
    this.#advancedAtMs = this.#agenda.nowMs;
    const tokens = elapsedMs * this.shareOf(this.#running.length);
    for (const run of this.#running) run.leftTokens -= tokens;
    this.#doneTokens += tokens * this.#running.length;
  }

  #plan(): void {
    this.#plans += 1;
    const plan = this.#plans;
    let leastTokens = Infinity;
    for (const run of this.#running) leastTokens = Math.min(leastTokens, run.leftTokens);
    if (leastTokens === Infinity) return;
    const inMs = Math.max(0, leastTokens) / this.shareOf(this.#running.length);
    this.#agenda.at(this.#agenda.nowMs + inMs, () => {
      if (plan === this.#plans) this.#reached();
    });
  }

  #reached(): void {
    this.#advance();
    const reached = this.#running.filter((run) => run.leftTokens <= CRUMB_TOKENS);
    for (const run of reached) if (run.firstTokenAtMs === undefined) this.#speak(run);
    const over = reached.filter((run) => run.leftTokens <= CRUMB_TOKENS);
    this.#running = this.#running.filter((run) => !over.includes(run));
    for (const { message } of over) this.#remember(message.conversation, message.promptTokens + message.answerTokens);
    // A listener may start the next at once, which plans too.
    for (const run of over) this.#listener.ended(run);
    this.#plan();
  }

  #speak(run: Run): void {
    run.firstTokenAtMs = this.#agenda.nowMs;
    run.leftTokens = run.message.answerTokens - 1;
    this.#listener.firstToken(run);
  }

  #remember(conversation: number, tokens: number): void {
    this.#cacheTokens += tokens - (this.#cache.get(conversation) ?? 0);
    this.#cache.delete(conversation);
    this.#cache.set(conversation, tokens);
    for (const [oldest, kept] of this.#cache) {
      if (this.#cacheTokens <= CACHE_TOKENS_PER_SLOT * this.spec.slots) return;
      this.#cache.delete(oldest);
      this.#cacheTokens -= kept;
    }
  }
}
