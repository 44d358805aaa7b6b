/**
 * Keeps the explain record of every request that entered here, by listening to what enters and leaves the core: why it
 * went where it went, which nodes were tried, how it ended. It decides nothing. Records are bounded by `ExplainStore`;
 * they hold ids, sizes and times, never a word of a prompt or an answer.
 */
import { ExplainStore } from '../api/explain-store.ts';
import type { ExplainRecord, ExplainTry } from '../api/explain-record.ts';
import type { Failure } from '../errors.ts';
import type { NodeId, RequestId } from '../ids.ts';
import { recordedFailure } from './recorded-failure.ts';
import type { DispatchPlan, Effect, Input, TryOutcome } from './events.ts';

/** Tries kept of one request. Source: guess: every failover there may be, several times over. */
const TRIES_MAX = 64;

export class ExplainRecorder {
  readonly #store = new ExplainStore();
  readonly #arrivedAtMs = new Map<RequestId, number>();

  get(requestId: RequestId): ExplainRecord | undefined {
    return this.#store.get(requestId);
  }

  /** `unixMs` is for people only. */
  input(input: Input, nowMs: number, unixMs: number): void {
    switch (input.type) {
      case 'request-arrived':
        this.#arrivedAtMs.set(input.requestId, nowMs);
        this.#store.put(newRecord(input.requestId, input.request.model, unixMs));
        break;
      case 'try-started':
        this.#tryStarted(input, nowMs);
        break;
      case 'first-token-seen':
        this.#change(input.requestId, (record) => ({
          ...record,
          firstTokenAfterMs: record.firstTokenAfterMs ?? this.#ageMs(input.requestId, nowMs),
        }));
        break;
      case 'try-ended':
        this.#tryEnded(input);
        break;
      case 'request-ended':
        this.#ended(input, nowMs);
        break;
      default:
        break;
    }
  }

  effect(effect: Effect): void {
    if (effect.type === 'dispatch') this.#planned(effect.requestId, effect.plan);
    else if (effect.type === 'refuse-request') this.#planned(effect.requestId, effect.plan);
  }

  /** The newest placement of a request; an answer that goes on elsewhere is placed again. */
  #planned(requestId: RequestId, { levelMs, ranked, explain }: DispatchPlan): void {
    const { considered, refused, summary } = explain;
    // A placement that only says that everybody was tried would hide why the first one chose as it did.
    this.#change(requestId, (record) =>
      record.considered.length > 0 && considered.length === 0
        ? record
        : { ...record, levelMs, ranked, considered, refused, summary },
    );
  }

  #tryStarted(
    {
      requestId,
      node,
      resumedAt,
    }: { readonly requestId: RequestId; readonly node: NodeId; readonly resumedAt: number },
    nowMs: number,
  ): void {
    const attempt: ExplainTry = {
      node,
      startedAfterMs: this.#ageMs(requestId, nowMs),
      outcome: 'running',
      resumedAt,
      tokens: 0,
    };
    this.#change(requestId, (record) =>
      record.tries.length >= TRIES_MAX ? record : { ...record, tries: [...record.tries, attempt] },
    );
  }

  #tryEnded({
    requestId,
    node,
    tokens,
    outcome,
  }: {
    readonly requestId: RequestId;
    readonly node: NodeId;
    readonly tokens: number;
    readonly outcome: TryOutcome;
  }): void {
    this.#change(requestId, (record) => {
      const index = record.tries.findLastIndex((attempt) => attempt.node === node && attempt.outcome === 'running');
      const why = outcome.type === 'failed' ? { why: recordedFailure(outcome.failure).message } : {};
      const tries = record.tries.map((attempt, at) =>
        at === index ? { ...attempt, tokens, outcome: outcome.type, ...why } : attempt,
      );
      return { ...record, tries };
    });
  }

  #ended(
    {
      requestId,
      result,
      failure,
    }: {
      readonly requestId: RequestId;
      readonly result: 'answered' | 'failed' | 'client-gone';
      readonly failure?: Failure;
    },
    nowMs: number,
  ): void {
    const endedAfterMs = this.#ageMs(requestId, nowMs);
    this.#arrivedAtMs.delete(requestId);
    this.#change(requestId, (record) => ({
      ...record,
      result,
      endedAfterMs,
      ...(failure === undefined ? {} : { failure: recordedFailure(failure) }),
    }));
  }

  #ageMs(requestId: RequestId, nowMs: number): number {
    return Math.round(nowMs - (this.#arrivedAtMs.get(requestId) ?? nowMs));
  }

  #change(requestId: RequestId, change: (record: ExplainRecord) => ExplainRecord): void {
    this.#store.change(requestId, change);
  }
}

function newRecord(requestId: RequestId, model: ExplainRecord['model'], unixMs: number): ExplainRecord {
  return {
    requestId,
    model,
    arrivedAtMs: unixMs,
    result: 'running',
    summary: '',
    levelMs: 0,
    ranked: [],
    considered: [],
    refused: [],
    tries: [],
  };
}
