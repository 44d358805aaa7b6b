/**
 * The tokens that were sent and may not have arrived: what a serving node says again when the asker comes back on another
 * link. They are kept as the answers that they were, and dropped as the asker's credit shows that it has them: it never
 * grants more than a window beyond what it took in. An answer is the unit, not a token, because some tokens have no text
 * and some text comes without a token. Limits: a window of tokens, and less where the text is long; who asks for
 * what was dropped cannot be helped.
 */
import { INFERENCE } from '../params.ts';
import type { TokensAnswer } from './messages.ts';

export const KEPT = {
  /** Answers kept of one request. Source: guess: a window of single tokens, four times. */
  answersMax: 4 * INFERENCE.creditTokens,
  /** Their text. Source: guess: a kilobyte for each token of a window. */
  charactersMax: 262_144,
} as const;

/** How far the asker came: answers that it took in, and the tokens in them. */
export interface Cursor {
  readonly answers: number;
  readonly tokens: number;
}

export class KeptAnswers {
  #kept: TokensAnswer[] = [];
  /** Answers, and tokens in them, before the first that is kept. */
  #droppedAnswers = 0;
  #droppedTokens = 0;
  #characters = 0;

  get characters(): number {
    return this.#characters;
  }

  push(answer: TokensAnswer): void {
    this.#kept.push(answer);
    this.#characters += answer.text.length;
    let surplus = this.#kept.length > KEPT.answersMax ? 1 : 0;
    for (let left = this.#characters; left > KEPT.charactersMax; surplus += 1)
      left -= this.#kept[surplus]?.text.length ?? 0;
    this.#drop(surplus);
  }

  /** The asker granted so many tokens of this run in all. */
  granted(tokens: number): void {
    const taken = tokens - INFERENCE.creditTokens;
    let [end, surplus] = [this.#droppedTokens, 0];
    for (const [index, answer] of this.#kept.entries()) {
      end += answer.tokens;
      if (end > taken) break;
      // Text without a token counts with the token behind it: what came so far says nothing about it.
      if (answer.tokens > 0) surplus = index + 1;
    }
    this.#drop(surplus);
  }

  /** True where everything behind `cursor` is kept. */
  reaches(cursor: Cursor): boolean {
    const count = cursor.answers - this.#droppedAnswers;
    if (count < 0 || count > this.#kept.length) return false;
    const tokens = this.#kept.slice(0, count).reduce((sum, answer) => sum + answer.tokens, this.#droppedTokens);
    return tokens === cursor.tokens;
  }

  /** What the asker does not have. */
  from(cursor: Cursor): readonly TokensAnswer[] {
    return this.#kept.slice(cursor.answers - this.#droppedAnswers);
  }

  #drop(count: number): void {
    if (count === 0) return;
    for (const { text, tokens } of this.#kept.splice(0, count)) {
      this.#characters -= text.length;
      this.#droppedTokens += tokens;
    }
    this.#droppedAnswers += count;
  }
}
