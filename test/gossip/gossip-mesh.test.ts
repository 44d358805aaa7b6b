/** Several gossip cores in virtual time: what members believe of each other while processes come, go, freeze and die. */
import assert from 'node:assert/strict';
import type { NodeId } from '../../src/ids.ts';
import { MeshHarness } from './mesh-harness.ts';

function settled(seed: string, count: number): { mesh: MeshHarness; nodes: NodeId[] } {
  const mesh = new MeshHarness(seed);
  const nodes = mesh.startFullMesh(count);
  mesh.runFor(10_000);
  return { mesh, nodes };
}

function last(nodes: readonly NodeId[]): NodeId {
  const node = nodes.at(-1);
  assert.ok(node !== undefined);
  return node;
}

function firstSeen(mesh: MeshHarness, about: NodeId, verdict: string): Map<NodeId, number> {
  const first = new Map<NodeId, number>();
  for (const seen of mesh.seen)
    if (seen.node === about && seen.verdict === verdict && !first.has(seen.by)) first.set(seen.by, seen.atMs);
  return first;
}

describe('a mesh of gossip cores', () => {
  for (const count of [2, 3, 10, 20])
    it(`of ${count}: everybody knows everybody, nobody is ever suspected while all is well`, () => {
      const { mesh, nodes } = settled(`calm ${count}`, count);
      mesh.runFor(count > 10 ? 10_000 : 35_000);
      for (const node of nodes) {
        const members = mesh.members(node);
        assert.equal(members.length, count);
        assert.ok(members.every((member) => member.verdict === 'alive' && member.capability !== undefined));
        assert.ok(members.every((member) => member.rttMs !== undefined && member.connected));
        assert.ok(members.every((member) => member.ageMs < 2_000));
      }
      assert.deepEqual(
        mesh.seen.filter(({ verdict }) => verdict !== 'alive'),
        [],
      );
    });

  for (const count of [2, 3, 10])
    it(`of ${count}: a killed process is suspected by all within 500 ms and dead after 12 s more`, () => {
      for (const seed of ['a', 'b', 'c', 'd']) {
        const { mesh, nodes } = settled(`kill ${count} ${seed}`, count);
        const victim = last(nodes);
        const killedAtMs = mesh.nowMs;
        mesh.kill(victim);
        mesh.runFor(500);
        const suspected = firstSeen(mesh, victim, 'suspect');
        assert.equal(suspected.size, count - 1, `seed ${seed}`);
        assert.ok([...suspected.values()].every((atMs) => atMs > killedAtMs));
        mesh.runFor(11_400);
        assert.equal(firstSeen(mesh, victim, 'dead').size, 0);
        mesh.runFor(700);
        assert.equal(firstSeen(mesh, victim, 'dead').size, count - 1);
        assert.ok(mesh.verdictsAbout(victim).every((verdict) => verdict === undefined));
        assert.equal(new Set(mesh.seen.filter(({ verdict }) => verdict === 'suspect').map(({ node }) => node)).size, 1);
      }
    });

  for (const count of [2, 3, 10, 20])
    it(`of ${count}: a frozen member is suspected by all between 2.1 and 3 s later`, () => {
      for (const seed of count > 10 ? ['a'] : ['a', 'b', 'c']) {
        const { mesh, nodes } = settled(`freeze ${count} ${seed}`, count);
        const frozen = last(nodes);
        mesh.freeze(frozen);
        mesh.runFor(2_000);
        assert.equal(firstSeen(mesh, frozen, 'suspect').size, 0, 'not too early');
        mesh.runFor(1_000);
        assert.equal(firstSeen(mesh, frozen, 'suspect').size, count - 1, `seed ${seed}`);
      }
    });

  for (const { count, frozenMs } of [
    { count: 3, frozenMs: 4_000 },
    { count: 3, frozenMs: 8_000 },
    { count: 10, frozenMs: 4_000 },
    { count: 10, frozenMs: 8_000 },
  ])
    it(`of ${count}: who wakes after ${frozenMs} ms refutes and is alive again everywhere, and accuses nobody`, () => {
      const { mesh, nodes } = settled(`wake ${count} ${frozenMs}`, count);
      const frozen = last(nodes);
      mesh.freeze(frozen);
      mesh.runFor(frozenMs);
      const wokeAtMs = mesh.nowMs;
      mesh.wake(frozen);
      mesh.runFor(1_500);
      assert.ok(mesh.verdictsAbout(frozen).every((verdict) => verdict === 'alive'));
      assert.ok(mesh.persisted.some(({ by, incarnation }) => by === frozen && incarnation > 1_000));
      assert.ok(
        mesh.running().every((node) => mesh.members(node).find((one) => one.node === frozen)?.incarnation !== 1_000),
        'the new incarnation has arrived everywhere',
      );
      mesh.runFor(20_000);
      const blamed = mesh.seen.filter(({ atMs, verdict }) => atMs >= wokeAtMs && verdict !== 'alive');
      assert.deepEqual(blamed, []);
      assert.equal(mesh.members(frozen).length, count);
    });

  it('a member that was held for dead comes back by a higher incarnation, on both sides', () => {
    const { mesh, nodes } = settled('long freeze', 4);
    const frozen = last(nodes);
    mesh.freeze(frozen);
    mesh.runFor(20_000);
    assert.equal(firstSeen(mesh, frozen, 'dead').size, 3);
    mesh.wake(frozen);
    mesh.runFor(1_000);
    for (const node of nodes) if (node !== frozen) mesh.connect(frozen, node);
    mesh.runFor(3_000);
    for (const node of nodes) assert.equal(mesh.members(node).length, 4);
    assert.ok(mesh.verdictsAbout(frozen).every((verdict) => verdict === 'alive'));
  });

  it('two halves that buried each other find together again', () => {
    const { mesh, nodes } = settled('partition', 6);
    const left = nodes.slice(0, 3);
    const right = nodes.slice(3);
    for (const one of left) for (const other of right) mesh.disconnect(one, other);
    mesh.runFor(30_000);
    for (const node of nodes) assert.equal(mesh.members(node).length, 3);
    for (const one of left) for (const other of right) mesh.connect(one, other);
    mesh.runFor(4_000);
    for (const node of nodes) {
      assert.equal(mesh.members(node).length, 6);
      assert.ok(mesh.members(node).every(({ verdict, capability }) => verdict === 'alive' && capability !== undefined));
    }
  });

  it('a graceful leave is seen by all in one hop, without suspicion', () => {
    const { mesh, nodes } = settled('leave', 10);
    const leaver = last(nodes);
    mesh.leave(leaver);
    mesh.runFor(41);
    const left = firstSeen(mesh, leaver, 'left');
    assert.equal(left.size, 9);
    mesh.kill(leaver);
    mesh.runFor(20_000);
    assert.equal(firstSeen(mesh, leaver, 'suspect').size, 0);
    assert.equal(firstSeen(mesh, leaver, 'dead').size, 0);
    assert.ok(mesh.verdictsAbout(leaver).every((verdict) => verdict === undefined));
  });

  it('one broken connection between two living members makes nobody suspect', () => {
    const { mesh, nodes } = settled('one link', 4);
    const [first, second] = nodes;
    assert.ok(first !== undefined && second !== undefined);
    mesh.disconnect(first, second);
    mesh.runFor(30_000);
    assert.deepEqual(
      mesh.seen.filter(({ verdict }) => verdict !== 'alive'),
      [],
    );
    assert.equal(mesh.members(first).find(({ node }) => node === second)?.connected, false);
  });

  it('a member known only by gossip is alive by its beacons and suspect without them', () => {
    const mesh = new MeshHarness('chain');
    const nodes = [0, 1, 2].map((number) => mesh.start(number));
    const [first, middle, far] = nodes;
    assert.ok(first !== undefined && middle !== undefined && far !== undefined);
    mesh.connect(first, middle);
    mesh.connect(middle, far);
    mesh.runFor(20_000);
    assert.deepEqual(mesh.verdictsAbout(far), ['alive', 'alive']);
    mesh.freeze(far);
    mesh.runFor(6_000);
    assert.deepEqual(mesh.verdictsAbout(far), ['suspect', 'suspect']);
    assert.equal(mesh.members(first).find(({ node }) => node === middle)?.verdict, 'alive');
  });

  it('the sole survivor of many suspects them all', () => {
    const { mesh, nodes } = settled('survivor', 10);
    for (const node of nodes.slice(1)) mesh.freeze(node);
    mesh.runFor(6_000);
    const [survivor] = nodes;
    assert.ok(survivor !== undefined);
    assert.equal(mesh.members(survivor).filter(({ verdict }) => verdict === 'suspect').length, 9);
  });

  it('a late joiner with one connection knows everybody after one snapshot', () => {
    const { mesh, nodes } = settled('late', 10);
    const [neighbour] = nodes;
    assert.ok(neighbour !== undefined);
    const late = mesh.start(50);
    mesh.connect(late, neighbour);
    mesh.runFor(85);
    assert.equal(mesh.members(late).length, 11);
    assert.ok(mesh.members(late).every(({ capability }) => capability !== undefined));
    mesh.runFor(2_000);
    for (const node of nodes) assert.equal(mesh.members(node).length, 11);
    mesh.runFor(60_000);
    assert.deepEqual(
      mesh.seen.filter(({ verdict }) => verdict !== 'alive'),
      [],
    );
  });

  it('a late joiner asks another when the first does not answer', () => {
    const { mesh, nodes } = settled('mute neighbour', 3);
    const [mute, other] = nodes;
    assert.ok(mute !== undefined && other !== undefined);
    mesh.freeze(mute);
    const late = mesh.start(50);
    mesh.connect(late, mute);
    mesh.connect(late, other);
    mesh.runFor(2_000);
    assert.equal(mesh.members(late).length, 4);
  });

  it('replayed old messages change nothing, of the living and of the departed', () => {
    const { mesh, nodes } = settled('replay', 4);
    const [first, second] = nodes;
    const leaver = last(nodes);
    assert.ok(first !== undefined && second !== undefined);
    mesh.runFor(5_000);
    const old = mesh.published.map(({ bytes }) => bytes);
    mesh.leave(leaver);
    mesh.runFor(100);
    mesh.kill(leaver);
    mesh.runFor(400_000);
    const before = mesh.members(first);
    const digest = mesh.digest(first);
    for (const bytes of old) mesh.inject(first, second, bytes);
    assert.equal(mesh.digest(first), digest);
    assert.deepEqual(mesh.members(first), before);
  });

  it('the same seed gives the same history', () => {
    const [once, again] = [settled('twice', 6), settled('twice', 6)];
    assert.deepEqual(once.mesh.published, again.mesh.published);
    assert.deepEqual(once.mesh.seen, again.mesh.seen);
  });
});
