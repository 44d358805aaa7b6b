import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { DIGEST_BYTES } from '../../src/gossip/anti-entropy.ts';
import { encodeMessage } from '../../src/gossip/message-codec.ts';
import type { GossipBody } from '../../src/gossip/message.ts';
import { View, type ViewVerdict } from '../../src/gossip/view.ts';
import type { NodeId } from '../../src/ids.ts';
import { GOSSIP } from '../../src/params.ts';
import { capabilityOf, loadOf, nodeNumber, signAs, swarm, verifyHash } from './signing.ts';

const self = nodeNumber(0);
const [alice, bob] = [nodeNumber(1), nodeNumber(2)];

function newView(): View {
  return new View({ self, swarm, verify: verifyHash });
}

interface Draft {
  readonly author?: NodeId;
  readonly incarnation?: number;
  readonly sequence?: number;
  readonly uptimeMs?: number;
  readonly body: GossipBody;
}

function bytesOf({ author = alice, incarnation = 5, sequence = 1, uptimeMs = 0, body }: Draft): Uint8Array {
  return encodeMessage({ author, incarnation, sequence, uptimeMs, body }, { swarm, sign: signAs(author) });
}

function capability(name = 'alice'): GossipBody {
  return { type: 'capability', capability: capabilityOf(name), loads: [loadOf(0)] };
}

function load(busy: number, capabilitySequence = 1): GossipBody {
  return { type: 'load', capabilitySequence, loads: [loadOf(busy)] };
}

const goodbye: GossipBody = { type: 'goodbye' };

function accusation(target: NodeId): GossipBody {
  return { type: 'accusation', target, targetIncarnation: 5, cause: 'silent', evidenceAgeMs: 2_600 };
}

function reasonOf(verdict: ViewVerdict): string {
  return verdict.type === 'accept' ? 'accept' : verdict.reason;
}

