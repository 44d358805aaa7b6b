import assert from 'node:assert/strict';
import { matchRoute, ROUTES } from '../../src/api/routes.ts';

describe('the route table', () => {
  it('finds each route, with its query and with HEAD where there is GET', () => {
    for (const route of ROUTES) {
      const target = `${route.path.replace('{id}', 'some-id')}?a=b`;
      const match = matchRoute(route.method, target);
      assert.ok(match.type === 'matched' && match.route === route, target);
      assert.equal(matchRoute('HEAD', target).type === 'matched', route.method === 'GET', target);
    }
  });

  it('says a scope for every route, and only the sign of life is open', () => {
    assert.deepEqual(
      ROUTES.filter(({ scope }) => scope === 'open').map(({ path }) => path),
      ['/livez'],
    );
    for (const { scope } of ROUTES) assert.ok(['open', 'infer', 'models', 'read'].includes(scope));
  });

  it('takes the whole rest of the path as the id, escaped or not', () => {
    const cases: readonly (readonly [target: string, id: string | undefined])[] = [
      ['/v1/models/a', 'a'],
      ['/v1/models/org/tiny:Q4', 'org/tiny:Q4'],
      ['/v1/models/org%2Ftiny%3AQ4', 'org/tiny:Q4'],
      [`/v1/models/${'a'.repeat(400)}`, 'a'.repeat(400)],
      [`/v1/models/${'a'.repeat(401)}`, undefined],
      ['/v1/models/', undefined],
      ['/v1/models/%zz', undefined],
    ];
    for (const [target, id] of cases) {
      const match = matchRoute('GET', target);
      assert.equal(match.type === 'matched' ? match.id : undefined, id, target);
    }
  });

  it('has nothing else: 404, and 405 with what is allowed', () => {
    for (const target of ['/v1', '/v1/models/', '//v1/models', '/V1/models', '/admin', '/v1/chat/completions/', '*']) {
      const match = matchRoute('GET', target);
      assert.ok(match.type === 'refused' && match.failure.code === 'not-found', target);
      assert.equal(matchRoute('OPTIONS', target).type, 'refused');
    }
    for (const route of ROUTES) {
      for (const method of ['PUT', 'DELETE', 'PATCH', 'TRACE', 'get', route.method === 'GET' ? 'POST' : 'GET']) {
        const match = matchRoute(method, route.path.replace('{id}', 'x'));
        assert.ok(match.type === 'refused' && match.failure.code === 'method-not-allowed', `${method} ${route.path}`);
        assert.equal(match.allow, route.method === 'GET' ? 'GET, HEAD, OPTIONS' : 'POST, OPTIONS');
      }
    }
  });
});
