import assert from 'node:assert/strict';
import { type NodeId, parseNodeId } from '../../src/ids.ts';
import type { ChatEvent } from '../../src/inference/chat.ts';
import type { Answer } from '../../src/inference/messages.ts';
import type { RequestEffect, RequestInput, RequestReport } from '../../src/inference/request-events.ts';
import { RequestSession } from '../../src/inference/request-session.ts';
import { INFERENCE } from '../../src/params.ts';

export const NODES: readonly NodeId[] = ['1', '2', '3', '4', '5', '6'].map((digit) => {
  const node = parseNodeId(`12D3KooW${digit.repeat(44)}`);
  assert.ok(node !== undefined);
  return node;
});
export const [A, B] = [NODES[0], NODES[1]];
export const DIGEST = 'aa'.repeat(32);
export const USAGE = { promptTokens: 9, completionTokens: 0, cachedTokens: 4 };

export type Open = RequestEffect & { readonly type: 'open' };

/** A session with all that it asked for. */
export class Bench {
  readonly session: RequestSession;
  readonly events: ChatEvent[] = [];
  readonly reports: RequestReport[] = [];
  readonly opens: Open[] = [];
  readonly cancels: number[] = [];
  credit = 0;
  nowMs = 0;

  constructor(maxTokens?: number) {
    this.session = new RequestSession({ maxTokens, promptTokens: 0 }, 0);
  }

  step(input: RequestInput): readonly RequestEffect[] {
    const effects = this.session.step(input, this.nowMs);
    for (const effect of effects) {
      if (effect.type === 'emit') this.events.push(effect.event);
      else if (effect.type === 'report') this.reports.push(effect.report);
      else if (effect.type === 'cancel') this.cancels.push(effect.attempt);
      else if (effect.type === 'credit') this.credit += effect.tokens;
      else {
        this.opens.push(effect);
        this.credit = effect.creditTokens;
      }
    }
    return effects;
  }

  plan(...ranked: (NodeId | undefined)[]): void {
    this.step({ type: 'dispatched', ranked: ranked.filter((node) => node !== undefined), levelMs: 50 });
  }

  answer(answer: Answer): void {
    this.step({ type: 'answered', attempt: this.opens.at(-1)?.attempt ?? 0, answer });
  }

  accept(digest = DIGEST): void {
    this.answer({ type: 'accepted', digest });
  }

  tokens(position: number, text: string, tokenIds: readonly number[] = []): void {
    this.answer({ type: 'tokens', position, tokens: text.length, tokenIds, text });
  }

  lose(): void {
    this.step({ type: 'link-lost', attempt: this.opens.at(-1)?.attempt ?? 0, reason: 'reset' });
  }

  wait(): void {
    this.nowMs = this.session.wakeAtMs;
    this.step({ type: 'woke' });
  }

  /** The node shows signs of life and nothing else until then. */
  alive(untilMs: number): void {
    while (this.nowMs < untilMs) {
      this.nowMs = Math.min(untilMs, this.nowMs + INFERENCE.progressIntervalMs);
      this.answer({ type: 'progress', promptTokensDone: 0, promptTokens: 0 });
      this.step({ type: 'woke' });
      // Whoever is asked for a plan knows the same nodes as before.
      const wish = this.reports.at(-1);
      if (this.session.phase === 'planning' && wish?.type === 'replan-wanted')
        this.plan(...NODES.slice(0, 3).filter((node) => !wish.excluded.includes(node)));
    }
  }

  get open(): Open {
    const open = this.opens.at(-1);
    assert.ok(open !== undefined);
    return open;
  }

  get text(): string {
    return this.events.map((event) => (event.type === 'text' ? event.text : '')).join('');
  }

  get last(): ChatEvent | undefined {
    return this.events.at(-1);
  }

  reported(type: RequestReport['type']): RequestReport[] {
    return this.reports.filter((report) => report.type === type);
  }
}

export function started(maxTokens?: number): Bench {
  const bench = new Bench(maxTokens);
  bench.step({ type: 'client-granted', tokens: 1_000 });
  bench.plan(A, B);
  return bench;
}
