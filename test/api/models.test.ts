import assert from 'node:assert/strict';
import { explainRefusals } from '../../src/api/explain-record.ts';
import { ExplainStore } from '../../src/api/explain-store.ts';
import { type ModelOffer, modelList, oneModel } from '../../src/api/models.ts';
import { type ModelId, parseModelId } from '../../src/ids.ts';
import { MODEL, NODE, OTHER_NODE, RECORD, requestIdOf } from './fakes.ts';

function modelId(name: string): ModelId {
  const id = parseModelId(name);
  assert.ok(id !== undefined);
  return id;
}

describe('the list of models', () => {
  const offers: readonly ModelOffer[] = [
    { model: modelId('zeta'), node: NODE, state: 'failed', contextTokens: 0 },
    { model: MODEL, node: OTHER_NODE, state: 'on-disk', contextTokens: 8_192 },
    { model: MODEL, node: NODE, state: 'loading', contextTokens: 4_096 },
    { model: MODEL, node: NODE, state: 'on-disk', contextTokens: 4_096 },
  ];

  it('has each model once, in order, with its owners and its best state', () => {
    assert.deepEqual(modelList(offers, 5), {
      object: 'list',
      data: [
        {
          id: MODEL,
          object: 'model',
          created: 5,
          owned_by: 'skein',
          skein: { nodes: [NODE, OTHER_NODE], context_tokens: 8_192, state: 'loading' },
        },
        {
          id: 'zeta',
          object: 'model',
          created: 5,
          owned_by: 'skein',
          skein: { nodes: [NODE], context_tokens: 0, state: 'failed' },
        },
      ],
    });
    assert.deepEqual(modelList(offers.toReversed(), 5), modelList(offers, 5));
    assert.deepEqual(modelList([], 5).data, []);
  });

  it('finds one, or says which exist', () => {
    const found = oneModel(offers, MODEL, 5);
    assert.ok(found.type === 'model' && found.body.id === MODEL);
    const missing = oneModel(offers, 'nope', 5);
    assert.ok(missing.type === 'refused' && missing.failure.code === 'model-not-found');
    assert.match(missing.failure.message, /org\/tiny:Q4, zeta/);
  });
});

describe('explain records', () => {
  it('are kept for the last requests, the oldest making room', () => {
    const store = new ExplainStore(2);
    for (const number of [1, 2]) store.put({ ...RECORD, requestId: requestIdOf(number) });
    store.put({ ...RECORD, requestId: requestIdOf(1), levelMs: 99 });
    assert.equal(store.get(requestIdOf(1))?.levelMs, 99);
    store.put({ ...RECORD, requestId: requestIdOf(3) });
    assert.equal(store.size, 2);
    assert.equal(store.get(requestIdOf(1)), undefined);
    assert.ok(store.get(requestIdOf(2)) && store.get(requestIdOf(3)));
  });

  it('can be completed while they are kept', () => {
    const store = new ExplainStore();
    store.put({ ...RECORD, result: 'running' });
    store.change(RECORD.requestId, (record) => ({ ...record, result: 'failed' }));
    store.change(requestIdOf(99), () => RECORD);
    assert.equal(store.get(RECORD.requestId)?.result, 'failed');
    assert.equal(store.size, 1);
  });

  it('keep 512 by default', () => {
    const store = new ExplainStore();
    for (let number = 1; number <= 513; number += 1) store.put({ ...RECORD, requestId: requestIdOf(number) });
    assert.equal(store.size, 512);
    assert.equal(store.get(requestIdOf(1)), undefined);
  });

  it('say in words why a node was refused', () => {
    const rows = explainRefusals(
      new Map([
        [NODE, { reason: 'context-too-short', neededTokens: 9, contextTokens: 8 }],
        [OTHER_NODE, { reason: 'unusable', detail: 'it drains' }],
      ]),
    );
    assert.deepEqual(rows, [
      { node: NODE, why: 'takes 8 tokens, 9 are needed' },
      { node: OTHER_NODE, why: 'it drains' },
    ]);
  });
});
