import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { PROMPT_BUDGET, PromptBudget } from '../../../src/inference/llama/prompt-budget.ts';

const { tokensMin, tokensStart, tokensMax, besideMs, aloneMs } = PROMPT_BUDGET;

describe('the prompt tokens of a batch', () => {
  it('start small, and become as many as take the time that answers may wait', () => {
    const budget = new PromptBudget();
    assert.equal(budget.tokens, tokensStart);
    read(budget, { msPerToken: besideMs / 100, waiting: 4 });
    assert.equal(budget.tokens, 100);
    read(budget, { msPerToken: aloneMs / 150, waiting: 0 });
    assert.equal(budget.tokens, 150);
  });

  it('at most double and at most halve, within their bounds', () => {
    const budget = new PromptBudget();
    budget.measure({ promptTokens: tokensStart, waiting: 0, elapsedMs: 0 });
    assert.equal(budget.tokens, tokensStart * 2);
    budget.measure({ promptTokens: tokensStart * 2, waiting: 0, elapsedMs: 100_000 });
    assert.equal(budget.tokens, tokensStart);
    read(budget, { msPerToken: 1_000, waiting: 1 });
    assert.equal(budget.tokens, tokensMin);
    read(budget, { msPerToken: 0, waiting: 1 });
    assert.equal(budget.tokens, tokensMax);
  });

  it('are not fewer because a prompt was short', () => {
    const budget = new PromptBudget();
    budget.measure({ promptTokens: 2, waiting: 1, elapsedMs: besideMs / 2 });
    assert.equal(budget.tokens, tokensStart);
    budget.measure({ promptTokens: 2, waiting: 1, elapsedMs: besideMs + 1 });
    assert.equal(budget.tokens, tokensStart / 2);
  });

  it('take as long as a step of the answers where that is slow', () => {
    const budget = new PromptBudget();
    budget.measure({ promptTokens: 0, waiting: 1, elapsedMs: 2 * besideMs });
    read(budget, { msPerToken: besideMs / 50, waiting: 4 });
    assert.equal(budget.tokens, 100);
  });

  it('stay within their bounds, whatever is measured', () => {
    const times = fc.array(
      fc.record({
        promptTokens: fc.nat(512),
        waiting: fc.nat(8),
        elapsedMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
      }),
    );
    fc.assert(
      fc.property(times, (measured) => {
        const budget = new PromptBudget();
        for (const time of measured) {
          budget.measure(time);
          assert.ok(Number.isInteger(budget.tokens) && budget.tokens >= tokensMin && budget.tokens <= tokensMax);
        }
      }),
    );
  });
});

/** A long prompt on a steady machine. */
function read(
  budget: PromptBudget,
  { msPerToken, waiting }: { readonly msPerToken: number; readonly waiting: number },
): void {
  for (let batch = 0; batch < 10; batch += 1)
    budget.measure({ promptTokens: budget.tokens, waiting, elapsedMs: budget.tokens * msPerToken });
}
