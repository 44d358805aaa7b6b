/**
 * What does an engine without a model answer? A function of the job alone, so that every node gives the same answer and a
 * test can tell a gap, a repeat or a mix-up from the text. A conversation and a completion become numbered words ("gander3 ");
 * `call:NAME {json}` in the last message of a user becomes a call of that function, as does any job that must call one;
 * a format becomes the smallest JSON that fits it. Texts become vectors that are the sum of their words', so that
 * common words mean near vectors, and documents are scored by the words that they share with the query.
 * Limits: words are what stands between other characters, in lower case; a vector has `VECTOR_LENGTH` numbers.
 */
import { hash64, utf8 } from '../bytes.ts';
import { type Failure, failure } from '../errors.ts';
import { encodeScore, encodeVector } from './answer-lines.ts';
import type { AnswerFormat, Job, Task, ToolUse } from './engine.ts';
import { smallestJson } from './scripted-json.ts';
import { encodeToolCall, TOOL_CALL_SEPARATOR } from './tool-text.ts';

interface Call {
  readonly name: string;
  readonly json: string;
}

export interface Reply {
  readonly length: number;
  token(index: number): { readonly text: string; readonly id: number };
}

export const SCRIPTED_WORDS = ['goose', 'gander', 'wing', 'wedge', 'feather', 'skein', 'north', 'marsh', 'dawn', 'gaggle', 'wind'] as const; // prettier-ignore

/** The bits of a word's hash. */
const VECTOR_LENGTH = 64;
/** Characters of a token of JSON and of calls: short, so that everything is cut somewhere. Source: guess. */
const PIECE_LENGTH = 5;
const FORBIDDEN_BIAS = -100;
const CALL = /call:([A-Za-z0-9_-]{1,64})/g;

/** The reply, or why there is none. `length` is that of an answer that nothing else ends. */
export function derivedReply(job: Job, length: number): Reply | Failure {
  const { task, format, toolUse } = job;
  if (task !== undefined && task.type !== 'completion') return listReply(task);
  const isFormatted = format !== undefined && format.type !== 'text';
  const calls = toolUse === undefined ? [] : callsOf(job, toolUse);
  if (calls.length > 0) {
    const said = toolUse?.choice.type === 'auto' && !isFormatted ? [`I call ${calls[0]?.name ?? ''}.`] : [];
    const encoded = calls.map(({ name, json }) => encodeToolCall(name, json));
    return textReply([...said, ...encoded].join(TOOL_CALL_SEPARATOR));
  }
  if (isFormatted) return formatReply(format);
  return wordReply(job, length);
}

export function scriptedReply(script: readonly string[]): Reply {
  return { length: script.length, token: (index) => ({ id: index, text: script[index] ?? '' }) };
}

/** What a job without a model's tokenizer costs: words, and a little for each message's frame, so that an empty prompt is not free. */
export function countPromptTokens({ messages, task }: Job): number {
  const ofMessages = messages.reduce((sum, message) => sum + 1 + countWords(message.content), 0);
  return ofMessages + textsOf(task).reduce((sum, text) => sum + countWords(text), 0);
}

