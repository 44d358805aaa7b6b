/**
 * What must be written to speak one more API? A `Dialect`: it reads a body into jobs of the mesh, and says how their answers
 * look. Everything else is the exchange's (`exchange.io.ts`): when the status is decided, head and keep-alives, backpressure,
 * cancelling, several runs for one request, and what the text of an answer means (`answer-parts.ts`).
 * A dialect is pure and keeps nothing between requests; what one answer needs lives in the writer that it makes for it.
 * To add one: a file with a `Dialect`, whose `read` picks one of three ways to show the answer (`stream`, `reply`, `lines`); a
 * route with a handler name in `routes.ts`, and that name in `dialects.ts`. Much of what `read` needs is there already:
 * `sampling-fields.ts`, `tool-form.ts`, `message-content.ts`, `constrained-job.ts`, `request-body.ts`.
 *
 * What the exchange promises a writer: `opened` once, before anything else of the answer; then parts, those of one job in
 * their order, those of several jobs mixed; `callEnded` for each call that the length did not cut; `jobEnded` once for each
 * job; `closed` once, last. `failed` comes instead of all that is left, and before `opened` only where a keep-alive has
 * gone out; a failure before the first byte has a status and the body of `failureBody`. Parts were checked: calls are offered
 * ones, arguments JSON objects, and an answer has at most `ANSWER_LENGTH_MAX` characters, so that a writer may keep it.
 */
import type { Failure } from '../errors.ts';
import type { ModelId, RequestId } from '../ids.ts';
import type { Grammars } from '../inference/answer-format.ts';
import type { ScoredToken } from '../inference/answer-lines.ts';
import type { Job } from '../inference/engine.ts';
import type { AnswerEnd, CallHead } from './answer-parts.ts';
import type { JsonObject } from './json-object.ts';
import type { ModelOffer } from './models.ts';

export interface Dialect {
  /** The body is a JSON object, not too deep and not too large; nothing else was checked. */
  read(body: JsonObject, context: ReadContext): Reading;
  failureBody(failure: Failure): unknown;
}

export interface ReadContext {
  /** The client's `x-session-id`: goes before hints in the body. */
  readonly sessionHeader: string | undefined;
  /** What came of the schemas of earlier requests. */
  readonly grammars: Grammars;
  /** The models of the mesh. */
  readonly models: () => readonly ModelOffer[];
  /** Unix time of the request. */
  readonly nowMs: number;
}

export type Reading =
  | { readonly type: 'asked'; readonly asked: Asked }
  /** Needs no work: the answer is known. */
  | { readonly type: 'answer'; readonly body: unknown }
  | { readonly type: 'refused'; readonly failure: Failure };

export interface Asked {
  /** Ties the turns of a conversation together; '' = none. */
  readonly sessionKey: string;
  /** At least one, all for one model; each is one run. They run `JOBS_AT_ONCE_MAX` at a time, in this order. */
  readonly jobs: readonly Job[];
  readonly show: Show;
}

export type Show =
  | { readonly type: 'stream'; readonly open: (head: AnswerHead) => StreamWriter }
  /** One JSON body at the end; `answers` in the order of the jobs. */
  | { readonly type: 'reply'; readonly body: (head: AnswerHead, answers: readonly Answer[], times: Times) => unknown }
  /** For jobs whose answers are data (vectors, scores): one JSON body, built line by line. */
  | { readonly type: 'lines'; readonly open: (head: AnswerHead) => LineWriter };

/** What does not change while an answer goes on. */
export interface AnswerHead {
  readonly requestId: RequestId;
  readonly model: ModelId;
  /** Unix time of the request. */
  readonly createdMs: number;
}

export interface Times {
  /** From the request until now. */
  readonly totalMs: number;
  /** From the request until the first text, at most `totalMs`. */
  readonly firstTextMs: number;
}

/** Each method returns the bytes to send, as text; '' = nothing. `job` counts jobs from 0. */
export interface StreamWriter {
  readonly contentType: string;
  opened(): string;
  /** The hot path: once for each token. */
  content(job: number, text: string, tokens: readonly ScoredToken[]): string;
  callBegan(job: number, call: CallHead): string;
  callArguments(job: number, index: number, text: string): string;
  callEnded(job: number, index: number): string;
  jobEnded(job: number, end: AnswerEnd): string;
  /** `ends` in the order of the jobs. */
  closed(ends: readonly AnswerEnd[], times: Times): string;
  failed(failure: Failure): string;
  /** Nothing was said for long: something that clients skip. May come before `opened`. */
  keepAlive(): string;
}

/** One whole answer. */
export interface Answer extends AnswerEnd {
  readonly content: string;
  /** Where probabilities were asked for, else empty. */
  readonly tokens: readonly ScoredToken[];
  readonly calls: readonly { readonly id: string; readonly name: string; readonly arguments: string }[];
}

export interface LineWriter {
  /** The next line of a job's answer; false when it is none. */
  line(job: number, line: string): boolean;
  /** All jobs have ended; the body as JSON text. */
  closed(
    times: Times,
  ): { readonly type: 'body'; readonly json: string } | { readonly type: 'failed'; readonly failure: Failure };
}

/** Runs of one request at once. Source: spec (API limits: n is at most 8). */
export const JOBS_AT_ONCE_MAX = 8;
/** Longest answer of one job, in UTF-16 units of its text or lines. Source: guess: `LIMITS.answerTokens` times 16. */
export const ANSWER_LENGTH_MAX = 16_777_216;
