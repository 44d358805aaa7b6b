/**
 * Deliberate bugs in the life of a request: how an answer goes on at another node, how many tokens may be sent, how what
 * nobody waits for is ended, and how the end is told.
 */
import type { Mutant } from './mutant.ts';
import { CROWDED, CRUSHED, CUT_SHORT, IMPATIENT, LONG_ANSWERS, PLAYED_ON } from './work-trials.ts';

export const REQUEST_MUTANTS: readonly Mutant[] = [
  {
    name: 'resumed-early',
    bug: 'the last token before an interruption is asked for again',
    file: 'src/inference/answer-so-far.ts',
    find: 'const resume = { tokens: this.#tokens, tokenIds, text: this.#text };',
    replace: 'this.#tokens -= 1;\n    const resume = { tokens: this.#tokens, tokenIds, text: this.#text };',
    trial: CUT_SHORT,
    expected: ['S6'],
  },
  {
    name: 'resumed-without-text',
    bug: 'the node that takes over an answer is not told what was said, and begins it again',
    file: 'src/inference/asking.ts',
    find: 'job: resume === undefined ? job : { ...job, resume },',
    replace: 'job,',
    trial: CUT_SHORT,
    expected: ['S6'],
  },
  {
    name: 'credit-not-renewed',
    bug: 'a node may send the first window of tokens and never gets more',
    file: 'src/inference/request-session.ts',
    find: "if (tokens > 0) this.#effects.push({ type: 'credit', attempt: this.#try.attempt, tokens });",
    replace: "if (tokens < 0) this.#effects.push({ type: 'credit', attempt: this.#try.attempt, tokens });",
    trial: LONG_ANSWERS,
    expected: ['V5', 'S6'],
  },
  {
    name: 'loser-runs-on',
    bug: 'a node that a request gave up for another is not told',
    file: 'src/inference/request-session.ts',
    find: "      this.#cancelTry();\n      this.#tryFailed('failed', failure('stalled', advice.problem), nowMs);",
    replace: "      this.#tryFailed('failed', failure('stalled', advice.problem), nowMs);",
    trial: PLAYED_ON,
    expected: ['S6'],
  },
  {
    name: 'ended-twice',
    bug: 'the end is told once when the answer is complete and once more when it is counted',
    file: 'src/inference/request-session.ts',
    find: "this.#emit({ type: 'ended', finishReason, usage: wholeUsage(usage, seen), ...stopped });",
    replace:
      "this.#emit({ type: 'ended', finishReason, usage: wholeUsage(usage, seen), ...stopped });\n    this.#emit({ type: 'ended', finishReason, usage: wholeUsage(usage, seen), ...stopped });",
    trial: CUT_SHORT,
    expected: ['S6'],
  },
  {
    name: 'cancel-not-passed-on',
    bug: 'a client that leaves is forgotten here and served there',
    file: 'src/inference/request-session.ts',
    find: '  #abandonTry(): void {\n    this.#cancelTry();',
    replace: '  #abandonTry(): void {',
    trial: IMPATIENT,
    expected: ['S6'],
  },
  {
    name: 'stall-not-noticed',
    bug: 'a node that falls silent is waited for like one that is only slow',
    file: 'src/inference/try-watch.ts',
    find: 'return Math.min(this.#heardAtMs + INFERENCE.stallAfterMs, this.#stuckAtMs, this.#reconsiderAtMs);',
    replace: 'return Math.min(this.#stuckAtMs, this.#reconsiderAtMs);',
    trial: CUT_SHORT,
    expected: ['V5'],
  },
  {
    name: 'never-gives-up',
    bug: 'a request that nobody takes asks everybody again, four times a second, for ever',
    file: 'src/inference/tries.ts',
    find: 'pauseMs(troubleMs: number, answering: boolean): number | undefined {\n',
    replace:
      'pauseMs(troubleMs: number, answering: boolean): number | undefined {\n    if (!answering) {\n      this.#asked = 0;\n      return TRIES.pauseMsMin;\n    }\n',
    trial: CROWDED,
    expected: ['V8'],
  },
  {
    name: 'no-back-off',
    bug: 'a request that nobody takes asks again at once',
    file: 'src/inference/tries.ts',
    find: 'const pauseMs = backOffMs({ minMs: TRIES.pauseMsMin, maxMs: TRIES.pauseMsMax }, this.#pauses);',
    replace: 'const pauseMs = 1;',
    trial: CRUSHED,
    expected: ['S6'],
  },
];