export function countWords(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

/** What must fit into the context by itself, each. */
export function textsOf(task: Task | undefined): readonly string[] {
  switch (task?.type) {
    case 'completion':
      return [task.prompt];
    case 'embedding':
      return task.inputs;
    case 'rerank':
      return task.documents.map((document) => `${task.query} ${document}`);
    default:
      return [];
  }
}

function wordReply({ messages, task, sampling }: Job, length: number): Reply {
  const prompt = task ?? messages.map(({ role, content }) => [role, content]);
  const seed = hash64(utf8(JSON.stringify(prompt)));
  const count = SCRIPTED_WORDS.length;
  const forbidden = new Set(
    (sampling.logitBias ?? []).filter(({ bias }) => bias <= FORBIDDEN_BIAS).map(({ token }) => token),
  );
  return {
    length,
    token(index) {
      // The step is coprime to the number of words, so that neighbours differ and two prompts seldom agree.
      let id = (seed.low + index * (1 + (seed.high % (count - 1)))) % count;
      for (let step = 0; step < count && forbidden.has(id); step += 1) id = (id + 1) % count;
      return { id, text: `${SCRIPTED_WORDS[id] ?? ''}${index} ` };
    },
  };
}

function textReply(text: string): Reply {
  const characters = Array.from(text);
  const pieces: string[] = [];
  for (let at = 0; at < characters.length; at += PIECE_LENGTH)
    pieces.push(characters.slice(at, at + PIECE_LENGTH).join(''));
  return scriptedReply(pieces);
}

function formatReply(format: Exclude<AnswerFormat, { type: 'text' }>): Reply | Failure {
  const json = format.type === 'json-object' ? '{}' : smallestJson(format.schema);
  const param = 'response_format';
  return json === undefined
    ? failure('unsupported-feature', `${param}: a script cannot follow this schema`, { param })
    : textReply(json);
}

function callsOf({ messages }: Job, { tools, choice, parallel }: ToolUse): readonly Call[] {
  const last = messages.at(-1);
  const offered = tools.filter(({ name }) => choice.type !== 'named' || choice.name === name);
  const asked = last?.role === 'user' ? triggersOf(last.content) : [];
  const calls = asked.filter(({ name }) => offered.some((tool) => tool.name === name));
  const [first] = offered;
  if (calls.length === 0 && choice.type !== 'auto' && first !== undefined)
    calls.push({ name: first.name, json: smallestJson(first.parameters) ?? '{}' });
  return calls.slice(0, parallel ? calls.length : 1);
}

function triggersOf(content: string): Call[] {
  return [...content.matchAll(CALL)].map((found) => {
    const behind = content.slice(found.index + found[0].length).trimStart();
    return { name: found[1] ?? '', json: objectAtStart(behind) ?? '{}' };
  });
}

/** The JSON object with which a text begins: the shortest beginning that is one. */
function objectAtStart(text: string): string | undefined {
  if (!text.startsWith('{')) return undefined;
  for (let end = text.indexOf('}'); end >= 0; end = text.indexOf('}', end + 1)) {
    const piece = text.slice(0, end + 1);
    if (isJson(piece)) return piece;
  }
  return undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function listReply(task: Exclude<Task, { type: 'completion' }>): Reply {
  const texts = textsOf(task);
  const lineOf = (index: number): string => {
    const tokens = countWords(texts[index] ?? '');
    if (task.type === 'embedding') return encodeVector(vectorOf(texts[index] ?? ''), tokens);
    return encodeScore(overlapOf(task.query, task.documents[index] ?? ''), tokens);
  };
  return { length: texts.length, token: (index) => ({ id: index, text: lineOf(index) }) };
}

function wordsOf(text: string): readonly string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** Of length 1. A text without words is a word of its own. */
function vectorOf(text: string): Float32Array {
  const sum = new Float32Array(VECTOR_LENGTH);
  const words = wordsOf(text);
  for (const word of words.length === 0 ? [` ${text}`] : words) {
    const { low, high } = hash64(utf8(word));
    for (let place = 0; place < VECTOR_LENGTH; place += 1)
      sum[place] = (sum[place] ?? 0) + ((((place < 32 ? low : high) >>> (place % 32)) & 1) === 0 ? 1 : -1);
  }
  // Two words may cancel each other out, more seldom a whole text.
  if (sum.every((value) => value === 0)) sum[0] = 1;
  const length = Math.sqrt(sum.reduce((total, value) => total + value * value, 0));
  return sum.map((value) => value / length);
}

/** 0 to 1: the share of the query's words that the document has. */
function overlapOf(query: string, document: string): number {
  const wanted = new Set(wordsOf(query));
  const found = new Set(wordsOf(document));
  return wanted.size === 0 ? 0 : [...wanted].filter((word) => found.has(word)).length / wanted.size;
}
