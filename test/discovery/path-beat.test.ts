import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { PathBeat } from '../../src/discovery/path-beat.ts';

describe('the beats of a path', () => {
  it('say what NAT their sender has, and measure the way there and back', () => {
    for (const nat of ['unknown', 'none', 'endpoint-independent', 'symmetric'] as const) {
      const [one, other] = [new PathBeat(), new PathBeat()];
      const heard = other.heard(one.beat(nat, 1_000), 1_020);
      assert.equal(heard?.nat, nat);
      assert.equal(heard.rttMs, undefined);
      const [echo] = heard.echoes;
      assert.ok(echo !== undefined);
      const back = one.heard(echo, 1_045);
      assert.deepEqual(back, { echoes: [], nat: undefined, rttMs: 45 });
      assert.equal(one.heard(echo, 1_050)?.rttMs, undefined, 'once');
    }
  });

  it('may be cut anywhere, and of a burst the newest is answered', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 17 }), (count, cut) => {
        const [one, other] = [new PathBeat(), new PathBeat()];
        const bytes = Buffer.concat(Array.from({ length: count }, (_, index) => one.beat('none', index * 10)));
        let last: Uint8Array | undefined;
        for (let offset = 0; offset < bytes.length; offset += cut) {
          const heard = other.heard(bytes.subarray(offset, offset + cut), 500);
          assert.ok(heard !== undefined && heard.echoes.length <= 1);
          last = heard.echoes.at(-1) ?? last;
        }
        assert.ok(last !== undefined);
        assert.equal(one.heard(last, 500)?.rttMs, 500 - (count - 1) * 10);
      }),
    );
  });

  it('are told from anything else', () => {
    for (const bytes of ['GET / ', '\u0001\u0004\u0000\u0000\u0000\u0000', '\u0000\u0000\u0000\u0000\u0000\u0000'])
      assert.equal(new PathBeat().heard(Buffer.from(bytes, 'latin1'), 0), undefined);
  });

  it('forget what is too old to tell a time', () => {
    const [one, other] = [new PathBeat(), new PathBeat()];
    const first = one.beat('none', 0);
    for (let index = 0; index < 8; index += 1) one.beat('none', 1);
    const [echo] = other.heard(first, 0)?.echoes ?? [];
    assert.deepEqual(one.heard(echo ?? assert.fail(), 9), { echoes: [], nat: undefined, rttMs: undefined });
  });
});
