import assert from 'node:assert/strict';
import { encodeCanonical, hash64, hashHex } from '../src/bytes.ts';
import { GOSSIP, INFERENCE, LIMITS, LIVENESS, PLACEMENT, paramsFingerprint, PROTOCOL_VERSION } from '../src/params.ts';

const groups = { GOSSIP, LIVENESS, PLACEMENT, INFERENCE, LIMITS };

describe('protocol params', () => {
  it('have one fingerprint, and it changes only on purpose', () => {
    // Golden: nodes with another value are not used for placement. Change it together with the params, and say so in the CHANGELOG.
    assert.equal(paramsFingerprint(), '0eb4b89fdeef54a0');
    assert.equal(paramsFingerprint(), paramsFingerprint());
  });

  it('change their fingerprint with any single number', () => {
    const fingerprintOf = (params: typeof groups): string =>
      hashHex(hash64(encodeCanonical({ version: PROTOCOL_VERSION, ...params })));
    assert.equal(fingerprintOf(groups), paramsFingerprint());
    const seen = new Set<string>([paramsFingerprint()]);
    let numbers = 0;
    for (const [name, group] of Object.entries(groups)) {
      for (const [field, value] of Object.entries(group)) {
        numbers += 1;
        seen.add(fingerprintOf({ ...groups, [name]: { ...group, [field]: value + 1 } }));
      }
    }
    assert.ok(numbers > 40);
    assert.equal(seen.size, numbers + 1);
  });

  it('are whole numbers above zero: what all nodes compute with has no fractions', () => {
    for (const group of Object.values(groups))
      for (const [field, value] of Object.entries(group)) assert.ok(Number.isSafeInteger(value) && value > 0, field);
  });

  it('keep the relations that the protocol rests on', () => {
    const relations = {
      'a monitor hears several heartbeats before it accuses':
        LIVENESS.suspectAfterMs > 4 * LIVENESS.heartbeatIntervalMs,
      'a silent machine is suspected in under 3 s': LIVENESS.suspectAfterMs < 3_000,
      'an own stall is noticed before it costs a heartbeat': LIVENESS.ownStallMs < LIVENESS.heartbeatIntervalMs,
      'a stall is not a sleep': LIVENESS.sleptAfterMs > LIVENESS.ownStallMs,
      'load is fresher than the message age that is accepted': GOSSIP.beaconIntervalMsMax <= GOSSIP.messageAgeMsMax,
      'events are told faster than the clock': GOSSIP.beaconEventGapMs < GOSSIP.beaconIntervalMs,
      'the cadence has room to stretch': GOSSIP.beaconIntervalMs < GOSSIP.beaconIntervalMsMax,
      'an inlined body takes several frames': INFERENCE.inlineBodyBytesMax > INFERENCE.frameBytesMax,
      'a body of the API fits between nodes': INFERENCE.bodyBytesMax > LIMITS.httpBodyBytes,
      'a list outlasts the tries': PLACEMENT.rankedMax >= PLACEMENT.triesMax,
      'a correction can go both ways':
        PLACEMENT.correctionPerMilleMin < 1_000 && PLACEMENT.correctionPerMilleMax > 1_000,
    };
    assert.deepEqual(
      Object.entries(relations).filter(([, holds]) => !holds),
      [],
    );
  });
});
