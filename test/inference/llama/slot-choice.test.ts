import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { chooseSlot, type SlotState } from '../../../src/inference/llama/slot-choice.ts';

const EMPTY: SlotState = { isFree: true, cachedTokens: 0, sharedTokens: 0, usedAt: 0 };

/** It answers. */
const TAKEN: SlotState = { isFree: false, cachedTokens: 900, sharedTokens: 0, usedAt: 9 };

describe('the choice of a slot', () => {
  for (const { name, slots, expected } of [
    { name: 'is none where none is free', slots: [], expected: undefined },
    { name: 'is the lowest of empty ones', slots: [EMPTY, EMPTY], expected: 0 },
    { name: 'is the only one, whatever is lost', slots: [held(5_000, 0, 9)], expected: 0 },
    { name: 'is the conversation that goes on', slots: [EMPTY, held(4_000, 4_000, 1), held(300, 300, 2)], expected: 1 },
    { name: 'is an edited conversation too', slots: [EMPTY, held(4_000, 2_000, 1)], expected: 1 },
    {
      name: 'is an empty one where only a short beginning is shared with a long conversation',
      slots: [held(4_000, 200, 1), EMPTY],
      expected: 1,
    },
    {
      name: 'is the shared beginning where a third of it pays for what is lost',
      slots: [EMPTY, held(300, 101, 1)],
      expected: 1,
    },
    { name: 'is an empty one where less is shared than may be lost', slots: [EMPTY, held(300, 99, 1)], expected: 0 },
    {
      name: 'is the conversation that nobody used for longest where none is shared',
      slots: [held(1_000, 0, 3), held(1_000, 0, 1), held(1_000, 0, 2)],
      expected: 1,
    },
    {
      name: 'is the older of two that share the same beginning',
      slots: [held(1_000, 100, 2), held(1_000, 100, 1)],
      expected: 1,
    },
  ]) {
    it(name, () => assert.equal(chooseSlot(slots), expected));
  }

  for (const { name, slots, expected } of [
    { name: 'none where all answer', slots: [TAKEN, TAKEN], expected: undefined },
    { name: 'a neighbour of one that answers', slots: [EMPTY, EMPTY, TAKEN], expected: 1 },
    { name: 'the gap between two', slots: [EMPTY, TAKEN, EMPTY, TAKEN], expected: 2 },
    { name: 'a neighbour that loses little', slots: [EMPTY, held(400, 0, 1), TAKEN], expected: 1 },
    { name: 'an empty one far away where much would be lost', slots: [EMPTY, held(4_000, 0, 1), TAKEN], expected: 0 },
    { name: 'a neighbour where little is found far away', slots: [held(300, 200, 1), EMPTY, TAKEN], expected: 1 },
    { name: 'its own conversation, far away', slots: [held(900, 900, 1), EMPTY, TAKEN], expected: 0 },
  ])
    it(`is ${name}, of slots that answer together`, () => assert.equal(chooseSlot(slots), expected));

  for (const { name, slots, kept, expected } of [
    { name: 'the one that loses least', slots: [held(4_000, 30, 2), held(300, 0, 1)], kept: 2_000, expected: 1 },
    { name: 'an empty one', slots: [held(300, 100, 1), EMPTY], kept: 2_000, expected: 1 },
    { name: 'the one that has nearly as much', slots: [EMPTY, held(2_000, 2_000, 1)], kept: 2_255, expected: 1 },
  ])
    it(`is ${name} where a file has much of the prompt`, () => assert.equal(chooseSlot(slots, kept), expected));

  it('passes over no older slot that finds more and loses no more', () => {
    const state = fc.record({ cached: fc.nat(5_000), part: fc.double({ min: 0, max: 1, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 8 }), (states) => {
        const slots = states.map(({ cached, part }, index) => held(cached, Math.floor(cached * part), index + 1));
        const chosen = slots[chooseSlot(slots) ?? -1];
        assert.ok(chosen !== undefined);
        for (const other of slots) {
          const better = other.sharedTokens > chosen.sharedTokens && lost(other) <= lost(chosen);
          assert.ok(!(better && other.usedAt < chosen.usedAt));
        }
      }),
    );
  });
});

function held(cachedTokens: number, sharedTokens: number, usedAt: number): SlotState {
  return { isFree: true, cachedTokens, sharedTokens, usedAt };
}

function lost({ cachedTokens, sharedTokens }: SlotState): number {
  return cachedTokens - sharedTokens;
}
