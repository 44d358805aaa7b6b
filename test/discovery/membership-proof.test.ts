import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { MembershipProof, type ProofRole, type ProofStep } from '../../src/discovery/membership-proof.ts';
import { type NodeId, parseNodeId } from '../../src/ids.ts';

function node(letter: string): NodeId {
  const id = parseNodeId(`12D3KooW${letter.repeat(44)}`);
  assert.ok(id !== undefined);
  return id;
}

const [A, B, C] = [node('A'), node('B'), node('C')] as const;
const KEY = new Uint8Array(32).fill(7);

interface Side {
  readonly role?: ProofRole;
  readonly local?: NodeId;
  readonly remote?: NodeId;
  readonly memberKey?: Uint8Array;
  readonly nonce?: number;
}

const dialler = (side: Side = {}): MembershipProof =>
  proof({ role: 'dialler', local: A, remote: B, nonce: 1, ...side });
const listener = (side: Side = {}): MembershipProof =>
  proof({ role: 'listener', local: B, remote: A, nonce: 2, ...side });

function proof({ role = 'dialler', local = A, remote = B, memberKey = KEY, nonce = 1 }: Side): MembershipProof {
  return new MembershipProof({ role, local, remote, memberKey, nonce: new Uint8Array(32).fill(nonce) });
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
      fc.property(fc.integer({ min: 1, max: 64 }), (cut) => {
        const [left, right] = talk(dialler(), listener(), cut);
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
      { bytes: 63, refusal: 'garbage' },
      { bytes: 64, refusal: 'wrong-proof' },
      { bytes: 65, refusal: 'garbage' },
    ]) {
      const left = dialler();
      const step = left.receive(new Uint8Array(bytes).fill(3));
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
    assert.equal(refused.receive(new Uint8Array(1)).verdict, 'refused');
  });

  it('is not convinced by any bytes that somebody without the key can make', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        assert.notEqual(dialler().receive(bytes).verdict, 'proven');
      }),
    );
  });
});
