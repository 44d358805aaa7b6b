/**
 * By what does a node recognise that two prompts begin alike, without keeping either? By keyed hashes of their growing
 * beginnings: block k has HMAC-SHA-256(key, hash of block k-1, text of block k), cut to 64 bits, so that equal hashes mean
 * equal beginnings and nobody without the key can test a guess. The text is that of the whole conversation in its order,
 * functions first, as templates put them; the answer is added at its end, because the next turn brings it back.
 * A block has 1,024 bytes, because the asking node has no tokenizer: at the 4 bytes per token that its estimates use
 * everywhere these are 256 tokens, and less than a block saves less than it costs to place for. At most `BLOCKS_MAX`
 * blocks are looked at (32,768 tokens, 1 to 3 ms). Source: prefix blocks of vLLM; RFC 2104.
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concat, toHex, utf8 } from '../bytes.ts';
import type { Job } from './engine.ts';

/** Source: 256 tokens at 4 bytes each, measured on English text by many. */
export const BLOCK_BYTES = 1_024;
/** Source: ours: most conversations end before, and a longer one is recognised by its first 32,768 tokens. */
export const BLOCKS_MAX = 128;
/** A false match costs one detour and gives nothing away. Source: guess. */
const HASH_BYTES = 8;

export class PromptPrefixes {
  readonly #key: Uint8Array;
  readonly #hashes: string[] = [];
  /** Of the block that is not full yet. */
  readonly #block = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #last: Uint8Array;

  /** Prompts for different models have nothing in common. */
  constructor(key: Uint8Array, model: string) {
    this.#key = key;
    this.#last = utf8(model);
  }

  /** Of every full block, each standing for all text up to its end. */
  get hashes(): readonly string[] {
    return [...this.#hashes];
  }

  append(text: string): void {
    const room = (BLOCKS_MAX - this.#hashes.length) * BLOCK_BYTES - this.#filled;
    // So many characters are at least so many bytes.
    const bytes = utf8(text.slice(0, room)).subarray(0, room);
    for (let at = 0; at < bytes.length;) {
      const next = bytes.subarray(at, at + BLOCK_BYTES - this.#filled);
      this.#block.set(next, this.#filled);
      this.#filled += next.length;
      at += next.length;
      if (this.#filled === BLOCK_BYTES) this.#close();
    }
  }

  #close(): void {
    this.#last = hmac(sha256, this.#key, concat([this.#last, this.#block])).subarray(0, HASH_BYTES);
    this.#hashes.push(toHex(this.#last));
    this.#filled = 0;
  }
}

/** Of what an engine will read; undefined where nothing of it can be found again (vectors, scores). */
export function promptPrefixes(job: Job, key: Uint8Array): PromptPrefixes | undefined {
  const { task, toolUse, messages, model } = job;
  if (task !== undefined && task.type !== 'completion') return undefined;
  const prefixes = new PromptPrefixes(key, model);
  if (task !== undefined) prefixes.append(task.prompt);
  for (const { name, description, parameters } of toolUse?.tools ?? [])
    prefixes.append(part('tool', `${name}\n${description ?? ''}\n${parameters}`));
  for (const { role, content, toolCalls } of messages) {
    prefixes.append(part(role, content));
    for (const call of toolCalls ?? []) prefixes.append(part('call', `${call.name}\n${call.arguments}`));
  }
  return prefixes;
}

/** What the next turn of the same conversation will hold in this place. */
export function appendAnswer(prefixes: PromptPrefixes, job: Job, text: string): void {
  // A line for each token, which no client sends back.
  if (job.sampling.logprobs !== undefined) return;
  prefixes.append(job.task === undefined ? part('assistant', text) : text);
}

function part(kind: string, text: string): string {
  return `\0${kind}\n${text}`;
}
