/** What many nodes do together when each decides alone: statistical, seeded, with tolerances from the distribution. */
import assert from 'node:assert/strict';
import { hash64, utf8 } from '../../src/bytes.ts';
import { parseRequestId, type NodeId } from '../../src/ids.ts';
import { PLACEMENT } from '../../src/params.ts';
import { Observations } from '../../src/placement/observations.ts';
import { place, prepare } from '../../src/placement/place.ts';
import type { Candidate } from '../../src/placement/placement.ts';
import { Prng } from '../../src/prng.ts';
import { candidate, MODEL, placed, request } from './candidates.ts';

/** A seeded count of a share is off by more than this once in 300,000 times (4.5 standard deviations). */
function tolerance(samples: number, share: number): number {
  return 4.5 * Math.sqrt(samples * share * (1 - share)) + 1;
}

function firstPlaces(
  candidates: readonly Candidate[],
  { samples, arrivalsPerKs }: { samples: number; arrivalsPerKs: number },
) {
  const prepared = prepare(candidates, { arrivalsPerKs, viewAgeMs: 1_000 });
  const counts = new Map<NodeId, number>();
  for (let number = 0; number < samples; number += 1) {
    const [first] = placed(place(request(`sample ${number}`), prepared, PLACEMENT)).ranked;
    assert.ok(first !== undefined);
    counts.set(first, (counts.get(first) ?? 0) + 1);
  }
  const { considered } = placed(place(request('any'), prepared, PLACEMENT));
  const total = considered.reduce((sum, { weight }) => sum + weight, 0);
  return considered.map(({ node, weight }) => ({ node, count: counts.get(node) ?? 0, share: weight / total }));
}

describe('many requests on one stale view', () => {
  const random = new Prng('spread');
  const workers = Array.from({ length: 40 }, (_, number) => {
    const slower = 1 + random.nextBelow(20);
    return candidate(number, {
      slotMs: 300 * slower,
      prefillUsPerToken: 150 * slower,
      decodeMs: 6 * slower,
      busy: random.nextBelow(2),
    });
  });

  it('spread over the nodes according to their weights', () => {
    const samples = 20_000;
    const rows = firstPlaces(workers, { samples, arrivalsPerKs: 40_000 });
    let chiSquare = 0;
    let cells = 0;
    for (const { count, share } of rows) {
      if (share === 0) assert.equal(count, 0, 'nobody goes first from above the level');
      else {
        assert.ok(Math.abs(count - samples * share) <= tolerance(samples, share), `${count} of ${samples * share}`);
        chiSquare += (count - samples * share) ** 2 / (samples * share);
        cells += 1;
      }
    }
    // A chi-square of k degrees has mean k and variance 2k.
    assert.ok(cells > 10 && chiSquare <= cells - 1 + 4 * Math.sqrt(2 * (cells - 1)), `chi-square ${chiSquare}`);
  });

  it('do not herd: 200 nodes that see the same load leave no node with three times its share (V7)', () => {
    const samples = 200;
    const rows = firstPlaces(workers, { samples, arrivalsPerKs: 200_000 });
    for (const { count, share } of rows) {
      const fair = samples * share;
      assert.ok(count <= Math.max(3 * fair, fair + tolerance(samples, share)), `${count} for a share of ${fair}`);
    }
    assert.ok(rows.every(({ count }) => count < samples / 4));
  });

  it('stay with the best node while the view is fresh and calm', () => {
    const best = candidate(100, { slotMs: 2_000, prefillUsPerToken: 400, decodeMs: 10 });
    const slow = [1, 2, 3].map((number) =>
      candidate(number, { slotMs: 6_000, prefillUsPerToken: 15_000, decodeMs: 200 }),
    );
    const rows = firstPlaces([best, ...slow], { samples: 200, arrivalsPerKs: 0 });
    assert.equal(rows.find(({ node }) => node === best.node)?.count, 200);
  });
});

