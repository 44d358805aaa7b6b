/**
 * The engine port: what the mesh needs from anything that turns messages into tokens. Three implement it
 * (`llama`, `upstream`, `scripted`) and one contract suite binds them (`test/contract/engine.contract.ts`).
 * A run is pushed, not pulled: the caller grants tokens, the engine calls back with events, and both sides are
 * synchronous, so that a pure engine and a child process look alike. Positions count generated tokens from 0
 * over the whole answer, also across a resume, so that gaps and repeats show.
 */
import type { Failure } from '../errors.ts';
import type { ModelId } from '../ids.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  /** '' where an assistant only called tools. */
  readonly content: string;
  readonly name?: string;
  /** What an assistant called in this turn, in its order. */
  readonly toolCalls?: readonly ToolCall[];
  /** Of a tool: the call that this is the result of. */
  readonly toolCallId?: string;
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON, as the model wrote it. */
  readonly arguments: string;
}

export interface Tool {
  /** 1 to `LIMITS.toolNameCharacters` of `A-Z a-z 0-9 _ -`. */
  readonly name: string;
  readonly description?: string;
  /** A JSON schema of an object, as JSON. */
  readonly parameters: string;
}

/** The functions that an answer may call. An engine that cannot hold the model to it refuses the job. */
export interface ToolUse {
  /** At least one; names differ. */
  readonly tools: readonly Tool[];
  readonly choice:
    | { readonly type: 'auto' }
    /** At least one call, no matter which. */
    | { readonly type: 'required' }
    | { readonly type: 'named'; readonly name: string };
  /** False = at most one call. */
  readonly parallel: boolean;
}

export interface Sampling {
  /** 0 = greedy. */
  readonly temperature: number;
  readonly topP: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly seed?: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  /** At most `LIMITS.stopSequences`; never part of the text. */
  readonly stop: readonly string[];
  /** At least 1; absent = until the model ends or the context is full. */
  readonly maxTokens?: number;
  /** llama.cpp's: 1 = off. */
  readonly repeatPenalty?: number;
  /** Added to the logits of tokens; -100 and below forbids one. */
  readonly logitBias?: readonly { readonly token: number; readonly bias: number }[];
  /** Tells the probability of every token, and of so many alternatives (0 to `LIMITS.topLogprobs`): the text of the answer
   *  is then one line for each token (`answer-lines.ts`). Absent = plain text. */
  readonly logprobs?: number;
}

/** What another engine already produced of this answer: generation goes on after it. */
export interface Resume {
  /** Number of tokens produced so far = the position of the next one. */
  readonly tokens: number;
  /** Their ids, when the engine that made them gave ids (same length as `tokens`), else empty. */
  readonly tokenIds: readonly number[];
  /** The text that already left; the engine sends only what comes after it. */
  readonly text: string;
}

/** What the text of an answer must be. An engine that cannot see to it refuses the job; it never answers in prose instead. */
export type AnswerFormat =
  | { readonly type: 'text' }
  /** Any JSON object. */
  | { readonly type: 'json-object' }
  | {
      readonly type: 'json-schema';
      /** The client's name for it: 1 to `LIMITS.schemaNameCharacters` of `A-Z a-z 0-9 _ -`. */
      readonly name: string;
      /** JSON, at most `LIMITS.schemaBytes`. */
      readonly schema: string;
      /** What the client asked for; the schema is followed to the letter in both cases. */
      readonly strict: boolean;
    };

/** Work that is no conversation. */
export type Task =
  /** Goes on with a text, without any template. */
  | { readonly type: 'completion'; readonly prompt: string }
  /** One vector for each input, in order: "token" i is the line of input i (`answer-lines.ts`), so that lists resume like answers. */
  | { readonly type: 'embedding'; readonly inputs: readonly string[] }
  /** One score for each document, likewise. */
  | { readonly type: 'rerank'; readonly query: string; readonly documents: readonly string[] };

export interface Job {
  readonly model: ModelId;
  /** The conversation to answer; empty where there is a `task`. */
  readonly messages: readonly ChatMessage[];
  readonly sampling: Sampling;
  /** Absent = text. */
  readonly format?: AnswerFormat;
  /** Absent = no calls. How calls stand in the text of an answer is `tool-text.ts`. With a `format`, the answer is
   *  either calls or a text of that format; together only where a function may be called (`auto`). */
  readonly toolUse?: ToolUse;
  /** Absent = the answer to `messages`. */
  readonly task?: Task;
  readonly resume?: Resume;
}

export type FinishReason = 'stop' | 'length';

export interface Usage {
  readonly promptTokens: number;
  /** Of the whole answer, resumed tokens included, the end-of-text token not. */
  readonly completionTokens: number;
  readonly cachedTokens: number;
}

export type EngineEvent =
  /** A sign of life while nothing can be shown yet (loading, prefill, waiting upstream); at most every 5 s needed. */
  | {
      readonly type: 'progress';
      readonly promptTokensDone: number;
      readonly promptTokens: number;
      /** Of the prompt, not evaluated because a cache held them: how fast the rest was read depends on it. Absent = unknown. */
      readonly cachedTokens?: number;
    }
  /** `text` may be '' while bytes of a character or of a possible stop sequence are held back. `tokenIds` is empty where the engine has none; then `tokens` counts. */
  | {
      readonly type: 'tokens';
      readonly position: number;
      readonly tokens: number;
      readonly tokenIds: readonly number[];
      readonly text: string;
    }
  /** Exactly one of `ended` and `failed` comes last, once; nothing after it. A cancelled run ends with neither. */
  | ({ readonly type: 'ended' } & RunEnd)
  | { readonly type: 'failed'; readonly failure: Failure };

/** How an answer came to its end. */
export interface RunEnd {
  readonly finishReason: FinishReason;
  readonly usage: Usage;
  /** Which of the request's stop strings ended it. Absent = none did, or nobody told. */
  readonly stopIndex?: number;
}

export interface EngineRun {
  /** Allows `tokens` more tokens to be produced; a run starts with none granted and must not exceed the sum. */
  grant(tokens: number): void;
  /** Ends the run and frees its slot within 250 ms; idempotent; no event follows. */
  cancel(): void;
}

export type ModelState = 'ready' | 'on-disk' | 'loading' | 'failed';

/** A model as one engine offers it. */
export interface EngineModel {
  readonly model: ModelId;
  readonly state: ModelState;
  /** Why it is `failed`; in another state what went wrong last, until it is ready again. */
  readonly problem?: string;
  /** sha256 of the weights, 64 hex digits; '' where it cannot be proved (upstreams). Resuming by token ids needs equal digests. */
  readonly digest: string;
  /** Longest prompt + answer, in tokens; 0 = unknown. */
  readonly contextTokens: number;
  /** Requests served at once. */
  readonly slots: number;
  /** Expected time to make it ready, 0 when it is. */
  readonly loadMs: number;
}

export interface Engine {
  readonly kind: 'llama' | 'upstream' | 'scripted';
  models(): readonly EngineModel[];
  /** Starts one answer. Events may come during this call or later, never after `ended`, `failed` or `cancel()`. */
  start(job: Job, on: (event: EngineEvent) => void): EngineRun;
}
