/**
 * What a person sees: results on stdout, everything else on stderr, and one line of progress that is written over again and
 * again and is gone when something else is printed. Progress is shown on a terminal only, so that logs stay readable.
 */
import { progressLine } from './progress-line.ts';

/** Source: guess: a person sees ten changes a second as one movement. */
const REDRAW_MS = 100;
const COLUMNS_USUAL = 80;
const CLEAR_LINE = '\r\u001B[K';

export class Terminal {
  readonly #startedMs = performance.now();
  #drawnMs = -Infinity;
  #isDrawn = false;
  #isClosed = false;

  constructor() {
    process.stdout.on('error', (error) => {
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
    process.stdout.write(text);
  }

  /** Many results: waits for whoever reads them. */
  async outPatiently(text: string): Promise<void> {
    this.clear();
    if (this.#isClosed || process.stdout.write(text)) return;
    await new Promise<void>((resolve) => {
      process.stdout.once('drain', resolve).once('error', () => resolve());
    });
  }

  /** Remarks and complaints. */
  note(text: string): void {
    this.clear();
    process.stderr.write(text);
  }

  /** `share` from 0 to 1. */
  progress(share: number, what: string): void {
    const nowMs = performance.now();
    if (!process.stderr.isTTY || nowMs - this.#drawnMs < REDRAW_MS) return;
    const elapsedMs = nowMs - this.#startedMs;
    const columns = process.stderr.columns || COLUMNS_USUAL;
    process.stderr.write(`${CLEAR_LINE}${progressLine({ share, what, elapsedMs, columns })}`);
    this.#drawnMs = nowMs;
    this.#isDrawn = true;
  }

  clear(): void {
    if (!this.#isDrawn) return;
    process.stderr.write(CLEAR_LINE);
    this.#isDrawn = false;
    this.#drawnMs = -Infinity;
  }
}
