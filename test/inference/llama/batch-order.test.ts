import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  type Batch,
  type BatchItem,
  type BatchKind,
  type BatchOptions,
  batchPriority,
  orderBatch,
} from '../../../src/inference/llama/batch-order.ts';

/** Who asks for how many tokens, in the order in which they asked. */
type Asked = readonly (readonly [slot: number, tokens: number])[];

type Limits = Omit<BatchOptions<BatchItem>, 'items'>;

interface Example extends Partial<Limits> {
  readonly name: string;
  readonly asked: Asked;
  readonly expected: Asked;
}

describe('the order of a batch', () => {
  for (const { name, asked, size = 512, promptTokensMax = 256, after = 'answers', expected } of [
    { name: 'is empty where nobody asks', asked: [], expected: [] },
    {
      name: 'is that of slots, not of arrival',
      asked: [
        [3, 1],
        [0, 1],
        [2, 1],
        [1, 1],
      ],
      expected: [
        [0, 1],
        [1, 1],
        [2, 1],
        [3, 1],
      ],
    },
    {
      name: 'lets answers wait for prompts',
      asked: [
        [0, 1],
        [1, 100],
        [2, 1],
      ],
      expected: [[1, 100]],
    },
    {
      name: 'lets prompts wait for answers',
      asked: [
        [2, 1],
        [1, 100],
        [0, 1],
      ],
      after: 'prompts',
      expected: [
        [0, 1],
        [2, 1],
      ],
    },
    { name: 'lets answers follow answers where no prompt waits', asked: [[0, 1]], expected: [[0, 1]] },
    {
      name: 'lets prompts follow prompts where no answer waits',
      asked: [[0, 9]],
      after: 'prompts',
      expected: [[0, 9]],
    },
    {
      name: 'takes the last token of a prompt for an answer',
      asked: [
        [0, 2],
        [1, 1],
      ],
      after: 'prompts',
      expected: [[1, 1]],
    },
    { name: 'gives one prompt all of the limit and no more', asked: [[0, 257]], expected: [[0, 256]] },
    { name: 'gives a prompt of the limit all it asks for', asked: [[0, 256]], expected: [[0, 256]] },
    {
      name: 'shares the limit evenly',
      asked: [
        [1, 1_000],
        [0, 1_000],
      ],
      expected: [
        [0, 128],
        [1, 128],
      ],
    },
    {
      name: 'gives the longer prompt what the shorter leaves',
      asked: [
        [0, 1_000],
        [1, 6],
      ],
      expected: [
        [0, 250],
        [1, 6],
      ],
    },
    {
      name: 'gives each prompt a token where the limit has fewer',
      asked: [
        [0, 50],
        [1, 50],
      ],
      promptTokensMax: 1,
      expected: [
        [0, 1],
        [1, 1],
      ],
    },
    {
      name: 'exceeds no batch with prompts',
      asked: [
        [0, 50],
        [1, 50],
      ],
      size: 10,
      expected: [
        [0, 5],
        [1, 5],
      ],
    },
    {
      name: 'exceeds no batch with answers',
      asked: [
        [0, 1],
        [1, 1],
      ],
      size: 1,
      expected: [[0, 1]],
    },
  ] satisfies readonly Example[]) {
    it(name, () => assert.deepEqual(order(asked, { size, promptTokensMax, after }).parts, expected));
  }

  it('serves everybody within two batches, exceeds nothing, and is sorted, whoever asks', () => {
    const asks = fc.uniqueArray(fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 4_000 })), {
      maxLength: 256,
      selector: ([slot]) => slot,
    });
    const kinds = fc.constantFrom<BatchKind>('answers', 'prompts');
    fc.assert(
      fc.property(asks, fc.integer({ min: 256, max: 600 }), kinds, (asked, size, after) => {
        const limits = { size, promptTokensMax: 200 };
        const first = order(asked, { ...limits, after });
        const second = order(asked, { ...limits, after: first.kind });
        const wanted = new Map(asked);
        for (const { kind, parts, waiting } of [first, second]) {
          assert.deepEqual(
            parts,
            parts.toSorted(([left], [right]) => left - right),
          );
          for (const [slot, tokens] of parts) assert.ok(tokens >= 1 && tokens <= (wanted.get(slot) ?? 0));
          const tokens = parts.reduce((total, [, count]) => total + count, 0);
          assert.ok(tokens <= size && (kind === 'answers' || tokens <= Math.max(200, parts.length)));
          assert.equal(parts.length + waiting, asked.length);
        }
        const served = new Set([...first.parts, ...second.parts].map(([slot]) => slot));
        assert.equal(served.size, asked.length);
      }),
    );
  });

  it('takes every slot of a context, and no number beyond', () => {
    for (const slot of [0, 255]) assert.ok(batchPriority(slot) > 4 && batchPriority(slot) <= 5);
    for (const slot of [-1, 0.5, 1_000]) assert.throws(() => batchPriority(slot));
  });
});

function order(asked: Asked, limits: Limits): Omit<Batch<BatchItem>, 'parts'> & { readonly parts: Asked } {
  const items = asked.map(([slot, tokens]) => ({
    tokens: Array.from({ length: tokens }),
    evaluationPriority: batchPriority(slot),
  }));
  const { parts, ...rest } = orderBatch({ items, ...limits });
  return {
    ...rest,
    parts: parts.map(({ item, processAmount }) => [asked[items.indexOf(item)]?.[0] ?? -1, processAmount]),
  };
}
