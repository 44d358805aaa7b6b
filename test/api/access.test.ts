import assert from 'node:assert/strict';
import { planBind, urlHost } from '../../src/api/bind.ts';

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
