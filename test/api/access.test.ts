import assert from 'node:assert/strict';
import { checkApiKey, hashApiKey } from '../../src/api/api-key.ts';
import { planBind, urlHost } from '../../src/api/bind.ts';

describe('API keys', () => {
  const keys = [{ hash: hashApiKey('sk-one') }, { hash: hashApiKey('sk-two') }];

  it('are not asked for where none is configured, whatever a client sends', () => {
    for (const header of [undefined, '', 'Bearer ', 'Bearer anything', 'Basic YTpi'])
      assert.equal(checkApiKey(header, []), undefined);
  });

  it('let in exactly their holders', () => {
    for (const header of ['Bearer sk-one', 'bearer  sk-two '])
      assert.equal(checkApiKey(header, keys), undefined, header);
    for (const header of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      'sk-one',
      'Bearer sk-on',
      'Bearer sk-one2',
      'Bearer sk-one sk-two',
    ])
      assert.equal(checkApiKey(header, keys)?.code, 'unauthorized', header);
    assert.equal(
      checkApiKey(`Bearer ${'k'.repeat(513)}`, [{ hash: hashApiKey('k'.repeat(513)) }])?.code,
      'unauthorized',
    );
  });

  it('are known by their SHA-256', () => {
    assert.equal(hashApiKey('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
});

describe('where the API binds', () => {
  const wish = { host: undefined, hasKeys: false, insecureNoAuth: false };

  it('is this machine, both address families, unless somebody says otherwise', () => {
    for (const host of [undefined, 'localhost'])
      assert.deepEqual(planBind({ ...wish, host }), { type: 'bind', required: '127.0.0.1', optional: '::1' });
    assert.deepEqual(planBind({ ...wish, host: '[::1]' }), { type: 'bind', required: '::1', optional: undefined });
  });

  it('is reachable for others only with a key or with the flag that says so', () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.1', 'den.example']) {
      const plan = planBind({ ...wish, host });
      assert.ok(plan.type === 'refused' && plan.reason.includes(host) && plan.reason.includes('API key'), host);
      assert.equal(planBind({ ...wish, host, hasKeys: true }).type, 'bind');
      assert.equal(planBind({ ...wish, host, insecureNoAuth: true }).type, 'bind');
    }
  });

  it('is written with brackets in a URL where the address has colons', () => {
    assert.equal(urlHost('::1'), '[::1]');
    assert.equal(urlHost('127.0.0.1'), '127.0.0.1');
  });
});
