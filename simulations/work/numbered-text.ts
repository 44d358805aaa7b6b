/**
 * Prompts and answers that can be read back. An answer's token at position p of an answer to given messages is the word
 * `w<p>.<mark> `, where the mark is a hash of the messages: from the text alone a client tells a gap, a repeat and the
 * answer to somebody else's question. A prompt says in its first words how many tokens it counts and how long an answer
 * it wants, and is then filled up to its size with slices of one string that all prompts share.
 * Limits: messages are told apart by role, length and the first 48 characters, where a simulated prompt says who it is.
 */
import { finalMix } from '../../src/bytes.ts';
import type { ChatMessage } from '../../src/inference/engine.ts';

/** What a prompt without a head is taken for. Source: guess, a usual English text. */
const BYTES_PER_TOKEN = 4;
/** Of an answer that nobody asked a length for. Source: as of the scripted engine. */
const ANSWER_TOKENS_DEFAULT = 64;
const MARKED_CHARACTERS = 48;
const HASH_SEED = 0x9747b28c;
/** Longer fillings are put together. */
const FILLING = 'honk '.repeat(26_215);
const HEAD = /^#\S+ tokens=(?<tokens>\d+) answer=(?<answer>\d+) /;
const TOKEN = /w(?<position>\d+)\.(?<mark>[0-9a-z]+) /y;

/** One user's turn. */
export interface Turn {
  /** Without spaces; makes the prompt different from all others. */
  readonly name: string;
  readonly promptTokens: number;
  readonly answerTokens: number;
  readonly bytes: number;
}

/** A run of consecutive positions; position -1 = no token of this answer. */
export interface TextPiece {
  readonly position: number;
  readonly tokens: number;
}

export function turnText({ name, promptTokens, answerTokens, bytes }: Turn): string {
  const head = `#${name} tokens=${promptTokens} answer=${answerTokens} `;
  return head + filling(bytes - head.length);
}

/** Text that only takes room: `bytes` of it. */
export function filling(bytes: number): string {
  if (bytes <= 0) return '';
  return bytes <= FILLING.length ? FILLING.slice(0, bytes) : FILLING + filling(bytes - FILLING.length);
}

export function tokensOf(message: ChatMessage): number {
  const said = HEAD.exec(message.content)?.groups?.['tokens'];
  return said === undefined ? 1 + Math.ceil(message.content.length / BYTES_PER_TOKEN) : Number(said);
}

/** How long the answer wants to be: the last turn says. */
export function answerTokensOf(messages: readonly ChatMessage[]): number {
  const said = HEAD.exec(messages.at(-1)?.content ?? '')?.groups?.['answer'];
  return said === undefined ? ANSWER_TOKENS_DEFAULT : Number(said);
}

/** A hash for each beginning of the messages: of the first, of the first two, ... */
export function prefixHashes(messages: readonly ChatMessage[]): number[] {
  let hash = HASH_SEED;
  return messages.map(({ role, content }) => {
    hash = mix(mix(hash, role.charCodeAt(0)), content.length);
    const end = Math.min(content.length, MARKED_CHARACTERS);
    for (let index = 0; index < end; index += 1) hash = mix(hash, content.charCodeAt(index));
    hash = finalMix(hash);
    return hash;
  });
}

/** The mark of the answer to messages with these `prefixHashes`. */
export function markOf(hashes: readonly number[]): string {
  return (hashes.at(-1) ?? HASH_SEED).toString(36);
}

export function tokensText(mark: string, position: number, tokens: number): string {
  let text = '';
  for (let index = 0; index < tokens; index += 1) text += `w${position + index}.${mark} `;
  return text;
}

/** The positions in a text of whole tokens. `expected`: the likely position of the first, which makes it quick. */
export function readTokens(text: string, mark: string, expected: { position: number; tokens: number }): TextPiece[] {
  if (text === '') return [];
  if (text === tokensText(mark, expected.position, expected.tokens)) return [expected];
  const pieces: { position: number; tokens: number }[] = [];
  let end = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    end = TOKEN.lastIndex;
    const position = match.groups?.['mark'] === mark ? Number(match.groups['position']) : -1;
    const last = pieces.at(-1);
    const follows = last !== undefined && (position === -1 ? last.position : last.position + last.tokens) === position;
    if (follows) last.tokens += 1;
    else pieces.push({ position, tokens: 1 });
  }
  if (end < text.length) pieces.push({ position: -1, tokens: 1 });
  return pieces;
}

function mix(hash: number, value: number): number {
  return Math.imul(hash ^ value, 0x01000193) | 0;
}
