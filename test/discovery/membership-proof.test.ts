import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  MembershipProof,
  type ProofOptions,
  type ProofRole,
  type ProofStep,
} from '../../src/discovery/membership-proof.ts';
import { type NodeId, parseNodeId } from '../../src/ids.ts';

function node(letter: string): NodeId {
  const id = parseNodeId(`12D3KooW${letter.repeat(44)}`);
  assert.ok(id !== undefined);
  return id;
}

const [A, B, C] = [node('A'), node('B'), node('C')] as const;
const [KEY, OTHER, THIRD, FOURTH] = [7, 8, 9, 10].map((byte) => new Uint8Array(32).fill(byte)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

interface Side {
  readonly role?: ProofRole;
  readonly local?: NodeId;
  readonly remote?: NodeId;
  readonly memberKey?: Uint8Array;
  readonly memberKeys?: readonly Uint8Array[];
  readonly nonce?: number;
  readonly certificate?: Uint8Array;
  readonly judge?: ProofOptions['judge'];
}

const dialler = (side: Side = {}): MembershipProof =>
  proof({ role: 'dialler', local: A, remote: B, nonce: 1, ...side });
const listener = (side: Side = {}): MembershipProof =>
  proof({ role: 'listener', local: B, remote: A, nonce: 2, ...side });

function proof({
  role = 'dialler',
  local = A,
  remote = B,
  memberKey = KEY,
  nonce = 1,
  ...more
}: Side): MembershipProof {
  return new MembershipProof({
    role,
    local,
    remote,
    memberKeys: more.memberKeys ?? [memberKey],
    nonce: new Uint8Array(32).fill(nonce),
    certificate: more.certificate ?? new Uint8Array(),
    judge: more.judge ?? (() => undefined),
  });
}

/** Lets both sides talk in pieces of `cut` bytes until neither says more. */
function talk(left: MembershipProof, right: MembershipProof, cut = 64): [ProofStep, ProofStep] {
  let [leftStep, rightStep] = [left.start(), right.start()];
  let toRight = [...leftStep.send];
  let toLeft = [...rightStep.send];
  while (toRight.length + toLeft.length > 0) {
    const [forRight, forLeft] = [toRight, toLeft];
    [toRight, toLeft] = [[], []];
    for (const bytes of forRight)
      for (let from = 0; from < bytes.length; from += cut) {
        rightStep = right.receive(bytes.subarray(from, from + cut));
        toLeft.push(...rightStep.send);
      }
    for (const bytes of forLeft)
      for (let from = 0; from < bytes.length; from += cut) {
        leftStep = left.receive(bytes.subarray(from, from + cut));
        toRight.push(...leftStep.send);
      }
  }
  return [leftStep, rightStep];
}

describe('the membership proof', () => {
  it('convinces both sides that hold the key, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), (cut) => {
        const [certificate, memberKeys] = [new Uint8Array(512).fill(5), [KEY, OTHER, THIRD, FOURTH]];
        const [left, right] = talk(dialler({ certificate, memberKeys }), listener(), cut);
        assert.deepEqual([left.verdict, right.verdict], ['proven', 'proven']);
      }),
    );
  });

  it('refuses another key, other ids than the channel authenticated, and equal roles', () => {
    const cases: readonly [string, MembershipProof, MembershipProof][] = [
      ['another key', dialler(), listener({ memberKey: new Uint8Array(32).fill(8) })],
      ['another dialler', dialler(), listener({ remote: C })],
      ['another listener', dialler({ remote: C }), listener()],
      ['both dialled', dialler(), dialler({ local: B, remote: A, nonce: 2 })],
      ['swapped ids', dialler(), listener({ local: A, remote: B })],
    ];
    for (const [name, left, right] of cases) {
      const steps = talk(left, right);
      assert.deepEqual(
        steps.map(({ refusal }) => refusal),
        ['wrong-proof', 'wrong-proof'],
        name,
      );
    }
  });

  it('refuses a proof that served another connection', () => {
    const [, first] = [dialler(), listener()];
    const recorded = first.receive(new Uint8Array(32).fill(1)).send;
    const replayed = dialler({ nonce: 9 });
    replayed.start();
    replayed.receive(new Uint8Array(32).fill(2));
    assert.equal(replayed.receive(recorded[0] ?? new Uint8Array()).refusal, 'wrong-proof');
  });

  it('refuses its own bytes', () => {
    const left = dialler();
    const [nonce = new Uint8Array()] = left.start().send;
    assert.equal(left.receive(nonce).refusal, 'reflected');
  });

  it('refuses silence, too little and too much, at the boundary', () => {
    for (const { bytes, refusal } of [
      { bytes: 0, refusal: 'silent' },
      { bytes: 1, refusal: 'garbage' },
      { bytes: 64, refusal: 'garbage' },
      { bytes: 65, refusal: 'wrong-proof' },
      { bytes: 66, refusal: 'wrong-proof' },
    ]) {
      const left = dialler();
      const message = new Uint8Array(bytes).fill(3);
      message.fill(1, 32, 33);
      const step = left.receive(message);
      assert.equal((step.verdict === 'pending' ? left.expired() : step).refusal, refusal, `${bytes} bytes`);
    }
  });

  it('keeps its verdict whatever comes later', () => {
    const [left, right] = [dialler(), listener()];
    talk(left, right);
    assert.equal(left.receive(new Uint8Array(5)).verdict, 'proven');
    assert.equal(right.ended().verdict, 'proven');
    const refused = dialler();
    refused.receive(new Uint8Array(65));
    assert.equal(right.receive(new Uint8Array(1000)).verdict, 'proven');
    assert.equal(refused.receive(new Uint8Array(1)).verdict, 'refused');
  });

  it('is not convinced by any bytes that somebody without the key can make', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
        assert.notEqual(dialler().receive(bytes).verdict, 'proven');
      }),
    );
  });

  it('takes a key that both hold, whichever it is, and says which', () => {
    for (const { left, right, shared } of [
      { left: [KEY, OTHER], right: [OTHER], shared: [OTHER] },
      { left: [OTHER], right: [KEY, OTHER], shared: [OTHER] },
      { left: [KEY, OTHER], right: [OTHER, KEY], shared: [KEY, OTHER] },
      { left: [KEY, OTHER], right: [THIRD, FOURTH], shared: [] },
    ]) {
      const [one, two] = [dialler({ memberKeys: left }), listener({ memberKeys: right })];
      const verdicts = talk(one, two).map(({ verdict }) => verdict);
      assert.deepEqual(verdicts, Array<string>(2).fill(shared.length === 0 ? 'refused' : 'proven'));
      assert.deepEqual(one.provenBy, shared);
    }
  });

  it('refuses more keys than a ring has, and none', () => {
    for (const { count, refusal } of [
      { count: 0, refusal: 'garbage' },
      { count: 1, refusal: 'wrong-proof' },
      { count: 4, refusal: 'wrong-proof' },
      { count: 5, refusal: 'garbage' },
    ]) {
      const message = new Uint8Array(32 + 1 + count * 32).fill(3);
      message.fill(count, 32, 33);
      assert.equal(dialler().receive(message).refusal, refusal, `${count} proofs`);
    }
  });

  it('shows its certificate to who holds the key, and to nobody else', () => {
    const certificate = new Uint8Array(100).fill(77);
    const [left, right] = [dialler({ certificate }), listener()];
    talk(left, right);
    assert.deepEqual(right.certificate, certificate);
    const shown: Uint8Array[] = [];
    const wary = dialler({ certificate });
    const stranger = listener({ memberKey: OTHER });
    shown.push(...wary.start().send);
    for (const bytes of stranger.start().send) shown.push(...wary.receive(bytes).send);
    const answer = wary.receive(Uint8Array.of(1, ...new Uint8Array(32)));
    shown.push(...answer.send);
    assert.equal(answer.refusal, 'wrong-proof');
    assert.equal(
      shown.some((bytes) => bytes.includes(77)),
      false,
    );
  });

  it('refuses a certificate that is too long at its length', () => {
    const [left, right] = [dialler(), listener()];
    const nonce = right.start().send[0] ?? new Uint8Array();
    const [proofs = new Uint8Array()] = right.receive(left.start().send[0] ?? new Uint8Array()).send;
    left.receive(nonce);
    left.receive(proofs);
    assert.equal(left.receive(Uint8Array.of(0x02, 0x01)).refusal, 'garbage');
  });

  it('tells a node that holds the key why it is not admitted', () => {
    const [left, right] = [dialler(), listener({ judge: () => 'revoked' })];
    const [leftStep, rightStep] = talk(left, right);
    assert.equal(rightStep.refusal, 'revoked');
    assert.equal(leftStep.verdict, 'proven', 'what it thinks of the other is another matter');
    assert.equal(leftStep.refusedBy, 'revoked');
  });

  it('does not judge who has not proved the key', () => {
    talk(dialler({ memberKey: OTHER }), listener({ judge: () => assert.fail('judged a stranger') }));
  });
});
