/**
 * Conversations that had to leave their slot, or whose model left the memory, and lie in files: which of them begins as a
 * prompt does, and which goes when there is no room for another? The one unused for longest, and one that is only the
 * beginning of another. Pure; the files are `state-files.io.ts`.
 * Limits: found by comparing tokens one by one, which is quick for the few dozen that there are.
 */
import { isCount, isRecord } from './child-protocol.ts';
import { KEPT_TOKENS_MIN } from './slot-choice.ts';

/** Source: guess, far more than fit. */
export const KEPT_STATES_MAX = 64;

/** What llama.cpp knew after these tokens, in a file. */
export interface KeptState {
  /** Of the file in its directory. */
  readonly name: string;
  readonly tokens: readonly number[];
  readonly sizeBytes: number;
  /** Of the file's bytes, hexadecimal: llama.cpp ends its process over a file that is cut off, and believes a changed one. */
  readonly sha256: string;
}

export interface FoundState {
  readonly state: KeptState;
  /** From the first on, how many begin the prompt as well. */
  readonly sharedTokens: number;
}

export class KeptStates {
  readonly #bytesMax: number;
  /** The one unused for longest first. */
  #states: KeptState[];

  constructor(bytesMax: number, states: readonly KeptState[] = []) {
    this.#bytesMax = bytesMax;
    this.#states = [];
    for (const state of states) this.add(state);
  }

  get states(): readonly KeptState[] {
    return this.#states;
  }

  /** The one that has most of the prompt; none that has less than is worth a file. */
  find(prompt: readonly number[]): FoundState | undefined {
    let best: FoundState | undefined;
    for (const state of this.#states) {
      const sharedTokens = sharedBeginning(state.tokens, prompt);
      if (sharedTokens >= KEPT_TOKENS_MIN && sharedTokens >= (best?.sharedTokens ?? 0)) best = { state, sharedTokens };
    }
    return best;
  }

  /** A file has all of these already. */
  has(tokens: readonly number[]): boolean {
    return this.#states.some((state) => sharedBeginning(state.tokens, tokens) === tokens.length);
  }

  /** Whether one of this size is taken at all. */
  takes(sizeBytes: number): boolean {
    return sizeBytes <= this.#bytesMax;
  }

  /** The states whose files are of no use any more, which may be the new one's. */
  add(added: KeptState): readonly KeptState[] {
    if (!this.takes(added.sizeBytes) || this.has(added.tokens)) return [added];
    const isCovered = ({ tokens }: KeptState): boolean => sharedBeginning(tokens, added.tokens) === tokens.length;
    const gone = this.#states.filter(isCovered);
    this.#states = [...this.#states.filter((state) => !isCovered(state)), added];
    while (this.#states.length > KEPT_STATES_MAX || this.#sizeBytes > this.#bytesMax) {
      const oldest = this.#states.shift();
      if (oldest !== undefined) gone.push(oldest);
    }
    return gone;
  }

  /** One that went meanwhile does not come back. */
  used(used: KeptState): void {
    if (this.#states.includes(used)) this.#states = [...this.#states.filter((state) => state !== used), used];
  }

  remove(removed: KeptState): void {
    this.#states = this.#states.filter((state) => state !== removed);
  }

  get #sizeBytes(): number {
    return this.#states.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }
}

/** From JSON; undefined where it is not a list of them. */
export function parseKeptStates(value: unknown): readonly KeptState[] | undefined {
  if (!Array.isArray(value) || value.length > KEPT_STATES_MAX) return undefined;
  const states = value.map(parseKeptState);
  return states.every((state) => state !== undefined) ? states : undefined;
}

function parseKeptState(value: unknown): KeptState | undefined {
  if (!isRecord(value)) return undefined;
  const { name, tokens, sizeBytes, sha256 } = value;
  if (typeof name !== 'string' || !/^[0-9]{1,9}\.state$/.test(name)) return undefined;
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  if (!isCount(sizeBytes) || !Array.isArray(tokens) || !tokens.every(isCount)) return undefined;
  return { name, tokens, sizeBytes, sha256 };
}

function sharedBeginning(left: readonly number[], right: readonly number[]): number {
  const length = Math.min(left.length, right.length);
  let shared = 0;
  while (shared < length && left[shared] === right[shared]) shared += 1;
  return shared;
}
