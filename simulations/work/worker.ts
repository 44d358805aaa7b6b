/**
 * A simulated machine that serves models: the engine of a simulated node, on virtual time. The service model is that of
 * the placement study: b requests that work at once share v * b^0.6 answer tokens per second equally, prompts are read
 * `prefillFactor` times as fast, and what the machine's cache still holds of a conversation need not be read again.
 * A model that is not ready is loaded on its first request. Answers are numbered words (`numbered-text.ts`).
 * It can be made slow, mute (accepts and never speaks), halted (the process stands still) and stopped for good.
 * Limits: whole ms; every change of who works is exact, but tokens after the first are shown in batches, so that a long
 * simulation costs ten events per second and answer.
 */
import { hash64, hashHex, utf8 } from '../../src/bytes.ts';
import { type Failure, failure } from '../../src/errors.ts';
import type { ModelId } from '../../src/ids.ts';
import type { Job, Engine, EngineEvent, EngineModel, EngineRun, ModelState } from '../../src/inference/engine.ts';
import type { EventQueue, Timer } from '../kernel/kernel-port.ts';
import { type Machine, sharedSpeed } from './machines.ts';
import { answerTokensOf, prefixHashes, tokensOf } from './numbered-text.ts';
import { PrefixCache, type Sequence } from './prefix-cache.ts';
import { type RunHost, SimulatedRun } from './worker-run.ts';

/** Between two events of one answer. Source: guess: finer than a reader sees, coarse enough for hours of simulation. */
const BATCH_MS = 100;

export interface SimulatedModel {
  readonly model: ModelId;
  readonly contextTokens: number;
  /** 0 = ready from the start. */
  readonly loadMs: number;
  /** Multiplies the machine's speed. */
  readonly speed: number;
}

export interface SimulatedEngineOptions {
  readonly queue: EventQueue;
  readonly machine: Omit<Machine, 'kind'>;
  readonly models: readonly SimulatedModel[];
  readonly batchMs?: number;
  /** What `models()` says has changed. */
  readonly modelsChanged?: () => void;
}

interface Offered extends SimulatedModel {
  readonly digest: string;
  state: ModelState;
  /** Until it is ready. */
  loadLeftMs: number;
}

export class SimulatedEngine implements Engine, RunHost {
  readonly kind = 'scripted';
  readonly #options: SimulatedEngineOptions;
  readonly #offered: readonly Offered[];
  readonly #cache: PrefixCache;
  #listed: readonly EngineModel[] = [];
  #runs: SimulatedRun[] = [];
  #slowFactor = 1;
  #halted = false;
  #mute = false;
  #stopped = false;
  /** Its batches are counted from here: two machines' seldom come together. */
  readonly #startedAtMs: number;
  #settledAtMs: number;
  /** Of each that works, at a model's speed of 1. */
  #workPerMs = 0;
  #timer: Timer | undefined;
  /** Changes within changes: only the outermost shares the machine out again. */
  #depth = 0;

