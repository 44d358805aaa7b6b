/**
 * Reads the fields of a decoded CBOR array one after the other, each against its bounds. Which question: is every
 * field there, of its type and within its limits, and is nothing left over? Idea: the reader remembers the first
 * fault and hands out harmless values from then on, so that a decoder is a plain list of fields and asks once at the
 * end. It never throws on what a peer wrote. Floats and big integers are faults.
 */
export class FieldReader {
  readonly #fields: readonly unknown[];
  #next = 0;
  #faultless: boolean;

  constructor(value: unknown) {
    this.#faultless = Array.isArray(value);
    this.#fields = Array.isArray(value) ? value : [];
  }

  /** True when no field was at fault and none is left. */
  get sound(): boolean {
    return this.#faultless && this.#next === this.#fields.length;
  }

  integer(min: number, max: number): number {
    const value = this.#take();
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
    return this.#fault(min);
  }

  bytes(length: number): Uint8Array {
    const value = this.#take();
    if (value instanceof Uint8Array && value.length === length) return value;
    return this.#fault(new Uint8Array(length));
  }

  /** Bytes that are either absent (length 0) or of exactly `length`. */
  bytesOrNone(length: number): Uint8Array {
    const value = this.#take();
    if (value instanceof Uint8Array && (value.length === length || value.length === 0)) return value;
    return this.#fault(new Uint8Array(0));
  }

  /** A last field that is there as 1, or not at all. */
  flag(): boolean {
    return this.#next < this.#fields.length && this.integer(1, 1) === 1;
  }

  text(pattern: RegExp): string {
    const value = this.#take();
    if (typeof value === 'string' && pattern.test(value)) return value;
    return this.#fault('');
  }

  /** The next field through a parser that knows the type, such as a model id. */
  parsed<Value>(parse: (value: unknown) => Value | undefined, otherwise: Value): Value {
    const value = parse(this.#take());
    return value === undefined ? this.#fault(otherwise) : value;
  }

  /** An array of at most `max` items, each read by `read` from a reader that sees only that item as its one field. */
  list<Value>(max: number, read: (item: FieldReader) => Value): Value[] {
    const value = this.#take();
    if (!Array.isArray(value) || value.length > max) return this.#fault([]);
    return value.map((item: unknown) => {
      const reader = new FieldReader([item]);
      const result = read(reader);
      if (!reader.sound) this.#faultless = false;
      return result;
    });
  }

  /** The next field, an array of its own, read field by field. */
  row<Value>(read: (row: FieldReader) => Value): Value {
    const reader = new FieldReader(this.#take());
    const result = read(reader);
    if (!reader.sound) this.#faultless = false;
    return result;
  }

  #take(): unknown {
    if (this.#next >= this.#fields.length) {
      this.#faultless = false;
      return undefined;
    }
    this.#next += 1;
    return this.#fields[this.#next - 1];
  }

  #fault<Value>(harmless: Value): Value {
    this.#faultless = false;
    return harmless;
  }
}
