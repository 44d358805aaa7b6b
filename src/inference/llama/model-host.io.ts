/**
 * One model: its state, its child process and its runs. The child is started by the first use, or ahead of it; runs that come
 * meanwhile wait in their slots. A run holds its slot until the child's last word about it, so that "free" is never a guess;
 * requests above the slots are refused as busy. When the child dies, each of its runs fails once, and the model rests (`restarts.ts`).
 */
import { type Failure, failure } from '../../errors.ts';
import type { EngineEvent, EngineModel, EngineRun, ModelState } from '../engine.ts';
import { emptyDirectory } from './keep-directory.io.ts';
import type { ChildLink } from './child-link.io.ts';
import type { ChildMessage } from './child-protocol.ts';
import { type ChildStart, startChild } from './child-start.io.ts';
import { isLast, ModelRun, type PreparedJob, type RunMessage } from './model-run.ts';
import {
  diedFailure,
  diedProblem,
  loadProblem,
  memoryProblem,
  noEngineProblem,
  quarantineProblem,
} from './problems.ts';
import { type RestartAnswer, Restarts } from './restarts.ts';

export interface ModelHostOptions extends ChildStart {
  readonly onChanged: () => void;
  /** There was no room: ends the process of another model that nobody uses. False when there is none; absent = never. */
  readonly makeRoom?: () => Promise<boolean>;
}

/** Before the first load was measured: a process, then the file. Source: measured (1 s), guess (1 GB/s from disk). */
const LOAD = { baseMs: 1_000, bytesPerMs: 1_000_000 } as const;

/** A model that found no room is offered again after this long. Source: guess: others come and go in minutes. */
const NO_ROOM_RETRY_MS = 60_000;

export class ModelHost {
  readonly #options: ModelHostOptions;
  readonly #restarts = new Restarts();
  /** By run id, until the child's last word. */
  readonly #runs = new Map<number, ModelRun>();
  /** Of these, those that wait until the child has let go of a cancelled one; never more than there are cancelled ones. */
  readonly #held = new Set<ModelRun>();
  #state: ModelState;
  /** Why it failed, or how its process ended; until it is ready again. */
  #problem: string | undefined;
  #link: ChildLink | undefined;
  #slots: number;
  #contextTokens: number;
  #loadMs: number;
  #loadStartedMs = 0;
  #nextRunId = 0;
  #closed = false;
  /** Its process was ended on purpose: for another model, or to be started again where there is room. */
  #isReleased = false;
  #usedAtMs = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  #waiting: (() => void)[] = [];
  #unloading: Promise<boolean> | undefined;

  constructor(options: ModelHostOptions) {
    const { stored } = options;
    this.#options = options;
    this.#state = stored.state;
    this.#problem = stored.problem;
    this.#slots = options.slots;
    this.#contextTokens = Math.min(stored.contextLength || options.contextTokens, options.contextTokens);
    this.#loadMs = Math.round(LOAD.baseMs + stored.sizeBytes / LOAD.bytesPerMs);
  }

  get model(): EngineModel {
    return {
      model: this.#options.stored.model,
      state: this.#state,
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
      digest: this.#options.stored.digest,
      contextTokens: this.#contextTokens,
      slots: this.#slots,
      loadMs: this.#state === 'ready' ? 0 : this.#loadMs,
    };
  }

  /** Of the child, while there is one. */
  get pid(): number | undefined {
    return this.#link?.pid;
  }

  /** Since when nobody uses its process, on the clock of `performance.now()`; undefined while somebody does, or there is none. */
  get idleSinceMs(): number | undefined {
    return this.#state === 'ready' && this.#runs.size === 0 ? this.#usedAtMs : undefined;
  }

