import assert from 'node:assert/strict';
import { type RowSeen, stillMissing } from '../../src/node/demo-ready.ts';
import { nodeNumber } from '../gossip/signing.ts';

const MODEL = 'skein-hello';
const [B, C] = [nodeNumber(2), nodeNumber(3)] as const;
const SERVING = [
  { node: B, name: 'B' },
  { node: C, name: 'C' },
];

function row(node: RowSeen['node'], change: Partial<RowSeen> = {}): RowSeen {
  return { node, verdict: 'alive', connected: true, models: [{ model: MODEL, state: 'ready' }], ...change };
}

describe('the demo', () => {
  it('asks when every serving node is there and offers what is asked for, and not before', () => {
    assert.deepEqual(stillMissing([row(B), row(C)], SERVING, MODEL), []);
    for (const [change, expected] of [
      [{ verdict: 'suspect' }, 'node C is suspect'],
      [{ connected: false }, 'node C is not connected'],
      [{ problem: 'its capability is not known yet' }, 'node C is not used: its capability is not known yet'],
      // All are alive, and a question would be answered with 404.
      [{ models: [] }, `node C does not offer ${MODEL} yet`],
      [{ models: [{ model: 'other', state: 'ready' }] }, `node C does not offer ${MODEL} yet`],
      [{ models: [{ model: MODEL, state: 'failed', problem: 'no file' }] }, `node C cannot serve ${MODEL}: no file`],
    ] as const)
      assert.deepEqual(stillMissing([row(B), row(C, change)], SERVING, MODEL), [expected]);
  });

  it('names all that it waits for', () => {
    assert.deepEqual(stillMissing([row(B, { models: [] })], SERVING, MODEL), [
      `node B does not offer ${MODEL} yet`,
      'node C was not heard of',
    ]);
  });
});
