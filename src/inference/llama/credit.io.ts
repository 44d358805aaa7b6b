/**
 * Where a run waits for permission to produce its next token. The parent grants, the run takes one at a time, and a
 * closed credit lets a waiting run go with `false`, which is how a cancel reaches it. One waiter at most.
 */
import { invariant } from '../../assert.ts';

export class Credit {
  #left = 0;
  #closed = false;
  #waiting: ((granted: boolean) => void) | undefined;

  get closed(): boolean {
    return this.#closed;
  }

  /** `take` would answer at once. */
  get ready(): boolean {
    return this.#closed || this.#left > 0;
  }

  grant(tokens: number): void {
    this.#left += tokens;
    if (this.#left > 0 && this.#waiting !== undefined) {
      this.#left -= 1;
      this.#settle(true);
    }
  }

  close(): void {
    this.#closed = true;
    this.#settle(false);
  }

  /** True when one more token may be produced, false when the run was cancelled. */
  async take(): Promise<boolean> {
    invariant(this.#waiting === undefined, 'one token is waited for at a time');
    if (this.#closed) return false;
    if (this.#left > 0) {
      this.#left -= 1;
      return true;
    }
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  #settle(granted: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(granted);
  }
}
