import assert from 'node:assert/strict';
import type { NodeRow } from '../../src/api/status.ts';
import type { NodeId } from '../../src/ids.ts';
import type { NetworkPath, NetworkReach } from '../../src/node/network.ts';
import { StatusBoard } from '../../src/node/status-board.ts';
import { nodeNumber, swarm } from '../gossip/signing.ts';
import { MeshWorld } from './mesh-world.ts';

const [A, B, C] = [nodeNumber(1), nodeNumber(2), nodeNumber(3)] as const;
/** All nodes of the world say that they were booted in this second, and their clocks began at 0. */
const BOOT_WALL_MS = 100_000;

const RELAYED: NetworkPath = {
  id: 'relayed',
  node: B,
  kind: 'relayed',
  relay: C,
  address: `/ip4/192.0.2.3/tcp/1/p2p/${C}/p2p-circuit`,
  direction: 'outbound',
  isLimited: true,
  openedAtMs: 0,
  rttMs: 41.26,
};
const DIRECT: NetworkPath = { ...RELAYED, id: 'direct', kind: 'webrtc', relay: undefined, isLimited: false };
const REACH: NetworkReach = {
  reach: 'private',
  nat: 'endpoint-independent',
  addresses: [],
  reason: 'seen from outside',
  isRelay: false,
  relays: [C],
};

class World {
  readonly world = new MeshWorld(5);
  paths: readonly NetworkPath[] = [];
  preferred: string | undefined;
  refusal: string | undefined;
  reach: NetworkReach | undefined = REACH;
  wallAheadMs = 0;
  readonly #board: StatusBoard;

  constructor() {
    this.world.start(A);
    for (const node of [B, C]) this.world.start(node, [A]);
    this.world.run(3_000);
    const mesh = this.world.meshOf(A);
    assert.ok(mesh !== undefined);
    this.#board = new StatusBoard({
      self: A,
      name: 'me',
      version: '1',
      swarm,
      mesh,
      engineModels: () => [],
      sandbox: () => ({ layers: 'none' }),
      ways: {
        paths: (node) => (node === B ? this.paths : []),
        preferred: () => this.preferred,
        natOf: (node) => (node === B ? 'symmetric' : 'unknown'),
        reach: () => this.reach,
        addresses: () => ['/ip4/192.168.1.2/tcp/4100'],
      },
      refusalOf: (node) => (node === B ? this.refusal : undefined),
      wallMs: () => BOOT_WALL_MS + this.world.nowMs + this.wallAheadMs,
      requests: () => [],
      counters: () => ({ 'relay-reservations': 3 }),
    });
  }

  status(): ReturnType<StatusBoard['status']> {
    return this.#board.status(this.world.nowMs);
  }

  row(node: NodeId): NodeRow {
    const row = this.status().nodes.find((one) => one.node === node);
    assert.ok(row !== undefined);
    return row;
  }

  /** What the core said to everybody goes to the board as well. */
  tellChanges(): void {
    for (const change of this.world.changes.splice(0))
      if (change.by === A) this.#board.effect({ type: 'member-changed', ...change }, change.atMs);
  }
}

describe('the status board', () => {
  it('shows the path in use, the others as standby, and who carries it', () => {
    const one = new World();
    one.paths = [DIRECT, RELAYED];
    const best = one.row(B);
    assert.equal(best.path?.kind, 'webrtc');
    assert.equal(best.path.isDirect, true);
    assert.ok(!('relay' in best.path));
    assert.deepEqual(
      best.standby?.map(({ kind, isLimited, rttMs }) => ({ kind, isLimited, rttMs })),
      [{ kind: 'relayed', isLimited: true, rttMs: 41.3 }],
    );
    one.preferred = 'relayed';
    const chosen = one.row(B);
    assert.deepEqual(chosen.path?.relay, { node: C, name: 'test' });
    assert.equal(chosen.path.isDirect, false);
    one.preferred = 'gone';
    assert.equal(one.row(B).path?.kind, 'webrtc');
    one.paths = [];
    assert.ok(!('path' in one.row(B)) && !('standby' in one.row(B)));
  });

  it('shows the NATs that were found, ours and theirs, and none that is unknown', () => {
    const one = new World();
    assert.equal(one.row(A).nat, 'endpoint-independent');
    assert.equal(one.row(B).nat, 'symmetric');
    assert.ok(!('nat' in one.row(C)));
    one.reach = undefined;
    assert.ok(!('nat' in one.row(A)));
    assert.ok(!('reach' in one.status()));
  });

  it('shows where this node stands, with the names of its relays', () => {
    const { reach } = new World().status();
    assert.deepEqual(reach, {
      reach: 'private',
      nat: 'endpoint-independent',
      reason: 'seen from outside',
      addresses: ['/ip4/192.168.1.2/tcp/4100'],
      isRelay: false,
      reservations: 3,
      relays: [{ node: C, name: 'test' }],
    });
  });

  it('shows how far the clock of another node is ahead, and nothing of a second or two', () => {
    const one = new World();
    for (const { wallAheadMs, clockAheadMs } of [
      { wallAheadMs: 0, clockAheadMs: 0 },
      { wallAheadMs: 1_990, clockAheadMs: 0 },
      { wallAheadMs: 2_010, clockAheadMs: -2_010 },
      { wallAheadMs: -40_000, clockAheadMs: 40_000 },
      { wallAheadMs: 40_000, clockAheadMs: -40_000 },
    ]) {
      one.wallAheadMs = wallAheadMs;
      // Messages in this world need a millisecond, and the first ones count as fresh.
      assert.ok(Math.abs((one.row(B).clockAheadMs ?? NaN) - clockAheadMs) <= 5, `${one.row(B).clockAheadMs}`);
    }
    assert.ok(!('clockAheadMs' in one.row(A)));
  });

  it('says of a node that died that it fell silent, with the dials since and the next one', () => {
    const one = new World();
    one.status();
    one.world.kill(B);
    one.world.run(60_000);
    one.tellChanges();
    const row = one.row(B);
    assert.equal(row.verdict, 'dead');
    assert.equal(row.name, 'test');
    assert.equal(row.connected, false);
    assert.equal(row.absence?.type, 'silent');
    assert.ok(row.absence.failures > 0);
    assert.ok((row.absence.nextDialInMs ?? NaN) <= 60_000 || row.absence.isDialling);
    assert.ok(row.absence.lastDials.length > 0);
    assert.equal(one.row(C).absence, undefined);
    one.refusal = 'not admitted: revoked';
    assert.deepEqual(one.row(B).absence?.type, 'refused');
    assert.equal(one.row(B).absence?.reason, 'not admitted: revoked');
  });

  it('lists who is sought and not found once: as a departed member, and ten minutes later as an address', () => {
    const one = new World();
    assert.deepEqual(one.status().unreached, []);
    one.world.kill(B);
    one.world.run(60_000);
    one.tellChanges();
    assert.equal(one.row(B).verdict, 'dead');
    assert.deepEqual(one.status().unreached, []);
    one.world.run(600_000);
    const { nodes, unreached } = one.status();
    assert.deepEqual(
      nodes.map(({ node }) => node),
      [A, C].toSorted(),
    );
    assert.deepEqual(
      unreached.map(({ node, absence }) => ({ node, type: absence.type })),
      [{ node: B, type: 'unreachable' }],
    );
  });
});
