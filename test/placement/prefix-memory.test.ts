import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { NodeId } from '../../src/ids.ts';
import {
  CONVERSATIONS_MAX,
  HASHES_MAX,
  HOLDERS_MAX,
  PrefixMemory,
  REMEMBERED_MS,
} from '../../src/placement/prefix-memory.ts';
import { MODEL, modelId, nodeId } from './candidates.ts';

const [A, B] = [nodeId(1), nodeId(2)];
const OTHER = modelId('other-model');

/** 'geese 3' = the hashes of the first three blocks of the conversation about geese. */
function chain(topic: string, blocks: number, from = 0): string[] {
  return Array.from({ length: blocks }, (_, index) => `${topic}/${from + index}`);
}

function slots(count = 4): ReadonlyMap<NodeId, number> {
  return new Map(Array.from({ length: 12 }, (_, number) => [nodeId(number), count]));
}

function held(memory: PrefixMemory, hashes: readonly string[], more: { slots?: number; nowMs?: number } = {}) {
  const asked = { model: MODEL, hashes, slots: slots(more.slots) };
  return memory.holders(asked, more.nowMs ?? 0).map(({ node, blocks }) => [node, blocks]);
}

describe('the memory of who holds which beginning', () => {
  it('names the nodes that hold any of it, who holds most first', () => {
    const memory = new PrefixMemory();
    memory.remember({ node: A, model: MODEL, hashes: chain('geese', 2) }, 0);
    memory.remember({ node: B, model: MODEL, hashes: chain('geese', 5) }, 0);
    memory.remember({ node: nodeId(3), model: MODEL, hashes: chain('swans', 5) }, 0);
    memory.remember({ node: nodeId(4), model: OTHER, hashes: chain('geese', 9) }, 0);
    const expected = [
      [B, 4],
      [A, 2],
    ];
    assert.deepEqual(held(memory, [...chain('geese', 4), 'else/4', 'else/5']), expected);
    assert.deepEqual(held(memory, chain('ducks', 4)), []);
    assert.deepEqual(held(memory, []), []);
  });

  it('takes a later turn for the same conversation, in the same slot', () => {
    const memory = new PrefixMemory();
    for (let turn = 1; turn <= 9; turn += 1)
      memory.remember({ node: A, model: MODEL, hashes: chain('geese', turn) }, turn);
    memory.remember({ node: A, model: MODEL, hashes: chain('swans', 3) }, 10);
    assert.equal(memory.size, 2);
    assert.deepEqual(held(memory, chain('geese', 20), { slots: 2 }), [[A, 9]]);
  });

  it('believes a node to hold as many conversations as it has slots, and only while it may be asked', () => {
    const memory = new PrefixMemory();
    for (const topic of ['geese', 'swans', 'ducks'])
      memory.remember({ node: A, model: MODEL, hashes: chain(topic, 2) }, 0);
    assert.deepEqual(held(memory, chain('geese', 2), { slots: 2 }), []);
    assert.deepEqual(held(memory, chain('geese', 2), { slots: 3 }), [[A, 2]]);
    assert.deepEqual(held(memory, chain('ducks', 2), { slots: 1 }), [[A, 2]]);
    assert.deepEqual(memory.holders({ model: MODEL, hashes: chain('ducks', 2), slots: new Map() }, 0), []);
  });

  it('forgets after its time', () => {
    const memory = new PrefixMemory();
    memory.remember({ node: A, model: MODEL, hashes: chain('geese', 2) }, 1_000);
    assert.deepEqual(held(memory, chain('geese', 2), { nowMs: 1_000 + REMEMBERED_MS - 1 }), [[A, 2]]);
    assert.deepEqual(held(memory, chain('geese', 2), { nowMs: 1_000 + REMEMBERED_MS }), []);
  });

  it('names at most so many holders', () => {
    const memory = new PrefixMemory();
    for (let number = 0; number < 12; number += 1)
      memory.remember({ node: nodeId(number), model: MODEL, hashes: chain('geese', number + 1) }, 0);
    const names = held(memory, chain('geese', 20)).map(([, blocks]) => blocks);
    assert.deepEqual(names, [12, 11, 10, 9]);
    assert.equal(names.length, HOLDERS_MAX);
  });

  it('keeps within its bounds, the latest', () => {
    const many = new PrefixMemory();
    for (let index = 0; index <= CONVERSATIONS_MAX; index += 1)
      many.remember({ node: A, model: MODEL, hashes: [`topic ${index}`] }, index);
    assert.equal(many.size, CONVERSATIONS_MAX);
    assert.deepEqual(held(many, ['topic 0'], { slots: 1e6 }), []);
    assert.deepEqual(held(many, ['topic 1'], { slots: 1e6 }), [[A, 1]]);
    const long = new PrefixMemory();
    for (let index = 0; index < 9; index += 1)
      long.remember({ node: A, model: MODEL, hashes: chain(`topic ${index}`, HASHES_MAX / 8) }, index);
    assert.equal(long.size, 8);
    assert.deepEqual(held(long, ['topic 0/0'], { slots: 1e6 }), []);
  });

  it('never names more blocks than were read there and are asked for', () => {
    const talk = fc.record({ node: fc.nat(3), topic: fc.nat(3), blocks: fc.nat(6) });
    fc.assert(
      fc.property(fc.array(talk, { maxLength: 30 }), fc.nat(3), fc.nat(8), (talks, topic, blocks) => {
        const memory = new PrefixMemory();
        const longest = new Map<NodeId, number>();
        for (const [atMs, one] of talks.entries()) {
          const node = nodeId(one.node);
          memory.remember({ node, model: MODEL, hashes: chain(`${one.topic}`, one.blocks) }, atMs);
          if (one.topic === topic) longest.set(node, Math.max(longest.get(node) ?? 0, one.blocks));
        }
        for (const one of memory.holders({ model: MODEL, hashes: chain(`${topic}`, blocks), slots: slots(99) }, 50))
          assert.equal(one.blocks, Math.min(blocks, longest.get(one.node) ?? 0));
      }),
    );
  });
});
