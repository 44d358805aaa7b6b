/**
 * One request as the serving node lives it: offered -> (queued) -> running -> over. Who may run is the mesh's decision
 * (`admitted`, `queued`, `refused` come in); this machine passes the asker's credit on to the engine, at the owner's
 * pace if there is one, collects tokens until the link has room, shows a sign of life at least twice a second while it
 * has nothing else to say, and ends exactly once. An engine that is silent for too long although it may produce, or
 * produces more than it was granted, is answered with a failure, so that the asker goes on elsewhere.
 * When the link ends it runs on for a short while, as far as its credit goes: the asker may come back on another link
 * (`reattached`), and hears again what it has not received, also where the answer ended meanwhile.
 * Limits: tokens waiting to leave, or sent and not surely received, are bounded by the credit.
 */
import { unreachable } from '../assert.ts';
import { type Failure, failure } from '../errors.ts';
import type { ModelLoad } from '../gossip/message.ts';
import { INFERENCE, LIMITS } from '../params.ts';
import type { EngineEvent } from './engine.ts';
import { type Cursor, KeptAnswers } from './kept-answers.ts';
import type { Answer, TokensAnswer } from './messages.ts';

export const SERVE = {
  /** An engine that shows nothing at all, not even progress, before its first token. Source: guess: a long prompt on a small machine, times three. */
  firstTokenMsMax: 300_000,
  /** The same between tokens that it was granted. Source: guess: longer than any batch of other prompts. */
  nextTokenMsMax: 60_000,
  /** Unused pace that may be caught up later. Source: guess: invisible to a reader. */
  paceBurstMs: 250,
  /** Text that waits for the link; in UTF-8 it must fit one message. Source: guess, a kilobyte for each token granted. */
  waitingCharactersMax: 262_144,
} as const;

export type ServeInput =
  | { readonly type: 'admitted'; readonly digest: string }
  | { readonly type: 'queued'; readonly position: number }
  | { readonly type: 'refused'; readonly failure: Failure; readonly load: ModelLoad | undefined }
  | { readonly type: 'credit-received'; readonly tokens: number }
  | { readonly type: 'engine-event'; readonly event: EngineEvent }
  /** The asker wants no more. */
  | { readonly type: 'cancelled' }
  /** The asker cannot hear us any more; it may come back. */
  | { readonly type: 'link-lost' }
  /** It came back, and stands at this cursor; only where `reaches` says yes. */
  | (Cursor & { readonly type: 'reattached'; readonly creditTokens: number; readonly accepted: boolean })
  /** This node ends it: it stops. */
  | { readonly type: 'stopped'; readonly failure: Failure }
  | { readonly type: 'woke' };

export type ServeEffect =
  | { readonly type: 'answer'; readonly answer: Answer }
  /** Call `takeTokens` when the link has room. */
  | { readonly type: 'tokens-waiting' }
  | { readonly type: 'start-engine' }
  | { readonly type: 'grant'; readonly tokens: number }
  | { readonly type: 'cancel-engine' }
  /** `newTokens`: of the prompt, evaluated and not found in a cache. */
  | { readonly type: 'report-first-token'; readonly newTokens: number; readonly elapsedMs: number }
  | { readonly type: 'report-ended'; readonly completionTokens: number; readonly decodeElapsedMs: number };

export interface ServeSetup {
  /** Granted with the request. */
  readonly creditTokens: number;
  /** Used until the engine counted. */
  readonly promptTokensEstimate: number;
  /** 0 = as fast as the engine can. */
  readonly tokensPerSecondMax: number;
}

const NOTHING: readonly ServeEffect[] = [];
const TOKENS_WAITING: readonly ServeEffect[] = [{ type: 'tokens-waiting' }];
const NEVER = Number.POSITIVE_INFINITY;

export class ServeSession {
  readonly #setup: ServeSetup;
  #phase: 'offered' | 'queued' | 'running' | 'over' = 'offered';
  #credit: number;
  #granted = 0;
  #produced = 0;
  #paceTokens = 1;
  #pacedAtMs = 0;
  #promptTokensDone = 0;
  #promptTokens = 0;
  #cachedTokens = 0;
  #countShown = false;
  #startedAtMs = 0;
  #firstTokenAtMs: number | undefined;
  #engineHeardAtMs = 0;
  #saidAtMs: number;
  #partedAtMs: number | undefined;
  #digest: string | undefined;
  #queuePosition = 0;
  #last: Answer | undefined;
  readonly #kept = new KeptAnswers();
  // Tokens that wait for the link: one answer's worth, merged.
  #position = 0;
  #waiting = 0;
  #ids: number[] = [];
  #text = '';

