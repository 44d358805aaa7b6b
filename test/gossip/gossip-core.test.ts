import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { GossipCore, type GossipEffect, type GossipInput, type GossipStep } from '../../src/gossip/gossip-core.ts';
import { decodeMessage, encodeMessage } from '../../src/gossip/message-codec.ts';
import type { GossipBody, GossipMessage } from '../../src/gossip/message.ts';
import type { NodeId } from '../../src/ids.ts';
import { Prng } from '../../src/prng.ts';
import { capabilityOf, loadOf, nodeNumber, signAs, swarm, verifyHash } from './signing.ts';

const self = nodeNumber(0);
const [alice, bob] = [nodeNumber(1), nodeNumber(2)];

function newCore(incarnation = 100): GossipCore {
  return new GossipCore(
    { self, swarm, incarnation, sign: signAs(self), verify: verifyHash, prng: new Prng('core') },
    0,
  );
}

function said(author: NodeId, body: GossipBody, more: { incarnation?: number; sequence?: number } = {}): Uint8Array {
  const { incarnation = 5, sequence = 1 } = more;
  return encodeMessage({ author, incarnation, sequence, uptimeMs: 0, body }, { swarm, sign: signAs(author) });
}

const aliceCapability: GossipBody = { type: 'capability', capability: capabilityOf('alice'), loads: [loadOf(0)] };

function received(bytes: Uint8Array, from: NodeId = alice): GossipInput {
  return { type: 'message-received', messageId: 7, from, bytes };
}

function opened(node: NodeId): GossipInput {
  return { type: 'connection-opened', node, address: '/memory' };
}

function effectsOf<Type extends GossipEffect['type']>(
  step: GossipStep,
  type: Type,
): Extract<GossipEffect, { type: Type }>[] {
  return step.effects.filter((effect): effect is Extract<GossipEffect, { type: Type }> => effect.type === type);
}

function published(step: GossipStep): GossipMessage[] {
  return effectsOf(step, 'publish').map(({ bytes }) => {
    const decoded = decodeMessage(bytes, { swarm, verify: verifyHash });
    assert.ok(decoded.type === 'message');
    return decoded.message;
  });
}

