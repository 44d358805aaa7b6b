import assert from 'node:assert/strict';
import { DIAL_TIMEOUT_MS } from '../../../simulations/network/dial.ts';
import { RELAY_CONNECTIONS_MAX, RENDEZVOUS_MS } from '../../../simulations/network/reachability.ts';
import type { NatClass } from '../../../simulations/scenario.ts';
import { Lab } from './lab.ts';

/** Each rounds up to whole ms, because even a small packet takes its time to leave. */
const FOUR_ROUND_TRIPS_MS = 4 * 101;

function reasonOf({ outcome }: ReturnType<Lab['dial']>): string | undefined {
  return outcome?.type === 'failed' ? outcome.reason : outcome?.type;
}

/** Two nodes behind NATs; nodes 2 and 3 are public. */
function nat(left: NatClass, right: NatClass): readonly NatClass[] {
  return [left, right, 'public', 'public'];
}

function relayed(nodes = 4): Lab {
  return new Lab({ nodes, nat: [...nat('relay-only', 'relay-only'), 'relay-only', 'relay-only'] });
}

describe('a dial', () => {
  it('takes four round trips, opens at both ends, and tells the dialler before it is done', () => {
    const lab = new Lab();
    const order: string[] = [];
    lab.network.detach(0, 'silent');
    lab.start(0, { connectionOpened: () => void order.push('opened') });
    lab.network.dial(0, 1, () => void order.push('done'));
    lab.runFor(FOUR_ROUND_TRIPS_MS - 1);
    assert.deepEqual(order, []);
    lab.runFor(1);
    assert.deepEqual(order, ['opened', 'done']);
    assert.deepEqual([lab.of(0, 'opened').length, lab.of(1, 'opened').length], [1, 1]);
  });

  it('makes two connections when both dial at once', () => {
    const lab = new Lab();
    const results = [lab.dial(0, 1), lab.dial(1, 0)];
    lab.runFor(1_000);
    assert.deepEqual(results.map(reasonOf), ['connected', 'connected']);
    assert.equal(lab.ends[0]?.length, 2);
    const first = lab.ends[0]?.[0];
    assert.ok(first !== undefined);
    lab.network.close(first);
    assert.equal(lab.network.isConnected(0, 1), true);
  });

  it('is refused after a round trip where the machine is up and nobody listens', () => {
    const lab = new Lab();
    lab.network.detach(1, 'reset');
    const result = lab.dial(0, 1);
    lab.runFor(1_000);
    assert.deepEqual([reasonOf(result), result.atMs], ['refused', 101]);
  });

  for (const [why, strike] of [
    ['the machine has no power', (lab: Lab) => lab.network.detach(1, 'silent')],
    ['the machine sleeps', (lab: Lab) => lab.network.suspend(1)],
    ['the process stands still', (lab: Lab) => lab.network.pause(1)],
    ['the way there is cut', (lab: Lab) => void lab.network.cut([0], [1])],
    ['the way back is cut', (lab: Lab) => void lab.network.cut([1], [0])],
  ] as const)
    it(`fails as unreachable after its time limit when ${why}`, () => {
      const lab = new Lab();
      strike(lab);
      const result = lab.dial(0, 1);
      lab.runFor(DIAL_TIMEOUT_MS - 1);
      assert.equal(result.outcome, undefined);
      lab.runFor(500);
      assert.equal(reasonOf(result), 'unreachable');
      assert.ok(result.atMs <= DIAL_TIMEOUT_MS + 100, `${result.atMs} ms`);
      lab.network.resume(1);
      lab.runFor(100_000);
      assert.deepEqual(lab.of(1, 'opened'), []);
    });

  it('does not get through when the way closes while its last packets travel', () => {
    const lab = new Lab();
    const result = lab.dial(0, 1);
    lab.runFor(FOUR_ROUND_TRIPS_MS - 10);
    lab.network.cut([0], [1]);
    lab.runFor(10_000);
    assert.equal(reasonOf(result), 'unreachable');
  });

  it('gets through when the network is whole again in time', () => {
    const lab = new Lab();
    const undo = lab.network.cut([0], [1]);
    const result = lab.dial(0, 1);
    lab.runFor(2_000);
    undo();
    lab.runFor(2_000);
    assert.equal(reasonOf(result), 'connected');
  });

  it('fails as reset when the process is replaced while it is under way', () => {
    const lab = new Lab();
    const result = lab.dial(0, 1);
    lab.runFor(250);
    lab.network.detach(1, 'reset');
    lab.start(1);
    lab.runFor(1_000);
    assert.equal(reasonOf(result), 'reset by the other end');
  });

  it('is forgotten with the process that dialled', () => {
    const lab = new Lab();
    const result = lab.dial(0, 1);
    lab.runFor(250);
    lab.network.detach(0, 'reset');
    lab.runFor(10_000);
    assert.deepEqual([result.outcome, lab.of(1, 'opened')], [undefined, []]);
  });

  it('tells a dialler that stood still when it goes on', () => {
    const lab = new Lab();
    lab.network.detach(1, 'silent');
    const result = lab.dial(0, 1);
    lab.network.suspend(0);
    lab.runFor(20_000);
    assert.equal(result.outcome, undefined);
    lab.network.resume(0);
    lab.runFor(1);
    assert.equal(reasonOf(result), 'unreachable');
  });

  it('mostly works at 20 % loss on both last miles', () => {
    const lab = new Lab({ spec: { loss: 0.2 } });
    const results = Array.from({ length: 300 }, () => {
      lab.runFor(20_000);
      return lab.dial(0, 1);
    });
    lab.runFor(20_000);
    const share = results.filter(({ outcome }) => outcome?.type === 'connected').length / 300;
    assert.ok(share > 0.8 && share < 1, `${share} connected`);
  });
});

