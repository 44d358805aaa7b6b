import assert from 'node:assert/strict';
import { whyAbsent } from '../../src/api/absent-routes.ts';
import { matchRoute } from '../../src/api/routes.ts';

describe('a path with nothing at it', () => {
  it('is explained where the client’s own service has something there', () => {
    const cases: readonly (readonly [method: string, target: string, reason: RegExp | undefined])[] = [
      ['POST', '/api/pull', /models are not pulled/],
      ['POST', '/api/blobs/sha256:00', /models are not pulled/],
      ['POST', '/api/pulling', undefined],
      ['GET', '/v1/responses/resp_1?include=a', /stores nothing: send the earlier items/],
      ['GET', '/v1/messages/batches', /stores nothing: send the requests one by one/],
      ['GET', '/v1/chat/completions/chatcmpl-1', /stores nothing/],
      ['GET', '/v1/chat/completions/', undefined],
      ['GET', '/v1/files/x', /stores nothing/],
      ['POST', '/v1/images/generations', /text only/],
      ['POST', '/chat/completions', /begins with \/v1/],
      ['POST', '/v1/v1/chat/completions', /one \/v1 too many/],
      ['POST', '/v1/api/chat', /one \/v1 too many/],
      ['GET', '/nothing', undefined],
    ];
    for (const [method, target, reason] of cases) {
      const match = matchRoute(method, target);
      assert.ok(match.type === 'refused' && match.failure.code === 'not-found', target);
      assert.match(match.failure.message, /^there is nothing here/);
      if (reason === undefined) assert.match(match.failure.message, /this node has GET \/, POST /, target);
      else assert.match(match.failure.message, reason, target);
      assert.equal(whyAbsent(target) === undefined, reason === undefined, target);
    }
  });
});