  constructor(options: SimulatedEngineOptions) {
    this.#options = options;
    this.#startedAtMs = options.queue.nowMs;
    this.#settledAtMs = options.queue.nowMs;
    this.#cache = new PrefixCache(options.machine.cacheTokens);
    this.#offered = options.models.map((model) => ({
      ...model,
      digest: hashHex(hash64(utf8(model.model))).repeat(4),
      state: model.loadMs === 0 ? 'ready' : 'on-disk',
      loadLeftMs: model.loadMs,
    }));
    this.#list();
  }

  models(): readonly EngineModel[] {
    return this.#listed;
  }

  /** Runs that hold a slot. */
  get running(): number {
    return this.#runs.length;
  }

  start(job: Job, on: (event: EngineEvent) => void): EngineRun {
    if (this.#stopped) return { grant() {}, cancel() {} };
    const index = this.#offered.findIndex(({ model }) => model === job.model);
    const tokens = job.messages.map(tokensOf);
    const promptTokens = tokens.reduce((sum, count) => sum + count, 0);
    const offered = this.#offered[index];
    const refusal = this.#refusal(job, { index, promptTokens });
    if (offered === undefined || refusal !== undefined) {
      const reason = refusal ?? failure('model-not-found', `this engine has no model ${job.model}`);
      on({ type: 'failed', failure: reason });
      return { grant() {}, cancel() {} };
    }
    this.changing();
    const hashes = prefixHashes(job.messages);
    const sequence = { hashes, tokens, model: index, resumedTokens: job.resume?.tokens ?? 0 };
    const run = this.#newRun({ job, on, sequence, promptTokens, contextTokens: offered.contextTokens });
    this.#runs.push(run);
    if (offered.state === 'on-disk') {
      offered.state = 'loading';
      this.#list();
    }
    const { cachedTokens } = run.setup;
    if (!this.#mute && !this.#halted)
      on({ type: 'progress', promptTokensDone: cachedTokens, promptTokens, cachedTokens });
    this.changed();
    return run;
  }

  /** Tokens take `factor` times as long from now on. */
  setSlowFactor(factor: number): void {
    this.changing();
    this.#slowFactor = factor;
    this.changed();
  }

  /** While mute it accepts everything and neither works nor speaks. */
  setMute(mute: boolean): void {
    this.changing();
    this.#mute = mute;
    this.changed();
  }

  /** The process stands still. */
  pause(): void {
    this.changing();
    this.#halted = true;
    this.changed();
  }

  resume(): void {
    this.changing();
    this.#halted = false;
    this.changed();
  }

  /** The process is gone: nothing is ever said again. */
  stop(): void {
    this.#stopped = true;
    this.#runs = [];
    this.#wakeAt(Number.POSITIVE_INFINITY);
  }

  changing(): void {
    if (this.#depth === 0) this.#settle();
    this.#depth += 1;
  }

  changed(): void {
    this.#depth -= 1;
    if (this.#depth === 0) this.#shareOut();
  }

  over(run: SimulatedRun): void {
    this.#runs = this.#runs.filter((other) => other !== run);
    const { sequence, promptTokens } = run.setup;
    this.#cache.end(sequence, reserveOf(run.setup), promptTokens + run.position);
  }

  #refusal(job: Job, { index, promptTokens }: { index: number; promptTokens: number }): Failure | undefined {
    const offered = this.#offered[index];
    if (offered === undefined) return undefined;
    const { contextTokens } = offered;
    if (promptTokens >= contextTokens)
      return failure(
        'context-length-exceeded',
        `This model's maximum context length is ${contextTokens} tokens, but the messages have ${promptTokens} tokens.`,
      );
    const { slots } = this.#options.machine;
    const used = this.#runs.filter((run) => run.setup.model === index).length;
    return used < slots ? undefined : failure('busy', `all ${slots} slots of ${job.model} are taken`);
  }

  #newRun(wish: {
    readonly job: Job;
    readonly on: (event: EngineEvent) => void;
    readonly sequence: Sequence;
    readonly promptTokens: number;
    readonly contextTokens: number;
  }): SimulatedRun {
    const { job, on, sequence, promptTokens, contextTokens } = wish;
    const { queue, machine } = this.#options;
    const lengthMax = Math.min(job.sampling.maxTokens ?? contextTokens, contextTokens - promptTokens);
    const natural = answerTokensOf(job.messages);
    const endPosition = Math.min(natural, lengthMax);
    const found = this.#cache.begin(sequence, reserveOf({ promptTokens, endPosition }));
    // The last token has to be read again: the first of the answer comes out of it.
    const toRead = Math.max(1, promptTokens + sequence.resumedTokens - found);
    return new SimulatedRun(
      {
        host: this,
        job,
        on,
        model: sequence.model,
        sequence,
        promptTokens,
        cachedTokens: Math.min(found, promptTokens - 1),
        prefillWork: toRead / machine.prefillFactor,
        endPosition,
        finishReason: natural < lengthMax ? 'stop' : 'length',
        showNextAtMs: (shownAtMs) => this.#nextBatchAtMs(shownAtMs),
      },
      queue.nowMs,
    );
  }

  /** All runs show their tokens at the same moments, so that the machine is woken once for all of them. */
  #nextBatchAtMs(nowMs: number): number {
    const { batchMs = BATCH_MS } = this.#options;
    return batchMs === 0 ? nowMs : nowMs + batchMs - ((nowMs - this.#startedAtMs) % batchMs);
  }

  /** Brings everything up to now. */
  #settle(): void {
    const { nowMs } = this.#options.queue;
    const elapsedMs = nowMs - this.#settledAtMs;
    this.#settledAtMs = nowMs;
    if (elapsedMs === 0 || this.#standsStill()) return;
    for (const run of this.#runs) if (run.active) run.workOn(elapsedMs * this.#workPerMs * this.#speedOf(run));
    for (const offered of this.#offered) if (offered.state === 'loading') offered.loadLeftMs -= elapsedMs;
  }

  /** Who works now, how fast, and when does something happen next? */
  #shareOut(): void {
    if (this.#standsStill()) {
      this.#wakeAt(Number.POSITIVE_INFINITY);
      return;
    }
    const { nowMs } = this.#options.queue;
    let working = 0;
    for (const run of this.#runs) {
      run.active = run.canWork && this.#offered[run.setup.model]?.state === 'ready';
      if (run.active) working += 1;
    }
    const { tokensPerSecond } = this.#options.machine;
    const together = (tokensPerSecond * sharedSpeed(working)) / this.#slowFactor;
    this.#workPerMs = working === 0 ? 0 : together / working / 1_000;
    let atMs = Number.POSITIVE_INFINITY;
    for (const run of this.#runs) atMs = Math.min(atMs, run.nextAtMs(this.#workPerMs * this.#speedOf(run), nowMs));
    for (const { state, loadLeftMs } of this.#offered)
      if (state === 'loading') atMs = Math.min(atMs, nowMs + Math.ceil(loadLeftMs));
    this.#wakeAt(atMs);
  }

  #wakeAt(atMs: number): void {
    const { queue } = this.#options;
    if (this.#timer?.atMs === atMs) return;
    if (this.#timer !== undefined) queue.cancel(this.#timer);
    this.#timer = atMs === Number.POSITIVE_INFINITY ? undefined : queue.at(atMs, () => this.#woke());
  }

  #woke(): void {
    this.#timer = undefined;
    this.changing();
    this.#finishLoading();
    // Those that run now: what they say can end, start and halt runs.
    for (const run of this.#runs) if (run.open && !this.#standsStill()) run.speak(this.#options.queue.nowMs);
    this.changed();
  }

  #finishLoading(): void {
    const ready = this.#offered.filter(({ state, loadLeftMs }) => state === 'loading' && loadLeftMs <= 0);
    if (ready.length === 0) return;
    for (const offered of ready) offered.state = 'ready';
    this.#list();
  }

  #list(): void {
    const { slots } = this.#options.machine;
    const wasListed = this.#listed.length > 0;
    this.#listed = this.#offered.map(({ model, state, digest, contextTokens, loadMs }) => {
      return { model, state, digest, contextTokens, slots, loadMs: state === 'ready' ? 0 : loadMs };
    });
    if (wasListed) this.#options.modelsChanged?.();
  }

  #speedOf(run: SimulatedRun): number {
    return this.#offered[run.setup.model]?.speed ?? 1;
  }

  #standsStill(): boolean {
    return this.#halted || this.#mute || this.#stopped;
  }
}

/** Room in the cache that a run may come to need. */
function reserveOf({ promptTokens, endPosition }: { promptTokens: number; endPosition: number }): number {
  return promptTokens + endPosition;
}
