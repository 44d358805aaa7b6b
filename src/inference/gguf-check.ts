/**
 * Is this file safe to hand to a GGUF parser, and what does its header say? Real parsers trust the counts of a file: one
 * of 110 bytes keeps them busy for ever. This reader believes no number before it has compared it with the bytes that
 * are there, keeps only the few facts that the node needs, and visits each header byte at most once.
 * It sees the first bytes of the file; when the header is longer it says so, and the caller comes back with more.
 * Limits: little-endian versions 2 and 3, one file per model. Source: docs/gguf.md of ggml (spec), limits ours.
 */
import { fromUtf8 } from '../bytes.ts';
import { tensorBytes } from './gguf-tensor-types.ts';

export interface GgufFacts {
  readonly architecture: string;
  /** `general.name`, '' when it is absent; the file's own words, not to be trusted. */
  readonly name: string;
  /** 0 when the file does not say. */
  readonly contextLength: number;
  readonly hasChatTemplate: boolean;
  readonly tensorCount: number;
}

export type GgufCheck =
  | { readonly type: 'accepted'; readonly facts: GgufFacts }
  /** The header goes on after `head`. */
  | { readonly type: 'needs-more' }
  /** Why, as the end of a sentence that begins with the file's path. */
  | { readonly type: 'rejected'; readonly reason: string };

export const GGUF_LIMITS = {
  /** Longest header. Source: guess; 256,000 tokens with merges take about 15 MB. */
  headerBytesMax: 67_108_864,
  /** Source: guess, real files have under a hundred. */
  keysMax: 4_096,
  /** Source: guess, the largest real files have a few thousand. */
  tensorsMax: 65_536,
  /** Source: spec. */
  keyBytesMax: 65_535,
  /** Source: guess, chat templates have tens of kilobytes. */
  stringBytesMax: 4_194_304,
  /** Source: copied (GGML_MAX_NAME). */
  tensorNameBytesMax: 64,
  /** Source: copied (GGML_MAX_DIMS). */
  dimensionsMax: 4,
} as const;

/** Bytes of a value of fixed size, by its type number: u8 i8 u16 i16 u32 i32 f32 bool - - u64 i64 f64. Source: spec. */
const VALUE_BYTES: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];
const STRING = 8;
const ARRAY = 9;

/** Source: guess, 32 is the format's own and powers of two above it are used for direct reads. */
const ALIGNMENTS: readonly number[] = [8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096];

const KEPT_STRINGS = new Set(['general.architecture', 'general.name']);

/** The two ways to stop reading; thrown inside this file only. */
class Stop extends Error {
  readonly check: GgufCheck;

  constructor(check: GgufCheck) {
    super(check.type);
    this.check = check;
  }
}

/** Checks the header at the beginning of `head`, the first bytes of a file of `fileBytes`. Never throws on any input. */
export function checkGguf(head: Uint8Array, fileBytes: number): GgufCheck {
  try {
    return { type: 'accepted', facts: readHeader(new Reader(head, fileBytes)) };
  } catch (error) {
    if (error instanceof Stop) return error.check;
    throw error;
  }
}

function readHeader(reader: Reader): GgufFacts {
  if (reader.uint32() !== 0x46554747) reject('is no GGUF file: it does not begin with "GGUF"');
  const version = reader.uint32();
  if (version !== 2 && version !== 3) reject(`has GGUF version ${version}, expected 2 or 3`);
  const tensorCount = reader.count('tensors', GGUF_LIMITS.tensorsMax, 24);
  const keyCount = reader.count('keys', GGUF_LIMITS.keysMax, 13);
  const found = readMetadata(reader, keyCount);
  const architecture = textOf(found.get('general.architecture'));
  if (!/^[\w.+-]{1,64}$/.test(architecture)) reject('names no architecture');
  const parts = numberOf(found.get('split.count'));
  if (parts > 1) reject(`is one of ${parts} parts of a split model; join them with llama-gguf-split --merge`);
  const alignment = found.has('general.alignment') ? numberOf(found.get('general.alignment')) : 32;
  if (!ALIGNMENTS.includes(alignment)) reject(`has an alignment of ${alignment}, no power of two from 8 to 4096`);
  readTensors(reader, tensorCount, alignment);
  return {
    architecture,
    name: textOf(found.get('general.name')),
    contextLength: numberOf(found.get(`${architecture}.context_length`)),
    hasChatTemplate: found.has('tokenizer.chat_template'),
    tensorCount,
  };
}

function textOf(value: string | number | undefined): string {
  return typeof value === 'string' ? value : '';
}

function numberOf(value: string | number | undefined): number {
  return typeof value === 'number' ? value : 0;
}

/** Numbers and the few strings we need; of everything else, only that it is there. */
function readMetadata(reader: Reader, keyCount: number): ReadonlyMap<string, string | number | undefined> {
  const found = new Map<string, string | number | undefined>();
  for (let index = 0; index < keyCount; index += 1) {
    const key = reader.string('a key', GGUF_LIMITS.keyBytesMax);
    if (found.has(key)) reject(`has the key ${JSON.stringify(key.slice(0, 64))} twice`);
    found.set(key, readValue(reader, key));
  }
  return found;
}

