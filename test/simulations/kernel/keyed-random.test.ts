import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { SeededRandom } from '../../../simulations/kernel/keyed-random.ts';
import type { RandomStream } from '../../../simulations/kernel/kernel-port.ts';

const DRAWS = 20_000;

function draws(stream: RandomStream, count: number): readonly number[] {
  return Array.from({ length: count }, () => stream.uint32());
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function correlation(left: readonly number[], right: readonly number[]): number {
  const [leftMean, rightMean] = [mean(left), mean(right)];
  const covariance = mean(left.map((value, index) => (value - leftMean) * ((right[index] ?? 0) - rightMean)));
  const variance = (values: readonly number[], middle: number): number =>
    mean(values.map((one) => (one - middle) ** 2));
  return covariance / Math.sqrt(variance(left, leftMean) * variance(right, rightMean));
}

describe('keyed randomness', () => {
  it('gives the same numbers for the same seed, purpose and entity, whatever else is drawn', () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.string(), fc.string()),
        fc.array(fc.maxSafeInteger(), { maxLength: 4 }),
        fc.nat(50),
        ([seed, purpose], entity, others) => {
          const quiet = new SeededRandom(seed);
          const busy = new SeededRandom(seed);
          const stream = busy.stream(purpose, ...entity);
          const first = stream.uint32();
          draws(busy.stream(purpose, ...entity, 0), others);
          draws(busy.stream('other', 1), others);
          assert.deepEqual([first, ...draws(stream, 5)], draws(quiet.stream(purpose, ...entity), 6));
        },
      ),
    );
  });

  it('gives other numbers for another seed, purpose, entity, order or number of entities', () => {
    const streams = [
      new SeededRandom(1).stream('jitter', 3, 7),
      new SeededRandom(2).stream('jitter', 3, 7),
      new SeededRandom(1).stream('delay', 3, 7),
      new SeededRandom(1).stream('jitter', 7, 3),
      new SeededRandom(1).stream('jitter', 3, 8),
      new SeededRandom(1).stream('jitter', 3),
      new SeededRandom(1).stream('jitter', 3, 7, 0),
      new SeededRandom(1).stream('jitter', 3, -7),
      new SeededRandom(1).stream('jitter', 3, 7 + 2 ** 32),
      new SeededRandom(1).stream('jitter'),
    ];
    const heads = new Set(streams.map((stream) => draws(stream, 3).join(' ')));
    assert.equal(heads.size, streams.length);
  });

  it('takes a number and its text for the same seed', () => {
    assert.equal(new SeededRandom(42).stream('x').uint32(), new SeededRandom('42').stream('x').uint32());
  });

  it('fills every 1/64 of the range evenly', () => {
    const stream = new SeededRandom(5).stream('even', 1);
    const counts = Array.from({ length: 64 }, () => 0);
    for (let draw = 0; draw < DRAWS; draw += 1) {
      const box = stream.below(64);
      counts[box] = (counts[box] ?? 0) + 1;
    }
    const expected = DRAWS / 64;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 63 degrees of freedom: 99.9 % lie below 104, and 0.1 % below 33.
    assert.ok(chiSquare > 33 && chiSquare < 104, `chi square ${chiSquare}`);
  });

  it('sets every bit half of the time', () => {
    const stream = new SeededRandom(6).stream('bits');
    const values = draws(stream, DRAWS);
    for (let bit = 0; bit < 32; bit += 1) {
      const share = mean(values.map((value) => (value >>> bit) & 1));
      assert.ok(Math.abs(share - 0.5) < 0.015, `bit ${bit} is set in ${share}`);
    }
  });

  it('shows no likeness between neighbours, in one stream or in two, at any small lag', () => {
    const random = new SeededRandom(7);
    const first = draws(random.stream('a', 0), 4_000);
    const second = draws(random.stream('a', 1), 4_000);
    for (let lag = 0; lag < 20; lag += 1) {
      const between = correlation(first.slice(lag), second);
      assert.ok(Math.abs(between) < 0.07, `streams at lag ${lag}: ${between}`);
      if (lag === 0) continue;
      const within = correlation(first.slice(lag), first);
      assert.ok(Math.abs(within) < 0.07, `itself at lag ${lag}: ${within}`);
    }
  });

  it('gives first numbers of many entities that are even too', () => {
    const random = new SeededRandom(8);
    const firsts = Array.from({ length: 4_000 }, (_, index) => random.stream('pair', index % 63, index).ratio());
    assert.ok(Math.abs(mean(firsts) - 0.5) < 0.02);
    assert.ok(new Set(firsts).size > 3_990);
  });

  it('keeps ratios in [0, 1) and whole numbers below their limit', () => {
    const stream = new SeededRandom(9).stream('bounds');
    for (let draw = 0; draw < DRAWS; draw += 1) {
      const ratio = stream.ratio();
      assert.ok(ratio >= 0 && ratio < 1);
      const whole = stream.below(3);
      assert.ok(whole === 0 || whole === 1 || whole === 2);
    }
  });

  it('draws exponential numbers with their mean and spread', () => {
    const stream = new SeededRandom(10).stream('exponential');
    const values = Array.from({ length: DRAWS }, () => stream.exponential(20));
    assert.ok(values.every((value) => value >= 0 && Number.isFinite(value)));
    assert.ok(Math.abs(mean(values) - 20) < 0.6, `mean ${mean(values)}`);
    const overMean = values.filter((value) => value > 20).length / DRAWS;
    assert.ok(Math.abs(overMean - Math.exp(-1)) < 0.015);
  });

  it('draws lognormal numbers with their median and sigma', () => {
    const stream = new SeededRandom(11).stream('lognormal');
    const logs = Array.from({ length: DRAWS }, () => Math.log(stream.lognormal(300, 0.8) / 300));
    assert.ok(Math.abs(mean(logs)) < 0.025, `mean of logs ${mean(logs)}`);
    const sigma = Math.sqrt(mean(logs.map((log) => log ** 2)));
    assert.ok(Math.abs(sigma - 0.8) < 0.02, `sigma ${sigma}`);
  });
});
