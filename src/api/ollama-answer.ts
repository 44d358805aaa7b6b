/**
 * How does an answer look to a client of Ollama, streamed or not? One JSON object, or one for each piece of text as lines, the last of
 * which says `done`, why, how many tokens and how long. Chats have a `message`, completions a `response`. A call comes whole, with
 * its arguments as an object, when its last piece is there; one that the limit of tokens cut is left out.
 * While nothing is said, a space goes out: JSON may begin with it, whereas an empty line breaks clients that parse each line.
 * An answer that breaks off ends with a line `error`. Durations are nanoseconds as the client's node measured them.
 * Source: copied (Ollama's API documentation, its Go, Python and JavaScript clients).
 */
import type { Failure } from '../errors.ts';
import type { ScoredToken } from '../inference/answer-lines.ts';
import type { Job } from '../inference/engine.ts';
import type { AnswerEnd } from './answer-parts.ts';
import type { Answer, AnswerHead, ReadContext, Reading, Show, StreamWriter, Times } from './dialect.ts';
import { isoTime } from './iso-time.ts';
import { isJsonObject, type JsonObject } from './json-object.ts';
import { ollamaErrorBody } from './ollama-error.ts';
import { isKnown } from './ollama-names.ts';
import type { OllamaCommon } from './ollama-options.ts';
import { noSuchName } from './sampling-fields.ts';
import { chatLogprobs } from './token-scores.ts';

const LINES = 'application/x-ndjson';
const NS_PER_MS = 1_000_000;

type Kind = 'chat' | 'generate';

interface AnswerOptions {
  /** The model as the client wrote it. */
  readonly name: string;
  readonly kind: Kind;
  /** Probabilities were asked for. */
  readonly logprobs: boolean;
}

/** A call whose arguments come piece by piece. */
interface Call {
  readonly id: string;
  readonly name: string;
  arguments: string;
}

/** `work`: what the job has besides what all requests have. */
export function askOllama(kind: Kind, common: OllamaCommon, work: Pick<Job, 'messages' | 'task' | 'toolUse'>): Reading {
  const { name, model, sampling, format, stream, sessionKey } = common;
  const job: Job = { model, sampling, ...(format === undefined ? {} : { format }), ...work };
  const options = { name, kind, logprobs: sampling.logprobs !== undefined };
  const show: Show = stream
    ? { type: 'stream', open: (head) => ollamaStream(head, options) }
    : { type: 'reply', body: (head, answers, times) => ollamaReply(head, answers, { times, ...options }) };
  return { type: 'asked', asked: { sessionKey, jobs: [job], show } };
}

/** Nothing is asked of the model: it should be loaded, which it will be when it is needed. */
export function loadOllama(kind: Kind, { name, model }: OllamaCommon, context: ReadContext): Reading {
  if (!isKnown(model, context.models())) return { type: 'refused', failure: noSuchName() };
  const head = { model: name, created_at: isoTime(context.nowMs) };
  return { type: 'answer', body: { ...head, ...saying(kind, '', []), done: true, done_reason: 'load' } };
}

function ollamaStream(head: AnswerHead, { name, kind }: AnswerOptions): StreamWriter {
  const opening = `{"model":${JSON.stringify(name)},"created_at":"${isoTime(head.createdMs)}",`;
  const before = opening + (kind === 'chat' ? '"message":{"role":"assistant","content":' : '"response":');
  const after = kind === 'chat' ? '},"done":false}\n' : ',"done":false}\n';
  const line = (value: object): string => `${opening}${JSON.stringify(value).slice(1)}\n`;
  /** Those that are not shown yet. */
  const calls: (Call | undefined)[] = [];
  const called = (call: Call | undefined, index: number): string => {
    const body = call === undefined ? undefined : callBody(call, index);
    return body === undefined ? '' : line({ ...saying(kind, '', [body]), done: false });
  };
  return {
    contentType: LINES,
    opened: () => '',
    content: (_job, text, tokens) =>
      tokens.length === 0
        ? before + JSON.stringify(text) + after
        : line({ ...saying(kind, text, []), logprobs: logprobsOf(tokens), done: false }),
    callBegan: (_job, call) => {
      calls[call.index] = { id: call.id, name: call.name, arguments: '' };
      return '';
    },
    callArguments: (_job, index, text) => {
      const call = calls[index];
      if (call !== undefined) call.arguments += text;
      return '';
    },
    callEnded: (_job, index) => {
      const call = calls[index];
      calls[index] = undefined;
      return called(call, index);
    },
    // One that was cut after its arguments is whole, as it is in a reply.
    jobEnded: () => calls.map(called).join(''),
    closed: ([end], times) => (end === undefined ? '' : line({ ...saying(kind, '', []), ...ending(end, times) })),
    failed: (failure: Failure) => `${JSON.stringify(ollamaErrorBody(failure))}\n`,
    keepAlive: () => ' ',
  };
}

function ollamaReply(
  head: AnswerHead,
  [answer]: readonly Answer[],
  { name, kind, logprobs, times }: AnswerOptions & { readonly times: Times },
): unknown {
  if (answer === undefined) return {};
  const calls = answer.calls.flatMap((call, index) => callBody(call, index) ?? []);
  return {
    model: name,
    created_at: isoTime(head.createdMs),
    ...saying(kind, answer.content, calls),
    ...(logprobs ? { logprobs: logprobsOf(answer.tokens) } : {}),
    ...ending(answer, times),
  };
}

function saying(kind: Kind, content: string, calls: readonly object[]): object {
  if (kind === 'generate') return { response: content };
  return { message: { role: 'assistant', content, ...(calls.length === 0 ? {} : { tool_calls: calls }) } };
}

function ending({ finish, usage }: AnswerEnd, { totalMs, firstTextMs }: Times): object {
  return {
    done: true,
    // Ollama has no other word for an answer that calls.
    done_reason: finish === 'length' ? 'length' : 'stop',
    total_duration: toNs(totalMs),
    load_duration: 0,
    prompt_eval_count: usage.promptTokens,
    prompt_eval_duration: toNs(firstTextMs),
    eval_count: usage.completionTokens,
    eval_duration: toNs(totalMs - firstTextMs),
  };
}

export function toNs(ms: number): number {
  return Math.max(0, Math.round(ms * NS_PER_MS));
}

/** Undefined for a call that was cut. */
function callBody(call: Answer['calls'][number], index: number): object | undefined {
  const values = parseObject(call.arguments);
  if (values === undefined) return undefined;
  return { id: call.id, function: { index, name: call.name, arguments: values } };
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function logprobsOf(tokens: readonly ScoredToken[]): unknown {
  return chatLogprobs(tokens).content;
}
