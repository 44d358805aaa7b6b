/**
 * From messages to the tokens that a model is asked with: the model's own chat template, then its tokenizer. Text of
 * users never becomes a control token: the template's parts are marked, the messages are plain.
 * Limits: a template may take `TEMPLATE_MS_MAX`; a prompt that cannot fit is not tokenized as a whole, because that blocks the child; its length is then estimated.
 */
import {
  type ChatHistoryItem,
  JinjaTemplateChatWrapper,
  type LlamaModel,
  type LlamaText,
  type Token,
} from 'node-llama-cpp';
import { unreachable } from '../../assert.ts';
import type { ChatMessage, Resume } from '../engine.ts';
import type { StartCommand } from './child-protocol.ts';
import type { LoadedModel } from './loaded-model.io.ts';
import { withinTime } from './time-limit.io.ts';

export type Prompt =
  | { readonly type: 'fits'; readonly tokens: readonly Token[] }
  | { readonly type: 'too-long'; readonly promptTokens: number };

/** No real text has more characters to a token. Source: guess; English has about 4, rows of spaces at most 16. */
export const CHARACTERS_PER_TOKEN_MAX = 16;

/** For the template of a file and the longest conversation. Source: requirement; measured: 110 ms for 2,000 messages. */
export const TEMPLATE_MS_MAX = 500;

/** The prompt leaves room for at least one token, or it is too long. */
export function createPrompt(loaded: LoadedModel, { messages, task }: Pick<StartCommand, 'messages' | 'task'>): Prompt {
  if (task?.type === 'completion') return completionPrompt(loaded, task.prompt);
  const characters = messages.reduce((sum, message) => sum + message.content.length, 0);
  if (characters > loaded.contextTokens * CHARACTERS_PER_TOKEN_MAX)
    return { type: 'too-long', promptTokens: estimateTokens(loaded, messages, characters) };
  const chatHistory: ChatHistoryItem[] = [...messages.map(historyItem), { type: 'model', response: [] }];
  const tokens = rendered(loaded, chatHistory).tokenize(loaded.model.tokenizer);
  // Templates may leave the beginning-of-text token to the tokenizer.
  return fitted(loaded, withBeginning(loaded.model, tokens));
}

/** Templates of the file's own are programs of a stranger; the others are the library's. */
function rendered({ wrapper }: LoadedModel, chatHistory: ChatHistoryItem[]): LlamaText {
  const render = (): LlamaText => wrapper.generateContextState({ chatHistory }).contextText;
  if (!(wrapper instanceof JinjaTemplateChatWrapper)) return render();
  const limited = withinTime(TEMPLATE_MS_MAX, render);
  if (limited.type === 'too-slow')
    throw new Error(`the chat template of the model did not end within ${TEMPLATE_MS_MAX} ms`);
  return limited.value;
}

function fitted(loaded: LoadedModel, tokens: readonly Token[]): Prompt {
  return tokens.length < loaded.contextTokens
    ? { type: 'fits', tokens }
    : { type: 'too-long', promptTokens: tokens.length };
}

/** Once: a model that was trained with one such token answers two with nonsense. */
function withBeginning(
  { tokens: { bos, shouldPrependBosToken } }: LlamaModel,
  tokens: readonly Token[],
): readonly Token[] {
  return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens;
}

/** The text as it is: neither a template nor control tokens. An empty one is what a model begins with. */
function completionPrompt(loaded: LoadedModel, prompt: string): Prompt {
  const { model, contextTokens } = loaded;
  if (prompt.length > contextTokens * CHARACTERS_PER_TOKEN_MAX)
    return {
      type: 'too-long',
      promptTokens: estimateTokens(loaded, [{ role: 'user', content: prompt }], prompt.length),
    };
  const tokens = withBeginning(model, model.tokenize(prompt));
  const first = model.tokens.bos ?? model.tokens.eos;
  return fitted(loaded, tokens.length === 0 && first !== null ? [first] : tokens);
}

/** The tokens that another engine produced: its ids where they can be ours, else its text in our tokens. */
export function resumedTokens(loaded: LoadedModel, resume: Resume | undefined): readonly Token[] {
  if (resume === undefined) return [];
  const ids = resume.tokenIds.filter((id) => isToken(id, loaded));
  if (ids.length === resume.tokens) return ids;
  // A space that the tokenizer adds is the one that its first token of an answer had, and that did not show.
  return resume.text === '' ? [] : loaded.model.tokenize(resume.text);
}

function historyItem({ role, content, name }: ChatMessage): ChatHistoryItem {
  switch (role) {
    case 'system':
      return { type: 'system', text: content };
    case 'assistant':
      return { type: 'model', response: [content] };
    case 'user':
      return { type: 'user', text: content };
    case 'tool':
      return { type: 'user', text: `Result of ${name ?? 'the tool'}: ${content}` };
    default:
      return unreachable(role);
  }
}

/** From the tokens of the first part. */
function estimateTokens(loaded: LoadedModel, messages: readonly ChatMessage[], characters: number): number {
  const sample = messages
    .map((message) => message.content.slice(0, loaded.contextTokens))
    .join('\n')
    .slice(0, loaded.contextTokens);
  const estimate = Math.ceil((loaded.model.tokenize(sample).length / Math.max(1, sample.length)) * characters);
  return Math.max(loaded.contextTokens + 1, estimate);
}

export function isToken(id: number, loaded: LoadedModel): id is Token {
  return Number.isInteger(id) && id >= 0 && id < loaded.vocabularySize;
}
