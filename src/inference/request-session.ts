/**
 * One request as the asking node lives it: planning -> trying -> (pausing -> planning ...) -> over. It walks the mesh's
 * ranked list until a node answers, and when that node dies, stalls, refuses or breaks the protocol after the first
 * token, it lets another one go on from *prompt + answer so far*: the client sees one gap-free answer and exactly one
 * end. 1. A request's own fault ends it at once: nobody can do better. 2. Before the first token a refusal costs one
 * place on the list. 3. A plan used up asks for another without the nodes tried. 4. Nobody left: pause, ask again,
 * give up after a bound (`tries.ts`). Silence of `stallAfterMs` is a failure, unless this node itself stood still.
 * Credit is `credit.ts`, what was answered so far is `answer-so-far.ts`.
 */
import { unreachable } from '../assert.ts';
import { type ErrorCode, type Failure, failure, isNodeFault } from '../errors.ts';
import type { NodeId } from '../ids.ts';
import type { TryOutcome } from '../node/events.ts';
import { INFERENCE, LIMITS, LIVENESS } from '../params.ts';
import { AnswerSoFar } from './answer-so-far.ts';
import type { ChatEvent } from './chat.ts';
import { Credit } from './credit.ts';
import type { FinishReason, Usage } from './engine.ts';
import type { Answer, TokensAnswer } from './messages.ts';
import type { RequestEffect, RequestInput, RequestReport } from './request-events.ts';
import { Tries, type TryFault } from './tries.ts';

interface Try {
  readonly attempt: number;
  readonly node: NodeId;
  readonly startedAtMs: number;
  /** True when it began with nothing of an answer: its prompt count is the prompt's. */
  readonly fresh: boolean;
  heardAtMs: number;
  /** Undefined until accepted. */
  digest: string | undefined;
  firstTokenSeen: boolean;
  tokens: number;
}

const NEVER = Number.POSITIVE_INFINITY;

/** Failures that say that a node is out of reach, and nothing about the request. */
const NODE_GONE: ReadonlySet<ErrorCode> = new Set(['stream-lost', 'stalled', 'draining']);

export class RequestSession {
  readonly #maxTokens: number;
  readonly #tries = new Tries();
  readonly #answer = new AnswerSoFar();
  readonly #credit = new Credit();
  #phase: 'planning' | 'trying' | 'pausing' | 'over' = 'planning';
  #try: Try | undefined;
  #attempts = 0;
  #moves = 0;
  #levelMs = 0;
  #promptTokens = 0;
  #lastFailure: Failure | undefined;
  #troubleSinceMs: number | undefined;
  #wakeAtMs: number;
  #effects: RequestEffect[] = [];

  constructor(options: { readonly maxTokens: number | undefined }, nowMs: number) {
    this.#maxTokens = options.maxTokens ?? NEVER;
    this.#wakeAtMs = nowMs + INFERENCE.stallAfterMs;
  }

  get phase(): 'planning' | 'trying' | 'pausing' | 'over' {
    return this.#phase;
  }

  /** Who is asked now. */
  get node(): NodeId | undefined {
    return this.#try?.node;
  }

  get tokens(): number {
    return this.#answer.tokens;
  }

  get asked(): number {
    return this.#tries.asked;
  }

  get wakeAtMs(): number {
    if (this.#phase === 'over') return NEVER;
    return this.#try === undefined ? this.#wakeAtMs : this.#try.heardAtMs + INFERENCE.stallAfterMs;
  }

  step(input: RequestInput, nowMs: number): readonly RequestEffect[] {
    this.#effects = [];
    if (this.#phase !== 'over') this.#take(input, nowMs);
    return this.#effects;
  }

  #take(input: RequestInput, nowMs: number): void {
    switch (input.type) {
      case 'answered':
      case 'link-lost':
        this.#fromNode(input, nowMs);
        return;
      case 'client-granted':
        this.#credit.want(input.tokens);
        this.#renewCredit();
        return;
      case 'dispatched':
        this.#dispatched(input.ranked, input.levelMs, nowMs);
        return;
      case 'refused-by-mesh':
        this.#nobodyLeft(input.failure, nowMs);
        return;
      case 'client-cancelled':
      case 'stopped':
        this.#abandonTry();
        if (input.type === 'stopped') this.#fail(input.failure);
        else this.#over({ type: 'request-ended', result: 'client-gone' });
        return;
      case 'woke':
        this.#woke(nowMs);
        return;
      default:
        unreachable(input);
    }
  }

  #fromNode(input: RequestInput & { readonly type: 'answered' | 'link-lost' }, nowMs: number): void {
    const current = this.#try;
    if (current?.attempt !== input.attempt) return;
    if (input.type === 'answered') this.#answered(current, input.answer, nowMs);
    else this.#tryFailed('failed', failure('stream-lost', input.reason), nowMs);
  }

