/**
 * An engine without a model, for tests, simulations and demonstrations: every task has an answer, a function of the job
 * alone (`scripted-replies.ts`), or taken from a fixed script. Pure and synchronous: with pacing `granted` tokens leave
 * inside `grant()`, with `manual` they wait for `advance()`, and time is the caller's business (`scripted-run.ts`).
 * Limits: the prompt is counted in words, nothing is cached, a run above the slots is refused as busy.
 */
import { hash64, hashHex, utf8 } from '../bytes.ts';
import { type Failure, failure } from '../errors.ts';
import type { ModelId } from '../ids.ts';
import type { Job, Engine, EngineEvent, EngineModel, EngineRun, ModelState, Task } from './engine.ts';
import { countPromptTokens, countWords, derivedReply, type Reply, scriptedReply, textsOf } from './scripted-replies.ts';
import { ScriptedRun } from './scripted-run.ts';

export interface ScriptedOptions {
  readonly models: readonly ModelId[];
  /** Source: guess, a usual small context. */
  readonly contextTokens?: number;
  /** Per model. Source: guess, a desktop's worth. */
  readonly slots?: number;
  /** Length of an answer that nothing else ends. Source: guess, a short paragraph. */
  readonly tokensPerReply?: number;
  /** The tokens of every answer, instead of words derived from the messages. */
  readonly script?: readonly string[];
  readonly pacing?: 'granted' | 'manual';
  /** What `models()` says that loading takes. Source: guess, a model in the page cache. */
  readonly loadMs?: number;
}

export class ScriptedEngine implements Engine {
  readonly kind = 'scripted';
  readonly #options: Required<Omit<ScriptedOptions, 'models' | 'script'>>;
  readonly #script: readonly string[] | undefined;
  readonly #states: Map<ModelId, ModelState>;
  readonly #running = new Set<ScriptedRun>();

  constructor(options: ScriptedOptions) {
    this.#options = {
      contextTokens: options.contextTokens ?? 4_096,
      slots: options.slots ?? 4,
      tokensPerReply: options.tokensPerReply ?? 64,
      pacing: options.pacing ?? 'granted',
      loadMs: options.loadMs ?? 2_000,
    };
    this.#script = options.script;
    this.#states = new Map(options.models.map((model) => [model, 'ready']));
  }

  models(): readonly EngineModel[] {
    const { contextTokens, slots, loadMs } = this.#options;
    return [...this.#states].map(([model, state]) => ({
      model,
      state,
      ...(state === 'failed' ? { problem: 'the script says so' } : {}),
      digest: hashHex(hash64(utf8(model))).repeat(4),
      contextTokens,
      slots,
      loadMs: state === 'ready' ? 0 : loadMs,
    }));
  }

  /** Runs that hold a slot. */
  get running(): number {
    return this.#running.size;
  }

  setModelState(model: ModelId, state: ModelState): void {
    this.#states.set(model, state);
  }

  /** A job that cannot run is answered with `failed` inside this call. */
  start(job: Job, on: (event: EngineEvent) => void): EngineRun {
    const promptTokens = countPromptTokens(job);
    const reply = this.#refusal(job, promptTokens) ?? this.#reply(job);
    if ('code' in reply) {
      on({ type: 'failed', failure: reply });
      return { grant() {}, cancel() {} };
    }
    const run = new ScriptedRun({
      job,
      on,
      promptTokens,
      reply,
      roomTokens: this.#options.contextTokens - promptTokens,
      eager: this.#options.pacing === 'granted',
      release: () => {
        this.#running.delete(run);
      },
    });
    this.#running.add(run);
    run.pump();
    return run;
  }

  /** Lets every run produce up to `tokens` tokens of those granted, one each in turn; returns how many came. */
  advance(tokens = 1): number {
    let produced = 0;
    for (let round = 0; round < tokens; round += 1) for (const run of this.#inTurn()) produced += run.advance() ? 1 : 0;
    return produced;
  }

  /** Ends every run with this failure, as a crash does. */
  failAll(reason: Failure): void {
    for (const run of this.#inTurn()) run.fail(reason);
  }

  /** Those that run now: a run that is started from within an event waits for the next round. */
  #inTurn(): readonly ScriptedRun[] {
    return [...this.#running];
  }

  /** A script is what an answer says, calls of functions included; vectors and scores are derived all the same. */
  #reply(job: Job): Reply | Failure {
    const { format, task } = job;
    if (this.#script === undefined || (task !== undefined && task.type !== 'completion'))
      return derivedReply(job, this.#options.tokensPerReply);
    if (format === undefined || format.type === 'text') return scriptedReply(this.#script);
    const param = 'response_format';
    return failure('unsupported-feature', `${param}: a script cannot keep to a format`, { param });
  }

  #taskProblem(task: Task): Failure | undefined {
    const name = { completion: 'prompt', embedding: 'input', rerank: 'documents' }[task.type];
    for (const [index, text] of textsOf(task).entries()) {
      const at = task.type === 'completion' ? name : `${name}[${index}]`;
      if (task.type === 'embedding' && text === '')
        return failure('invalid-request', `${at} is empty; a text needs at least one character`, { param: name });
      const problem = this.#tooLong(at, countWords(text));
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #tooLong(what: string, tokens: number): Failure | undefined {
    const { contextTokens } = this.#options;
    if (tokens < contextTokens) return undefined;
    return failure(
      'context-length-exceeded',
      `This model's maximum context length is ${contextTokens} tokens, but the ${what} have ${tokens} tokens.`,
      { param: what.replace(/\[\d+\]$/, '') },
    );
  }

  #refusal(job: Job, promptTokens: number): Failure | undefined {
    const { slots } = this.#options;
    const state = this.#states.get(job.model);
    if (state === undefined) return failure('model-not-found', `this engine has no model ${job.model}`);
    if (state !== 'ready') return failure('model-not-ready', `${job.model} is ${state}, not ready`);
    const tooLong = job.task === undefined ? this.#tooLong('messages', promptTokens) : this.#taskProblem(job.task);
    if (tooLong !== undefined) return tooLong;
    const used = [...this.#running].filter((run) => run.model === job.model).length;
    return used < slots ? undefined : failure('busy', `all ${slots} slots of ${job.model} are taken`);
  }
}