describe('reachability', () => {
  for (const [from, to, path, afterMs] of [
    ['public', 'public', 'direct', FOUR_ROUND_TRIPS_MS],
    ['relay-only', 'public', 'direct', FOUR_ROUND_TRIPS_MS],
    ['punchable', 'public', 'direct', FOUR_ROUND_TRIPS_MS],
    ['public', 'punchable', 'direct', FOUR_ROUND_TRIPS_MS + RENDEZVOUS_MS],
    ['punchable', 'punchable', 'direct', FOUR_ROUND_TRIPS_MS + RENDEZVOUS_MS],
    ['relay-only', 'punchable', 'relay', FOUR_ROUND_TRIPS_MS + 400],
    ['punchable', 'relay-only', 'relay', FOUR_ROUND_TRIPS_MS + 400],
    ['public', 'relay-only', 'relay', FOUR_ROUND_TRIPS_MS + 400],
    ['relay-only', 'relay-only', 'relay', FOUR_ROUND_TRIPS_MS + 400],
  ] as const)
    it(`from ${from} to ${to} is ${path}, after ${afterMs} ms`, () => {
      const lab = new Lab({ nodes: 4, nat: nat(from, to) });
      const result = lab.dial(0, 1);
      lab.runFor(10_000);
      assert.equal(result.outcome?.type, 'connected');
      assert.equal(result.atMs, afterMs);
      const [end] = lab.ends[0] ?? [];
      assert.ok(path === 'direct' ? end?.path === 'direct' : end?.path === 2 || end?.path === 3);
      assert.equal(lab.network.canTalk(0, 1), true);
    });

  it('goes over a relay where two could punch but the direct way is cut', () => {
    const lab = new Lab({ nodes: 4, nat: nat('punchable', 'punchable') });
    lab.network.cut([0], [1]);
    const [near, far] = lab.connect(0, 1);
    assert.ok(near.path === 2 || near.path === 3);
    lab.send(far, 'over the relay');
    const sentMs = lab.queue.nowMs;
    lab.runFor(1_000);
    assert.equal(lab.of(0, 'received')[0]?.atMs, sentMs + 101);
    assert.equal(lab.network.canTalk(0, 1), true);
  });

  for (const [left, right, expected] of [
    ['public', 'public', false],
    ['public', 'punchable', true],
    ['public', 'relay-only', true],
    ['punchable', 'punchable', true],
  ] as const)
    it(`${expected ? 'has' : 'has no'} way around a cut between ${left} and ${right}`, () => {
      const lab = new Lab({ nodes: 4, nat: nat(left, right) });
      lab.network.cut([1], [0]);
      const result = lab.dial(0, 1);
      lab.runFor(10_000);
      assert.deepEqual([lab.network.canTalk(0, 1), result.outcome?.type === 'connected'], [expected, expected]);
    });

  it('ends where no public node is left to meet at', () => {
    const lab = new Lab({ nodes: 3, nat: ['punchable', 'relay-only', 'public'] });
    lab.network.detach(2, 'silent');
    const result = lab.dial(0, 1);
    lab.runFor(DIAL_TIMEOUT_MS);
    assert.deepEqual([reasonOf(result), result.atMs], ['unreachable', DIAL_TIMEOUT_MS]);
    assert.equal(lab.network.canTalk(0, 1), false);
  });

  it('has pairs agree on a relay, and spreads them', () => {
    const nodes = 60;
    const nats = Array.from({ length: nodes }, (_, node): NatClass => (node < 6 ? 'public' : 'relay-only'));
    const lab = new Lab({ nodes, nat: nats });
    const counts = new Map<unknown, number>();
    for (let node = 6; node < nodes - 1; node += 1) {
      const [there] = lab.connect(node, node + 1);
      const [back] = lab.connect(node + 1, node);
      assert.equal(there.path, back.path);
      counts.set(there.path, (counts.get(there.path) ?? 0) + 1);
    }
    assert.equal(counts.size, 6);
    assert.ok(Math.max(...counts.values()) < 20);
  });

  it(`takes ${RELAY_CONNECTIONS_MAX} connections over one relay, and one more only when one has gone`, () => {
    const nodes = RELAY_CONNECTIONS_MAX + 3;
    const lab = new Lab({
      nodes,
      nat: Array.from({ length: nodes }, (_, node) => (node === 0 ? 'public' : 'relay-only')),
    });
    const results = Array.from({ length: RELAY_CONNECTIONS_MAX + 1 }, (_, index) => lab.dial(1, index + 2));
    lab.runFor(10_000);
    assert.equal(results.filter(({ outcome }) => outcome?.type === 'connected').length, RELAY_CONNECTIONS_MAX);
    const failed = results.findIndex(({ outcome }) => outcome?.type === 'failed');
    const again = lab.dial(1, failed + 2);
    lab.runFor(10_000);
    assert.equal(reasonOf(again), 'unreachable');
    const [first] = lab.ends[1] ?? [];
    assert.ok(first !== undefined);
    lab.network.close(first);
    lab.runFor(1_000);
    const last = lab.dial(1, failed + 2);
    lab.runFor(10_000);
    assert.equal(reasonOf(last), 'connected');
  });
});