  #dispatched(ranked: readonly NodeId[], levelMs: number, nowMs: number): void {
    if (this.#phase !== 'planning') return;
    this.#tries.plan(ranked);
    this.#levelMs = levelMs;
    if (!this.#openNext(nowMs)) {
      this.#nobodyLeft(this.#lastFailure ?? failure('no-node-available', 'the plan names no node'), nowMs);
    }
  }

  /** Asks the next of the plan; false when there is none. */
  #openNext(nowMs: number): boolean {
    const node = this.#tries.next();
    if (node === undefined) return false;
    this.#attempts += 1;
    const attempt = this.#attempts;
    const soFar = this.#answer.resume();
    if (soFar !== undefined) this.#moves += 1;
    const began = { startedAtMs: nowMs, heardAtMs: nowMs, fresh: soFar === undefined };
    this.#try = { attempt, node, ...began, digest: undefined, firstTokenSeen: false, tokens: 0 };
    this.#phase = 'trying';
    this.#report({ type: 'try-started', node, resumedAt: this.#answer.tokens });
    this.#effects.push({
      type: 'open',
      attempt,
      node,
      levelMs: this.#levelMs,
      creditTokens: this.#credit.renew(),
      resume: soFar?.resume,
      resumeDigest: soFar?.digest ?? '',
    });
    return true;
  }

  #answered(current: Try, answer: Answer, nowMs: number): void {
    current.heardAtMs = nowMs;
    const { node } = current;
    switch (answer.type) {
      case 'tokens':
        this.#tokens(current, answer, nowMs);
        return;
      case 'accepted':
        if (current.digest !== undefined) return this.#violated('accepted twice', nowMs);
        current.digest = answer.digest;
        this.#emit({ type: 'serving', node, resumedAt: this.#answer.tokens });
        return;
      case 'queued':
        this.#emit({ type: 'waiting', node, detail: `at position ${answer.position} of the queue` });
        return;
      case 'progress':
        this.#progress(current, answer.promptTokensDone, answer.promptTokens);
        return;
      case 'ended':
        if (current.digest === undefined) return this.#violated('ended before it accepted', nowMs);
        this.#tryEnded({ type: 'answered' });
        this.#end(answer.finishReason, answer.usage);
        return;
      case 'refused':
        this.#refused(answer, nowMs);
        return;
      case 'failed':
        this.#tryFailed('failed', answer.failure, nowMs);
        return;
      case 'cancelled':
        this.#violated('cancelled without being asked', nowMs);
        return;
      default:
        unreachable(answer);
    }
  }

  #tokens(current: Try, answer: TokensAnswer, nowMs: number): void {
    const { node, digest } = current;
    if (digest === undefined) return this.#violated('tokens before it accepted', nowMs);
    if (!this.#credit.spend(answer.tokens)) return this.#violated('more tokens than it was granted', nowMs);
    const taken = this.#answer.take(answer, digest);
    if (taken.type === 'violation') return this.#violated(taken.reason, nowMs);
    if (taken.type === 'repeat') return this.#refund(answer.tokens);
    if (!current.firstTokenSeen) {
      current.firstTokenSeen = true;
      this.#report({ type: 'first-token-seen', node, elapsedMs: nowMs - current.startedAtMs });
      this.#troubleSinceMs = undefined;
      this.#tries.recovered();
    }
    current.tokens += answer.tokens;
    this.#emit({ type: 'text', text: answer.text, tokens: answer.tokens });
    this.#renewCredit();
  }

  /** The client never saw these: its room for them is still there. */
  #refund(tokens: number): void {
    this.#credit.want(tokens);
    this.#renewCredit();
  }

  #progress(current: Try, done: number, total: number): void {
    if (current.fresh && this.#promptTokens === 0) this.#promptTokens = total;
    if (current.firstTokenSeen) return;
    const detail = total === 0 ? 'working' : `read ${done} of ${total} prompt tokens`;
    this.#emit({ type: 'waiting', node: current.node, detail });
  }

  #refused(answer: Answer & { readonly type: 'refused' }, nowMs: number): void {
    const { code } = answer.failure;
    const busy = code === 'busy' || code === 'draining';
    if (busy) this.#tryEnded({ type: 'busy', load: answer.load });
    this.#tryFailed(busy ? 'busy' : 'failed', answer.failure, nowMs);
  }

  #violated(reason: string, nowMs: number): void {
    if (this.#try !== undefined) this.#effects.push({ type: 'cancel', attempt: this.#try.attempt });
    this.#tryFailed('violation', failure('protocol-violation', `the serving node sent ${reason}`), nowMs);
  }

  #tryFailed(fault: TryFault, reason: Failure, nowMs: number): void {
    const node = this.#try?.node;
    if (node === undefined) return;
    if (fault !== 'busy') this.#tryEnded({ type: 'failed', failure: reason });
    this.#tries.failed(node, fault);
    this.#try = undefined;
    this.#credit.void();
    this.#lastFailure = reason;
    this.#troubleSinceMs ??= nowMs;
    if (this.#isFinal(reason)) return this.#fail(reason);
    // It died after the last token that was asked for: there is nothing to go on with.
    if (this.#answer.tokens >= this.#maxTokens && this.#promptTokens > 0) {
      return this.#end('length', { promptTokens: this.#promptTokens, completionTokens: 0, cachedTokens: 0 });
    }
    if (this.#moves >= INFERENCE.failoversMax) return this.#fail(reason);
    if (!this.#openNext(nowMs)) this.#replan(nowMs);
  }

  /** True where no other node can do better. Going on may need more context than starting did, so there it is not final. */
  #isFinal(reason: Failure): boolean {
    if (isNodeFault(reason.code)) return false;
    return this.#answer.tokens === 0 || reason.code !== 'context-length-exceeded';
  }

  #replan(nowMs: number): void {
    if (this.#tries.exhausted) return this.#fail(this.#lastFailure ?? failure('no-node-available', 'nobody answered'));
    this.#phase = 'planning';
    this.#wakeAtMs = nowMs + INFERENCE.stallAfterMs;
    this.#report({ type: 'replan-wanted', excluded: this.#tries.excluded });
  }

  /** The mesh knows nobody (else). Before the first try its word is final. */
  #nobodyLeft(reason: Failure, nowMs: number): void {
    if (this.#phase !== 'planning') return;
    if (this.#tries.asked === 0) return this.#fail(reason);
    const pauseMs = this.#tries.pauseMs(nowMs - (this.#troubleSinceMs ?? nowMs), this.#answer.tokens > 0);
    if (pauseMs === undefined) return this.#fail(this.#lastWord(reason));
    this.#phase = 'pausing';
    this.#wakeAtMs = nowMs + pauseMs;
  }

  /** What an engine answered tells more than the mesh can; that nodes went away is the mesh's to tell, with when to come again. */
  #lastWord(reason: Failure): Failure {
    const last = this.#lastFailure;
    return last === undefined || (this.#answer.tokens === 0 && NODE_GONE.has(last.code)) ? reason : last;
  }

  #woke(nowMs: number): void {
    const lateMs = nowMs - this.wakeAtMs;
    if (lateMs < 0) return;
    if (this.#phase === 'planning')
      return this.#nobodyLeft(failure('no-node-available', 'no plan came in time'), nowMs);
    if (this.#phase === 'pausing') {
      this.#tries.relax();
      return this.#replan(nowMs);
    }
    if (this.#try === undefined) return;
    if (lateMs > LIVENESS.ownStallMs) {
      // We stood still ourselves: what the node sent meanwhile may not have been read yet.
      this.#try.heardAtMs = nowMs - INFERENCE.stallAfterMs + LIVENESS.ownStallGraceMs;
      return;
    }
    this.#effects.push({ type: 'cancel', attempt: this.#try.attempt });
    this.#tryFailed('failed', failure('stalled', `no sign of life for ${INFERENCE.stallAfterMs} ms`), nowMs);
  }

  #renewCredit(): void {
    if (this.#try === undefined) return;
    const tokens = this.#credit.renew();
    if (tokens > 0) this.#effects.push({ type: 'credit', attempt: this.#try.attempt, tokens });
  }

  #abandonTry(): void {
    if (this.#try === undefined) return;
    this.#effects.push({ type: 'cancel', attempt: this.#try.attempt });
    this.#tryEnded({ type: 'cancelled' });
    this.#try = undefined;
  }

  #tryEnded(outcome: TryOutcome): void {
    if (this.#try === undefined) return;
    const { node, tokens } = this.#try;
    this.#report({ type: 'try-ended', node, tokens, outcome });
  }

  #end(finishReason: FinishReason, usage: Usage): void {
    const promptTokens = this.#promptTokens === 0 ? usage.promptTokens : this.#promptTokens;
    const completionTokens = Math.min(LIMITS.answerTokens, Math.max(usage.completionTokens, this.#answer.tokens));
    const cachedTokens = Math.min(usage.cachedTokens, promptTokens);
    this.#emit({ type: 'ended', finishReason, usage: { promptTokens, completionTokens, cachedTokens } });
    this.#over({ type: 'request-ended', result: 'answered' });
  }

  #fail(reason: Failure): void {
    this.#emit({ type: 'failed', failure: reason });
    this.#over({ type: 'request-ended', result: 'failed', failure: reason });
  }

  #over(report: RequestReport): void {
    this.#phase = 'over';
    this.#try = undefined;
    this.#report(report);
  }

  #emit(event: ChatEvent): void {
    this.#effects.push({ type: 'emit', event });
  }

  #report(report: RequestReport): void {
    this.#effects.push({ type: 'report', report });
  }
}
