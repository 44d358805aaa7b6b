import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { decodeInvite, encodeInvite, INVITE_CHARACTERS_MAX } from '../../src/discovery/invite.ts';
import { testKey } from '../node/loopback.ts';

const KEY = testKey(3);
const NOW = 1_800_000_000;
const INVITE = { key: KEY, name: 'home', addresses: ['/ip4/192.0.2.1/tcp/4001'], expiresAt: NOW + 60 };

describe('an invite', () => {
  it('brings the key, the name and the addresses', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 64 }),
        fc.array(fc.string({ maxLength: 200 }), { maxLength: 4 }),
        fc.integer({ min: NOW + 1, max: 2 ** 40 }),
        (name, addresses, expiresAt) => {
          const decoded = decodeInvite(encodeInvite({ key: KEY, name, addresses, expiresAt }), NOW);
          if (decoded.type === 'rejected') return assert.match(decoded.reason, /too long/);
          assert.equal(decoded.invite.key.fingerprint, KEY.fingerprint);
          assert.deepEqual({ ...decoded.invite, key: KEY }, { key: KEY, name, addresses, expiresAt });
        },
      ),
    );
  });

  it('keeps four addresses that fit', () => {
    const addresses = ['x'.repeat(201), '1', '2', '3', '4', '5'];
    const decoded = decodeInvite(encodeInvite({ ...INVITE, addresses }), NOW);
    assert.deepEqual(decoded.type === 'invite' && decoded.invite.addresses, ['1', '2', '3', '4']);
  });

  it('ends at its second', () => {
    const link = encodeInvite(INVITE);
    assert.equal(decodeInvite(link, INVITE.expiresAt - 1).type, 'invite');
    const late = decodeInvite(link, INVITE.expiresAt);
    assert.match(late.type === 'rejected' ? late.reason : '', /expired/);
  });

  it('tells a typo, a cut, a strange link and a long one apart', () => {
    const link = encodeInvite(INVITE);
    const typo = link.slice(0, -9) + (link.at(-9) === 'A' ? 'B' : 'A') + link.slice(-8);
    const cases: readonly [string, RegExp][] = [
      [typo, /damaged/],
      [link.slice(0, -3), /damaged/],
      [`${link}=`, /damaged/],
      ['skein://join/1/', /damaged/],
      [link.replace('/1/', '/2/'), /starts with skein:\/\/join\/1\//],
      ['https://example.org', /starts with/],
      [link + 'A'.repeat(INVITE_CHARACTERS_MAX), /too long/],
    ];
    for (const [text, expected] of cases) {
      const decoded = decodeInvite(text, NOW);
      assert.match(decoded.type === 'rejected' ? decoded.reason : 'accepted', expected, text);
    }
    assert.equal(decodeInvite(`  ${link}\n`, NOW).type, 'invite');
  });

  it('finds every changed character', () => {
    const link = encodeInvite(INVITE);
    fc.assert(
      fc.property(
        fc.integer({ min: 15, max: link.length - 1 }),
        fc.constantFrom('A', 'Z', 'a', 'z', '0', '9', '-', '_'),
        (at, character) => {
          if (link[at] === character) return;
          assert.equal(decodeInvite(link.slice(0, at) + character + link.slice(at + 1), NOW).type, 'rejected');
        },
      ),
    );
  });
});
