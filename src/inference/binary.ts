/**
 * Varints and UTF-8 in one growing buffer, and back. It exists because a token frame is about thirty bytes and passes
 * twenty times a second for each of thousands of streams: no intermediate objects, no DataView, one copy at the end.
 * Varints are LEB128 (as in protocol buffers), for whole numbers up to 2^53 - 1. The reader never throws: it remembers
 * that something was wrong (`ok`), and the caller asks once at the end.
 */
import { invariant } from '../assert.ts';
import { fromUtf8 } from '../bytes.ts';

const encoder = new TextEncoder();
/** A varint of a safe integer takes at most this. */
const VARINT_BYTES_MAX = 8;
/** Texts up to this many characters are first tried as ASCII. Source: measured: a loop wins up to about this. */
const SHORT_MAX = 24;

export class ByteWriter {
  #bytes = new Uint8Array(1_024);
  #length = 0;

  varint(value: number): this {
    invariant(Number.isSafeInteger(value) && value >= 0, 'only whole numbers from 0 are written');
    this.#reserve(VARINT_BYTES_MAX);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length] = (rest % 0x80) | 0x80;
      this.#length += 1;
      rest = rest < 0x8000_0000 ? rest >>> 7 : Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length] = rest;
    this.#length += 1;
    return this;
  }

  /** UTF-8 without a length: the rest of a message. */
  text(text: string): this {
    this.#reserve(text.length * 3);
    if (text.length <= SHORT_MAX && this.#ascii(text)) return this;
    this.#length += encoder.encodeInto(text, this.#bytes.subarray(this.#length)).written;
    return this;
  }

  /** A copy of what was written; the writer is empty afterwards. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  /** Most tokens are a few ASCII letters, for which a loop is faster than the encoder. False: nothing was written. */
  #ascii(text: string): boolean {
    let offset = this.#length;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return false;
      this.#bytes[offset] = code;
      offset += 1;
    }
    this.#length = offset;
    return true;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;
  #ok = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** 0 when there is none; then `ok` is false from here on. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < VARINT_BYTES_MAX; count += 1) {
      const byte = this.#bytes[this.#offset];
      if (byte === undefined) break;
      this.#offset += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (Number.isSafeInteger(value)) return value;
        break;
      }
      scale *= 0x80;
    }
    this.#ok = false;
    return 0;
  }

  /** All that is left, as strict UTF-8; '' and not `ok` when it is none. */
  restAsText(): string {
    const start = this.#offset;
    this.#offset = this.#bytes.length;
    if (start >= this.#bytes.length) return '';
    const short = this.#bytes.length - start <= SHORT_MAX ? asciiOf(this.#bytes, start) : undefined;
    if (short !== undefined) return short;
    const text = fromUtf8(this.#bytes.subarray(start));
    if (text === undefined) this.#ok = false;
    return text ?? '';
  }

  /** A copy of all that is left. */
  restAsBytes(): Uint8Array {
    const rest = this.#bytes.slice(this.#offset);
    this.#offset = this.#bytes.length;
    return rest;
  }

  get bytesLeft(): number {
    return this.#bytes.length - this.#offset;
  }

  /** True when nothing was missing or malformed and nothing is left over. */
  get finished(): boolean {
    return this.#ok && this.#offset === this.#bytes.length;
  }

  get ok(): boolean {
    return this.#ok;
  }
}

/** Undefined when one byte is not ASCII. */
function asciiOf(bytes: Uint8Array, start: number): string | undefined {
  let text = '';
  for (let index = start; index < bytes.length; index += 1) {
    const byte = bytes[index] ?? 0x80;
    if (byte > 0x7f) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}
