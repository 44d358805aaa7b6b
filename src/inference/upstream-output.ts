/**
 * What leaves of an upstream's answer, and when? Tokens wait here until they are granted, go through the client's stop
 * strings and get their positions; the end follows when all of them have left. The upstream is not trusted: stop strings and
 * maxTokens are enforced again. Behind the beginning of a call nothing is a stop string any more.
 * Where probabilities were asked for, each token leaves as one line; the newest waits for the next one or the end, so that
 * the text that the stop strings held back leaves with it.
 * Limits: bounded by its user, who stops reading while more than a few tokens wait.
 */
import type { Failure } from '../errors.ts';
import { LIMITS } from '../params.ts';
import { encodeScoredToken, type ScoredToken } from './answer-lines.ts';
import type { EngineEvent, FinishReason, Job, Usage } from './engine.ts';
import { stopIndexOf, StopStrings } from './stop-strings.ts';
import { TOOL_CALL_START } from './tool-text.ts';
import { TokenQueue } from './upstream-queue.ts';

export interface UpstreamOutputInit {
  readonly job: Job;
  readonly emit: (event: EngineEvent) => void;
  /** `tokens`: of the whole answer; `isCut`: it ended here and not at the upstream, whose count is another. */
  readonly usage: (tokens: number, isCut: boolean) => Usage;
}

export class UpstreamOutput {
  readonly #init: UpstreamOutputInit;
  readonly #stops: StopStrings;
  readonly #queue = new TokenQueue<string | ScoredToken>();
  readonly #isScored: boolean;
  #granted = 0;
  #position: number;
  /** Tokens taken from the upstream, and how many may be. */
  #taken = 0;
  readonly #takenMax: number;
  #finishReason: FinishReason | undefined;
  #isCut = false;
  #stoppedBy: string | undefined;
  #over = false;
  #emitting = false;

  constructor(init: UpstreamOutputInit) {
    const { sampling, toolUse, resume } = init.job;
    this.#init = init;
    this.#isScored = sampling.logprobs !== undefined;
    this.#stops = new StopStrings(sampling.stop, toolUse === undefined ? {} : { until: TOOL_CALL_START });
    this.#position = resume?.tokens ?? 0;
    this.#takenMax = (sampling.maxTokens ?? LIMITS.answerTokens) - this.#position;
  }

  /** Nothing more will be said: ended, failed or cancelled. */
  get over(): boolean {
    return this.#over;
  }

  /** Nothing more is taken. */
  get complete(): boolean {
    return this.#finishReason !== undefined || this.#over;
  }

  /** The upstream said all that it had to say: nothing was cut off. */
  get isWhole(): boolean {
    return this.#finishReason !== undefined && !this.#isCut;
  }

  /** The answer is as long as allowed. */
  get isFull(): boolean {
    return this.#taken >= this.#takenMax;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Some of it has left. */
  get hasBegun(): boolean {
    return this.#position > (this.#init.job.resume?.tokens ?? 0);
  }

  take(token: string | ScoredToken): void {
    if (this.complete) return;
    if (this.isFull) {
      this.#isCut = true;
      this.finish('length');
      return;
    }
    this.#taken += 1;
    this.#queue.push(token);
  }

  /** All of the answer was taken; it ends when its tokens have left. */
  finish(reason: FinishReason): void {
    if (this.complete) return;
    this.#finishReason = reason;
    this.flush();
  }

  /** Some servers tell which stop string ended their answer. */
  stoppedBy(stop: string | undefined): void {
    this.#stoppedBy ??= stop;
  }

  fail(reason: Failure): void {
    if (this.#over) return;
    this.#over = true;
    this.#init.emit({ type: 'failed', failure: reason });
  }

  cancel(): void {
    this.#over = true;
  }

  grant(tokens: number): void {
    this.#granted += tokens;
    this.flush();
  }

  /** Sends what is granted. A grant from within an event only adds to what this loop may send. */
  flush(): void {
    if (this.#emitting) return;
    this.#emitting = true;
    while (!this.#over && this.#granted > 0 && this.#mayLeave()) {
      const token = this.#queue.shift();
      if (token !== undefined) this.#send(token);
    }
    if (!this.#over && this.#finishReason !== undefined && this.#queue.length === 0) this.#sendEnd(this.#finishReason);
    this.#emitting = false;
  }

  #mayLeave(): boolean {
    return this.#queue.length > (this.#isScored && !this.complete && !this.isFull ? 1 : 0);
  }

  #send(token: string | ScoredToken): void {
    const position = this.#position;
    const pushed = this.#stops.push(typeof token === 'string' ? token : token.text);
    this.#granted -= 1;
    this.#position += 1;
    const isStopped = pushed.stoppedBy !== undefined;
    const isLast = this.#queue.length === 0 && (this.complete || this.isFull);
    const said = isLast && !isStopped ? pushed.text + this.#stops.flush() : pushed.text;
    if (isStopped) {
      this.#stoppedBy = pushed.stoppedBy;
      this.#queue.clear();
      this.#isCut = true;
      this.#finishReason = 'stop';
    }
    const text = typeof token === 'string' ? said : encodeScoredToken({ ...token, text: said });
    this.#init.emit({ type: 'tokens', position, tokens: 1, tokenIds: [], text });
  }

  #sendEnd(finishReason: FinishReason): void {
    const held = this.#stops.flush();
    if (held !== '') this.#init.emit({ type: 'tokens', position: this.#position, tokens: 0, tokenIds: [], text: held });
    if (this.#over) return;
    this.#over = true;
    const usage = this.#init.usage(this.#position, this.#isCut);
    const stopped = finishReason === 'stop' ? stopIndexOf(this.#init.job.sampling.stop, this.#stoppedBy) : {};
    this.#init.emit({ type: 'ended', finishReason, usage, ...stopped });
  }
}
