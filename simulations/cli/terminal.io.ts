/**
 * What a person sees: results on stdout, everything else on stderr, and one line of progress that is written over again and
 * again and is gone when something else is printed. Progress is shown on a terminal only, so that logs stay readable.
 */
import { progressLine } from './progress-line.ts';

/** Source: guess: a person sees ten changes a second as one movement. */
const REDRAW_MS = 100;
const COLUMNS_USUAL = 80;
const CLEAR_LINE = '\r\u001B[K';

/** Those of the process, or a test's. */
export interface Streams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
}

export class Terminal {
  readonly #streams: Streams;
  readonly #startedMs = performance.now();
  #drawnMs = -Infinity;
  #isDrawn = false;
  #isClosed = false;

  constructor(streams: Streams = process) {
    this.#streams = streams;
    streams.stdout.on('error', (error) => {
      if (!('code' in error) || error.code !== 'EPIPE') throw error;
      this.#isClosed = true;
    });
  }

  /** Nobody reads any more: `... | head` has seen enough. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Results. */
  out(text: string): void {
    this.clear();
    this.#streams.stdout.write(text);
  }

  /** Many results: waits for whoever reads them. */
  async outPatiently(text: string): Promise<void> {
    this.clear();
    if (this.#isClosed || this.#streams.stdout.write(text)) return;
    await new Promise<void>((resolve) => {
      this.#streams.stdout.once('drain', resolve).once('error', () => resolve());
    });
  }

  /** Remarks and complaints. */
  note(text: string): void {
    this.clear();
    this.#streams.stderr.write(text);
  }

  /** `share` from 0 to 1. */
  progress(share: number, what: string): void {
    const nowMs = performance.now();
    if (!this.#streams.stderr.isTTY || nowMs - this.#drawnMs < REDRAW_MS) return;
    const elapsedMs = nowMs - this.#startedMs;
    const columns = this.#streams.stderr.columns || COLUMNS_USUAL;
    this.#streams.stderr.write(`${CLEAR_LINE}${progressLine({ share, what, elapsedMs, columns })}`);
    this.#drawnMs = nowMs;
    this.#isDrawn = true;
  }

  clear(): void {
    if (!this.#isDrawn) return;
    this.#streams.stderr.write(CLEAR_LINE);
    this.#isDrawn = false;
    this.#drawnMs = -Infinity;
  }
}