describe('the gossip core', () => {
  it('persists its incarnation first and says nothing before it has something to say', () => {
    const core = newCore();
    const step = core.step({ type: 'woke' }, 0);
    assert.deepEqual(step.effects, [{ type: 'persist-incarnation', incarnation: 100 }]);
    assert.ok(step.wakeAtMs > 20_000);
    assert.deepEqual(published(core.step({ type: 'woke' }, step.wakeAtMs)), []);
  });

  it('takes in quietly what it hears while nothing is due and nobody is doubted, and that counts as heard', () => {
    const core = newCore();
    core.step(opened(alice), 0);
    let { wakeAtMs } = core.step(received(said(alice, aliceCapability)), 0);
    // Alice talks all the time, in no step: she is never suspected, nor even pinged.
    const asked: string[] = [];
    for (let nowMs = 100; nowMs < 10_000; nowMs += 100) {
      if (nowMs >= wakeAtMs) {
        assert.equal(core.heardQuietly(alice, nowMs), false, 'something is due');
        const step = core.step({ type: 'woke' }, nowMs);
        asked.push(...step.effects.map(({ type }) => type).filter((type) => type !== 'send-heartbeat'));
        ({ wakeAtMs } = step);
      }
      if (nowMs < wakeAtMs) assert.equal(core.heardQuietly(alice, nowMs), true);
    }
    assert.deepEqual(
      asked.filter((type) => type === 'send-ping' || type === 'member-changed'),
      [],
    );
    // Nobody hears her any more, and she becomes suspect: a word of hers decides something.
    let nowMs = 10_000;
    while (core.member(alice, nowMs)?.verdict === 'alive') {
      nowMs = Math.max(nowMs + 1, Math.ceil(wakeAtMs));
      ({ wakeAtMs } = core.step({ type: 'woke' }, nowMs));
    }
    assert.equal(core.heardQuietly(alice, nowMs), false);
    assert.deepEqual(
      effectsOf(core.step({ type: 'heard', node: alice }, nowMs + 1), 'member-changed').map(({ verdict }) => verdict),
      ['alive'],
    );
  });

  it('publishes capability when it is set or differs, and load in turn and when it differs', () => {
    const core = newCore();
    const first = published(core.setCapability(capabilityOf('me'), 0));
    assert.deepEqual(
      first.map(({ body }) => body.type),
      ['capability'],
    );
    assert.deepEqual(published(core.setCapability(capabilityOf('me'), 500)), []);
    assert.deepEqual(published(core.setLoads([loadOf(0)], 501))[0]?.body, {
      type: 'load',
      capabilitySequence: 1,
      loads: [loadOf(0)],
    });
    assert.deepEqual(published(core.setLoads([loadOf(0)], 600)), []);
    const early = core.setLoads([loadOf(2)], 700);
    assert.deepEqual(published(early), []);
    assert.equal(early.wakeAtMs, 751);
    assert.equal(published(core.step({ type: 'woke' }, 751)).length, 1);
    assert.equal(published(core.setCapability(capabilityOf('renamed'), 1_100))[0]?.body.type, 'capability');
    assert.equal(core.member(self, 1_200)?.loads[0]?.busy, 2);
  });

  it('judges messages: accept news, ignore the old, reject the forged', () => {
    const core = newCore();
    const forged = encodeMessage(
      { author: alice, incarnation: 5, sequence: 9, uptimeMs: 0, body: { type: 'goodbye' } },
      { swarm, sign: signAs(bob) },
    );
    for (const { bytes, verdict, reason } of [
      { bytes: said(alice, aliceCapability), verdict: 'accept', reason: 'capability' },
      { bytes: said(alice, aliceCapability), verdict: 'ignore', reason: 'duplicate' },
      { bytes: forged, verdict: 'reject', reason: 'bad-signature' },
      { bytes: Uint8Array.of(1, 2, 3), verdict: 'reject', reason: 'malformed' },
      { bytes: said(alice, { type: 'goodbye' }, { sequence: 2 }), verdict: 'accept', reason: 'goodbye' },
    ]) {
      const step = core.step(received(bytes), 10);
      assert.deepEqual(effectsOf(step, 'judge-message'), [{ type: 'judge-message', messageId: 7, verdict, reason }]);
    }
    assert.deepEqual(core.counters, { rejected: 2, ignored: 1, equivocations: 0, stalls: 0 });
  });

  it('refutes an accusation of itself with a higher incarnation, told at once and persisted', () => {
    for (const { accused, expected } of [
      { accused: 99, expected: undefined },
      { accused: 100, expected: 101 },
      { accused: 5_000, expected: 5_001 },
      { accused: 2 ** 40, expected: undefined },
    ]) {
      const core = newCore();
      core.setCapability(capabilityOf('me'), 0);
      core.step(received(said(alice, aliceCapability)), 10);
      const body = {
        type: 'accusation',
        target: self,
        targetIncarnation: accused,
        cause: 'silent',
        evidenceAgeMs: 2_600,
      } as const;
      const step = core.step(received(said(alice, body, { sequence: 2 })), 300);
      assert.deepEqual(
        effectsOf(step, 'persist-incarnation').map(({ incarnation }) => incarnation),
        expected === undefined ? [] : [expected],
      );
      assert.equal(published(step)[0]?.incarnation, expected);
      assert.equal(core.member(self, 300)?.incarnation, expected ?? 100);
    }
  });

  it('cannot be made to refute without end', () => {
    const core = newCore();
    core.setCapability(capabilityOf('me'), 0);
    core.step(received(said(alice, aliceCapability)), 10);
    let raised = 0;
    for (let index = 0; index < 1_000; index += 1) {
      const body = {
        type: 'accusation',
        target: self,
        targetIncarnation: 1_000 + index,
        cause: 'silent',
        evidenceAgeMs: 0,
      } as const;
      const step = core.step(received(said(alice, body, { sequence: 2 + index })), 300 + index);
      raised += effectsOf(step, 'persist-incarnation').length;
    }
    assert.equal(raised, 4);
  });

  it('goes above a life that it does not remember', () => {
    const core = newCore();
    core.setCapability(capabilityOf('me'), 0);
    const step = core.step(received(said(self, aliceCapability, { incarnation: 700, sequence: 3 })), 10);
    assert.deepEqual(effectsOf(step, 'persist-incarnation'), [{ type: 'persist-incarnation', incarnation: 701 }]);
    assert.equal(published(step)[0]?.incarnation, 701);
    const own = core.step(received(said(self, aliceCapability, { incarnation: 700, sequence: 3 })), 1_000);
    assert.deepEqual(effectsOf(own, 'persist-incarnation'), []);
  });

  it('asks the first connected member for everything, one at a time, and takes only what it asked for', () => {
    const core = newCore();
    const messages = [said(bob, aliceCapability)];
    core.step({ type: 'snapshot-received', from: alice, messages }, 0);
    assert.equal(core.member(bob, 0), undefined, 'unsolicited');
    assert.deepEqual(effectsOf(core.step(opened(alice), 1), 'request-snapshot'), [
      { type: 'request-snapshot', from: alice, digest: new Uint8Array(0) },
    ]);
    assert.deepEqual(effectsOf(core.step(opened(bob), 2), 'request-snapshot'), []);
    core.step({ type: 'snapshot-failed', from: alice, reason: 'reset' }, 100);
    assert.deepEqual(
      effectsOf(core.step({ type: 'woke' }, 300), 'request-snapshot').map(({ from }) => from),
      [bob],
    );
    core.step({ type: 'snapshot-received', from: bob, messages }, 400);
    assert.equal(core.member(bob, 400)?.name, 'alice');
  });

  it('asks somebody else when no answer comes in time, and again in rounds when nobody answers', () => {
    const core = newCore();
    const asked: NodeId[] = [];
    let wakeAtMs = 0;
    for (const input of [opened(alice), opened(bob)]) {
      const step = core.step(input, 0);
      asked.push(...effectsOf(step, 'request-snapshot').map(({ from }) => from));
      wakeAtMs = step.wakeAtMs;
    }
    while (wakeAtMs < 25_000) {
      const step = core.step({ type: 'woke' }, wakeAtMs);
      asked.push(...effectsOf(step, 'request-snapshot').map(({ from }) => from));
      assert.ok(step.wakeAtMs > wakeAtMs);
      wakeAtMs = step.wakeAtMs;
    }
    // 1, 2, 4, 5, 5, 5 s, and the gaps between: nobody who is slow is left out for ever.
    assert.ok(asked.length >= 6 && asked.length <= 7);
    assert.equal(new Set(asked.slice(0, 2)).size, 2);
    assert.equal(new Set(asked.slice(2, 4)).size, 2);
  });

  it('asks the relay for the capability when a load comes without it', () => {
    const core = newCore();
    core.step(opened(bob), 0);
    core.step({ type: 'snapshot-received', from: bob, messages: [said(bob, aliceCapability)] }, 10);
    const load: GossipBody = { type: 'load', capabilitySequence: 1, loads: [loadOf(1)] };
    core.step(received(said(alice, load, { sequence: 2 }), bob), 100);
    const [request] = effectsOf(core.step({ type: 'woke' }, 300), 'request-snapshot');
    assert.ok(request?.from === bob && request.digest.length === 512);
  });

  it('answers a digest with what it lacks', () => {
    const core = newCore();
    const mine = effectsOf(core.setCapability(capabilityOf('me'), 0), 'publish').map(({ bytes }) => bytes);
    const theirs = said(alice, aliceCapability);
    core.step(received(theirs), 10);
    for (const { digest, count } of [
      { digest: new Uint8Array(0), count: 2 },
      { digest: core.digest(10), count: 0 },
    ]) {
      const step = core.step({ type: 'snapshot-requested', exchangeId: 3, from: alice, digest }, 20);
      const [answer] = effectsOf(step, 'answer-snapshot');
      assert.equal(answer?.exchangeId, 3);
      assert.equal(answer.messages.length, count);
    }
    assert.equal(mine.length, 1);
  });

  it('says goodbye once and is silent from then on', () => {
    const core = newCore();
    core.setCapability(capabilityOf('me'), 0);
    core.step(opened(alice), 5);
    assert.deepEqual(
      published(core.leave(10)).map(({ body }) => body.type),
      ['goodbye'],
    );
    for (const step of [
      core.leave(20),
      core.step({ type: 'woke' }, 5_000),
      core.setCapability(capabilityOf('x'), 6_000),
      core.setLoads([], 7_000),
    ])
      assert.deepEqual(step.effects, []);
    assert.equal(core.member(self, 7_000), undefined);
  });

  it('tells a node that it holds for dead, once per second, so that it can come back', () => {
    const core = newCore();
    core.setCapability(capabilityOf('me'), 0);
    core.step(opened(alice), 0);
    core.step(received(said(alice, aliceCapability)), 1);
    core.step({ type: 'connection-lost', node: alice }, 100);
    let wakeAtMs = 0;
    while (core.member(alice, wakeAtMs) !== undefined) wakeAtMs = core.step({ type: 'woke' }, wakeAtMs).wakeAtMs;
    assert.ok(wakeAtMs > 12_000);
    const told = [opened(alice), received(said(alice, aliceCapability, { sequence: 4 }))].flatMap((input) =>
      published(core.step(input, wakeAtMs)),
    );
    assert.deepEqual(
      told.flatMap(({ body }) => (body.type === 'accusation' ? [[body.target, body.targetIncarnation]] : [])),
      [[alice, 5]],
    );
    core.step(received(said(alice, aliceCapability, { incarnation: 6, sequence: 5 })), wakeAtMs + 10);
    assert.equal(core.member(alice, wakeAtMs + 10)?.verdict, 'alive');
  });

  it('after a sleep raises its incarnation and is stale until a member’s view came', () => {
    const core = newCore();
    core.setCapability(capabilityOf('me'), 0);
    core.step(opened(alice), 0);
    const { wakeAtMs } = core.step(
      { type: 'snapshot-received', from: alice, messages: [said(alice, aliceCapability)] },
      50,
    );
    assert.equal(core.isStale, false);
    const step = core.step({ type: 'woke' }, wakeAtMs + 60_000);
    assert.equal(core.isStale, true);
    assert.deepEqual(effectsOf(step, 'persist-incarnation'), [{ type: 'persist-incarnation', incarnation: 101 }]);
    assert.deepEqual(
      effectsOf(step, 'request-snapshot').map(({ from, digest }) => [from, digest.length]),
      [[alice, 512]],
    );
    core.step({ type: 'snapshot-received', from: alice, messages: [] }, wakeAtMs + 60_010);
    assert.equal(core.isStale, false);
    assert.equal(core.counters.stalls, 1);
  });

  it('survives any inputs in any order and always asks to be woken later', () => {
    const node = fc.integer({ min: 1, max: 4 }).map(nodeNumber);
    const body = fc.oneof(
      fc.constant(aliceCapability),
      fc.constant<GossipBody>({ type: 'load', capabilitySequence: 1, loads: [loadOf(1)] }),
      fc.constant<GossipBody>({ type: 'goodbye' }),
      fc
        .record({
          target: fc.integer({ min: 0, max: 4 }).map(nodeNumber),
          targetIncarnation: fc.integer({ min: 1, max: 200 }),
        })
        .map((accused): GossipBody => ({ type: 'accusation', ...accused, cause: 'closed', evidenceAgeMs: 0 })),
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .record({
          author: fc.integer({ min: 0, max: 4 }).map(nodeNumber),
          body,
          incarnation: fc.integer({ min: 1, max: 200 }),
          sequence: fc.integer({ min: 1, max: 9 }),
        })
        .map(({ author, body: words, ...order }) => said(author, words, order)),
    );
    const input: fc.Arbitrary<GossipInput> = fc.oneof(
      fc.constant<GossipInput>({ type: 'woke' }),
      node.map(opened),
      node.map((lost): GossipInput => ({ type: 'connection-lost', node: lost })),
      node.map((heard): GossipInput => ({ type: 'heard', node: heard })),
      fc.record({ node, rttMs: fc.nat(500) }).map((pong): GossipInput => ({ type: 'pong-received', ...pong })),
      fc.record({ bytes, from: node }).map((message) => received(message.bytes, message.from)),
      fc
        .record({ from: node, messages: fc.array(bytes, { maxLength: 4 }) })
        .map((answer): GossipInput => ({ type: 'snapshot-received', ...answer })),
      node.map((from): GossipInput => ({ type: 'snapshot-failed', from, reason: 'reset' })),
      fc
        .record({ from: node, digest: fc.uint8Array({ maxLength: 20 }) })
        .map((asked): GossipInput => ({ type: 'snapshot-requested', exchangeId: 1, ...asked })),
    );
    fc.assert(
      fc.property(fc.array(fc.record({ input, waitMs: fc.nat(8_000) }), { maxLength: 60 }), (steps) => {
        const core = newCore();
        core.setCapability(capabilityOf('me'), 0);
        let nowMs = 0;
        for (const one of steps) {
          nowMs += one.waitMs;
          const { wakeAtMs } = core.step(one.input, nowMs);
          assert.ok(wakeAtMs > nowMs && wakeAtMs <= nowMs + 30_000);
          assert.ok(core.members(nowMs).some((member) => member.self));
        }
      }),
    );
  });
});