describe('a relay', () => {
  it('with room is preferred to one without', () => {
    const nodes = 3 + 1 + 3 * RELAY_CONNECTIONS_MAX;
    const lab = new Lab({
      nodes,
      nat: Array.from({ length: nodes }, (_, node) => (node < 3 ? 'public' : 'relay-only')),
    });
    for (let other = 4; other < nodes; other += 1) {
      const result = lab.dial(3, other);
      lab.runFor(2_000);
      assert.equal(reasonOf(result), 'connected');
    }
  });

  it('adds its own delay to each leg', () => {
    const lab = relayed();
    const [near] = lab.connect(0, 1);
    lab.network.worsen(near.path as number, { addedMs: 30 });
    const sentMs = lab.queue.nowMs;
    lab.send(near, 'x');
    lab.runFor(1_000);
    assert.equal((lab.of(1, 'received')[0]?.atMs ?? 0) - sentMs, 161);
  });

  it('takes its connections with it when its process ends, and another one is found', () => {
    const lab = relayed();
    const [near, far] = lab.connect(0, 1);
    lab.network.detach(near.path as number, 'reset');
    lab.runFor(100);
    assert.deepEqual([lab.closed(0), lab.closed(1)], [['the relay dropped it'], ['the relay dropped it']]);
    assert.deepEqual([near.open, far.open], [false, false]);
    const [again] = lab.connect(0, 1);
    assert.notEqual(again.path, near.path);
  });

  it('leaves two silent ends behind when it goes dark; they time out', () => {
    const lab = relayed();
    const [near, far] = lab.connect(0, 1);
    lab.network.detach(near.path as number, 'silent');
    lab.send(near, 'x');
    lab.runFor(20_000);
    lab.start(near.path as number);
    lab.runFor(42_000);
    assert.deepEqual([lab.received(1), lab.closed(0), far.open], [[], ['timed out'], true]);
  });

  it('holds up what goes over it while its process stands still', () => {
    const lab = relayed();
    const [near] = lab.connect(0, 1);
    lab.network.pause(near.path as number);
    lab.send(near, 'x');
    lab.runFor(10_000);
    assert.deepEqual(lab.received(1), []);
    lab.network.resume(near.path as number);
    lab.runFor(200);
    assert.deepEqual(lab.received(1), ['x']);
  });

  it('drops the connections of one node, and takes it again only when that is undone', () => {
    const lab = relayed(6);
    const [near] = lab.connect(0, 1);
    const [others] = lab.connect(4, 5);
    const undo = lab.network.dropRelaysOf(0);
    lab.runFor(100);
    assert.deepEqual(
      [lab.closed(0), lab.closed(1), others.open],
      [['the relay dropped it'], ['the relay dropped it'], true],
    );
    const [second] = lab.connect(0, 1);
    assert.notEqual(second.path, near.path);
    undo();
    undo();
    const [third] = lab.connect(1, 0);
    assert.equal(third.path, near.path);
  });

  it('shares its uplink with what it relays', () => {
    const lab = new Lab({
      nodes: 4,
      nat: ['relay-only', 'relay-only', 'public', 'public'],
      spec: { bytesPerSecond: 100_000, queueMs: 1_000 },
    });
    const [near] = lab.connect(0, 1);
    const relay = near.path as number;
    const [own] = lab.connect(relay, 5 - relay);
    lab.send(near, 'long', 50_000);
    lab.send(own, 'short', 100);
    const startMs = lab.queue.nowMs;
    lab.runFor(3_000);
    assert.equal(lab.of(5 - relay, 'received')[0]?.atMs, startMs + 501 + 50);
    assert.equal(lab.of(1, 'received')[0]?.atMs, startMs + 2 * 500 + 2 * 50);
  });
});
