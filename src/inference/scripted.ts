/**
 * An engine without a model: the answer is a function of the messages, so that tests and simulations can tell a gap,
 * a repeat or a mix-up from the text alone, and every node gives the same answer. A token is one numbered word
 * ("gander3 "), derived from the hash of the messages, or taken from a fixed script. Pure and synchronous: with pacing
 * `granted` tokens leave inside `grant()`, with `manual` they wait for `advance()`, and time is the caller's business.
 * Limits: the prompt is counted in words, nothing is cached, a run above the slots is refused as busy.
 */
import { hash64, hashHex, utf8 } from '../bytes.ts';
import { type Failure, failure } from '../errors.ts';
import type { ModelId } from '../ids.ts';
import type {
  Job,
  ChatMessage,
  Engine,
  EngineEvent,
  EngineModel,
  EngineRun,
  FinishReason,
  ModelState,
} from './engine.ts';
import { StopStrings } from './stop-strings.ts';

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

const WORDS = ['goose', 'gander', 'wing', 'wedge', 'feather', 'skein', 'north', 'marsh', 'dawn', 'gaggle', 'wind'];

interface Reply {
  readonly length: number;
  token(index: number): { readonly text: string; readonly id: number };
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
    const promptTokens = countTokens(job.messages);
    const refusal = this.#refusal(job, promptTokens);
    if (refusal !== undefined) {
      on({ type: 'failed', failure: refusal });
      return { grant() {}, cancel() {} };
    }
    const run = new ScriptedRun({
      job,
      on,
      promptTokens,
      reply: this.#script === undefined ? derivedReply(job, this.#options.tokensPerReply) : scriptedReply(this.#script),
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

  #refusal(job: Job, promptTokens: number): Failure | undefined {
    const { contextTokens, slots } = this.#options;
    const state = this.#states.get(job.model);
    if (state === undefined) return failure('model-not-found', `this engine has no model ${job.model}`);
    if (job.format !== undefined && job.format.type !== 'text')
      return failure('unsupported-feature', 'response_format: a script cannot keep to a format', {
        param: 'response_format',
      });
    if (state !== 'ready') return failure('model-not-ready', `${job.model} is ${state}, not ready`);
    if (promptTokens >= contextTokens)
      return failure(
        'context-length-exceeded',
        `This model's maximum context length is ${contextTokens} tokens, but the messages have ${promptTokens} tokens.`,
      );
    const used = [...this.#running].filter((run) => run.model === job.model).length;
    return used < slots ? undefined : failure('busy', `all ${slots} slots of ${job.model} are taken`);
  }
}

interface RunOptions {
  readonly job: Job;
  readonly on: (event: EngineEvent) => void;
  readonly promptTokens: number;
  readonly reply: Reply;
  /** Tokens that still fit into the context. */
  readonly roomTokens: number;
  readonly eager: boolean;
  readonly release: () => void;
}

class ScriptedRun implements EngineRun {
  readonly #options: RunOptions;
  readonly #stops: StopStrings;
  readonly #lengthMax: number;
  #position: number;
  #granted = 0;
  #open = true;
  #pumping = false;
  /** Text of resumed tokens that had been held back when the other engine stopped. */
  #owed = '';
  #stopped = false;

  constructor(options: RunOptions) {
    const { resume, sampling } = options.job;
    this.#options = options;
    this.#stops = new StopStrings(sampling.stop);
    this.#lengthMax = Math.min(sampling.maxTokens ?? Infinity, options.roomTokens);
    this.#position = resume?.tokens ?? 0;
    let replayed = '';
    for (let index = 0; index < this.#position && index < options.reply.length && !this.#stopped; index += 1) {
      const pushed = this.#stops.push(options.reply.token(index).text);
      replayed += pushed.text;
      this.#stopped = pushed.stopped;
    }
    if (resume !== undefined && replayed.startsWith(resume.text)) this.#owed = replayed.slice(resume.text.length);
  }

  get model(): ModelId {
    return this.#options.job.model;
  }

  grant(tokens: number): void {
    this.#granted += tokens;
    this.pump();
  }

  cancel(): void {
    this.#close();
  }

  fail(reason: Failure): void {
    if (this.#close()) this.#options.on({ type: 'failed', failure: reason });
  }

  /** Ends what is over, and with pacing `granted` produces what may be produced. A grant from within an event waits for the loop. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#endIfOver();
    while (this.#options.eager && this.#produce());
    this.#pumping = false;
  }

  advance(): boolean {
    this.#pumping = true;
    const produced = this.#produce();
    this.#pumping = false;
    return produced;
  }

  #produce(): boolean {
    if (!this.#open || this.#granted < 1) return false;
    const position = this.#position;
    const token = this.#options.reply.token(position);
    const pushed = this.#stops.push(token.text);
    this.#granted -= 1;
    this.#position += 1;
    this.#stopped = pushed.stopped;
    const text = this.#owed + pushed.text + (this.#finishReason() === undefined ? '' : this.#stops.flush());
    this.#owed = '';
    this.#options.on({ type: 'tokens', position, tokens: 1, tokenIds: [token.id], text });
    this.#endIfOver();
    return true;
  }

  #finishReason(): FinishReason | undefined {
    if (this.#stopped) return 'stop';
    if (this.#position >= this.#lengthMax) return 'length';
    return this.#position >= this.#options.reply.length ? 'stop' : undefined;
  }

  #endIfOver(): void {
    const finishReason = this.#finishReason();
    if (finishReason === undefined || !this.#close()) return;
    const { promptTokens } = this.#options;
    const usage = { promptTokens, completionTokens: this.#position, cachedTokens: 0 };
    this.#options.on({ type: 'ended', finishReason, usage });
  }

  /** False when it was closed before. */
  #close(): boolean {
    const wasOpen = this.#open;
    this.#open = false;
    if (wasOpen) this.#options.release();
    return wasOpen;
  }
}

/** Words and a little for each message's frame, so that an empty prompt is not free. */
function countTokens(messages: readonly ChatMessage[]): number {
  return messages.reduce((sum, message) => sum + 1 + (message.content.match(/\S+/g)?.length ?? 0), 0);
}

function derivedReply(job: Job, length: number): Reply {
  const seed = hash64(utf8(JSON.stringify(job.messages.map(({ role, content }) => [role, content]))));
  return {
    length,
    token(index) {
      // The step is coprime to the number of words, so that neighbours differ and two prompts seldom agree.
      const id = (seed.low + index * (1 + (seed.high % (WORDS.length - 1)))) % WORDS.length;
      return { id, text: `${WORDS[id] ?? ''}${index} ` };
    },
  };
}

function scriptedReply(script: readonly string[]): Reply {
  return { length: script.length, token: (index) => ({ id: index, text: script[index] ?? '' }) };
}
