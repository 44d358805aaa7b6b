/**
 * What parent and child of one model say to each other, as JSON over the IPC channel. The child parses files of unknown
 * origin, so the parent takes nothing from it on trust: every message passes `parseChildMessages`, and one that does not
 * fit ends the child. The child trusts its parent. The child sends arrays, one for each turn of its event loop.
 * Limits: below; text of the child that people may read is cut and cleaned.
 */
import type { ChatMessage, Resume, RunEnd, Sampling, Task, Usage } from '../engine.ts';

/** Where conversations are kept that have no slot; of one model, for one process after the other. */
export interface KeepDirectory {
  readonly directory: string;
  readonly bytesMax: number;
}

export interface LoadCommand {
  readonly type: 'load';
  readonly path: string;
  /** At most this much context for each slot. */
  readonly contextTokens: number;
  readonly slots: number;
  /** Absent = all physical cores but one. */
  readonly threads?: number;
  /** Absent = nothing is kept. */
  readonly keep?: KeepDirectory;
}

export interface StartCommand {
  readonly type: 'start';
  readonly runId: number;
  readonly messages: readonly ChatMessage[];
  readonly sampling: Sampling;
  /** GBNF that the whole answer must follow. */
  readonly grammar?: string;
  /** What the grammar says about calls of functions: the answer is nothing else, or may go over to them. Absent = nothing. */
  readonly calls?: 'only' | 'possible';
  /** Instead of the messages. */
  readonly task?: Task;
  /** `text` is what the client has read, also where the answer travels as scored tokens. */
  readonly resume?: Resume;
}

export type ParentMessage =
  | LoadCommand
  | StartCommand
  | { readonly type: 'grant'; readonly runId: number; readonly tokens: number }
  | { readonly type: 'cancel'; readonly runId: number }
  /** Your process will be ended: keep what is in your free slots, and say so. */
  | { readonly type: 'leave' };

/** What the child is at while it loads; the parent allows each its time. */
export type LoadPhase = 'engine' | 'weights' | 'template' | 'context';

export type RefusalReason = 'unsupported-feature' | 'invalid-request';

export type LoadFailure = 'no-engine' | 'memory' | 'model';

export type ChildMessage =
  | { readonly type: 'alive' }
  | { readonly type: 'phase'; readonly phase: LoadPhase }
  | { readonly type: 'ready'; readonly contextTokens: number; readonly slots: number }
  /** The answer to `leave`. */
  | { readonly type: 'left' }
  | { readonly type: 'load-failed'; readonly reason: LoadFailure; readonly detail: string }
  | {
      readonly type: 'progress';
      readonly runId: number;
      readonly promptTokensDone: number;
      readonly promptTokens: number;
      readonly cachedTokens: number;
    }
  | {
      readonly type: 'tokens';
      readonly runId: number;
      readonly position: number;
      readonly tokenIds: readonly number[];
      readonly text: string;
    }
  | ({ readonly type: 'ended'; readonly runId: number } & RunEnd)
  | {
      readonly type: 'too-long';
      readonly runId: number;
      readonly promptTokens: number;
      readonly contextTokens: number;
    }
  | { readonly type: 'failed'; readonly runId: number; readonly detail: string }
  /** Not a fault of the engine: the model, or the text, is not made for it. */
  | { readonly type: 'refused'; readonly runId: number; readonly reason: RefusalReason; readonly detail: string }
  /** A cancelled run left its slot. */
  | { readonly type: 'released'; readonly runId: number };

export const CHILD_LIMITS = {
  /** Messages of one turn. Source: guess, well above a few for each of 256 slots. */
  messagesMax: 8_192,
  /** Tokens of one message. Source: the credit of a request, doubled for what had been held back. */
  tokensMax: 4_096,
  /** Source: guess, 4,096 tokens of 64 characters. */
  textLengthMax: 262_144,
  detailLengthMax: 400,
  /** Source: guess, above every known model. */
  contextTokensMax: 16_777_216,
  /** Source: copied (LLAMA_MAX_SEQ). */
  slotsMax: 256,
} as const;

const PHASES: readonly LoadPhase[] = ['engine', 'weights', 'template', 'context'];
const REFUSALS: readonly RefusalReason[] = ['unsupported-feature', 'invalid-request'];
const LOAD_FAILURES: readonly LoadFailure[] = ['no-engine', 'memory', 'model'];

/** The messages of one turn, or undefined when any of them is not one. */
export function parseChildMessages(value: unknown): readonly ChildMessage[] | undefined {
  if (!Array.isArray(value) || value.length > CHILD_LIMITS.messagesMax) return undefined;
  const messages: ChildMessage[] = [];
  for (const item of value) {
    const message = isRecord(item) ? parseMessage(item) : undefined;
    if (message === undefined) return undefined;
    messages.push(message);
  }
  return messages;
}

