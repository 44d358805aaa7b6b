import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { Cadence, loadIntervalMs } from '../../src/gossip/cadence.ts';
import { GOSSIP } from '../../src/params.ts';
import { Prng } from '../../src/prng.ts';

/** When a node with these changes publishes loads; each moment of the list is a change. */
function publishedAtMs(changes: readonly number[], options: { members: number; untilMs: number }): number[] {
  const cadence = new Cadence(new Prng('cadence'), 0);
  cadence.setMembers(options.members);
  cadence.capabilityPublished(0);
  const moments: number[] = [];
  for (let nowMs = 0; nowMs <= options.untilMs; nowMs += 10) {
    if (changes.includes(nowMs)) cadence.loadChanged();
    const due = cadence.due(nowMs);
    assert.equal(due.load || due.capability || due.antiEntropy, nowMs >= cadence.nextMs(true));
    if (due.load) {
      moments.push(nowMs);
      cadence.loadPublished(140, nowMs);
    }
    if (due.capability) cadence.capabilityPublished(nowMs);
    if (due.antiEntropy) cadence.antiEntropyDone(nowMs);
  }
  return moments;
}

describe('the cadence', () => {
  it('slows down as the mesh grows, between a second and a minute', () => {
    for (const { members, expectedMs } of [
      { members: 1, expectedMs: 1_000 },
      { members: 23, expectedMs: 1_000 },
      { members: 24, expectedMs: 1_033 },
      { members: 100, expectedMs: 4_304 },
      { members: 1_000, expectedMs: 43_032 },
      { members: 2_048, expectedMs: 60_000 },
    ])
      assert.equal(loadIntervalMs(members, 140), expectedMs);
  });

  it('publishes at the interval, within a tenth', () => {
    const moments = publishedAtMs([], { members: 3, untilMs: 25_000 });
    const gaps = moments.slice(1).map((atMs, index) => atMs - (moments[index] ?? 0));
    assert.ok(gaps.length > 20);
    assert.ok(gaps.every((gapMs) => gapMs >= 900 && gapMs <= 1_110));
    assert.ok(new Set(gaps).size > 3, 'jittered');
  });

  it('tells a change at once, but never two within 250 ms', () => {
    const changes = Array.from({ length: 100 }, (_, index) => 500 + index * 10);
    const moments = publishedAtMs(changes, { members: 3, untilMs: 1_600 });
    assert.equal(moments[0], 500);
    assert.ok(moments.length >= 4);
    assert.ok(
      moments.every((atMs, index) => index === 0 || atMs - (moments[index - 1] ?? 0) >= GOSSIP.beaconEventGapMs),
    );
  });

  it('stays within the budget however often something changes', () => {
    const changes = Array.from({ length: 6_000 }, (_, index) => index * 10);
    for (const members of [50, 100, 300]) {
      const moments = publishedAtMs(changes, { members, untilMs: 60_000 });
      const allowed = 60_000 / loadIntervalMs(members, 140);
      assert.ok(moments.length <= allowed + 5, `${moments.length} of ${allowed}`);
      assert.ok(moments.length >= allowed * 0.8);
    }
  });

  it('says capability on change and every 30 s, and waits while there is nothing to say', () => {
    const cadence = new Cadence(new Prng('capability'), 0);
    assert.equal(cadence.due(0).capability, true);
    assert.ok(cadence.nextMs(false) >= 27_000);
    cadence.capabilityPublished(0);
    assert.equal(cadence.due(26_999).capability, false);
    assert.equal(cadence.due(33_000).capability, true);
    cadence.capabilityChanged();
    assert.equal(cadence.due(249).capability, false);
    assert.equal(cadence.due(250).capability, true);
  });

  it('never asks to be woken for what it would not do', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2_000), { maxLength: 50 }), fc.integer({ min: 1, max: 500 }), (changes, members) => {
        publishedAtMs(
          changes.map((atMs) => atMs * 10),
          { members, untilMs: 3_000 },
        );
      }),
      { numRuns: 30 },
    );
  });
});
