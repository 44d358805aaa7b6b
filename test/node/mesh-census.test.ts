import assert from 'node:assert/strict';
import { fingerprintOf } from '../../src/gossip/census.ts';
import { nodeNumber } from '../gossip/signing.ts';
import { MeshWorld } from './mesh-world.ts';

const NODES = [1, 2, 3, 4, 5].map(nodeNumber);

/** The sums, made from the list of all members. */
function summedUp(world: MeshWorld, by: (typeof NODES)[number]): object {
  const members = world.meshOf(by)?.members(world.nowMs) ?? [];
  const alive = members.filter(({ verdict }) => verdict === 'alive');
  let fingerprint = 0;
  for (const member of alive) fingerprint ^= fingerprintOf(member);
  const ageMs = members.reduce((sum, member) => sum + member.ageMs, 0);
  return { alive: alive.length, suspect: members.length - alive.length, ageMs, fingerprint: fingerprint >>> 0 };
}

describe('the census of a mesh', () => {
  it('is the sum over its members, while they join, are suspected, die and come back', () => {
    const world = new MeshWorld(20);
    const [first, second, third] = NODES;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const suspects = new Set<number>();
    const compare = (): void => {
      for (const node of NODES) {
        const census = world.meshOf(node)?.census(world.nowMs);
        if (census === undefined) continue;
        assert.deepEqual(census, summedUp(world, node), `${world.nowMs} ms`);
        suspects.add(census.suspect);
      }
    };
    const runOn = (durationMs: number): void => {
      for (let passedMs = 0; passedMs < durationMs; passedMs += 500) {
        world.run(500);
        compare();
      }
    };
    for (const node of NODES) world.start(node, node === first ? [] : [first]);
    compare();
    runOn(4_000);
    assert.equal(world.meshOf(first)?.census(world.nowMs).alive, NODES.length);
    world.kill(second);
    runOn(3_000);
    world.kill(third);
    runOn(16_000);
    assert.equal(world.meshOf(first)?.census(world.nowMs).alive, NODES.length - 2);
    world.start(second, [first]);
    runOn(4_000);
    assert.ok(suspects.has(0) && suspects.has(1), 'somebody was under suspicion in between');
  });
});
