/**
 * Two ends of a byte stream inside one process: ordered, cut as the caller likes, delivered in a later turn, with a
 * buffer that asks for a pause when it is full, and a cord to pull.
 */
import type { ByteStream, ByteStreamListener } from '../../src/inference/byte-stream.ts';

export interface MemoryPair {
  readonly ends: readonly [ByteStream, ByteStream];
  /** Cuts the wire: what is under way is lost, both sides learn it. */
  kill(): void;
  /** Breaks the wire so that only one end learns: the other believes in it. */
  killOneEnd(end: 0 | 1): void;
  /** Stops delivering to both sides without a word (a half-open connection), or goes on. */
  freeze(frozen: boolean): void;
  /** Writes so far, both ways. */
  writes(): number;
}

export interface MemoryOptions {
  /** Length of the next piece that is delivered. */
  readonly cut?: (length: number) => number;
  /** Bytes under way above which `send` asks for a pause. */
  readonly bufferBytes?: number;
}

class MemoryEnd implements ByteStream {
  readonly #options: MemoryOptions;
  readonly #wire: { frozen: boolean; writes: number };
  #other: MemoryEnd | undefined;
  #listener: ByteStreamListener | undefined;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #paused = false;
  #scheduled = false;
  #finishing = false;
  #ended = false;

  constructor(options: MemoryOptions, wire: { frozen: boolean; writes: number }) {
    this.#options = options;
    this.#wire = wire;
  }

  join(other: MemoryEnd): void {
    this.#other = other;
  }

  listen(listener: ByteStreamListener): void {
    this.#listener = listener;
    this.#other?.deliverSoon();
  }

  send(bytes: Uint8Array): boolean {
    if (this.#ended || this.#finishing) throw new Error('the stream is closed');
    this.#wire.writes += 1;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.deliverSoon();
    this.#paused = this.#queuedBytes > (this.#options.bufferBytes ?? 262_144);
    return !this.#paused;
  }

  close(): void {
    this.#finishing = true;
    this.deliverSoon();
  }

  abort(reason: string): void {
    this.end(reason);
    setImmediate(() => this.#other?.end('the other side aborted'));
  }

  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queue = [];
    setImmediate(() => this.#listener?.closed(reason));
  }

  deliverSoon(): void {
    if (this.#scheduled || this.#wire.frozen) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const to = this.#other?.listenerNow();
    if (to === undefined || this.#wire.frozen) return;
    for (let chunk = this.#queue.shift(); chunk !== undefined; chunk = this.#queue.shift()) {
      this.#queuedBytes -= chunk.length;
      this.#inPieces(chunk, to);
    }
    if (this.#paused) {
      this.#paused = false;
      this.#listener?.drained();
    }
    if (!this.#finishing || this.#queue.length > 0) return;
    this.#other?.end('the other side closed');
    this.end('closed');
  }

  #inPieces(chunk: Uint8Array, to: ByteStreamListener): void {
    for (let offset = 0; offset < chunk.length;) {
      const left = chunk.length - offset;
      const length = Math.max(1, Math.min(left, this.#options.cut?.(left) ?? left));
      to.bytes(chunk.slice(offset, offset + length));
      offset += length;
    }
  }

  listenerNow(): ByteStreamListener | undefined {
    return this.#ended ? undefined : this.#listener;
  }
}

export function memoryPair(options: MemoryOptions = {}): MemoryPair {
  const wire = { frozen: false, writes: 0 };
  const [left, right] = [new MemoryEnd(options, wire), new MemoryEnd(options, wire)];
  left.join(right);
  right.join(left);
  return {
    ends: [left, right],
    kill: () => {
      left.end('the wire was cut');
      right.end('the wire was cut');
    },
    killOneEnd: (end) => {
      wire.frozen = true;
      (end === 0 ? left : right).end('the wire was cut');
    },
    freeze: (frozen) => {
      wire.frozen = frozen;
      left.deliverSoon();
      right.deliverSoon();
    },
    writes: () => wire.writes,
  };
}
