import assert from 'node:assert/strict';
import { type ModelId, parseModelId } from '../../src/ids.ts';
import { ModelMemory } from '../../src/node/model-memory.ts';
import { GOSSIP } from '../../src/params.ts';
import { nodeNumber } from '../gossip/signing.ts';

const [X, Y] = [model('x'), model('y')];
const [A, B] = [nodeNumber(1), nodeNumber(2)];

describe('the memory of models', () => {
  it('knows what members offer, and believes each about its own list', () => {
    const memory = new ModelMemory();
    assert.ok(memory.isEmpty);
    memory.announced(A, [X]);
    assert.deepEqual([memory.isEmpty, memory.has(X, 0), memory.has(Y, 0)], [false, true, false]);
    memory.announced(A, [Y]);
    assert.deepEqual([memory.has(X, 0), memory.has(Y, 0)], [false, true]);
  });

  it('remembers the models of the departed as long as the departed themselves', () => {
    const memory = new ModelMemory();
    memory.announced(A, [X]);
    memory.gone(A, 1_000);
    // Said twice: by gossip and by the detector.
    memory.gone(A, 2_000);
    const endMs = 1_000 + GOSSIP.tombstoneMs;
    assert.deepEqual([memory.has(X, endMs - 1), memory.has(X, endMs)], [true, false]);
  });

  it('takes the word of one that came back', () => {
    const memory = new ModelMemory();
    memory.announced(A, [X]);
    memory.gone(A, 1_000);
    memory.announced(A, [Y]);
    assert.deepEqual([memory.has(X, 2_000), memory.has(Y, 2_000)], [false, true]);
  });

  it('forgets the one gone longest when too many went', () => {
    const memory = new ModelMemory();
    memory.announced(A, [X]);
    memory.announced(B, [Y]);
    memory.gone(A, 0);
    memory.gone(B, 1);
    for (let more = 0; more < GOSSIP.membersMax - 1; more += 1) {
      assert.ok(memory.has(X, 2) === more < GOSSIP.membersMax - 1);
      memory.announced(nodeNumber(3 + more), []);
      memory.gone(nodeNumber(3 + more), 2);
    }
    assert.deepEqual([memory.has(X, 3), memory.has(Y, 3)], [false, true]);
  });
});

function model(name: string): ModelId {
  const id = parseModelId(name);
  assert.ok(id !== undefined);
  return id;
}
