/**
 * One answer of the scripted engine: tokens of a reply leave one by one as they are granted, stop strings and length end it, and
 * a resumed one begins where the other engine stopped. With `logprobs` each token is a line that says how likely it was: always
 * the same, so that a test knows it. Limits: alternatives are other words of the script, each less likely than the one before.
 */
import { utf8 } from '../bytes.ts';
import type { Failure } from '../errors.ts';
import type { ModelId } from '../ids.ts';
import { encodeScoredToken, scoredText } from './answer-lines.ts';
import type { EngineEvent, EngineRun, FinishReason, Job } from './engine.ts';
import { type Reply, SCRIPTED_WORDS } from './scripted-replies.ts';
import { stopIndexOf, StopStrings } from './stop-strings.ts';
import { TOOL_CALL_START } from './tool-text.ts';

export interface ScriptedRunOptions {
  readonly job: Job;
  readonly on: (event: EngineEvent) => void;
  readonly promptTokens: number;
  readonly reply: Reply;
  /** Tokens that still fit into the context. */
  readonly roomTokens: number;
  readonly eager: boolean;
  readonly release: () => void;
}

/** Of every token. Source: guess. */
const LOGPROB = -0.5;
/** Each alternative is less likely by this. Source: guess. */
const LOGPROB_STEP = 1;

export class ScriptedRun implements EngineRun {
  readonly #options: ScriptedRunOptions;
  readonly #stops: StopStrings;
  readonly #lengthMax: number;
  #position: number;
  #granted = 0;
  #open = true;
  #pumping = false;
  /** Text of resumed tokens that had been held back when the other engine stopped. */
  #owed = '';
  #stoppedBy: string | undefined;

  constructor(options: ScriptedRunOptions) {
    const { resume, sampling, task } = options.job;
    const isList = task !== undefined && task.type !== 'completion';
    this.#options = options;
    this.#stops = new StopStrings(isList ? [] : sampling.stop, { until: TOOL_CALL_START });
    this.#lengthMax = isList ? Infinity : Math.min(sampling.maxTokens ?? Infinity, options.roomTokens);
    this.#position = resume?.tokens ?? 0;
    let replayed = '';
    for (
      let index = 0;
      index < this.#position && index < options.reply.length && this.#stoppedBy === undefined;
      index += 1
    ) {
      const pushed = this.#stops.push(options.reply.token(index).text);
      replayed += pushed.text;
      this.#stoppedBy = pushed.stoppedBy;
    }
    const sent = sentText(options.job);
    if (sent !== undefined && replayed.startsWith(sent)) this.#owed = replayed.slice(sent.length);
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
    this.#stoppedBy = pushed.stoppedBy;
    const text = this.#owed + pushed.text + (this.#finishReason() === undefined ? '' : this.#stops.flush());
    this.#owed = '';
    this.#options.on({ type: 'tokens', position, tokens: 1, tokenIds: [token.id], text: this.#scored(text, token) });
    this.#endIfOver();
    return true;
  }

  #scored(text: string, token: ReturnType<Reply['token']>): string {
    const { logprobs } = this.#options.job.sampling;
    if (logprobs === undefined) return text;
    const others = SCRIPTED_WORDS.filter((_, id) => id !== token.id);
    const top = [token.text, ...others].slice(0, logprobs).map((one, rank) => ({
      bytes: [...utf8(one)],
      logprob: LOGPROB - rank * LOGPROB_STEP,
    }));
    return encodeScoredToken({ text, bytes: [...utf8(token.text)], logprob: LOGPROB, top });
  }

  #finishReason(): FinishReason | undefined {
    if (this.#stoppedBy !== undefined) return 'stop';
    if (this.#position >= this.#lengthMax) return 'length';
    return this.#position >= this.#options.reply.length ? 'stop' : undefined;
  }

  #endIfOver(): void {
    const finishReason = this.#finishReason();
    if (finishReason === undefined || !this.#close()) return;
    const { promptTokens } = this.#options;
    const usage = { promptTokens, completionTokens: this.#position, cachedTokens: 0 };
    const stopped = stopIndexOf(this.#options.job.sampling.stop, this.#stoppedBy);
    this.#options.on({ type: 'ended', finishReason, usage, ...stopped });
  }

  /** False when it was closed before. */
  #close(): boolean {
    const wasOpen = this.#open;
    this.#open = false;
    if (wasOpen) this.#options.release();
    return wasOpen;
  }
}

/** What already left of a resumed answer, as plain text. */
function sentText({ resume, sampling }: Job): string | undefined {
  return resume === undefined || sampling.logprobs === undefined ? resume?.text : scoredText(resume.text);
}
