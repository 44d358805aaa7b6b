/**
 * How many tokens of prompts may one batch have? As many as take a certain time: answers wait that long for their next
 * token, and so does a cancel. What a batch took tells how many tokens the next may have. Where a step of the answers
 * takes longer than that, a batch of prompts may take as long as it does, or they would never get anywhere.
 * Limits: the first batch is a guess; one slow batch at most halves the number, one fast batch at most doubles it.
 */

/** One batch, as it was measured. */
export interface BatchTime {
  /** 0 = a batch of answers. */
  readonly promptTokens: number;
  /** Runs that waited for it. */
  readonly waiting: number;
  readonly elapsedMs: number;
}

export const PROMPT_BUDGET = {
  /** Fewer take hardly less time: 4,000 tokens into a prompt, with 134 M parameters, a batch of 16 takes 200 ms and one of 4 takes
   *  100. Source: measured those; this one lies between. */
  tokensMin: 8,
  /** Source: guess, also a slow machine reads it in half a second. */
  tokensStart: 64,
  /** Source: measured: more gain nothing on processors. */
  tokensMax: 256,
  /** Beside answers. Source: the goal of 150 ms between two tokens; measured, a batch takes up to twice what was expected. */
  besideMs: 60,
  /** With nobody to wait for it. Source: the goal of 150 ms for a cancel, likewise. */
  aloneMs: 80,
} as const;

/** Weight of the last measurement of an answers' step. Source: guess. */
const STEP_WEIGHT = 0.2;

export class PromptBudget {
  #tokens: number = PROMPT_BUDGET.tokensStart;
  /** A batch of answers. */
  #stepMs = 0;

  get tokens(): number {
    return this.#tokens;
  }

  measure({ promptTokens, waiting, elapsedMs }: BatchTime): void {
    if (promptTokens === 0) {
      this.#stepMs = this.#stepMs === 0 ? elapsedMs : this.#stepMs + STEP_WEIGHT * (elapsedMs - this.#stepMs);
      return;
    }
    const targetMs = waiting === 0 ? PROMPT_BUDGET.aloneMs : Math.max(PROMPT_BUDGET.besideMs, this.#stepMs);
    const ratio = targetMs / Math.max(1, elapsedMs);
    // Half of the way up, because a batch that happened to be fast says little; all of the way down.
    const fitting = Math.round(promptTokens * (ratio > 1 ? (1 + Math.min(3, ratio)) / 2 : ratio));
    // A short rest of a prompt says only that no more than this was asked for.
    if (fitting > this.#tokens || elapsedMs > targetMs) this.#tokens = this.#clamp(fitting);
  }

  #clamp(tokens: number): number {
    const { tokensMin, tokensMax } = PROMPT_BUDGET;
    return Math.max(tokensMin, Math.floor(this.#tokens / 2), Math.min(tokensMax, this.#tokens * 2, tokens));
  }
}