/** Text of the child for people: one line, printable, not long. */
export function cleanDetail(text: string): string {
  // eslint-disable-next-line no-control-regex
  const line = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return line.length > CHILD_LIMITS.detailLengthMax ? `${line.slice(0, CHILD_LIMITS.detailLengthMax - 3)}...` : line;
}

function parseMessage(item: Readonly<Record<string, unknown>>): ChildMessage | undefined {
  switch (item['type']) {
    case 'alive':
      return { type: 'alive' };
    case 'left':
      return { type: 'left' };
    case 'phase': {
      const phase = PHASES.find((known) => known === item['phase']);
      return phase === undefined ? undefined : { type: 'phase', phase };
    }
    case 'ready':
      return parseReady(item);
    case 'load-failed': {
      const reason = LOAD_FAILURES.find((known) => known === item['reason']);
      const { detail } = item;
      if (reason === undefined || typeof detail !== 'string') return undefined;
      return { type: 'load-failed', reason, detail: cleanDetail(detail) };
    }
    default:
      return isCount(item['runId']) ? parseRunMessage(item, item['runId']) : undefined;
  }
}

function parseReady(item: Readonly<Record<string, unknown>>): ChildMessage | undefined {
  const { contextTokens, slots } = item;
  if (!isCount(contextTokens) || contextTokens < 1 || contextTokens > CHILD_LIMITS.contextTokensMax) return undefined;
  if (!isCount(slots) || slots < 1 || slots > CHILD_LIMITS.slotsMax) return undefined;
  return { type: 'ready', contextTokens, slots };
}

function parseRunMessage(item: Readonly<Record<string, unknown>>, runId: number): ChildMessage | undefined {
  switch (item['type']) {
    case 'tokens':
      return parseTokens(item, runId);
    case 'progress':
    case 'too-long':
      return parseCounts(item, runId);
    case 'ended': {
      const usage = parseUsage(item['usage']);
      const { finishReason, stopIndex } = item;
      if (usage === undefined || (finishReason !== 'stop' && finishReason !== 'length')) return undefined;
      if (stopIndex === undefined) return { type: 'ended', runId, finishReason, usage };
      return isCount(stopIndex) ? { type: 'ended', runId, finishReason, usage, stopIndex } : undefined;
    }
    case 'failed':
    case 'refused':
      return parseFailure(item, runId);
    case 'released':
      return { type: 'released', runId };
    default:
      return undefined;
  }
}

function parseFailure(item: Readonly<Record<string, unknown>>, runId: number): ChildMessage | undefined {
  const reason = REFUSALS.find((known) => known === item['reason']);
  if (typeof item['detail'] !== 'string') return undefined;
  const detail = cleanDetail(item['detail']);
  if (item['type'] === 'failed') return { type: 'failed', runId, detail };
  return reason === undefined ? undefined : { type: 'refused', runId, reason, detail };
}

function parseCounts(item: Readonly<Record<string, unknown>>, runId: number): ChildMessage | undefined {
  const { promptTokens, promptTokensDone, cachedTokens, contextTokens } = item;
  if (!isCount(promptTokens)) return undefined;
  if (item['type'] === 'progress')
    return isCount(promptTokensDone) && isCount(cachedTokens)
      ? { type: 'progress', runId, promptTokensDone, promptTokens, cachedTokens }
      : undefined;
  return isCount(contextTokens) ? { type: 'too-long', runId, promptTokens, contextTokens } : undefined;
}

function parseTokens(item: Readonly<Record<string, unknown>>, runId: number): ChildMessage | undefined {
  const { position, tokenIds, text } = item;
  if (!isCount(position) || typeof text !== 'string' || text.length > CHILD_LIMITS.textLengthMax) return undefined;
  if (!Array.isArray(tokenIds) || tokenIds.length < 1 || tokenIds.length > CHILD_LIMITS.tokensMax) return undefined;
  return tokenIds.every(isCount) ? { type: 'tokens', runId, position, tokenIds, text } : undefined;
}

function parseUsage(value: unknown): Usage | undefined {
  if (!isRecord(value)) return undefined;
  const { promptTokens, completionTokens, cachedTokens } = value;
  if (!isCount(promptTokens) || !isCount(completionTokens) || !isCount(cachedTokens)) return undefined;
  return cachedTokens <= promptTokens ? { promptTokens, completionTokens, cachedTokens } : undefined;
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