describe('the view', () => {
  it('takes in no more of one author than a member ever needs to say, and others as before', () => {
    const view = newView();
    const say = (draft: Draft, atMs: number): string => reasonOf(view.receive(bytesOf(draft), atMs));
    const flood = Array.from({ length: 100 }, (_, index) => say({ body: capability(), sequence: index + 1 }, 0));
    assert.equal(flood.filter((reason) => reason === 'accept').length, 64);
    assert.equal(flood.at(-1), 'too-much');
    assert.equal(say({ author: bob, body: capability('bob') }, 0), 'accept');
    assert.equal(say({ body: accusation(bob), sequence: 101 }, 0), 'accept');
    // A member's whole view is another matter: it goes no further.
    assert.equal(reasonOf(view.receive(bytesOf({ body: capability(), sequence: 200 }), 0, 'snapshot')), 'accept');
    assert.equal(say({ body: capability(), sequence: 201 }, 1_000), 'accept');
  });

  it('does not count against an author what others send again, or forge in its name', () => {
    const view = newView();
    const old = bytesOf({ body: capability() });
    const forged = bytesOf({ body: capability(), sequence: 2 });
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    view.receive(old, 0);
    for (let count = 0; count < 200; count += 1) {
      assert.equal(reasonOf(view.receive(old, 0)), 'duplicate');
      assert.equal(reasonOf(view.receive(forged, 0)), 'bad-signature');
    }
    for (let sequence = 3; sequence < 60; sequence += 1)
      assert.equal(reasonOf(view.receive(bytesOf({ body: load(1), sequence }), 0)), 'accept');
  });

  it('judges each message by what it holds', () => {
    const view = newView();
    const table: readonly { readonly say: Draft; readonly atMs?: number; readonly expected: string }[] = [
      { say: { body: capability() }, expected: 'accept' },
      { say: { body: capability() }, expected: 'duplicate' },
      { say: { body: load(1), sequence: 3 }, expected: 'accept' },
      { say: { body: load(2), sequence: 2 }, expected: 'replayed' },
      { say: { body: load(2), sequence: 3 }, expected: 'equivocation' },
      { say: { body: load(3), sequence: 9, incarnation: 4 }, expected: 'old-incarnation' },
      { say: { body: capability(), incarnation: 6, sequence: 4 }, expected: 'accept' },
      { say: { body: load(1), sequence: 99 }, expected: 'old-incarnation' },
      { say: { body: accusation(bob), incarnation: 6, sequence: 5 }, expected: 'accept' },
      { say: { body: accusation(bob), author: nodeNumber(9) }, expected: 'unknown-accuser' },
      { say: { body: goodbye, incarnation: 5, sequence: 100 }, expected: 'old-incarnation' },
      { say: { body: goodbye, incarnation: 6, sequence: 6 }, expected: 'accept' },
      { say: { body: goodbye, incarnation: 6, sequence: 7 }, expected: 'departed' },
      { say: { body: load(1), incarnation: 6, sequence: 8 }, expected: 'departed' },
      { say: { body: accusation(bob), incarnation: 6, sequence: 9 }, expected: 'departed' },
      { say: { body: capability(), incarnation: 7, sequence: 10 }, expected: 'accept' },
      { say: { body: capability(), author: self }, expected: 'own' },
    ];
    for (const { say, atMs, expected } of table)
      assert.equal(reasonOf(view.receive(bytesOf(say), atMs ?? 0)), expected, `${say.body.type} ${say.sequence ?? 1}`);
    assert.equal(view.equivocations, 1);
  });

  it('does not pay for the signature of what it would ignore, and rejects what is forged', () => {
    let checks = 0;
    const verify: typeof verifyHash = (...given) => {
      checks += 1;
      return verifyHash(...given);
    };
    const view = new View({ self, swarm, verify });
    view.receive(bytesOf({ body: capability(), sequence: 5 }), 0);
    assert.equal(checks, 1);
    view.receive(bytesOf({ body: capability(), sequence: 5 }), 0);
    view.receive(bytesOf({ body: capability(), sequence: 4 }), 0);
    assert.equal(checks, 1);
    const message = { author: alice, incarnation: 9, sequence: 9, uptimeMs: 0, body: goodbye };
    const forged = encodeMessage(message, { swarm, sign: signAs(bob) });
    assert.deepEqual(view.receive(forged, 0), { type: 'reject', reason: 'bad-signature' });
    assert.equal(view.member(alice)?.incarnation, 5);
  });

  it('refuses what is older than the limit by the sender’s clock, not by arrival', () => {
    for (const { lateMs, expected } of [
      { lateMs: GOSSIP.messageAgeMsMax, expected: 'accept' },
      { lateMs: GOSSIP.messageAgeMsMax + 1, expected: 'over-age' },
    ]) {
      const view = newView();
      view.receive(bytesOf({ body: capability(), uptimeMs: 1_000_000 }), 500);
      const late = bytesOf({ body: load(1), sequence: 2, uptimeMs: 1_010_000 });
      assert.equal(reasonOf(view.receive(late, 10_500 + lateMs)), expected);
    }
  });

  it('says how old load rows are by the sender’s clock', () => {
    const view = newView();
    view.receive(bytesOf({ body: capability(), uptimeMs: 100 }), 5_000);
    view.receive(bytesOf({ body: load(3), sequence: 2, uptimeMs: 1_100 }), 21_000);
    assert.equal(view.member(alice)?.loadsMadeAtMs, 6_000);
  });

  it('shows the load rows that follow the capability, and reports a gap', () => {
    const table: readonly {
      readonly drafts: readonly Draft[];
      readonly busy: number | undefined;
      readonly gap: boolean;
    }[] = [
      { drafts: [{ body: capability() }], busy: 0, gap: false },
      { drafts: [{ body: capability() }, { body: load(3), sequence: 2 }], busy: 3, gap: false },
      { drafts: [{ body: load(3), sequence: 2 }], busy: undefined, gap: true },
      {
        drafts: [
          { body: load(3, 5), sequence: 2 },
          { body: capability(), sequence: 5 },
        ],
        busy: 0,
        gap: false,
      },
      { drafts: [{ body: load(3), sequence: 2 }, { body: capability() }], busy: 3, gap: false },
      { drafts: [{ body: capability() }, { body: load(3, 7), sequence: 8 }], busy: 0, gap: true },
      {
        drafts: [
          { body: load(3), sequence: 2 },
          { body: capability(), sequence: 3 },
        ],
        busy: 0,
        gap: false,
      },
      {
        drafts: [
          { body: capability(), sequence: 3 },
          { body: load(3, 1), sequence: 4 },
        ],
        busy: 0,
        gap: false,
      },
      {
        drafts: [{ body: capability() }, { body: { type: 'load', capabilitySequence: 1, loads: [] }, sequence: 2 }],
        busy: 0,
        gap: false,
      },
    ];
    for (const { drafts, busy, gap } of table) {
      const view = newView();
      const verdicts = drafts.map((draft) => view.receive(bytesOf(draft), 0));
      const last = verdicts.at(-1);
      assert.equal(view.member(alice)?.loads[0]?.busy, busy);
      assert.equal(last?.type === 'accept' && last.gap, gap);
    }
  });

  it('lets the member that was silent for longest make room, never itself', () => {
    const view = newView();
    view.publishOwn(
      { author: self, incarnation: 1, sequence: 1, uptimeMs: 0, body: capability('me') },
      bytesOf({ author: self, incarnation: 1, body: capability('me') }),
      0,
    );
    for (let number = 1; number < GOSSIP.membersMax; number += 1)
      view.receive(bytesOf({ author: nodeNumber(number), body: capability() }), number);
    assert.equal(view.size, GOSSIP.membersMax);
    view.heard(nodeNumber(1), 1_000_000);
    const verdict = view.receive(bytesOf({ author: nodeNumber(5_000), body: capability() }), 5_000);
    assert.ok(verdict.type === 'accept');
    assert.equal(verdict.displaced, nodeNumber(2));
    assert.equal(view.size, GOSSIP.membersMax);
    assert.ok(view.member(self) !== undefined && view.member(nodeNumber(1)) !== undefined);
  });

  it('remembers a departure for ten minutes', () => {
    for (const leave of [
      (view: View) => view.bury(alice, 0),
      (view: View) => view.receive(bytesOf({ body: goodbye, sequence: 2 }), 0),
    ]) {
      const view = newView();
      view.receive(bytesOf({ body: capability() }), 0);
      leave(view);
      assert.equal(view.member(alice), undefined);
      const again = bytesOf({ body: load(1), sequence: 3 });
      assert.equal(reasonOf(view.receive(again, GOSSIP.tombstoneMs - 1)), 'departed');
      assert.equal(reasonOf(view.receive(again, GOSSIP.tombstoneMs)), 'accept');
    }
  });

  it('hears an accusation of itself even from somebody it holds for dead, if it is signed', () => {
    const view = newView();
    view.receive(bytesOf({ body: capability() }), 0);
    view.bury(alice, 0);
    const verdict = view.receive(bytesOf({ body: accusation(self), sequence: 2 }), 0);
    assert.ok(verdict.type === 'ignore' && verdict.message?.body.type === 'accusation');
    const message = { author: alice, incarnation: 5, sequence: 3, uptimeMs: 0, body: accusation(self) };
    const forged = encodeMessage(message, { swarm, sign: signAs(bob) });
    assert.equal(view.receive(forged, 0).type, 'reject');
  });
});

