import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  KEPT_STATES_MAX,
  type KeptState,
  KeptStates,
  parseKeptStates,
} from '../../../src/inference/llama/kept-states.ts';
import { KEPT_TOKENS_MIN } from '../../../src/inference/llama/slot-choice.ts';

const LENGTH = KEPT_TOKENS_MIN;
const SIZE = 100;
let names = 0;

/** A conversation: `length` tokens that are all `value`, then `rest`. */
function state(value: number, length = LENGTH, rest: readonly number[] = []): KeptState {
  names += 1;
  const tokens = [...Array.from({ length }, () => value), ...rest];
  return { name: `${names}.state`, tokens, sizeBytes: SIZE, sha256: 'a'.repeat(64) };
}

describe('conversations that are kept in files', () => {
  it('are found by their beginning, the longest first, and not below what is worth a file', () => {
    const [short, long] = [state(1, LENGTH, [2]), state(1, LENGTH, [3, 4])];
    const kept = new KeptStates(10 * SIZE, [short, long]);
    const prompt = [...Array.from({ length: LENGTH }, () => 1), 3, 5];
    assert.deepEqual(kept.find(prompt), { state: long, sharedTokens: LENGTH + 1 });
    assert.deepEqual(kept.find([...short.tokens, 9]), { state: short, sharedTokens: LENGTH + 1 });
    assert.equal(kept.find(prompt.slice(1)), undefined);
    assert.equal(kept.find([]), undefined);
  });

  it('make room for a new one: the one unused for longest goes', () => {
    const [first, second, third] = [state(1), state(2), state(3)];
    const kept = new KeptStates(2 * SIZE, [first, second]);
    kept.used(first);
    assert.deepEqual(kept.add(third), [second]);
    assert.deepEqual(kept.states, [first, third]);
    kept.used(second);
    assert.deepEqual(kept.states, [first, third]);
  });

  it('are replaced by what goes on with them, and not by what is only their beginning', () => {
    const [beginning, whole] = [state(1), state(1, LENGTH + 5)];
    const kept = new KeptStates(10 * SIZE, [beginning]);
    assert.deepEqual(kept.add(whole), [beginning]);
    assert.ok(kept.has(beginning.tokens));
    assert.deepEqual(kept.add(beginning), [beginning]);
    assert.deepEqual(kept.states, [whole]);
    kept.remove(whole);
    assert.ok(!kept.has(beginning.tokens));
  });

  it('are not taken where one alone is too much', () => {
    const kept = new KeptStates(SIZE - 1);
    const one = state(1);
    assert.deepEqual(kept.add(one), [one]);
    assert.ok(!kept.takes(SIZE) && kept.takes(SIZE - 1));
  });

  it('never exceed their bounds, and every file is in the list or given up', () => {
    const some = fc.record({ value: fc.nat(3), more: fc.nat(3), sizeBytes: fc.integer({ min: 1, max: 40 }) });
    fc.assert(
      fc.property(fc.array(some, { maxLength: 100 }), (all) => {
        const kept = new KeptStates(100);
        const files = new Set<string>();
        for (const { value, more, sizeBytes } of all) {
          const added = { ...state(value, LENGTH + more), sizeBytes };
          files.add(added.name);
          for (const { name } of kept.add(added)) files.delete(name);
          assert.deepEqual(new Set(kept.states.map(({ name }) => name)), files);
          assert.ok(kept.states.reduce((sum, one) => sum + one.sizeBytes, 0) <= 100);
          assert.ok(kept.states.length <= KEPT_STATES_MAX);
        }
      }),
    );
  });

  it('come back from a list that was written, and from nothing else', () => {
    const states = [state(1), state(2)];
    assert.deepEqual(parseKeptStates(JSON.parse(JSON.stringify(states))), states);
    const [good] = states;
    for (const bad of [
      undefined,
      {},
      [null],
      [{ ...good, name: '../1.state' }],
      [{ ...good, sha256: 'A'.repeat(64) }],
      [{ ...good, tokens: [1.5] }],
      [{ ...good, tokens: 'x' }],
      [{ ...good, sizeBytes: -1 }],
      Array.from({ length: KEPT_STATES_MAX + 1 }, () => good),
    ])
      assert.equal(parseKeptStates(bad), undefined, JSON.stringify(bad)?.slice(0, 80));
  });
});
