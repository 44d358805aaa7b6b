/**
 * How do answers that are data travel as text? As one line for each "token" (a scored token, a vector, a score), so that
 * credit, positions, resume and failover treat them like any other answer: what was lost is asked for again from the first
 * missing line. Lines are JSON without spaces and end with "\n", which JSON never contains.
 * Written by engines, read by the front door. What a peer sends is checked: a line that does not fit is undefined.
 * Limits: a reader keeps at most one line, of `LINE_LENGTH_MAX` characters.
 */
import { LIMITS } from '../params.ts';

/** Source: guess: a vector of 16,384 numbers has 87,384 characters; the largest known has 8,192. */
const LINE_LENGTH_MAX = 131_072;
const FLOAT_BYTES = 4;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** What a model thought of one token. */
export interface ScoredToken {
  /** What leaves with it as plain text; '' while bytes of a character, or of a possible stop string, are held back. */
  readonly text: string;
  /** The bytes of this token alone. */
  readonly bytes: readonly number[];
  /** Natural logarithm of its probability before sampling; finite. */
  readonly logprob: number;
  /** The likeliest ones, best first, at most as many as were asked for. */
  readonly top: readonly { readonly bytes: readonly number[]; readonly logprob: number }[];
}

export function encodeScoredToken({ text, bytes, logprob, top }: ScoredToken): string {
  return line({ t: text, b: bytes, l: logprob, a: top.map((one) => ({ b: one.bytes, l: one.logprob })) });
}

/** The vector of one input, L2-normalised by the engine; `tokens` are those of the input. Numbers travel as 32-bit floats. */
export function encodeVector(vector: Float32Array, tokens: number): string {
  const bytes = new DataView(new ArrayBuffer(vector.length * FLOAT_BYTES));
  for (const [index, number] of vector.entries()) bytes.setFloat32(index * FLOAT_BYTES, number, true);
  let binary = '';
  for (const byte of new Uint8Array(bytes.buffer)) binary += String.fromCodePoint(byte);
  return line({ v: btoa(binary), n: tokens });
}

export function encodeScore(score: number, tokens: number): string {
  return line({ s: score, n: tokens });
}

export function decodeScoredToken(text: string): ScoredToken | undefined {
  const value = parseRecord(text);
  const top = value === undefined ? undefined : value['a'];
  if (value === undefined || !Array.isArray(top) || top.length > LIMITS.topLogprobs) return undefined;
  const one = readChoice(value);
  const others = top.map((item: unknown) => (isRecord(item) ? readChoice(item) : undefined));
  const { t } = value;
  if (typeof t !== 'string' || one === undefined || !others.every((other) => other !== undefined)) return undefined;
  return { text: t, ...one, top: others };
}

/** `base64`: the floats, little-endian, as OpenAI's clients want them. */
export function decodeVector(
  text: string,
): { readonly vector: Float32Array; readonly base64: string; readonly tokens: number } | undefined {
  const value = parseRecord(text);
  if (value === undefined) return undefined;
  const { v, n } = value;
  if (typeof v !== 'string' || !BASE64.test(v) || !isCount(n)) return undefined;
  const binary = atob(v);
  if (binary.length === 0 || binary.length % FLOAT_BYTES !== 0) return undefined;
  const bytes = Uint8Array.from(binary, (character) => character.codePointAt(0) ?? 0);
  const view = new DataView(bytes.buffer);
  const vector = Float32Array.from({ length: bytes.length / FLOAT_BYTES }, (_, index) =>
    view.getFloat32(index * FLOAT_BYTES, true),
  );
  return vector.every((number) => Number.isFinite(number)) ? { vector, base64: v, tokens: n } : undefined;
}

export function decodeScore(text: string): { readonly score: number; readonly tokens: number } | undefined {
  const value = parseRecord(text);
  if (value === undefined) return undefined;
  const { s, n } = value;
  return isFinite(s) && isCount(n) ? { score: s, tokens: n } : undefined;
}

/** The plain text of a resumed answer of scored tokens; undefined where a line is none. */
export function scoredText(lines: string): string | undefined {
  const texts = lines
    .split('\n')
    .slice(0, -1)
    .map((one) => decodeScoredToken(one)?.text);
  return texts.includes(undefined) ? undefined : texts.join('');
}

/** Cuts pieces of text into whole lines. */
export class LineReader {
  #rest = '';

  /** The lines that are complete now; undefined when one is longer than any may be. */
  push(text: string): readonly string[] | undefined {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    return this.#rest.length > LINE_LENGTH_MAX || lines.some(({ length }) => length > LINE_LENGTH_MAX)
      ? undefined
      : lines;
  }

  /** True when nothing of a line is left over. */
  get isEmpty(): boolean {
    return this.#rest === '';
  }
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function readChoice(
  value: Readonly<Record<string, unknown>>,
): { readonly bytes: readonly number[]; readonly logprob: number } | undefined {
  const { b, l } = value;
  return Array.isArray(b) && b.every(isByte) && isFinite(l) ? { bytes: b, logprob: l } : undefined;
}

function parseRecord(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isByte(value: unknown): value is number {
  return isCount(value) && value <= 255;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isFinite(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
