import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { guard, type GuardPolicy } from '../../src/api/guard.ts';
import { isLoopbackHost } from '../../src/api/host-name.ts';
import { corsHeaders, preflightHeaders } from '../../src/api/cors.ts';

const POLICY: GuardPolicy = { hosts: ['den.example'], origins: ['https://chat.example'] };
const HOST = ['Host', '127.0.0.1:4101'];

function verdictOf(rawHeaders: readonly string[], method: string = 'GET', target: string = '/'): string {
  const verdict = guard({ method, target, rawHeaders }, POLICY);
  return verdict.type === 'allowed' ? 'allowed' : verdict.failure.code;
}

describe('the HTTP guard', () => {
  it('answers under addresses, localhost and configured names, and under no other', () => {
    const cases: readonly (readonly [host: string, expected: string])[] = [
      ['127.0.0.1:4101', 'allowed'],
      ['127.0.0.1', 'allowed'],
      ['192.168.1.20:4101', 'allowed'],
      ['255.255.255.255', 'allowed'],
      ['[::1]:4101', 'allowed'],
      ['[fe80::1]', 'allowed'],
      ['localhost:4101', 'allowed'],
      ['LOCALHOST', 'allowed'],
      ['chat.localhost:4101', 'allowed'],
      ['den.example:4101', 'allowed'],
      ['Den.Example', 'allowed'],
      ['evil.example', 'misdirected-host'],
      ['den.example.evil.example', 'misdirected-host'],
      ['localhost.evil.example', 'misdirected-host'],
      ['evillocalhost', 'misdirected-host'],
      ['localhost.', 'misdirected-host'],
      ['laptop.local', 'misdirected-host'],
      ['127.0.0.1.evil.example', 'misdirected-host'],
      ['256.0.0.1', 'misdirected-host'],
      ['127.0.0.1.', 'misdirected-host'],
      ['0x7f.1', 'misdirected-host'],
      ['2130706433', 'misdirected-host'],
      ['127.1', 'misdirected-host'],
      ['[::1', 'misdirected-host'],
      ['[zz::1]', 'misdirected-host'],
      ['[:::]', 'misdirected-host'],
      ['127.0.0.1:65535', 'allowed'],
      ['127.0.0.1:65536', 'misdirected-host'],
      ['user@127.0.0.1', 'misdirected-host'],
      ['127.0.0.1, evil.example', 'misdirected-host'],
      ['', 'misdirected-host'],
    ];
    for (const [host, expected] of cases) assert.equal(verdictOf(['Host', host]), expected, host);
  });

  it('wants exactly one Host', () => {
    assert.equal(verdictOf([]), 'misdirected-host');
    assert.equal(verdictOf(HOST), 'allowed');
    assert.equal(verdictOf([...HOST, 'host', '127.0.0.1:4101']), 'misdirected-host');
  });

  it('takes no URL as a target', () => {
    assert.equal(verdictOf(HOST, 'GET', 'http://evil.example/'), 'invalid-request');
    assert.equal(verdictOf(HOST, 'CONNECT', 'evil.example:443'), 'invalid-request');
    assert.equal(verdictOf(HOST, 'GET', '*'), 'invalid-request');
    assert.equal(verdictOf(HOST, 'OPTIONS', '*'), 'allowed');
  });

  it('lets in web pages of its own origin and of configured ones only', () => {
    const cases: readonly (readonly [origin: string, expected: string])[] = [
      ['http://127.0.0.1:4101', 'allowed'],
      ['https://chat.example', 'allowed'],
      ['https://127.0.0.1:4101', 'forbidden-origin'],
      ['http://127.0.0.1:4191', 'forbidden-origin'],
      ['http://localhost:4101', 'forbidden-origin'],
      ['http://chat.example', 'forbidden-origin'],
      ['https://chat.example.evil.example', 'forbidden-origin'],
      ['null', 'forbidden-origin'],
      ['', 'forbidden-origin'],
    ];
    for (const [origin, expected] of cases) assert.equal(verdictOf([...HOST, 'Origin', origin]), expected, origin);
    assert.equal(
      verdictOf([...HOST, 'Origin', 'https://chat.example', 'Origin', 'https://chat.example']),
      'forbidden-origin',
    );
  });

  it('refuses what a page of another site caused, unless its origin is configured', () => {
    for (const site of ['cross-site', 'same-site', 'anything'])
      assert.equal(verdictOf([...HOST, 'Sec-Fetch-Site', site]), 'forbidden-origin', site);
    for (const site of ['same-origin', 'none'])
      assert.equal(verdictOf([...HOST, 'Sec-Fetch-Site', site]), 'allowed', site);
    const configured = [...HOST, 'Origin', 'https://chat.example', 'Sec-Fetch-Site', 'cross-site'];
    assert.equal(verdictOf(configured), 'allowed');
  });

  it('wants JSON in UTF-8 for every method that is not known to be harmless', () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'post']) {
      assert.equal(verdictOf(HOST, method), 'unsupported-media-type', method);
      assert.equal(verdictOf([...HOST, 'Content-Type', 'application/json'], method), 'allowed', method);
    }
    const cases: readonly (readonly [type: string, expected: string])[] = [
      ['application/json; charset=utf-8', 'allowed'],
      ['Application/JSON;charset="UTF-8"', 'allowed'],
      ['application/json; charset=utf-16', 'unsupported-media-type'],
      ['application/jsonx', 'unsupported-media-type'],
      ['text/plain', 'unsupported-media-type'],
      ['text/plain; application/json', 'unsupported-media-type'],
      ['application/x-www-form-urlencoded', 'unsupported-media-type'],
    ];
    for (const [type, expected] of cases)
      assert.equal(verdictOf([...HOST, 'Content-Type', type], 'POST'), expected, type);
    for (const method of ['GET', 'HEAD', 'OPTIONS']) assert.equal(verdictOf(HOST, method), 'allowed');
    const zipped = [...HOST, 'Content-Type', 'application/json', 'Content-Encoding', 'gzip'];
    assert.equal(verdictOf(zipped, 'POST'), 'unsupported-media-type');
  });

  it('opens no WebSocket, but does not mind other offers to upgrade', () => {
    assert.equal(verdictOf([...HOST, 'Connection', 'Upgrade', 'Upgrade', 'websocket']), 'invalid-request');
    assert.equal(verdictOf([...HOST, 'Upgrade', 'h2c, WebSocket']), 'invalid-request');
    assert.equal(verdictOf([...HOST, 'Connection', 'Upgrade, HTTP2-Settings', 'Upgrade', 'h2c']), 'allowed');
  });

  it('names the accepted origin also when it refuses, so that the page can read why', () => {
    const verdict = guard(
      { method: 'POST', target: '/', rawHeaders: [...HOST, 'Origin', 'https://chat.example'] },
      POLICY,
    );
    assert.equal(verdict.type, 'denied');
    assert.equal(verdict.origin, 'https://chat.example');
  });

  it('lets no foreign origin through, whatever else a request says', () => {
    const headers = fc.array(
      fc.tuple(fc.constantFrom('Host', 'Origin', 'Sec-Fetch-Site', 'Content-Type', 'X-Other'), fc.string()),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(headers, fc.constantFrom('GET', 'POST', 'DELETE'), (pairs, method) => {
        const rawHeaders = [...HOST, ...pairs.flat(), 'Origin', 'http://evil.example'];
        assert.notEqual(verdictOf(rawHeaders, method), 'allowed');
      }),
    );
  });

  it('knows which addresses only this machine can reach', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'localhost', 'a.localhost'])
      assert.ok(isLoopbackHost(host), host);
    for (const host of ['0.0.0.0', '::', '192.168.1.1', '128.0.0.1', '::ffff:127.0.0.1', 'den.example', ''])
      assert.ok(!isLoopbackHost(host), host);
  });
});

describe('CORS headers', () => {
  it('name the accepted origin and never a star', () => {
    assert.deepEqual(corsHeaders(undefined), [['vary', 'Origin']]);
    const headers = new Map(corsHeaders('https://chat.example'));
    assert.equal(headers.get('access-control-allow-origin'), 'https://chat.example');
    assert.match(headers.get('access-control-expose-headers') ?? '', /x-request-id, x-skein-node/);
  });

  it('echo the headers that a preflight asks for, if they are header names', () => {
    const asked = 'authorization,content-type,x-stainless-os';
    const headers = new Map(
      preflightHeaders({ origin: 'https://chat.example', allow: 'POST', requestedHeaders: asked }),
    );
    assert.equal(headers.get('access-control-allow-headers'), asked);
    for (const requestedHeaders of ['a\r\nset-cookie: b', 'a: b', undefined]) {
      const none = new Map(preflightHeaders({ origin: 'https://chat.example', allow: 'POST', requestedHeaders }));
      assert.ok(!none.has('access-control-allow-headers'));
    }
    assert.deepEqual(preflightHeaders({ origin: undefined, allow: 'GET', requestedHeaders: asked }), [
      ['allow', 'GET'],
    ]);
  });
});
