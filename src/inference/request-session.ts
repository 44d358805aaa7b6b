/**
 * One request as the asking node lives it: planning -> trying -> (pausing -> planning ...) -> over. It walks the mesh's
 * ranked list until a node answers, and when that node dies, stalls, refuses or breaks the protocol after the first
 * token, it lets another one go on from *prompt + answer so far*: the client sees one gap-free answer and exactly one
 * end. 1. A request's own fault ends it at once: nobody can do better. 2. Before the first token a refusal costs one
 * place on the list. 3. A plan that is used up, or older than news travels, is made anew without the nodes tried. 4. Nobody
 * left: pause, ask again, give up after a bound (`tries.ts`). When to stop waiting for a node is `try-watch.ts`.
 * Credit is `credit.ts`, what was answered so far is `answer-so-far.ts`.
 */
import { unreachable } from '../assert.ts';
import { type Failure, failure } from '../errors.ts';
import type { NodeId } from '../ids.ts';
import type { TryOutcome } from '../node/events.ts';
import { INFERENCE } from '../params.ts';
import { AnswerSoFar } from './answer-so-far.ts';
import type { ChatEvent } from './chat.ts';
import { Credit } from './credit.ts';
import type { RunEnd } from './engine.ts';
import type { Answer, TokensAnswer } from './messages.ts';
import { isFinal, lastWord, wholeUsage } from './request-ends.ts';
import type { RequestEffect, RequestInput, RequestReport } from './request-events.ts';
import { Tries, type TryFault } from './tries.ts';
import { TryWatch } from './try-watch.ts';

interface Try {
  readonly attempt: number;
  readonly node: NodeId;
  readonly startedAtMs: number;
  /** True when it began with nothing of an answer: its prompt count is the prompt's. */
  readonly fresh: boolean;
  /** Undefined until accepted. */
  digest: string | undefined;
  firstTokenSeen: boolean;
  tokens: number;
}

const NEVER = Number.POSITIVE_INFINITY;

export class RequestSession {
  readonly #maxTokens: number;
  readonly #tries = new Tries();
  readonly #answer = new AnswerSoFar();
  readonly #credit = new Credit();
  readonly #watch: TryWatch;
  #phase: 'planning' | 'trying' | 'pausing' | 'over' = 'planning';
  #try: Try | undefined;
  #attempts = 0;
  #moves = 0;
  #promptTokens = 0;
  #lastFailure: Failure | undefined;
  #troubleSinceMs: number | undefined;
  #wakeAtMs: number;
  #effects: RequestEffect[] = [];