describe('a node that lies', () => {
  const honest = Array.from({ length: 49 }, (_, number) => candidate(number));
  const liar = candidate(99, { slotMs: 200, prefillUsPerToken: 50, decodeMs: 1 });

  it('gets at most three times a fair share for claiming twenty times the speed under load', () => {
    const samples = 10_000;
    const rows = firstPlaces([...honest, liar], { samples, arrivalsPerKs: 300_000 });
    const share = PLACEMENT.rateClamp / 50;
    const count = rows.find(({ node }) => node === liar.node)?.count ?? 0;
    assert.ok(count <= samples * share + tolerance(samples, share), `${count}`);
    assert.ok(count > samples / 50, 'the claim is seen at all');
  });

  it('loses its share when the correction finds it out', () => {
    const shares = [1_000, 5_000, 50_000].map(liarCount);
    assert.ok(
      shares.every((share, index) => index === 0 || share < (shares[index - 1] ?? 0)),
      String(shares),
    );
    assert.equal(shares[2], 0);
  });

  it('gets at most three times a fair share in a quiet mesh too, once outcomes have taught (S13)', () => {
    const fair = 1 / 50;
    const untaught = quietMesh({ requests: 1_000, learns: false });
    assert.ok(untaught > PLACEMENT.rateClamp * fair, `the lie pays while nobody learns: ${untaught}`);
    const taught = quietMesh({ requests: 3_000, learns: true });
    assert.ok(taught <= PLACEMENT.rateClamp * fair, `share ${taught}`);
  });

  function liarCount(correctionPerMille: number): number {
    const view = [...honest, { ...liar, correctionPerMille }];
    return (
      firstPlaces(view, { samples: 4_000, arrivalsPerKs: 20_000 }).find(({ node }) => node === liar.node)?.count ?? 0
    );
  }

  /** One router, serial servers in virtual time, beacons once a second; the liar is as slow as the rest and never busy. */
  function quietMesh({ requests, learns }: { requests: number; learns: boolean }): number {
    const observations = new Observations(PLACEMENT);
    const random = new Prng('quiet');
    const freeAtMs = new Map<NodeId, number>();
    const events: { atMs: number; run: () => void }[] = [];
    const picks: boolean[] = [];
    let nowMs = 0;
    let loadAtMs = 0;
    let backlog = new Map<NodeId, number>();
    for (let number = 0; number < requests; number += 1) {
      nowMs += 1 + random.nextBelow(530);
      for (const event of events.filter(({ atMs }) => atMs <= nowMs).toSorted((a, b) => a.atMs - b.atMs)) {
        event.run();
        events.splice(events.indexOf(event), 1);
      }
      if (nowMs - loadAtMs >= 1_000) {
        loadAtMs = nowMs;
        backlog = new Map([...freeAtMs].map(([node, at]) => [node, Math.ceil(Math.max(0, at - nowMs) / 4_000)]));
      }
      const view = [...honest, liar].map((one) => ({
        ...one,
        ...observations.observed({ node: one.node, model: MODEL, loadAtMs }, nowMs),
        busy: one === liar ? 0 : (backlog.get(one.node) ?? 0),
      }));
      const result = placed(
        place(
          request(`quiet ${number}`),
          prepare(view, { arrivalsPerKs: 3_770, viewAgeMs: nowMs - loadAtMs }),
          PLACEMENT,
        ),
      );
      const [node] = result.ranked;
      assert.ok(node !== undefined);
      const startMs = Math.max(nowMs, freeAtMs.get(node) ?? 0);
      freeAtMs.set(node, startMs + 4_000);
      const expectedMs = result.considered.find((row) => row.node === node)?.expectedMs ?? 0;
      const requestId = parseRequestId(number.toString(16).padStart(32, '0'));
      assert.ok(requestId !== undefined);
      const elapsedMs = startMs - nowMs + 335;
      observations.dispatched({ requestId, node, model: MODEL, expectedMs }, nowMs);
      const firstAtMs = nowMs + elapsedMs;
      const endAtMs = startMs + 4_000;
      events.push({
        atMs: learns ? firstAtMs : Number.POSITIVE_INFINITY,
        run: () => observations.firstToken({ requestId, node }, elapsedMs, firstAtMs),
      });
      events.push({ atMs: endAtMs, run: () => observations.ended({ requestId, node }, 'answered', endAtMs) });
      picks.push(node === liar.node);
    }
    return picks.filter(Boolean).length / picks.length;
  }
});

describe('requests with a session key', () => {
  it('find the same node on every turn while the view holds', () => {
    const view = Array.from({ length: 20 }, (_, number) => candidate(number));
    const prepared = prepare(view, { arrivalsPerKs: 20_000, viewAgeMs: 1_000 });
    const firsts = [400, 600, 900].map((promptTokens) => {
      const keyHash = hash64(utf8('session/tea'));
      return placed(place(request('', { keyHash, promptTokens }), prepared, PLACEMENT)).ranked[0];
    });
    assert.equal(new Set(firsts).size, 1);
    assert.ok(firsts[0] !== undefined && view.some(({ node }) => node === firsts[0]));
  });
});
