/**
 * Which text may leave after each token? Three things hold it back: bytes of a character that is not whole yet, the
 * beginning of what could become a stop string, and, in an answer that another engine began, the text that already left.
 * Two classes: `TokenText` turns token ids into pieces of whole characters, `TextStream` turns pieces into what may leave.
 * Limits: at most `HELD_TOKENS_MAX` tokens wait for the end of a character; stop strings bound the rest.
 */
import { StopStrings } from './stop-strings.ts';

/** Longest wait for the rest of a character: one has at most 4 bytes, a token at least one. Source: spec (UTF-8), doubled. */
const HELD_TOKENS_MAX = 8;
/** Tokens that the text of the next ones may depend on. Source: guess, a space at the start depends on one. */
const RECENT_TOKENS_MAX = 8;

const REPLACEMENT = '\ufffd';

/** The text of `tokenIds` where `before` came just before them. Unfinished characters come out as U+FFFD. */
export type Detokenize = (tokenIds: readonly number[], before: readonly number[]) => string;

export class TokenText {
  readonly #detokenize: Detokenize;
  #recent: readonly number[] = [];
  #held: readonly number[] = [];

  constructor(detokenize: Detokenize) {
    this.#detokenize = detokenize;
  }

  /** True while tokens wait for the rest of a character. */
  get holds(): boolean {
    return this.#held.length > 0;
  }

  /** The whole characters that `tokenId` completes, '' while one is unfinished. */
  push(tokenId: number): string {
    this.#held = [...this.#held, tokenId];
    const text = this.#detokenize(this.#held, this.#recent);
    // A token that really means U+FFFD waits too; the maximum ends that.
    if (text.endsWith(REPLACEMENT) && this.#held.length < HELD_TOKENS_MAX) return '';
    return this.#release(text);
  }

  /** No more tokens: what is whole leaves, an unfinished character does not. */
  flush(): string {
    if (!this.holds) return '';
    return this.#release(this.#detokenize(this.#held, this.#recent)).replace(/\ufffd+$/, '');
  }

  #release(text: string): string {
    this.#recent = [...this.#recent, ...this.#held].slice(-RECENT_TOKENS_MAX);
    this.#held = [];
    return text;
  }
}

export interface TextStreamOptions {
  readonly stop: readonly string[];
  /** Behind this text no stop string counts. */
  readonly until?: string;
  /** What already left of this answer; it is fed in again first, and does not leave twice. */
  readonly sent?: string;
}

export class TextStream {
  readonly #stops: StopStrings;
  /** Characters still to be dropped, because they left before. */
  #toDrop: number;
  #heldLength = 0;
  #stoppedBy: string | undefined;

  constructor(options: TextStreamOptions) {
    const { until } = options;
    this.#stops = new StopStrings(options.stop, until === undefined ? {} : { until });
    this.#toDrop = options.sent?.length ?? 0;
  }

  /** True when a stop string ended the text; pushes after that add nothing. */
  get stopped(): boolean {
    return this.#stoppedBy !== undefined;
  }

  get stoppedBy(): string | undefined {
    return this.#stoppedBy;
  }

  /** True while text waits that could begin a stop string. */
  get holds(): boolean {
    return this.#heldLength > 0;
  }

  /** What may leave now. */
  push(piece: string): string {
    if (this.stopped || piece === '') return '';
    const { text, stoppedBy } = this.#stops.push(piece);
    this.#stoppedBy = stoppedBy;
    this.#heldLength = this.stopped ? 0 : this.#heldLength + piece.length - text.length;
    return this.#unsent(text);
  }

  /** The text is over: what was held back is no stop string. */
  flush(): string {
    this.#heldLength = 0;
    return this.stopped ? '' : this.#unsent(this.#stops.flush());
  }

  #unsent(text: string): string {
    const drop = Math.min(this.#toDrop, text.length);
    this.#toDrop -= drop;
    return text.slice(drop);
  }
}
