import assert from 'node:assert/strict';
import { ERRORS, failure, isDefinite, isNodeFault, parseErrorCode } from '../src/errors.ts';

const rows = Object.entries(ERRORS);

describe('the error registry', () => {
  it('gives every error a status that fits its type', () => {
    for (const [code, { status, type }] of rows) {
      assert.ok(Number.isInteger(status) && status >= 400 && status < 600, code);
      assert.equal(type, typeOf(status), code);
    }
  });

  it('has a different API code for every error', () => {
    assert.equal(new Set(rows.map(([, { apiCode }]) => apiCode)).size, rows.length);
    for (const [, { apiCode }] of rows) assert.match(apiCode, /^[a-z][a-z_]*$/);
  });

  it('blames a request for 4xx, and tries no other node for it', () => {
    for (const [code, { status, fault }] of rows) if (status < 500) assert.equal(fault, 'request', code);
  });

  it('calls what was refused before any work definite, and what broke on the way not', () => {
    for (const { code, definite } of [
      { code: 'busy', definite: true },
      { code: 'draining', definite: true },
      { code: 'upstream-unreachable', definite: true },
      { code: 'stream-lost', definite: false },
      { code: 'stalled', definite: false },
      { code: 'engine-failed', definite: false },
      { code: 'client-gone', definite: false },
    ] as const)
      assert.equal(isDefinite(code), definite, code);
  });

  it('lets another node try after a fault of a node only', () => {
    for (const { code, another } of [
      { code: 'busy', another: true },
      { code: 'stream-lost', another: true },
      { code: 'context-length-exceeded', another: false },
      { code: 'no-node-available', another: false },
    ] as const)
      assert.equal(isNodeFault(code), another, code);
  });

  it('knows its own codes and nothing else', () => {
    for (const [code] of rows) assert.equal(parseErrorCode(code), code);
    for (const text of ['', 'Busy', 'toString', '__proto__', 'constructor', 7, null, undefined])
      assert.equal(parseErrorCode(text), undefined);
  });

  it('makes failures that hold what was said and nothing more', () => {
    assert.deepEqual(failure('busy', 'full'), { code: 'busy', message: 'full' });
    assert.deepEqual(failure('invalid-request', 'no', { param: 'model', retryAfterMs: 5 }), {
      code: 'invalid-request',
      message: 'no',
      param: 'model',
      retryAfterMs: 5,
    });
  });
});

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403 || status === 421) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}
