/** A member that dies before the others have connected to it, and one that only a liar holds for dead. */
import assert from 'node:assert/strict';
import { encodeMessage } from '../../src/gossip/message-codec.ts';
import type { GossipBody } from '../../src/gossip/message.ts';
import type { NodeId } from '../../src/ids.ts';
import { capabilityOf, loadOf, nodeNumber, signAs, swarm } from '../gossip/signing.ts';
import { MeshWorld } from './mesh-world.ts';

/** In the order of ids: of two that hear of each other at the same time, the smaller dials at once. */
const [SMALL, HUB, LARGE] = [nodeNumber(1), nodeNumber(2), nodeNumber(3)];
const LIAR = nodeNumber(9);

describe('a member to which only one node has a connection', () => {
  for (const { what, watcher, young, dialMs, livesMs } of [
    { what: 'is about to dial it', watcher: LARGE, young: SMALL, dialMs: 100, livesMs: 30 },
    { what: 'is just dialling it', watcher: SMALL, young: LARGE, dialMs: 100, livesMs: 30 },
    { what: 'could not dial it a moment ago', watcher: SMALL, young: LARGE, dialMs: 5, livesMs: 200 },
  ])
    it(`is suspect everywhere within 500 ms after it is killed, when the other node ${what}`, () => {
      const world = hubWorld(dialMs, [watcher]);
      world.start(young, [HUB]);
      assert.ok(world.until(() => world.verdict(watcher, young) === 'alive', 3_000));
      world.run(livesMs);
      assert.ok(world.isConnected(HUB, young) && !world.isConnected(watcher, young));
      world.kill(young);
      const isSuspect = (by: NodeId): boolean => world.verdict(by, young) === 'suspect';
      assert.ok(world.until(() => isSuspect(HUB) && isSuspect(watcher), 500));
    });

  it('is dialled at once and stays alive when one node alone says that its connection closed', () => {
    const world = hubWorld(5, [SMALL, LARGE]);
    world.passes = () => true;
    const accuse = liarOf(world);
    const accusedMs = world.nowMs;
    accuse();
    assert.ok(world.until(() => world.isConnected(SMALL, LARGE), 100));
    assert.ok(world.dials.some(({ atMs, by, to }) => atMs - accusedMs < 10 && by === SMALL && to === LARGE));
    for (let round = 0; round < 60; round += 1) {
      accuse();
      world.run(250);
    }
    assert.deepEqual(verdictsOn(world, LARGE, accusedMs), []);
  });

  for (const { dialMs, expected } of [
    // The dial fails before the refutation can come: one doubt, and after that no failed dial is believed.
    { dialMs: 0, expected: ['suspect', 'alive'] },
    { dialMs: 20, expected: [] },
    { dialMs: 3_000, expected: [] },
  ])
    it(`that cannot be dialled (a dial takes ${dialMs} ms) does not die of one node that accuses it again and again`, () => {
      const world = hubWorld(dialMs, [SMALL, LARGE]);
      const accuse = liarOf(world);
      const [accusedMs, dialsBefore] = [world.nowMs, world.dials.length];
      for (let round = 0; round < 120; round += 1) {
        accuse();
        world.run(250);
      }
      const said = verdictsOn(world, LARGE, accusedMs);
      assert.deepEqual(
        said.filter(({ by }) => by === SMALL).map(({ verdict }) => verdict),
        expected,
      );
      assert.ok(said.every(({ verdict }) => verdict !== 'dead'));
      assert.equal(world.verdict(SMALL, LARGE), 'alive');
      assert.ok(
        said.every(({ atMs }) => atMs - accusedMs < 1_500),
        'the doubt is over after a beacon at most',
      );
      const dials = world.dials.slice(dialsBefore).filter(({ by, to }) => by === SMALL && to === LARGE);
      assert.ok(dials.length <= 7, `${dials.length} dials in 30 s, as many as without a word of the liar, and one`);
    });
});

/** Everybody knows everybody through the hub: nobody else can be dialled. */
function hubWorld(dialMs: number, others: readonly NodeId[]): MeshWorld {
  const world = new MeshWorld(dialMs);
  world.passes = (from, to) => from === HUB || to === HUB;
  world.start(HUB);
  for (const node of others) world.start(node, [HUB]);
  world.run(7_000);
  for (const by of others) for (const node of others) assert.equal(world.verdict(by, node), 'alive');
  return world;
}

/** A member behind the hub that says each time, with a good signature, that its connection to LARGE has just closed. */
function liarOf(world: MeshWorld): () => void {
  const bornMs = world.nowMs;
  let sequence = 0;
  const say = (body: GossipBody): void => {
    sequence += 1;
    const message = { author: LIAR, incarnation: 100, sequence, uptimeMs: Math.round(world.nowMs - bornMs), body };
    world.inject(LIAR, HUB, encodeMessage(message, { swarm, sign: signAs(LIAR) }));
  };
  return () => {
    const targetIncarnation = world.incarnation(SMALL, LARGE);
    say({ type: 'capability', capability: capabilityOf('liar'), loads: [loadOf(0)] });
    say({ type: 'accusation', target: LARGE, targetIncarnation, cause: 'closed', evidenceAgeMs: 0 });
  };
}

function verdictsOn(world: MeshWorld, node: NodeId, sinceMs: number): MeshWorld['changes'] {
  return world.changes.filter((change) => change.node === node && change.atMs >= sinceMs);
}
