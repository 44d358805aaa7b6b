import assert from 'node:assert/strict';
import { SMOKE } from '../../../simulations/scenarios/smoke.ts';
import { World } from '../../../simulations/world.ts';
import type { WorldEvent } from '../../../simulations/world-event.ts';

/** What a quiet mesh does in which node 3 is away for a while: it has everything to learn when it comes back. */
function traceOf(): readonly WorldEvent[] {
  const events: WorldEvent[] = [];
  const scenario = { ...SMOKE, nodes: 4, workload: { ...SMOKE.workload, arrivals: 'none', load: 0 } } as const;
  const world = new World({
    scenario,
    seed: 'views',
    plan: [{ kind: 'power-loss', node: 3, atMs: 10_000, durationMs: 5_000 }],
    watch: (event) => void events.push(event),
  });
  world.run(20_000);
  return events;
}

describe('the trace of views that are told', () => {
  const events = traceOf();
  const judged = events.filter((event) => event.type === 'judged');
  const back = events.findLastIndex((event) => event.type === 'started' && event.node === 3);

  it('shows who asked whom, and that the answer was taken in', () => {
    const after = events.slice(back).filter((event) => 'node' in event && event.node === 3);
    const asked = after.find((event) => event.type === 'view-asked');
    const taken = after.find((event) => event.type === 'view-taken');
    assert.ok(asked !== undefined && taken !== undefined);
    assert.equal(asked.everything, true, 'it has forgotten all');
    assert.equal(taken.peer, asked.peer);
    assert.ok(taken.messages >= 3, `${taken.messages} messages`);
  });

  it('shows the messages that changed what is believed, with their authors and their age', () => {
    const told = judged.filter(({ way }) => way === 'view');
    const first = told.find(({ node, author }) => node === 3 && author !== 3);
    assert.ok(first !== undefined);
    assert.equal(first.body, 'capability');
    assert.equal(first.forged, false);
    assert.ok(events.indexOf(first) > 0 && first.madeAtMs < 20_000);
  });

  it('shows no message twice, whichever way it came', () => {
    const seen = new Set<string>();
    let lives = 0;
    for (const event of events) {
      if (event.type === 'started') lives += 1;
      if (event.type !== 'judged' || event.verdict !== 'accept' || event.body === 'accusation') continue;
      const { node, author, incarnation, sequence, body } = event;
      const name = [node === 3 ? lives : 0, node, author, incarnation, sequence, body].join(' ');
      assert.ok(!seen.has(name), name);
      seen.add(name);
    }
    assert.ok(seen.size > 100);
  });
});
