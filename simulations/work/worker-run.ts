/**
 * One answer on a simulated machine: how much of its work is done, what of it may be shown, and when it has something to
 * say next. Work is counted in answer tokens; reading the prompt comes first and is cheaper by the prefill factor. The
 * machine tells the run how much work was done on it; the run tells the machine when to come back.
 * The first token is shown as soon as it is made, later ones in batches. A run that has used up its grants does nothing
 * and costs the others nothing. It ends exactly once, and says nothing after a cancel.
 */
import type { Job, EngineEvent, EngineRun, FinishReason } from '../../src/inference/engine.ts';
import { stopIndexOf, StopStrings } from '../../src/inference/stop-strings.ts';
import { markOf, tokensText } from './numbered-text.ts';
import type { Sequence } from './prefix-cache.ts';

/** Between two signs of life while there is no token to show. Source: the engine port asks for one every 5 s. */
const PROGRESS_MS = 5_000;
/** Work is a sum of many parts: what lacks less than this is done. */
const ROUNDING = 1e-6;
/** Less than `ROUNDING` of work at any speed. */
const ROUNDING_MS = 1e-9;

/** The machine that it runs on. */
export interface RunHost {
  /** Before and after anything changes that decides how fast runs get on. */
  changing(): void;
  changed(): void;
  /** It needs its slot no more. */
  over(run: SimulatedRun): void;
}

export interface RunSetup {
  readonly host: RunHost;
  readonly job: Job;
  readonly on: (event: EngineEvent) => void;
  /** Index of the model. */
  readonly model: number;
  readonly sequence: Sequence;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Of prompt and earlier answer, as answer tokens. */
  readonly prefillWork: number;
  /** Position after the last token, and why it ends there. */
  readonly endPosition: number;
  readonly finishReason: FinishReason;
  /** After what was shown at this moment, when to show more at the earliest. */
  readonly showNextAtMs: (shownAtMs: number) => number;
}

export class SimulatedRun implements EngineRun {
  readonly setup: RunSetup;
  /** Gets a share of the machine; set by the machine each time it shares itself out. */
  active = false;
  readonly #mark: string;
  readonly #stops: StopStrings | undefined;
  readonly #firstPosition: number;
  #work = 0;
  #granted = 0;
  #shown = 0;
  #showAtMs = 0;
  #progressAtMs: number;
  #open = true;
  #stoppedBy: string | undefined;
  /** Text of resumed tokens that had been held back when the other engine stopped. */
  #owed = '';

  constructor(setup: RunSetup, nowMs: number) {
    const { job, sequence } = setup;
    this.setup = setup;
    this.#mark = markOf(sequence.hashes);
    this.#firstPosition = job.resume?.tokens ?? 0;
    this.#progressAtMs = nowMs + PROGRESS_MS;
    if (job.sampling.stop.length > 0) {
      this.#stops = new StopStrings(job.sampling.stop);
      this.#replay(this.#stops);
    }
  }

  get open(): boolean {
    return this.#open;
  }

  /** Position of the token that comes next. */
  get position(): number {
    return this.#firstPosition + this.#shown;
  }

  /** It has work that it may do. */
  get canWork(): boolean {
    return this.#work < this.#workMax() - ROUNDING;
  }

