/**
 * What a client has received of an answer, and what another node needs to go on with it. Positions must be contiguous
 * over all nodes: a repeat is dropped, a gap is the sender's violation. Token ids can be handed on only while every
 * token came with one and all came from models with one and the same provable digest; from the first exception on, the
 * text alone is handed on. Bounded by the longest answer there may be.
 */
import type { Resume } from './engine.ts';
import type { TokensAnswer } from './messages.ts';
import { INFERENCE, LIMITS } from '../params.ts';

/** Text kept of one answer: with the prompt it must still fit a request's body. Source: guess: half of one. */
const TEXT_CHARACTERS_MAX = INFERENCE.bodyBytesMax / 4;

export type Taken =
  { readonly type: 'new' } | { readonly type: 'repeat' } | { readonly type: 'violation'; readonly reason: string };

const NEW: Taken = { type: 'new' };
const REPEAT: Taken = { type: 'repeat' };

export class AnswerSoFar {
  #tokens = 0;
  #text = '';
  #ids: number[] | undefined = [];
  #idsDigest = '';

  get tokens(): number {
    return this.#tokens;
  }

  get text(): string {
    return this.#text;
  }

  /** Takes in tokens made by a model with `digest`. */
  take(answer: TokensAnswer, digest: string): Taken {
    const { position, tokens, tokenIds, text } = answer;
    if (position > this.#tokens) return violation(`tokens from ${position} on, expected ${this.#tokens}`);
    if (position < this.#tokens) {
      // Text cannot be cut at a token: only a whole repeat can be dropped.
      return position + tokens <= this.#tokens ? REPEAT : violation('tokens that overlap what came before');
    }
    if (this.#tokens + tokens > LIMITS.answerTokens) return violation('more tokens than an answer may have');
    if (this.#text.length + text.length > TEXT_CHARACTERS_MAX) return violation('more text than an answer may have');
    this.#takeIds(tokenIds, tokens, digest);
    this.#tokens += tokens;
    this.#text += text;
    return NEW;
  }

  /** Undefined while there is nothing to go on from. `digest` is '' when there are no ids to use. */
  resume(): { readonly resume: Resume; readonly digest: string } | undefined {
    if (this.#tokens === 0 && this.#text === '') return undefined;
    const usable = this.#ids !== undefined && this.#ids.length > 0 && this.#idsDigest !== '';
    const tokenIds = usable && this.#ids !== undefined ? [...this.#ids] : [];
    const resume = { tokens: this.#tokens, tokenIds, text: this.#text };
    return { resume, digest: usable ? this.#idsDigest : '' };
  }

  #takeIds(ids: readonly number[], tokens: number, digest: string): void {
    if (this.#ids === undefined || tokens === 0) return;
    if (this.#tokens === 0) this.#idsDigest = digest;
    if (ids.length !== tokens || digest === '' || digest !== this.#idsDigest) {
      this.#ids = undefined;
      return;
    }
    for (const id of ids) this.#ids.push(id);
  }
}

function violation(reason: string): Taken {
  return { type: 'violation', reason };
}
