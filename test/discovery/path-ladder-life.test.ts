import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { LADDER } from '../../src/discovery/path-ladder.ts';
import { PATH_KINDS } from '../../src/discovery/transports.ts';
import { ATTEMPTS } from '../../src/discovery/upgrade-attempts.ts';
import { ADDRESS, Bench } from './ladder-bench.ts';

describe('any life of the paths to a node', () => {
  const ids = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const kinds = fc.constantFrom(...PATH_KINDS);
  const events = fc.array(
    fc.oneof(
      fc.record({ do: fc.constant('open' as const), id: ids, kind: kinds, rttMs: fc.integer({ min: 1, max: 400 }) }),
      fc.record({ do: fc.constant('close' as const), id: ids }),
      fc.record({ do: fc.constant('mute' as const), id: ids }),
      fc.record({ do: fc.constant('voice' as const), id: ids }),
      fc.record({ do: fc.constant('busy' as const), busy: fc.boolean() }),
      fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 20_000 }) }),
      fc.record({ do: fc.constant('ended' as const), kind: kinds, reached: fc.boolean() }),
    ),
    { maxLength: 60 },
  );

  type LifeEvent = typeof events extends fc.Arbitrary<(infer One)[]> ? One : never;

  function live(bench: Bench, event: LifeEvent): void {
    if (event.do === 'open' && !bench.open.has(event.id)) bench.opened(event.id, event.kind, event.rttMs);
    else if (event.do === 'close') bench.closed(event.id);
    else if (event.do === 'mute') bench.alive.delete(event.id);
    else if (event.do === 'voice' && bench.open.has(event.id)) bench.alive.add(event.id);
    else if (event.do === 'busy') bench.step({ type: 'busy', busy: event.busy });
    else if (event.do === 'pass') bench.pass(event.ms);
    else if (event.do === 'ended') bench.step({ type: 'dial-ended', kind: event.kind, reached: event.reached });
  }

  it('prefers a live path while there is one, closes never the preferred, and dials no storms', () => {
    fc.assert(
      fc.property(events, fc.boolean(), (sequence, isSmaller) => {
        const bench = new Bench(isSmaller);
        bench.know(...Object.values(ADDRESS));
        for (const event of sequence) {
          live(bench, event);
          const { preferred, closes, wakeAtMs } = bench.last;
          assert.ok(preferred === undefined || bench.open.has(preferred), 'what is preferred is open');
          assert.ok(!closes.some(({ path }) => path === preferred));
          assert.ok(wakeAtMs > bench.nowMs, 'never woken for the past');
          if ([...bench.open.values()].some(({ kind }) => !kind.startsWith('webrtc')))
            assert.ok(preferred !== undefined, 'a live path is preferred');
        }
        bench.pass(20_000);
        const alive = [...bench.open.keys()].filter((id) => bench.alive.has(id));
        if (alive.length > 0) assert.ok(bench.alive.has(bench.last.preferred ?? ''), 'what is preferred carries');
        if (isSmaller) assert.ok(bench.open.size <= LADDER.pathsMax);
        for (const kind of PATH_KINDS) {
          const times = bench.dials.filter((dial) => dial.kind === kind).map(({ atMs }) => atMs);
          for (const [index, atMs] of times.entries())
            if (index > 0) assert.ok(atMs - (times[index - 1] ?? 0) >= ATTEMPTS.gapMs, `${kind} twice within a second`);
        }
      }),
      { numRuns: 300 },
    );
  });
});