function readValue(reader: Reader, key: string): string | number | undefined {
  const type = reader.uint32();
  if (type === STRING) {
    if (KEPT_STRINGS.has(key)) return reader.string('a value', 256);
    reader.skipString(GGUF_LIMITS.stringBytesMax);
    return undefined;
  }
  if (type === ARRAY) {
    readArray(reader);
    return undefined;
  }
  const size = VALUE_BYTES[type] ?? reject(`has a value of the unknown type ${type}`);
  if (type === 2) return reader.uint16();
  if (type === 4 || type === 5) return reader.uint32();
  if (type === 10 || type === 11) return reader.uint64();
  reader.skip(size);
  return undefined;
}

function readArray(reader: Reader): void {
  const type = reader.uint32();
  if (type === STRING) {
    const length = reader.count('strings of an array', Number.MAX_SAFE_INTEGER, 8);
    for (let index = 0; index < length; index += 1) reader.skipString(GGUF_LIMITS.stringBytesMax);
    return;
  }
  const size = VALUE_BYTES[type] ?? reject(`has an array of the unknown or nested type ${type}`);
  reader.skip(reader.count('elements of an array', Number.MAX_SAFE_INTEGER, size) * size);
}

/** Every tensor's bytes lie inside the file. That they do not overlap is left to the parser, which only reads them. */
function readTensors(reader: Reader, tensorCount: number, alignment: number): void {
  let dataEnd = 0;
  for (let index = 0; index < tensorCount; index += 1) {
    reader.skipString(GGUF_LIMITS.tensorNameBytesMax);
    const dimensions = reader.uint32();
    if (dimensions < 1 || dimensions > GGUF_LIMITS.dimensionsMax) reject(`has a tensor of ${dimensions} dimensions`);
    const shape = Array.from({ length: dimensions }, () => reader.uint64());
    const size = tensorBytes(reader.uint32(), shape);
    if (size === undefined) reject(`has a tensor of an unknown type or an impossible shape (${shape.join(' x ')})`);
    const offset = reader.uint64();
    if (offset % alignment !== 0) reject('has a tensor that is not aligned');
    dataEnd = Math.max(dataEnd, offset + size);
  }
  const dataStart = Math.ceil(reader.offset / alignment) * alignment;
  if (dataEnd > 0 && dataStart + dataEnd > reader.fileBytes)
    reject(`is cut off: its tensors end at byte ${dataStart + dataEnd}, the file at ${reader.fileBytes}`);
}

/** Reads forward; each number that sizes something is first compared with the bytes left in the file. */
class Reader {
  readonly fileBytes: number;
  offset = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, fileBytes: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.fileBytes = fileBytes;
  }

  uint16(): number {
    const at = this.#take(2);
    return this.#view.getUint16(at, true);
  }

  uint32(): number {
    const at = this.#take(4);
    return this.#view.getUint32(at, true);
  }

  /** Numbers above 2^53 size nothing that exists. */
  uint64(): number {
    const at = this.#take(8);
    const value = this.#view.getUint32(at + 4, true) * 0x1_0000_0000 + this.#view.getUint32(at, true);
    return Number.isSafeInteger(value) ? value : reject('has a number beyond 2^53');
  }

  /** How many of something come next, each of at least `bytesEach`. */
  count(what: string, max: number, bytesEach: number): number {
    const value = this.uint64();
    if (value > max) reject(`claims ${value} ${what}, at most ${max} are allowed`);
    if (value * bytesEach > this.fileBytes - this.offset)
      reject(`claims ${value} ${what}, more than the file can hold`);
    return value;
  }

  string(what: string, bytesMax: number): string {
    const length = this.#stringLength(bytesMax);
    const at = this.#take(length);
    return fromUtf8(this.#bytes.subarray(at, at + length)) ?? reject(`has ${what} that is no UTF-8`);
  }

  skipString(bytesMax: number): void {
    this.skip(this.#stringLength(bytesMax));
  }

  skip(bytes: number): void {
    this.#take(bytes);
  }

  #stringLength(bytesMax: number): number {
    const length = this.uint64();
    return length <= bytesMax ? length : reject(`has a string of ${length} bytes, at most ${bytesMax} are allowed`);
  }

  #take(bytes: number): number {
    const at = this.offset;
    const end = at + bytes;
    if (end > this.fileBytes) reject('ends inside its header');
    if (end > GGUF_LIMITS.headerBytesMax) reject(`has a header of more than ${GGUF_LIMITS.headerBytesMax} bytes`);
    if (end > this.#bytes.length) throw new Stop({ type: 'needs-more' });
    this.offset = end;
    return at;
  }
}

function reject(reason: string): never {
  throw new Stop({ type: 'rejected', reason });
}
