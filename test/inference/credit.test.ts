import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { Credit } from '../../src/inference/credit.ts';
import { INFERENCE } from '../../src/params.ts';

describe('credit', () => {
  it('never exceeds what the client wants nor the window, and never runs dry while the client wants more', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ type: fc.constant('want' as const), tokens: fc.integer({ min: 0, max: 400 }) }),
        fc.record({ type: fc.constant('spend' as const), tokens: fc.integer({ min: 0, max: 300 }) }),
        fc.constant({ type: 'void' as const, tokens: 0 }),
      ),
    );
    fc.assert(
      fc.property(steps, (sequence) => {
        const credit = new Credit();
        let [wanted, out, shown] = [0, 0, 0];
        for (const { type, tokens } of sequence) {
          if (type === 'want') {
            credit.want(tokens);
            wanted += tokens;
          } else if (type === 'void') {
            credit.void();
            out = 0;
          } else {
            const allowed = tokens <= out;
            assert.equal(credit.spend(tokens), allowed);
            if (allowed) {
              out -= tokens;
              shown += tokens;
            }
          }
          out += credit.renew();
          assert.ok(shown + out <= wanted);
          assert.ok(out <= INFERENCE.creditTokens);
          assert.ok(out > 0 || shown === wanted);
        }
      }),
    );
  });

  it('is renewed in portions when the client grants token by token', () => {
    const credit = new Credit();
    credit.want(64);
    assert.equal(credit.renew(), 64);
    let messages = 0;
    for (let token = 0; token < 640; token += 1) {
      credit.spend(1);
      credit.want(1);
      if (credit.renew() > 0) messages += 1;
    }
    assert.equal(messages, 20);
  });
});
