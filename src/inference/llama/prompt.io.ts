/**
 * From messages to the tokens that a model is asked with: the model's own chat template, then its tokenizer. Text of
 * users never becomes a control token: the template's parts are marked, the messages are plain.
 * Limits: a prompt that cannot fit is not tokenized as a whole, because that blocks the child; its length is then estimated.
 */
import type { ChatHistoryItem, Token } from 'node-llama-cpp';
import { unreachable } from '../../assert.ts';
import type { ChatMessage, Resume } from '../engine.ts';
import type { LoadedModel } from './loaded-model.io.ts';

export type Prompt =
  | { readonly type: 'fits'; readonly tokens: readonly Token[] }
  | { readonly type: 'too-long'; readonly promptTokens: number };

/** No real text has more characters to a token. Source: guess; English has about 4, rows of spaces at most 16. */
const CHARACTERS_PER_TOKEN_MAX = 16;

/** The prompt leaves room for at least one token, or it is too long. */
export function createPrompt(loaded: LoadedModel, messages: readonly ChatMessage[]): Prompt {
  const characters = messages.reduce((sum, message) => sum + message.content.length, 0);
  if (characters > loaded.contextTokens * CHARACTERS_PER_TOKEN_MAX)
    return { type: 'too-long', promptTokens: estimateTokens(loaded, messages, characters) };
  const chatHistory: ChatHistoryItem[] = [...messages.map(historyItem), { type: 'model', response: [] }];
  const tokens = loaded.wrapper.generateContextState({ chatHistory }).contextText.tokenize(loaded.model.tokenizer);
  const { bos, shouldPrependBosToken } = loaded.model.tokens;
  // Templates may leave the beginning-of-text token to the tokenizer.
  if (shouldPrependBosToken && bos !== null && tokens[0] !== bos) tokens.unshift(bos);
  return tokens.length < loaded.contextTokens
    ? { type: 'fits', tokens }
    : { type: 'too-long', promptTokens: tokens.length };
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

function isToken(id: number, loaded: LoadedModel): id is Token {
  return Number.isInteger(id) && id >= 0 && id < loaded.vocabularySize;
}
