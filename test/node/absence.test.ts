import assert from 'node:assert/strict';
import type { DialReport } from '../../src/discovery/dial-failures.ts';
import { type AbsenceFacts, absenceOf } from '../../src/node/absence.ts';
import { nodeNumber } from '../gossip/signing.ts';

const ADDRESS = '/ip4/192.0.2.1/tcp/4100';
const FAILED = { address: ADDRESS, reason: 'connection refused', atMs: 4_000 };

function dials(more: Partial<DialReport> = {}): DialReport {
  const quiet = { isDialling: false, failures: 0, nextAtMs: 9_000, lastFailures: [] };
  return { node: nodeNumber(1), addresses: [ADDRESS], ...quiet, ...more };
}

const CASES: readonly { readonly is: string; readonly facts: Partial<AbsenceFacts>; readonly type: string }[] = [
  { is: 'refused before all else', facts: { verdict: 'left', refusal: 'not admitted: revoked' }, type: 'refused' },
  { is: 'gone with a goodbye', facts: { verdict: 'left' }, type: 'left' },
  { is: 'nowhere', facts: { verdict: 'dead', dials: undefined }, type: 'no-address' },
  { is: 'without an address', facts: { dials: dials({ addresses: [] }) }, type: 'no-address' },
  { is: 'silent', facts: { verdict: 'dead', verdictReason: 'suspect for too long' }, type: 'silent' },
  { is: 'not answering', facts: { dials: dials({ failures: 1, lastFailures: [FAILED] }) }, type: 'unreachable' },
  { is: 'not tried to the end', facts: { dials: dials({ failures: 1 }) }, type: 'unreachable' },
  { is: 'only written down', facts: { verdict: 'unknown' }, type: 'unreachable' },
  { is: 'known through others', facts: {}, type: 'not-needed' },
];

describe('why a node is not connected', () => {
  for (const { is, facts, type } of CASES)
    it(`is told when it is ${is}`, () => {
      const absence = absenceOf({ verdict: 'alive', dials: dials(), nowMs: 5_000, ...facts });
      assert.equal(absence.type, type);
      assert.ok(absence.reason.length > 10);
      if (facts.verdictReason !== undefined) assert.ok(absence.reason.includes(facts.verdictReason));
    });

  it('comes with what each address said, and when the next dial is', () => {
    const report = dials({ failures: 3, lastFailures: [FAILED] });
    const absence = absenceOf({ verdict: 'dead', dials: report, nowMs: 5_000 });
    assert.equal(absence.failures, 3);
    assert.equal(absence.nextDialInMs, 4_000);
    assert.deepEqual(absence.lastDials, [{ address: ADDRESS, reason: 'connection refused', agoMs: 1_000 }]);
  });

  it('names no next dial while one is under way, and never one in the past', () => {
    const now = absenceOf({ verdict: 'alive', dials: dials({ isDialling: true }), nowMs: 5_000 });
    assert.equal(now.isDialling, true);
    assert.ok(!('nextDialInMs' in now));
    assert.equal(absenceOf({ verdict: 'alive', dials: dials({ nextAtMs: 1_000 }), nowMs: 5_000 }).nextDialInMs, 0);
  });
});
