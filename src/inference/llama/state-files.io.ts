/**
 * Conversations in files, for the child: before another one takes a slot, what llama.cpp knows of the old one is written
 * into a file, and read back when that conversation goes on, instead of reading its prompt again. The directory is in memory, nobody else's, and
 * outlives this process when its model is unloaded; a list of what is in it is left there at the end (`leave`). Which
 * ones are kept is `kept-states.ts`. A file is loaded only if its bytes are those that were written.
 * Limits: the others pause while a file is written or read, so that beside them only small ones are; models that cannot forget
 * single tokens are left out; after the first file that could not be written none is written any more.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp';
import type { Batching } from './batching.io.ts';
import type { KeepDirectory } from './child-protocol.ts';
import { type KeptState, KeptStates, parseKeptStates } from './kept-states.ts';
import { HEADROOM_BYTES, type LoadedModel } from './loaded-model.io.ts';
import { KEPT_TOKENS_MIN } from './slot-choice.ts';
import type { Slots } from './slots.io.ts';

const LIST_FILE = 'list.json';
/** Hashed in one go, for which answers pause. Source: guess: a millisecond. */
const CHUNK_BYTES = 1_048_576;
/** Of one file beside answers. Source: measured: about 1 ms for a megabyte, for which they pause; 150 ms are too much. */
const BYTES_MAX_BESIDE_ANSWERS = 2 ** 27;
/** What a file may have besides keys and values. Source: guess: the tokens and a head were 0.05 % (measured, 134M). */
const OVERHEAD = 1.02;

interface Written {
  readonly name: string;
  readonly tokens: readonly number[];
  readonly sizeBytes: number;
}

export class StateFiles {
  readonly #directory: string;
  readonly #batching: Batching;
  readonly #bytesPerToken: number;
  readonly #kept: KeptStates;
  /** Files that are written and not yet in the list. */
  readonly #pending = new Set<Promise<void>>();
  #files: number;
  #isFull = false;

  private constructor({ directory, bytesMax }: KeepDirectory, loaded: LoadedModel, states: readonly KeptState[]) {
    this.#directory = directory;
    this.#batching = loaded.batching;
    this.#bytesPerToken = bytesPerToken(loaded.model) * OVERHEAD;
    this.#kept = new KeptStates(bytesMax, states);
    this.#files = 1 + Math.max(0, ...states.map(({ name }) => Number.parseInt(name, 10)));
  }

  /** With what an earlier process of the same model left there; what it did not list goes. */
  static async open(keep: KeepDirectory, loaded: LoadedModel): Promise<StateFiles> {
    const states = await readList(join(keep.directory, LIST_FILE));
    const files = new StateFiles(keep, loaded, states);
    const listed = new Set(files.#kept.states.map(({ name }) => name));
    const found = await readdir(keep.directory).catch(() => []);
    await Promise.all(found.filter((name) => !listed.has(name)).map(async (name) => files.#delete(name)));
    return files;
  }

  /** How many tokens of the prompt a file has. */
  foundTokens(prompt: readonly Token[]): number {
    return this.#kept.find(prompt)?.sharedTokens ?? 0;
  }

  /** Before a slot is used for the prompt: what is in it may be kept, and what a file has is put into it. */
  async exchange(
    sequence: LlamaContextSequence,
    { prompt, isCancelled }: { readonly prompt: readonly Token[]; readonly isCancelled: () => boolean },
  ): Promise<void> {
    const sharedTokens = sequence.compareContextTokens([...prompt]).firstDifferentIndex;
    const found = this.#kept.find(prompt);
    const restores = found !== undefined && found.sharedTokens - sharedTokens >= KEPT_TOKENS_MIN;
    // What comes back must not be what goes to make room.
    if (restores) this.#kept.used(found.state);
    // Half of it is not the same conversation; an answer that is asked for once more is.
    const written = restores || 2 * sharedTokens < sequence.nextTokenIndex ? await this.#write(sequence) : undefined;
    if (restores && !isCancelled()) await this.#restore(sequence, found.state);
    if (written !== undefined) this.#register(written);
  }

  /** Keeps what is in the slots that are free, and the list of everything that is kept. */
  async leave(slots: Slots): Promise<void> {
    for (const sequence of slots.free) {
      // Whoever takes it meanwhile keeps it in `exchange`.
      if (!slots.free.includes(sequence)) continue;
      // They share one lock.
      // eslint-disable-next-line no-await-in-loop
      const written = await this.#write(sequence);
      if (written !== undefined) this.#register(written);
    }
    await Promise.all(this.#pending);
    const path = this.#path(LIST_FILE);
    await writeFile(`${path}.new`, JSON.stringify(this.#kept.states), { mode: 0o600 });
    await rename(`${path}.new`, path);
  }

  async #write(sequence: LlamaContextSequence): Promise<Written | undefined> {
    const tokens = [...sequence.contextTokens];
    if (this.#isFull || tokens.length < KEPT_TOKENS_MIN || sequence.needsCheckpoints) return undefined;
    if (this.#kept.has(tokens) || !this.#hasRoom(tokens.length * this.#bytesPerToken)) return undefined;
    const name = `${this.#files}.state`;
    this.#files += 1;
    const path = this.#path(name);
    try {
      const { fileSize: sizeBytes } = await this.#batching.alone(async () => sequence.saveStateToFile(path));
      if ((await stat(path)).size !== sizeBytes) throw new Error('the file is not whole');
      const now = sequence.contextTokens;
      if (tokens.every((token, index) => token === now[index])) return { name, tokens, sizeBytes };
      // Somebody took the slot before it was written.
    } catch {
      this.#isFull = true;
    }
    await this.#delete(name);
    return undefined;
  }

  /** The memory that it takes is the machine's. */
  #hasRoom(sizeBytes: number): boolean {
    if (!this.#kept.takes(sizeBytes) || sizeBytes + HEADROOM_BYTES > process.availableMemory()) return false;
    return !this.#batching.busy || sizeBytes <= BYTES_MAX_BESIDE_ANSWERS;
  }

  /** While others go on: the bytes are read again. */
  #register({ name, tokens, sizeBytes }: Written): void {
    const register = async (): Promise<void> => {
      try {
        const state = { name, tokens, sizeBytes, sha256: await digestOf(this.#path(name)) };
        await Promise.all(this.#kept.add(state).map(async (gone) => this.#delete(gone.name)));
      } catch {
        await this.#delete(name);
      }
    };
    const pending = register().finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
  }

  async #restore(sequence: LlamaContextSequence, state: KeptState): Promise<void> {
    if (state.sizeBytes > BYTES_MAX_BESIDE_ANSWERS && this.#batching.busy) return;
    const path = this.#path(state.name);
    const digest = await digestOf(path).catch(() => undefined);
    if (digest !== state.sha256) return this.#forget(state);
    try {
      await this.#batching.alone(async () => {
        // What fails half-way must not leave tokens behind that nobody counts.
        await sequence.clearHistory();
        await sequence.loadStateFromFile(path, { acceptRisk: true });
      });
    } catch {
      await this.#forget(state);
    }
  }

  async #forget(state: KeptState): Promise<void> {
    this.#kept.remove(state);
    await this.#delete(state.name);
  }

  /** What cannot be deleted goes with the directory. */
  async #delete(name: string): Promise<void> {
    await rm(this.#path(name), { recursive: true, force: true }).catch(() => undefined);
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