  constructor(options: { readonly maxTokens: number | undefined; readonly promptTokens: number }, nowMs: number) {
    this.#watch = new TryWatch(options.promptTokens);
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

  get answer(): Pick<AnswerSoFar, 'tokens' | 'text'> {
    return this.#answer;
  }

  get asked(): number {
    return this.#tries.asked;
  }

  get wakeAtMs(): number {
    if (this.#phase === 'over') return NEVER;
    return this.#try === undefined ? this.#wakeAtMs : this.#watch.wakeAtMs;
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
        return this.#fromNode(input, nowMs);
      case 'client-granted':
        return this.#granted(input.tokens, nowMs);
      case 'dispatched':
        return this.#dispatched(input, nowMs);
      case 'refused-by-mesh':
        return this.#nobodyLeft(input.failure, nowMs);
      case 'client-cancelled':
      case 'stopped':
        this.#abandonTry();
        if (input.type === 'stopped') this.#fail(input.failure);
        else this.#over({ type: 'request-ended', result: 'client-gone' });
        return;
      case 'woke':
        return this.#woke(nowMs);
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

  #dispatched(plan: RequestInput & { readonly type: 'dispatched' }, nowMs: number): void {
    if (this.#phase === 'trying') return this.#reconsidered(plan, nowMs);
    if (this.#phase === 'planning') this.#follow(plan, nowMs);
  }

  #follow({ ranked, levelMs }: RequestInput & { readonly type: 'dispatched' }, nowMs: number): void {
    this.#tries.plan({ ranked, levelMs, madeAtMs: nowMs });
    if (!this.#openNext(nowMs)) {
      this.#nobodyLeft(this.#lastFailure ?? failure('no-node-available', 'the plan names no node'), nowMs);
    }
  }

  /** Where it could go instead of waiting in a queue. */
  #reconsidered(plan: RequestInput & { readonly type: 'dispatched' }, nowMs: number): void {
    const current = this.#try;
    if (current === undefined || this.#tries.exhausted) return;
    if (!this.#watch.leavesQueueFor(plan.expectedMs ?? plan.levelMs, nowMs)) return;
    this.#abandonTry();
    // Its queue was too long, and nothing else is held against it.
    this.#tries.release(current.node);
    this.#credit.void();
    this.#phase = 'planning';
    this.#follow(plan, nowMs);
  }

  /** Asks the next of the plan; false when there is none. */
  #openNext(nowMs: number): boolean {
    const node = this.#tries.next();
    if (node === undefined) return false;
    this.#attempts += 1;
    const attempt = this.#attempts;
    const soFar = this.#answer.resume();
    if (soFar !== undefined) this.#moves += 1;
    const began = { startedAtMs: nowMs, fresh: soFar === undefined };
    this.#try = { attempt, node, ...began, digest: undefined, firstTokenSeen: false, tokens: 0 };
    this.#watch.begin(this.#tries.levelMs, nowMs);
    this.#phase = 'trying';
    this.#report({ type: 'try-started', node, resumedAt: this.#answer.tokens });
    this.#effects.push({
      type: 'open',
      attempt,
      node,
      levelMs: this.#tries.levelMs,
      creditTokens: this.#credit.renew(),
      resume: soFar?.resume,
      resumeDigest: soFar?.digest ?? '',
    });
    return true;
  }

  #answered(current: Try, answer: Answer, nowMs: number): void {
    this.#watch.heard(nowMs);
    const { node } = current;
    switch (answer.type) {
      case 'tokens':
        return this.#tokens(current, answer, nowMs);
      case 'accepted':
        if (current.digest !== undefined) return this.#violated('accepted twice', nowMs);
        current.digest = answer.digest;
        this.#troubleSinceMs = undefined;
        this.#watch.accepted(nowMs);
        this.#emit({ type: 'serving', node, resumedAt: this.#answer.tokens });
        return;
      case 'queued':
        this.#troubleSinceMs = undefined;
        this.#watch.queued(nowMs);
        this.#emit({ type: 'waiting', node, detail: `at position ${answer.position} of the queue` });
        return;
      case 'progress':
        return this.#progress(current, answer, nowMs);
      case 'ended':
        if (current.digest === undefined) return this.#violated('ended before it accepted', nowMs);
        this.#tryEnded({ type: 'answered' });
        this.#end(answer);
        return;
      case 'refused':
        return this.#refused(answer, nowMs);
      case 'failed':
        return this.#tryFailed('failed', answer.failure, nowMs);
      case 'cancelled':
        return this.#violated('cancelled without being asked', nowMs);
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
    // The client never saw these: its room for them is still there.
    if (taken.type === 'repeat') return this.#granted(answer.tokens, nowMs);
    if (!current.firstTokenSeen) {
      current.firstTokenSeen = true;
      this.#report({ type: 'first-token-seen', node, elapsedMs: nowMs - current.startedAtMs });
      this.#tries.recovered();
    }
    this.#watch.answering(answer.tokens, nowMs);
    current.tokens += answer.tokens;
    this.#emit({ type: 'text', text: answer.text, tokens: answer.tokens });
    this.#renewCredit();
  }

  #granted(tokens: number, nowMs: number): void {
    // A node that may not send is not late.
    if (!this.#credit.isOut) this.#watch.moved(nowMs);
    this.#credit.want(tokens);
    this.#renewCredit();
  }

  #progress(current: Try, answer: Answer & { readonly type: 'progress' }, nowMs: number): void {
    const { promptTokensDone: done, promptTokens: total } = answer;
    this.#watch.progress(done, nowMs);
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
    this.#cancelTry();
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
    if (isFinal(reason, this.#answer.tokens)) return this.#fail(reason);
    // It died after the last token that was asked for: there is nothing to go on with.
    if (this.#answer.tokens >= this.#maxTokens && this.#promptTokens > 0) {
      const usage = { promptTokens: this.#promptTokens, completionTokens: 0, cachedTokens: 0 };
      return this.#end({ finishReason: 'length', usage });
    }
    if (this.#moves >= INFERENCE.failoversMax) return this.#fail(reason);
    if (this.#tries.isOutOfDate(nowMs) || !this.#openNext(nowMs)) this.#replan(nowMs);
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
    if (pauseMs === undefined) return this.#fail(lastWord(reason, this.#lastFailure, this.#answer.tokens));
    this.#phase = 'pausing';
    this.#wakeAtMs = nowMs + pauseMs;
  }

  #woke(nowMs: number): void {
    if (nowMs < this.wakeAtMs) return;
    if (this.#phase === 'planning')
      return this.#nobodyLeft(failure('no-node-available', 'no plan came in time'), nowMs);
    if (this.#phase === 'pausing') {
      this.#tries.relax();
      return this.#replan(nowMs);
    }
    if (this.#try === undefined) return;
    const advice = this.#watch.advise(this.#tries.hasNext && this.#credit.isOut, nowMs);
    if (advice.type === 'leave') {
      this.#cancelTry();
      this.#tryFailed('failed', failure('stalled', advice.problem), nowMs);
    }
    if (advice.type === 'reconsider')
      this.#report({ type: 'replan-wanted', excluded: this.#tries.others(this.#try.node) });
  }

  #renewCredit(): void {
    if (this.#try === undefined) return;
    const tokens = this.#credit.renew();
    if (tokens > 0) this.#effects.push({ type: 'credit', attempt: this.#try.attempt, tokens });
  }

  #abandonTry(): void {
    this.#cancelTry();
    this.#tryEnded({ type: 'cancelled' });
    this.#try = undefined;
  }

  #cancelTry(): void {
    if (this.#try !== undefined) this.#effects.push({ type: 'cancel', attempt: this.#try.attempt });
  }

  #tryEnded(outcome: TryOutcome): void {
    if (this.#try === undefined) return;
    const { node, tokens } = this.#try;
    this.#report({ type: 'try-ended', node, tokens, outcome });
  }

  #end({ finishReason, stopIndex, usage }: RunEnd): void {
    const seen = { promptTokens: this.#promptTokens, tokens: this.#answer.tokens };
    const stopped = stopIndex === undefined ? {} : { stopIndex };
    this.#emit({ type: 'ended', finishReason, usage: wholeUsage(usage, seen), ...stopped });
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