  /** Ends the process of an idle model; what was in its slots is kept. The next request loads it again. */
  async unload(): Promise<boolean> {
    this.#unloading ??= this.#unload().finally(() => {
      this.#unloading = undefined;
    });
    return this.#unloading;
  }

  /** Gives up the conversations of a model that has no process; false when there are none. */
  async forget(): Promise<boolean> {
    const { keep } = this.#options;
    if (keep === undefined || (this.#state !== 'on-disk' && this.#state !== 'failed')) return false;
    return emptyDirectory(keep.directory);
  }

  start(job: PreparedJob, on: (event: EngineEvent) => void): EngineRun {
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      on({ type: 'failed', failure: refusal });
      return { grant: () => undefined, cancel: () => undefined };
    }
    const run = new ModelRun(this.#nextRunId, job, on);
    this.#nextRunId += 1;
    this.#runs.set(run.runId, run);
    this.#usedAtMs = performance.now();
    if (this.#state !== 'ready') this.#load();
    else if (this.#runs.size > this.#slots) this.#held.add(run);
    else this.#link?.send(run.command);
    return { grant: (tokens) => this.#grant(run, tokens), cancel: () => this.#cancel(run) };
  }

  /** Loads it now, whatever happened before, and resolves when it is ready or failed. */
  async ready(): Promise<EngineModel> {
    if (this.#options.stored.state === 'failed' || this.#closed) return this.model;
    if (this.#state === 'failed') await this.#link?.ended();
    this.#restarts.forgive();
    this.#load();
    while (this.#state === 'loading') {
      // Waits for a change, again and again.
      // eslint-disable-next-line no-await-in-loop
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    return this.model;
  }

  /** Ends the child; running answers fail. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    const link = this.#link;
    link?.kill('the engine was closed');
    await link?.ended();
  }

  get #openRuns(): number {
    return [...this.#runs.values()].filter(({ open }) => open).length;
  }

  #refusal(): Failure | undefined {
    const { model } = this.#options.stored;
    if (this.#closed) return failure('draining', 'the engine is closed');
    if (this.#state === 'failed')
      return failure('model-not-ready', `${model} cannot be served: ${this.#withoutPath(this.#problem ?? '')}`);
    if (this.#openRuns >= this.#slots) return failure('busy', `all ${this.#slots} slots of ${model} are taken`);
    if (this.#link !== undefined) return undefined;
    const answer = this.#restarts.answer(performance.now());
    if (answer.type !== 'wait') return undefined;
    const retryAfterMs = Math.ceil(answer.waitMs);
    return failure('model-not-ready', `${model} rests after its process died`, { retryAfterMs });
  }

  #grant(run: ModelRun, tokens: number): void {
    if (!run.open) return;
    run.grant(tokens);
    if (this.#state === 'ready' && !this.#held.has(run)) this.#link?.send({ type: 'grant', runId: run.runId, tokens });
  }

  #cancel(run: ModelRun): void {
    if (!run.open) return;
    run.close();
    if (this.#held.delete(run)) this.#runs.delete(run.runId);
    else if (this.#state === 'ready') this.#link?.send({ type: 'cancel', runId: run.runId });
    else this.#runs.delete(run.runId);
  }

  #load(): void {
    if (this.#link !== undefined) return;
    clearTimeout(this.#retryTimer);
    this.#loadStartedMs = performance.now();
    const link = startChild(this.#options, {
      onMessage: (message) => this.#accept(link, message),
      onDeath: (detail) => this.#buried(detail),
    });
    this.#link = link;
    this.#change('loading');
  }

  #accept(link: ChildLink, message: ChildMessage): void {
    switch (message.type) {
      case 'alive':
        for (const run of this.#runs.values()) run.waiting();
        return;
      case 'phase':
      case 'left':
        return;
      case 'ready':
        this.#begin(link, message);
        return;
      case 'load-failed':
        this.#giveUp(link, message);
        return;
      case 'progress':
      case 'tokens':
      case 'ended':
      case 'too-long':
      case 'failed':
      case 'refused':
      case 'released':
        this.#acceptRun(link, message);
    }
  }

  #acceptRun(link: ChildLink, message: RunMessage): void {
    const run = this.#runs.get(message.runId);
    if (run === undefined) return link.kill('it spoke of a run that does not exist');
    if (isLast(message)) {
      // Before it says so: whoever hears it may start the next one at once, and finds the slot free.
      this.#runs.delete(message.runId);
      this.#usedAtMs = performance.now();
      const [next] = this.#held;
      if (next !== undefined) this.#send(link, next);
    }
    const broken = run.accept(message);
    if (broken === undefined) return undefined;
    // Fails with the process.
    if (run.open) this.#runs.set(run.runId, run);
    return link.kill(broken);
  }

  /** Loaded: what waited starts, as far as there is room. */
  #begin(link: ChildLink, { slots, contextTokens }: Extract<ChildMessage, { type: 'ready' }>): void {
    this.#slots = Math.min(slots, this.#options.slots);
    this.#contextTokens = contextTokens;
    this.#loadMs = Math.round(performance.now() - this.#loadStartedMs);
    this.#problem = undefined;
    this.#change('ready');
    for (const [index, run] of [...this.#runs.values()].entries()) {
      if (index < this.#slots) this.#send(link, run);
      else {
        this.#runs.delete(run.runId);
        run.fail(failure('busy', `only ${this.#slots} slots of ${this.#options.stored.model} fit into memory`));
      }
    }
  }

  async #unload(): Promise<boolean> {
    const link = this.#link;
    if (link === undefined || this.idleSinceMs === undefined) return false;
    if (this.#options.keep !== undefined) await link.leave();
    // It died meanwhile, or somebody asked.
    if (this.#link !== link) return this.#link === undefined;
    if (this.idleSinceMs === undefined) return false;
    this.#isReleased = true;
    link.kill('another model needs its memory');
    await link.ended();
    return true;
  }

  #send(link: ChildLink, run: ModelRun): void {
    this.#held.delete(run);
    link.send(run.command);
    if (run.granted > 0) link.send({ type: 'grant', runId: run.runId, tokens: run.granted });
  }

  #giveUp(link: ChildLink, { reason, detail }: Extract<ChildMessage, { type: 'load-failed' }>): void {
    const { path } = this.#options.stored;
    if (reason === 'memory' && this.#options.makeRoom !== undefined) {
      void this.#makeRoom(link, memoryProblem(path, detail));
      return;
    }
    this.#problem =
      reason === 'no-engine'
        ? noEngineProblem({ platform: process.platform, architecture: process.arch }, detail)
        : { memory: memoryProblem, model: loadProblem }[reason](path, detail);
    link.kill(this.#problem);
    this.#change('failed');
    this.#endRuns(failure('model-not-ready', this.#withoutPath(this.#problem)));
  }

  /** Others leave, the one unused for longest first, until it fits; or it says what it needs and waits for better times. */
  async #makeRoom(link: ChildLink, problem: string): Promise<void> {
    this.#isReleased = true;
    link.kill(problem);
    await link.ended();
    const isFreed = await this.#options.makeRoom?.();
    if (this.#closed) return;
    if (isFreed === true) return this.#load();
    this.#problem = problem;
    this.#change('failed');
    this.#endRuns(failure('model-not-ready', this.#withoutPath(problem), { retryAfterMs: NO_ROOM_RETRY_MS }));
    this.#retryTimer = setTimeout(() => this.#change('on-disk'), NO_ROOM_RETRY_MS);
    this.#retryTimer.unref();
  }

  /** The process is gone, for whatever reason. */
  #buried(detail: string): void {
    this.#link = undefined;
    const isReleased = this.#isReleased;
    this.#isReleased = false;
    if (isReleased && !this.#closed) {
      // One that makes room for itself goes on loading.
      if (this.#state === 'ready') this.#unloaded();
      return;
    }
    // What it kept may be why.
    if (this.#options.keep !== undefined) void emptyDirectory(this.#options.keep.directory);
    if (this.#state === 'failed') return;
    if (!this.#closed) this.#restarts.died(performance.now());
    const answer = this.#restarts.answer(performance.now());
    if (!this.#closed) this.#problem = this.#deathProblem(answer, detail);
    this.#change(answer.type === 'never' ? 'failed' : 'on-disk');
    this.#endRuns(diedFailure(this.#options.stored.model, this.#withoutPath(detail)));
  }

  /** Who asked between its last word and its end is served by the next process. */
  #unloaded(): void {
    for (const run of this.#runs.values()) if (!run.open) this.#runs.delete(run.runId);
    this.#held.clear();
    this.#change('on-disk');
    if (this.#runs.size > 0) this.#load();
  }

  #deathProblem(answer: RestartAnswer, detail: string): string {
    const { model, path } = this.#options.stored;
    if (answer.type === 'never') return quarantineProblem(path, answer.deaths, detail);
    const waitMs = answer.type === 'wait' ? answer.waitMs : 0;
    return diedProblem(model, { detail, answers: this.#openRuns, waitMs });
  }

  /** Clients may be anybody's: where the file lies is told to its owner alone. */
  #withoutPath(text: string): string {
    const { model, path } = this.#options.stored;
    return text.replaceAll(path, `the file of ${model}`);
  }

  #endRuns(reason: Failure): void {
    const runs = [...this.#runs.values()];
    this.#runs.clear();
    this.#held.clear();
    for (const run of runs) run.fail(reason);
  }

  #change(state: ModelState): void {
    this.#state = state;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    this.#options.onChanged();
  }
}
