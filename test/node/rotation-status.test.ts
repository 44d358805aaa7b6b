import assert from 'node:assert/strict';
import { isAlive, type KeyHolder, rotationStatus } from '../../src/node/rotation-status.ts';
import { nodeNumber } from '../gossip/signing.ts';
import { testKey } from './loopback.ts';

const [OLD, NEW] = [testKey(1).fingerprint, testKey(2).fingerprint];
const [A, B, C, D] = [nodeNumber(1), nodeNumber(2), nodeNumber(3), nodeNumber(4)];

function holder(node: KeyHolder['node'], name: string, keys: KeyHolder['keys']): KeyHolder {
  return { node, name, verdict: name === 'asleep' ? 'dead' : 'alive', keys };
}

describe('the status of a change of the key', () => {
  const nodes = [
    holder(A, 'here', [NEW, OLD]),
    holder(B, 'behind', [OLD, NEW]),
    holder(C, 'far', undefined),
    holder(D, 'asleep', undefined),
  ];

  it('counts living nodes only, and names who did not answer instead of guessing', () => {
    const staged = rotationStatus({ step: 'stage', key: NEW }, nodes);
    assert.deepEqual([staged.ready, staged.nodes, staged.unanswered, staged.away], [2, 3, [C], 1]);
    assert.match(staged.text, /^stage: 2 of 3 known living nodes accept /);
    assert.match(staged.text, /did not answer, because this node is not connected to it: far\n/);
    assert.match(staged.text, /\nfar +did not answer/);
    assert.match(staged.text, /\nasleep +away/);
  });

  it('takes for ready to end only who dials with the new key', () => {
    for (const step of ['use', 'finish'] as const) {
      const used = rotationStatus({ step, key: NEW }, nodes);
      assert.equal(used.ready, 1);
      assert.match(used.text, /\nbehind +not yet/);
    }
    const all = rotationStatus({ step: 'use', key: NEW }, nodes.slice(0, 1));
    assert.deepEqual([all.ready, all.nodes, all.unanswered], [1, 1, []]);
    assert.doesNotMatch(all.text, /did not answer/);
  });

  it('counts a suspect as living: it may be back in a moment', () => {
    assert.deepEqual(
      ['alive', 'suspect', 'dead', 'left'].map((verdict) => isAlive({ verdict })),
      [true, true, false, false],
    );
  });
});
