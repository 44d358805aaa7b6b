import assert from 'node:assert/strict';
import { hashHex } from '../../src/bytes.ts';
import { parseRequestId, type RequestId } from '../../src/ids.ts';
import { requestKey } from '../../src/placement/request-key.ts';

function requestId(digit: string): RequestId {
  const id = parseRequestId(digit.repeat(32));
  assert.ok(id !== undefined);
  return id;
}

function key(sessionKey: string, id: string, promptHead: string): string {
  return hashHex(requestKey({ sessionKey, requestId: requestId(id), promptHead }));
}

describe('the key of a request', () => {
  it('is the session alone where there is one', () => {
    assert.equal(key('tea', '1', 'hello'), key('tea', '2', 'good bye'));
    assert.notEqual(key('tea', '1', 'hello'), key('coffee', '1', 'hello'));
  });

  it('is the request and the head of its prompt where there is no session', () => {
    const keys = [key('', '1', 'hello'), key('', '2', 'hello'), key('', '1', 'good bye'), key('', '1', '')];
    assert.equal(new Set(keys).size, 4);
    assert.equal(key('', '1', 'hello'), keys[0]);
  });

  it('stays the same from version to version', () => {
    assert.deepEqual([key('tea', '1', ''), key('', '1', 'hello')], ['0ccb050db1811103', '440c23c8f51bcaf9']);
  });
});