/** Any history of two authors, as they could have signed it; equal numbers may carry different words. */
const drafts = fc.array(
  fc.record({
    author: fc.constantFrom(alice, bob),
    incarnation: fc.integer({ min: 1, max: 3 }),
    sequence: fc.integer({ min: 1, max: 6 }),
    body: fc.oneof(
      fc.constantFrom(capability('a'), capability('b')),
      fc
        .record({ busy: fc.nat(3), follows: fc.integer({ min: 1, max: 6 }) })
        .map(({ busy, follows }) => load(busy, follows)),
    ),
  }),
  { maxLength: 25 },
);
const departures = fc.array(
  fc.record({ author: fc.constantFrom(alice, bob), incarnation: fc.integer({ min: 1, max: 3 }) }),
  { maxLength: 2 },
);

function stateOf(view: View): unknown {
  return { members: view.members(), digest: view.digest(0), messages: view.snapshot(0) };
}

describe('views of the same messages', () => {
  it('are equal whatever the order of arrival', () => {
    fc.assert(
      fc.property(drafts, departures, fc.infiniteStream(fc.nat()), (said, left, shuffle) => {
        const all = [...said, ...left.map((one) => ({ ...one, sequence: 7, body: goodbye }))].map(bytesOf);
        const order = all
          .map((bytes) => ({ bytes, key: shuffle.next().value ?? 0 }))
          .toSorted((one, other) => one.key - other.key);
        const [straight, shuffled] = [newView(), newView()];
        for (const bytes of all) straight.receive(bytes, 0);
        for (const { bytes } of order) shuffled.receive(bytes, 0);
        assert.deepEqual(stateOf(shuffled), stateOf(straight));
      }),
    );
  });

  it('never go back in (incarnation, sequence) and never raise the departed', () => {
    fc.assert(
      fc.property(drafts, departures, (said, left) => {
        const view = newView();
        const gone = new Map<NodeId, number>();
        const highest = new Map<NodeId, number>();
        for (const draft of [
          ...said.slice(0, 12),
          ...left.map((one) => ({ ...one, sequence: 7, body: goodbye })),
          ...said,
        ]) {
          const verdict = view.receive(bytesOf(draft), 0);
          if (draft.body.type === 'goodbye' && verdict.type === 'accept') gone.set(draft.author, draft.incarnation);
          const member = view.member(draft.author);
          if (member === undefined) continue;
          assert.ok(member.incarnation > (gone.get(draft.author) ?? 0));
          assert.ok(member.incarnation >= (highest.get(draft.author) ?? 0));
          highest.set(draft.author, member.incarnation);
        }
      }),
    );
  });

  it('become equal by one exchange of what the digests show to be missing', () => {
    fc.assert(
      fc.property(drafts, drafts, departures, (mine, theirs, left) => {
        const [one, other] = [newView(), newView()];
        for (const draft of mine) one.receive(bytesOf(draft), 0);
        for (const draft of [...theirs, ...left.map((gone) => ({ ...gone, sequence: 7, body: goodbye }))])
          other.receive(bytesOf(draft), 0);
        const forOther = one.messagesMissingIn(other.digest(0), 0);
        for (const bytes of other.messagesMissingIn(one.digest(0), 0)) one.receive(bytes, 0);
        for (const bytes of forOther) other.receive(bytes, 0);
        assert.deepEqual(stateOf(one), stateOf(other));
        assert.deepEqual(one.messagesMissingIn(other.digest(0), 0), []);
      }),
    );
  });

  it('survive any bytes and any digest', () => {
    const view = newView();
    view.receive(bytesOf({ body: capability() }), 0);
    const before = stateOf(view);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        assert.equal(view.receive(bytes, 0).type, 'reject');
        const missing = view.messagesMissingIn(bytes, 0);
        assert.ok(missing.length === 0 || bytes.length === 0 || bytes.length === DIGEST_BYTES);
      }),
    );
    assert.deepEqual(stateOf(view), before);
  });

  it('answer an empty digest with everything and a digest of another length with nothing', () => {
    const view = newView();
    for (const author of [alice, bob]) view.receive(bytesOf({ author, body: capability() }), 0);
    for (const { digest, count } of [
      { digest: new Uint8Array(0), count: 2 },
      { digest: new Uint8Array(DIGEST_BYTES), count: 2 },
      { digest: new Uint8Array(DIGEST_BYTES - 1), count: 0 },
      { digest: view.digest(0), count: 0 },
    ])
      assert.equal(view.messagesMissingIn(digest, 0).length, count);
    assert.equal(view.digest(0).length, 512);
  });
});
