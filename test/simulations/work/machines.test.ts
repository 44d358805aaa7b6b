import assert from 'node:assert/strict';
import { SeededRandom } from '../../../simulations/kernel/keyed-random.ts';
import { MACHINES, capacityOf, drawMachine, pickWeighted, sharedSpeed } from '../../../simulations/work/machines.ts';
import type { MachineKind } from '../../../simulations/scenario.ts';

const KINDS = Object.keys(MACHINES).filter((kind): kind is MachineKind => kind in MACHINES);

describe('machines', () => {
  it('are drawn from the range of their kind, over the whole of it', () => {
    const random = new SeededRandom('machines');
    assert.equal(KINDS.length, 5);
    for (const kind of KINDS) {
      const { tokensPerSecondMin: low, tokensPerSecondMax: high, slotsMin, slotsMax, ...profile } = MACHINES[kind];
      const drawn = Array.from({ length: 400 }, (_, node) => drawMachine(kind, random.stream('machine', node)));
      for (const { tokensPerSecond, slots, cacheTokens } of drawn) {
        assert.ok(tokensPerSecond >= low && tokensPerSecond <= high);
        assert.ok(slots >= slotsMin && slots <= slotsMax && Number.isInteger(slots));
        assert.ok(cacheTokens >= profile.cacheTokensMin && cacheTokens <= profile.cacheTokensMax);
      }
      // Log-uniform: half of them are under the geometric mean.
      const under = drawn.filter(({ tokensPerSecond }) => tokensPerSecond < Math.sqrt(low * high)).length;
      assert.ok(under > 150 && under < 250, `${kind}: ${under}`);
      assert.equal(new Set(drawn.map(({ slots }) => slots)).size, slotsMax - slotsMin + 1);
    }
  });

  it('are the same for the same name', () => {
    const [first, second] = [1, 2].map(() => drawMachine('mac', new SeededRandom('seed').stream('machine', 3)));
    assert.ok(first !== undefined);
    assert.deepEqual(first, second);
  });

  it('make b^0.6 times as much with b streams', () => {
    for (const { running, speed } of [
      { running: 0, speed: 0 },
      { running: 1, speed: 1 },
      { running: 8, speed: 8 ** 0.6 },
    ])
      assert.equal(sharedSpeed(running), speed);
    assert.equal(capacityOf({ tokensPerSecond: 10, slots: 1 }), 10);
  });

  it('weights decide by their share, zeros never', () => {
    for (const { ratio, index } of [
      { ratio: 0, index: 1 },
      { ratio: 0.249, index: 1 },
      { ratio: 0.25, index: 3 },
      { ratio: 0.999_999_999, index: 3 },
    ])
      assert.equal(pickWeighted([0, 1, 0, 3, 0], ratio), index);
    assert.throws(() => pickWeighted([0, 0], 0.5), /invariant/);
  });
});
