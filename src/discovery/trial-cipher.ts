/**
 * With which of several keys did the other side of a connection encrypt? It begins, always, with the same twenty bytes (the
 * header of multistream-select). So all keys are tried on what comes first, and those that give something else are dropped;
 * as long as more than one is left they agree on what was read, so that nothing waits. When none is left the first one
 * is kept, and what it makes of the bytes is refused by the layer above, as a stranger's is.
 * Limits: the listener answers and never speaks first; should it, the first key that is left is taken.
 * Source: measured: a stranger is refused after 44 bytes; the header is in the multistream-select specification.
 */
import { utf8 } from '../bytes.ts';

/** Of XSalsa20. Source: spec. */
export const NONCE_BYTES = 24;

const HEADER = utf8('\u0013/multistream/1.0.0\n');

export interface Cipher {
  update(input: Uint8Array, output?: Uint8Array): Uint8Array;
  finalize(): void;
}

export interface CipherPair {
  readonly inbound: Cipher;
  readonly outbound: Cipher;
}

export class RingCiphers implements CipherPair {
  readonly inbound: Cipher;
  readonly outbound: Cipher;
  #candidates: readonly CipherPair[];
  #offset = 0;

  /** One pair for each key, the primary one first. */
  constructor(pairs: readonly CipherPair[]) {
    this.#candidates = pairs;
    this.inbound = {
      update: (input) => this.#receive(input),
      finalize: () => {
        for (const { inbound } of this.#candidates) inbound.finalize();
      },
    };
    this.outbound = {
      update: (input) => {
        this.#keep(this.#candidates.slice(0, 1));
        return this.#candidates[0]?.outbound.update(input) ?? new Uint8Array();
      },
      finalize: () => {
        for (const { outbound } of this.#candidates) outbound.finalize();
      },
    };
  }

  #receive(input: Uint8Array): Uint8Array {
    const [only] = this.#candidates;
    if (only === undefined) return new Uint8Array();
    if (this.#candidates.length === 1) return only.inbound.update(input);
    const read = this.#candidates.map((pair) => ({ pair, output: pair.inbound.update(input) }));
    const right = read.filter(({ output }) => isHeaderAt(output, this.#offset));
    const kept = right.length === 0 ? read.slice(0, 1) : right;
    this.#offset += input.length;
    this.#keep((this.#offset < HEADER.length ? kept : kept.slice(0, 1)).map(({ pair }) => pair));
    return kept[0]?.output ?? new Uint8Array();
  }

  #keep(kept: readonly CipherPair[]): void {
    for (const pair of this.#candidates) {
      if (kept.includes(pair)) continue;
      pair.inbound.finalize();
      pair.outbound.finalize();
    }
    this.#candidates = kept;
  }
}

/** Watches whether what a cipher reads begins as it should. */
export function headerWatch(inner: Cipher): { readonly cipher: Cipher; readonly isRight: () => boolean } {
  let offset = 0;
  let right = true;
  const cipher: Cipher = {
    update: (input) => {
      const output = inner.update(input);
      if (offset < HEADER.length) right &&= isHeaderAt(output, offset);
      offset += input.length;
      return output;
    },
    finalize: () => inner.finalize(),
  };
  return { cipher, isRight: () => right && offset >= HEADER.length };
}

function isHeaderAt(bytes: Uint8Array, offset: number): boolean {
  const length = Math.min(bytes.length, HEADER.length - offset);
  for (let index = 0; index < length; index += 1) if (bytes[index] !== HEADER[offset + index]) return false;
  return true;
}
