import assert from 'node:assert/strict';
import {
  gossipDelays,
  measureGossip,
  quantileOf,
  SHARES,
  tableText,
} from '../../../simulations/gossip/gossip-measure.ts';
import { GOSSIP_QUANTILES } from '../../../simulations/gossip/gossip-table.ts';

/** Base delays of a pair are drawn anew by a seed: with ten nodes, 45 pairs, their mean is off by up to a tenth. */
const OTHER_SEED = 0.2;

describe('gossip without its hops', function slow() {
  this.timeout(60_000);

  it('takes as long as gossip with its hops, by mean, median and the slowest tenth', () => {
    const [hop, aggregated] = (['hop', 'aggregated'] as const).map((gossip) =>
      gossipDelays({ nodes: 10, seed: 2, gossip }),
    );
    assert.ok(hop !== undefined && aggregated !== undefined);
    // A table of one seed, for the paths of another one.
    isNear(mean(aggregated), mean(hop), 'mean');
    for (const share of [0.5, 0.9]) isNear(quantileOf(aggregated, share), quantileOf(hop, share), `${share}`);
  });

  it('reaches everybody as often as gossip with its hops', () => {
    const [hop, aggregated] = (['hop', 'aggregated'] as const).map(
      (gossip) => gossipDelays({ nodes: 10, seed: 2, gossip }).length,
    );
    assert.ok(hop !== undefined && aggregated !== undefined);
    // The two worlds publish at slightly different moments; what both do not do is lose messages.
    assert.ok(Math.abs(hop - aggregated) <= 0.05 * hop, `${hop} and ${aggregated} messages were heard`);
  });
});

describe('the table of delays', () => {
  it('is the one that measuring gives, for the smallest size', function slow() {
    this.timeout(60_000);
    const [first] = GOSSIP_QUANTILES;
    assert.ok(first !== undefined);
    const measured = measureGossip(first.nodes, 1);
    // The core may change and shift a message by a draw; a quantile further off than this wants a new table.
    for (const [index, delay] of measured.delays.entries())
      assert.ok(Math.abs(delay - (first.delays[index] ?? 0)) <= 0.12, `quantile ${index}: ${delay}`);
  });

  it('has ascending sizes, and ascending delays of every share', () => {
    const sizes = GOSSIP_QUANTILES.map(({ nodes }) => nodes);
    assert.deepEqual(
      sizes,
      sizes.toSorted((left, right) => left - right),
    );
    for (const { delays } of GOSSIP_QUANTILES) {
      assert.equal(delays.length, SHARES);
      assert.deepEqual(
        delays,
        delays.toSorted((left, right) => left - right),
      );
    }
  });

  it('is written as it stands in the source', () => {
    assert.equal(tableText([{ nodes: 3, delays: [0.5, 1] }]), '  { nodes: 3, delays: [0.5, 1] },');
  });

  it('takes quantiles by nearest rank', () => {
    const sorted = Float64Array.of(1, 2, 3, 4);
    assert.deepEqual(
      [0, 0.24, 0.25, 0.5, 0.99, 1].map((share) => quantileOf(sorted, share)),
      [1, 1, 2, 3, 4, 4],
    );
    assert.equal(quantileOf(new Float64Array(0), 0.5), 0);
  });
});

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function isNear(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= OTHER_SEED * expected, `${what}: ${actual} against ${expected}`);
}