  grant(tokens: number): void {
    if (!this.#open || tokens <= 0) return;
    this.setup.host.changing();
    this.#granted += tokens;
    this.setup.host.changed();
  }

  cancel(): void {
    this.#close();
  }

  /** So many answer tokens' worth of work was done on it. */
  workOn(work: number): void {
    this.#work = Math.min(this.#work + work, this.#workMax());
  }

  /** When it next has something to do or to say, at this speed; Infinity = when something else happens. */
  nextAtMs(workPerMs: number, nowMs: number): number {
    if (this.#isOver()) return nowMs;
    const nextToken = this.setup.prefillWork + this.#shown + 1;
    const workMax = this.#workMax();
    const after = (work: number): number => nowMs + wholeMs((work - this.#work) / workPerMs);
    let atMs = Number.POSITIVE_INFINITY;
    if (this.#work >= nextToken - ROUNDING) atMs = nowMs;
    else if (this.active) atMs = after(Math.min(nextToken, workMax));
    if (this.#shown > 0 && atMs < this.#showAtMs) atMs = Math.min(this.#showAtMs, this.active ? after(workMax) : nowMs);
    return this.#shown === 0 && this.canWork ? Math.min(atMs, this.#progressAtMs) : atMs;
  }

  /** Says what there is to say now. */
  speak(nowMs: number): void {
    const tokens = Math.floor(this.#work - this.setup.prefillWork + ROUNDING) - this.#shown;
    if (tokens > 0 && (this.#shown === 0 || nowMs >= this.#showAtMs || !this.canWork)) this.#show(tokens, nowMs);
    else if (this.#shown === 0 && nowMs >= this.#progressAtMs) this.#progress(nowMs);
    if (this.#isOver()) this.#end();
  }

  #show(tokens: number, nowMs: number): void {
    const { position } = this;
    const piece = this.#stops === undefined ? undefined : this.#pushUntilStop(this.#stops, position, tokens);
    const shown = piece?.tokens ?? tokens;
    this.#shown += shown;
    this.#showAtMs = this.setup.showNextAtMs(nowMs);
    let text = piece === undefined ? tokensText(this.#mark, position, tokens) : this.#owed + piece.text;
    this.#owed = '';
    if (this.#stops !== undefined && this.#isOver()) text += this.#stops.flush();
    this.setup.on({ type: 'tokens', position, tokens: shown, tokenIds: [], text });
  }

  #pushUntilStop(stops: StopStrings, position: number, tokens: number): { text: string; tokens: number } {
    let text = '';
    let count = 0;
    while (count < tokens && this.#stoppedBy === undefined) {
      const pushed = stops.push(tokensText(this.#mark, position + count, 1));
      text += pushed.text;
      this.#stoppedBy = pushed.stoppedBy;
      count += 1;
    }
    return { text, tokens: count };
  }

  /** Brings the stop strings to where the other engine's were. */
  #replay(stops: StopStrings): void {
    const replayed = this.#pushUntilStop(stops, 0, this.#firstPosition).text;
    const sent = this.setup.job.resume?.text ?? '';
    if (replayed.startsWith(sent)) this.#owed = replayed.slice(sent.length);
  }

  #progress(nowMs: number): void {
    const { promptTokens, cachedTokens, prefillWork } = this.setup;
    this.#progressAtMs = nowMs + PROGRESS_MS;
    const share = prefillWork === 0 ? 1 : Math.min(1, this.#work / prefillWork);
    const promptTokensDone = cachedTokens + Math.floor((promptTokens - cachedTokens) * share);
    this.setup.on({ type: 'progress', promptTokensDone, promptTokens, cachedTokens });
  }

  #isOver(): boolean {
    return this.#stoppedBy !== undefined || this.position >= this.setup.endPosition;
  }

  /** All work that is allowed so far. */
  #workMax(): number {
    const wanted = Math.max(0, this.setup.endPosition - this.#firstPosition);
    return this.setup.prefillWork + Math.min(wanted, this.#granted);
  }

  #end(): void {
    const { promptTokens, cachedTokens, finishReason } = this.setup;
    const completionTokens = this.position;
    if (!this.#close()) return;
    const usage = { promptTokens, completionTokens, cachedTokens };
    if (this.#stoppedBy === undefined) return this.setup.on({ type: 'ended', finishReason, usage });
    const stopped = stopIndexOf(this.setup.job.sampling.stop, this.#stoppedBy);
    return this.setup.on({ type: 'ended', finishReason: 'stop', usage, ...stopped });
  }

  /** False when it was closed before. */
  #close(): boolean {
    if (!this.#open) return false;
    this.setup.host.changing();
    this.#open = false;
    this.setup.host.over(this);
    this.setup.host.changed();
    return true;
  }
}

/** Whole ms of true time, never before it is done. */
function wholeMs(ms: number): number {
  return Math.ceil(ms - ROUNDING_MS);
}