  constructor(setup: ServeSetup, nowMs: number) {
    this.#setup = setup;
    this.#credit = setup.creditTokens;
    this.#saidAtMs = nowMs;
  }

  get phase(): 'offered' | 'queued' | 'running' | 'over' {
    return this.#phase;
  }

  get tokensProduced(): number {
    return this.#produced;
  }

  /** The end was said, and may be asked for again. */
  get lingers(): boolean {
    return this.#last !== undefined;
  }

  get keptCharacters(): number {
    return this.#kept.characters;
  }

  /** An asker that stands there can be told all that it misses. */
  reaches(cursor: Cursor): boolean {
    return this.#kept.reaches(cursor);
  }

  get wakeAtMs(): number {
    if (this.#phase === 'over') return NEVER;
    // Nobody hears signs of life while there is no link.
    const signAtMs =
      this.#partedAtMs === undefined
        ? this.#saidAtMs + INFERENCE.progressIntervalMs
        : this.#partedAtMs + INFERENCE.reattachMsMax;
    if (this.#phase !== 'running') return signAtMs;
    return Math.min(signAtMs, this.#paceAtMs(), this.#silenceAtMs());
  }

  step(input: ServeInput, nowMs: number): readonly ServeEffect[] {
    if (this.#phase === 'over') return input.type === 'reattached' ? this.#retold(input, nowMs) : NOTHING;
    switch (input.type) {
      case 'engine-event':
        return this.#engineEvent(input.event, nowMs);
      case 'credit-received':
        this.#credit += input.tokens;
        this.#kept.granted(this.#credit);
        return this.#grants(nowMs);
      case 'link-lost':
        this.#partedAtMs ??= nowMs;
        return NOTHING;
      case 'reattached':
        return this.#reattached(input, nowMs);
      case 'woke':
        return this.#woke(nowMs);
      case 'admitted':
        return this.#admitted(input.digest, nowMs);
      case 'queued':
        this.#phase = 'queued';
        this.#queuePosition = input.position;
        this.#saidAtMs = nowMs;
        return [{ type: 'answer', answer: { type: 'queued', position: input.position } }];
      case 'refused':
        // The mesh said no and knows it: nothing to report.
        this.#phase = 'over';
        return [{ type: 'answer', answer: { type: 'refused', failure: input.failure, load: input.load } }];
      case 'cancelled':
      case 'stopped':
        return this.#over(lastWord(input), nowMs, 'stop-engine');
      default:
        return unreachable(input);
    }
  }

  /** What waits to leave, as one answer; undefined when nothing does. */
  takeTokens(nowMs: number): TokensAnswer | undefined {
    if (this.#waiting === 0 && this.#text === '') return undefined;
    // Ids of some tokens only are of no use to anybody.
    const tokenIds = this.#ids.length === this.#waiting ? this.#ids : [];
    const answer = {
      type: 'tokens',
      position: this.#position,
      tokens: this.#waiting,
      tokenIds,
      text: this.#text,
    } as const;
    this.#position += this.#waiting;
    this.#waiting = 0;
    this.#ids = [];
    this.#text = '';
    this.#saidAtMs = nowMs;
    this.#kept.push(answer);
    return answer;
  }

  #reattached(input: ServeInput & { readonly type: 'reattached' }, nowMs: number): readonly ServeEffect[] {
    this.#partedAtMs = undefined;
    // Grants may have been lost with the link: the asker counts from where it stands.
    this.#credit = Math.max(this.#credit, input.tokens + input.creditTokens);
    return [...this.#retold(input, nowMs), ...this.#grants(nowMs)];
  }

  /** All that was said and not heard, in order; a sign of life where that is nothing. */
  #retold(input: ServeInput & { readonly type: 'reattached' }, nowMs: number): readonly ServeEffect[] {
    const answers: Answer[] = [];
    if (this.#digest !== undefined && !input.accepted) answers.push({ type: 'accepted', digest: this.#digest });
    if (this.#phase === 'queued') answers.push({ type: 'queued', position: this.#queuePosition });
    answers.push(...this.#kept.from(input));
    if (this.#last !== undefined) answers.push(this.#last);
    this.#saidAtMs = nowMs;
    const effects: ServeEffect[] = answers.map((answer) => ({ type: 'answer', answer }));
    if (this.#waiting > 0 || this.#text !== '') return [...effects, ...TOKENS_WAITING];
    return effects.length > 0 ? effects : [this.#signOfLife(nowMs)];
  }

  #admitted(digest: string, nowMs: number): readonly ServeEffect[] {
    if (this.#phase === 'running') return NOTHING;
    this.#phase = 'running';
    this.#digest = digest;
    this.#startedAtMs = nowMs;
    this.#engineHeardAtMs = nowMs;
    this.#pacedAtMs = nowMs;
    this.#saidAtMs = nowMs;
    const accepted: ServeEffect = { type: 'answer', answer: { type: 'accepted', digest } };
    return [accepted, { type: 'start-engine' }, ...this.#grants(nowMs)];
  }

  #engineEvent(event: EngineEvent, nowMs: number): readonly ServeEffect[] {
    if (this.#phase !== 'running') return NOTHING;
    this.#engineHeardAtMs = nowMs;
    switch (event.type) {
      case 'tokens':
        return this.#tokens(event, nowMs);
      case 'progress':
        return this.#progress(event, nowMs);
      case 'ended': {
        const { type, finishReason, stopIndex } = event;
        const usage = {
          promptTokens: counted(event.usage.promptTokens),
          completionTokens: counted(event.usage.completionTokens),
          cachedTokens: counted(event.usage.cachedTokens),
        };
        const ended = { type, finishReason, usage, ...(stopIndex === undefined ? {} : { stopIndex }) };
        return this.#over(ended, nowMs, 'engine-ended');
      }
      case 'failed':
        return this.#over({ type: 'failed', failure: event.failure }, nowMs, 'engine-ended');
      default:
        return unreachable(event);
    }
  }

  #tokens(event: EngineEvent & { readonly type: 'tokens' }, nowMs: number): readonly ServeEffect[] {
    const { position, tokens, tokenIds, text } = event;
    const first = this.#firstTokenAtMs === undefined;
    if (first) this.#position = position;
    const problem = this.#problemOf(event);
    if (problem !== '') return this.#fault(failure('engine-failed', problem), nowMs);
    this.#produced += tokens;
    this.#waiting += tokens;
    for (const id of tokenIds) if (Number.isSafeInteger(id) && id >= 0) this.#ids.push(id);
    this.#text += text;
    if (!first) return TOKENS_WAITING;
    this.#firstTokenAtMs = nowMs;
    const isCounted = this.#promptTokens > 0;
    const newTokens = isCounted
      ? Math.max(1, this.#promptTokens - this.#cachedTokens)
      : this.#setup.promptTokensEstimate;
    const elapsedMs = nowMs - this.#startedAtMs;
    return [{ type: 'tokens-waiting' }, { type: 'report-first-token', newTokens, elapsedMs }];
  }

  /** How an engine's tokens break its contract; '' = they do not. */
  #problemOf(event: EngineEvent & { readonly type: 'tokens' }): string {
    const { position, tokens, text } = event;
    if (this.#produced + tokens > this.#granted) return 'the engine produced more tokens than it was granted';
    if (position !== this.#position + this.#waiting) return 'the engine lost count of its tokens';
    if (position + tokens > LIMITS.answerTokens) return `the answer is longer than ${LIMITS.answerTokens} tokens`;
    if (this.#text.length + text.length > SERVE.waitingCharactersMax) return 'the engine sent too long a text at once';
    return '';
  }

  #progress(event: EngineEvent & { readonly type: 'progress' }, nowMs: number): readonly ServeEffect[] {
    this.#promptTokensDone = counted(event.promptTokensDone);
    this.#promptTokens = counted(event.promptTokens);
    this.#cachedTokens = Math.min(this.#promptTokens, counted(event.cachedTokens ?? 0));
    // The asker keeps the prompt's count for the usage of the whole answer, should this node not live to tell it.
    if (this.#promptTokens === 0 || this.#countShown || this.#partedAtMs !== undefined) return NOTHING;
    this.#countShown = true;
    return [this.#signOfLife(nowMs)];
  }

  #woke(nowMs: number): readonly ServeEffect[] {
    if (nowMs >= this.#silenceAtMs()) {
      return this.#fault(failure('stalled', 'the engine was silent for too long'), nowMs);
    }
    if (this.#partedAtMs !== undefined) {
      const isOver = nowMs >= this.#partedAtMs + INFERENCE.reattachMsMax;
      return isOver ? this.#over(undefined, nowMs, 'stop-engine') : this.#grants(nowMs);
    }
    const effects = [...this.#grants(nowMs)];
    if (nowMs >= this.#saidAtMs + INFERENCE.progressIntervalMs) effects.push(this.#signOfLife(nowMs));
    return effects;
  }

  #signOfLife(nowMs: number): ServeEffect {
    this.#saidAtMs = nowMs;
    const answer = { promptTokensDone: this.#promptTokensDone, promptTokens: this.#promptTokens };
    return { type: 'answer', answer: { type: 'progress', ...answer } };
  }

  #grants(nowMs: number): readonly ServeEffect[] {
    if (this.#phase !== 'running') return NOTHING;
    let tokens = this.#credit - this.#granted;
    if (this.#setup.tokensPerSecondMax > 0) tokens = Math.min(tokens, this.#pace(nowMs));
    if (tokens <= 0) return NOTHING;
    // The engine's silence counts from the moment it may speak.
    if (this.#granted === this.#produced) this.#engineHeardAtMs = nowMs;
    this.#granted += tokens;
    return [{ type: 'grant', tokens }];
  }

  /** Takes what the pace allows now, as far as credit asks for it. */
  #pace(nowMs: number): number {
    const { tokensPerSecondMax } = this.#setup;
    const burst = Math.max(1, (tokensPerSecondMax * SERVE.paceBurstMs) / 1_000);
    const fresh = ((nowMs - this.#pacedAtMs) * tokensPerSecondMax) / 1_000;
    this.#paceTokens = Math.min(burst, this.#paceTokens + fresh);
    this.#pacedAtMs = nowMs;
    const tokens = Math.min(Math.floor(this.#paceTokens), this.#credit - this.#granted);
    this.#paceTokens -= tokens;
    return tokens;
  }

  #paceAtMs(): number {
    const { tokensPerSecondMax } = this.#setup;
    if (tokensPerSecondMax === 0 || this.#credit <= this.#granted) return NEVER;
    return this.#pacedAtMs + Math.ceil(((1 - Math.min(1, this.#paceTokens)) * 1_000) / tokensPerSecondMax);
  }

  /** When the engine's silence is too long; never while it has nothing left to produce from. */
  #silenceAtMs(): number {
    if (this.#phase !== 'running' || this.#granted === this.#produced) return NEVER;
    return this.#engineHeardAtMs + (this.#firstTokenAtMs === undefined ? SERVE.firstTokenMsMax : SERVE.nextTokenMsMax);
  }

  /** The engine broke its contract: it is stopped and the asker told. */
  #fault(problem: Failure, nowMs: number): readonly ServeEffect[] {
    return this.#over({ type: 'failed', failure: problem }, nowMs, 'stop-engine');
  }

  #over(answer: Answer | undefined, nowMs: number, how: 'engine-ended' | 'stop-engine'): readonly ServeEffect[] {
    const effects: ServeEffect[] = [];
    if (this.#phase === 'running' && how === 'stop-engine') effects.push({ type: 'cancel-engine' });
    this.#phase = 'over';
    const last = answer === undefined || answer.type === 'cancelled' ? undefined : this.takeTokens(nowMs);
    if (last !== undefined) effects.push({ type: 'answer', answer: last });
    if (answer !== undefined) effects.push({ type: 'answer', answer });
    if (answer?.type === 'ended' || answer?.type === 'failed') this.#last = answer;
    const decodeElapsedMs = this.#firstTokenAtMs === undefined ? 0 : nowMs - this.#firstTokenAtMs;
    effects.push({ type: 'report-ended', completionTokens: this.#produced, decodeElapsedMs });
    return effects;
  }
}

/** What the asker is told when the request ends from outside. */
function lastWord(input: ServeInput & { readonly type: 'stopped' | 'cancelled' }): Answer {
  return input.type === 'stopped' ? { type: 'failed', failure: input.failure } : { type: 'cancelled' };
}

/** An engine's figure as the wire carries it. */
function counted(figure: number): number {
  return Number.isFinite(figure) ? Math.min(LIMITS.answerTokens, Math.max(0, Math.round(figure))) : 0;
}
