/**
 * Conversations in files, for the child: before another one takes a slot, what llama.cpp knows of the old one is written
 * into a file, and read back when that conversation goes on, instead of reading its prompt again. The directory is in memory, nobody else's, and
 * outlives this process when its model is unloaded; a list of what is in it is left there at the end (`leave`). Which
 * ones are kept is `kept-states.ts`. A file is loaded only if its bytes are those that were written.
 * Limits: the others pause while a file is written or read; models that cannot forget single tokens are left out; after the
 * first file that could not be written, for want of room, none is written any more.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp';
import type { KeepDirectory } from './child-protocol.ts';
import { type KeptState, KeptStates, parseKeptStates } from './kept-states.ts';
import type { LoadedModel } from './loaded-model.io.ts';
import { KEPT_TOKENS_MIN } from './slot-choice.ts';

const LIST_FILE = 'list.json';
/** Hashed in one go, for which answers pause. Source: guess: a millisecond. */
const CHUNK_BYTES = 1_048_576;

export class StateFiles {
  readonly #directory: string;
  readonly #loaded: Pick<LoadedModel, 'batching'>;
  readonly #bytesPerToken: number;
  readonly #kept: KeptStates;
  /** Files that are written and not yet in the list. */
  readonly #pending = new Set<Promise<void>>();
  #files: number;
  #isFull = false;

  private constructor({ directory, bytesMax }: KeepDirectory, loaded: LoadedModel, states: readonly KeptState[]) {
    this.#directory = directory;
    this.#loaded = loaded;
    this.#bytesPerToken = bytesPerToken(loaded.model);
    this.#kept = new KeptStates(bytesMax, states);
    this.#files = 1 + Math.max(0, ...states.map(({ name }) => Number.parseInt(name, 10)));
  }

  /** With what an earlier process of the same model left there. */
  static async open(keep: KeepDirectory, loaded: LoadedModel): Promise<StateFiles> {
    return new StateFiles(keep, loaded, await readList(join(keep.directory, LIST_FILE)));
  }

  /** How many tokens of the prompt a file has. */
  foundTokens(prompt: readonly Token[]): number {
    return this.#kept.find(prompt)?.sharedTokens ?? 0;
  }

  /** Before a free slot is used for the prompt: what is in it may be kept, and what a file has is put into it. */
  async exchange(sequence: LlamaContextSequence, prompt: readonly Token[]): Promise<void> {
    const sharedTokens = sequence.compareContextTokens([...prompt]).firstDifferentIndex;
    const found = this.#kept.find(prompt);
    const restores = found !== undefined && found.sharedTokens - sharedTokens >= KEPT_TOKENS_MIN;
    // Half of it is not the same conversation; an answer that is asked for once more is.
    if (restores || 2 * sharedTokens < sequence.nextTokenIndex) await this.#keep(sequence);
    if (restores) await this.#restore(sequence, found.state);
  }

  /** Keeps what is in these slots, and the list of everything that is kept. */
  async leave(sequences: readonly LlamaContextSequence[]): Promise<void> {
    for (const sequence of sequences) {
      // They share one lock.
      // eslint-disable-next-line no-await-in-loop
      await this.#keep(sequence);
    }
    await Promise.all(this.#pending);
    await writeFile(join(this.#directory, LIST_FILE), JSON.stringify(this.#kept.states), { mode: 0o600 });
  }

  async #keep(sequence: LlamaContextSequence): Promise<void> {
    const tokens = [...sequence.contextTokens];
    if (this.#isFull || tokens.length < KEPT_TOKENS_MIN || sequence.needsCheckpoints) return;
    if (!this.#kept.takes(tokens.length * this.#bytesPerToken) || this.#kept.has(tokens)) return;
    const name = `${this.#files}.state`;
    this.#files += 1;
    try {
      await this.#loaded.batching.alone(async () => sequence.saveStateToFile(this.#path(name)));
    } catch {
      this.#isFull = true;
      await this.#delete(name);
      return;
    }
    const pending = this.#register(name, tokens).finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
  }

  /** While others go on: the bytes are read again. Never rejects. */
  async #register(name: string, tokens: readonly number[]): Promise<void> {
    try {
      const { size: sizeBytes } = await stat(this.#path(name));
      const state = { name, tokens, sizeBytes, sha256: await digestOf(this.#path(name)) };
      await Promise.all(this.#kept.add(state).map(async (gone) => this.#delete(gone.name)));
    } catch {
      await this.#delete(name);
    }
  }

  async #restore(sequence: LlamaContextSequence, state: KeptState): Promise<void> {
    const path = this.#path(state.name);
    const digest = await digestOf(path).catch(() => undefined);
    if (digest !== state.sha256) return this.#forget(state);
    try {
      await this.#loaded.batching.alone(async () => sequence.loadStateFromFile(path, { acceptRisk: true }));
      this.#kept.used(state);
    } catch {
      await this.#loaded.batching.alone(async () => sequence.clearHistory());
      await this.#forget(state);
    }
  }

  async #forget(state: KeptState): Promise<void> {
    this.#kept.remove(state);
    await this.#delete(state.name);
  }

  /** What cannot be deleted goes with the directory. */
  async #delete(name: string): Promise<void> {
    await rm(this.#path(name), { force: true }).catch(() => undefined);
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

async function readList(path: string): Promise<readonly KeptState[]> {
  try {
    return parseKeptStates(JSON.parse(await readFile(path, 'utf8'))) ?? [];
  } catch {
    return [];
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: CHUNK_BYTES }), hash);
  return hash.digest('hex');
}

/** Keys and values of all layers, as 16-bit numbers; Infinity where the file does not say. Source: llama.cpp. */
function bytesPerToken({ fileInfo: { architectureMetadata } }: LlamaModel): number {
  const { attention, block_count: layers = Number.NaN, embedding_length: width = Number.NaN } = architectureMetadata;
  const heads = Number(attention?.head_count);
  // A list where the layers differ: the most that any of them has.
  const keyValueHeads = Math.max(...[attention?.head_count_kv ?? heads].flat().map(Number));
  const headNumbers = (attention?.key_length ?? width / heads) + (attention?.value_length ?? width / heads);
  const bytes = 2 * layers * keyValueHeads * headNumbers;
  return Number.isFinite(bytes) ? bytes : Infinity;
}
