/**
 * Every route and some paths that are none, with every method, under every bind, with everything that a hostile page or a
 * rebound name would send. What may pass is said here a second time, in four lines, and not read from the guard: all else is
 * refused, whatever the route, and starts no work.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { hashApiKey } from '../../src/api/key-record.ts';
import { KeyRing } from '../../src/api/key-ring.ts';
import { ROUTES } from '../../src/api/routes.ts';
import { closeApis, ENDED, MODEL, RECORD, SERVING, startApi, type TestApi } from './fakes.ts';

const KEY = 'sk-matrix';
const CONFIGURED = 'https://chat.example';
const PATHS = [
  ...ROUTES.map(({ path }) => path.replace('{id}', path.startsWith('/api') ? RECORD.requestId : MODEL)),
  '/admin',
  '/v1',
  '/metrics',
  '/v1/chat/completions/',
  '/..%2flivez',
];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];
const BODILESS: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

/** One way to ask. `hosts`: the values of Host; '' stands for the address that was asked. */
interface Manner {
  readonly name: string;
  readonly hosts?: readonly string[];
  readonly origins?: readonly string[];
  readonly site?: string;
  readonly type?: string;
  readonly encoding?: string;
  /** The status of the refusal; absent = the guard has nothing against it. */
  readonly status?: number;
  /** Only with methods that send something. */
  readonly sends?: true;
}

const MANNERS: readonly Manner[] = [
  { name: 'plain' },
  { name: 'its own page', origins: [''], site: 'same-origin' },
  { name: 'a configured page', origins: [CONFIGURED], site: 'cross-site' },
  { name: 'a typed address', site: 'none' },
  { name: 'a configured name', hosts: ['den.example'] },
  { name: 'a rebound name', hosts: ['evil.example'], status: 421 },
  { name: 'a rebound name and its page', hosts: ['evil.example'], origins: ['http://evil.example'], status: 421 },
  { name: 'no host', hosts: [], status: 421 },
  { name: 'two hosts', hosts: ['', 'evil.example'], status: 421 },
  { name: 'the same host twice', hosts: ['', ''], status: 421 },
  { name: 'a page elsewhere', origins: ['http://evil.example'], site: 'cross-site', status: 403 },
  { name: 'a page of an old browser', origins: ['http://evil.example'], status: 403 },
  { name: 'a sandboxed page', origins: ['null'], status: 403 },
  { name: 'two origins', origins: [CONFIGURED, 'http://evil.example'], status: 403 },
  { name: 'an image of a page', site: 'cross-site', status: 403 },
  { name: 'a neighbour of its site', site: 'same-site', status: 403 },
  { name: 'a form', type: 'text/plain', sends: true, status: 415 },
  { name: 'no type', type: '', sends: true, status: 415 },
  { name: 'a packed body', encoding: 'gzip', sends: true, status: 415 },
];

interface Bind {
  readonly name: string;
  readonly host?: string;
  /** The address to ask. */
  readonly address: string;
  readonly isExposed?: true;
  readonly insecureNoAuth?: true;
}

const BINDS: readonly Bind[] = [
  { name: 'the default, over IPv4', address: '127.0.0.1' },
  { name: 'the default, over IPv6', address: '::1' },
  { name: 'all addresses, with keys', host: '0.0.0.0', address: '127.0.0.1', isExposed: true },
  { name: 'all addresses, without', host: '0.0.0.0', address: '127.0.0.1', insecureNoAuth: true },
  { name: 'all addresses of both families', host: '::', address: '::1', isExposed: true },
];

describe('the guard, for every route, method and bind', function () {
  this.timeout(30_000);
  let agent: Agent;
  beforeEach(() => {
    agent = new Agent({ keepAlive: true, maxSockets: 24 });
  });
  afterEach(async () => {
    agent.destroy();
    await closeApis();
  });

  /** Undefined where there is no such address on this machine. */
  async function ask(place: Place, method: string, manner: Manner): Promise<IncomingMessage | undefined> {
    const { address, port, path } = place;
    const isSending = !BODILESS.includes(method);
    const own = `${address.includes(':') ? `[${address}]` : address}:${port}`;
    const headers = [...headersOf(manner, own), ...(isSending ? contentOf(manner) : [])].flat();
    const asked = request({ host: address, port, path, method, agent, setHost: false, headers });
    asked.end(isSending ? '{}' : '');
    try {
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      answer.resume();
      await once(answer, 'end');
      return answer;
    } catch (error) {
      if (/EADDRNOTAVAIL|EAFNOSUPPORT|ECONNREFUSED/.test(String(error)) && address === '::1') return undefined;
      throw error;
    }
  }

  for (const bind of BINDS)
    it(`holds: ${bind.name}`, async function () {
      const { port, chat } = await start(bind);
      const first = await ask({ address: bind.address, port, path: '/livez' }, 'GET', { name: 'plain' });
      if (first === undefined) this.skip();
      // One bind with all of them; the guard sees no more of a bind than its address.
      const methods = bind === BINDS[0] ? METHODS : ['GET', 'POST', 'DELETE'];
      const cases = PATHS.flatMap((path) =>
        methods.flatMap((method) => MANNERS.map((manner) => ({ path, method, manner }))),
      );
      const outcomes = await Promise.all(
        cases
          .filter(({ method, manner }) => manner.sends !== true || !BODILESS.includes(method))
          .map(async (one) => ({
            ...one,
            answer: await ask({ ...bind, port, path: one.path }, one.method, one.manner),
          })),
      );
      assert.ok(outcomes.length > 1_000);
      for (const { path, method, manner, answer } of outcomes) {
        const what = `${method} ${path} as ${manner.name}`;
        assert.ok(answer?.statusCode !== undefined, what);
        const { statusCode, headers } = answer;
        if (manner.status === undefined) assert.equal(statusCode, statusWithout(path, method, statusCode), what);
        else assert.equal(statusCode, manner.status, what);
        const isNamed = manner.status === undefined && (manner.origins ?? []).length > 0;
        const named = headers['access-control-allow-origin'];
        if (isNamed) assert.ok(named === CONFIGURED || named?.startsWith('http://') === true, what);
        else if (manner.status !== 415) assert.equal(named, undefined, what);
      }
      assert.ok(outcomes.some(({ answer }) => answer?.statusCode === 200));
      assert.equal(chat.runs.length, 0);
    });

  it('wants the key on each of them where others can reach it, and opens no tunnel', async () => {
    const [, , exposed] = BINDS;
    assert.ok(exposed);
    const { port, chat, url } = await start(exposed);
    for (const { path, method, scope } of ROUTES) {
      const init =
        method === 'POST' ? { method, headers: { 'content-type': 'application/json' }, body: '{}' } : { method };
      // eslint-disable-next-line no-await-in-loop
      const response = await fetch(`${url.replace('0.0.0.0', '127.0.0.1')}${path.replace('{id}', MODEL)}`, init);
      assert.equal(response.status, scope === 'open' ? 200 : 401, path);
    }
    const tunnel = request({ host: '127.0.0.1', port, method: 'CONNECT', path: 'evil.example:443', agent: false });
    tunnel.on('connect', () => assert.fail('it opened a tunnel'));
    tunnel.end();
    await Promise.race([once(tunnel, 'error'), once(tunnel, 'close')]);
    assert.equal(chat.runs.length, 0);
  });
});

async function start({ host, isExposed, insecureNoAuth }: Bind): Promise<TestApi> {
  const api = await startApi({
    allowedHosts: ['den.example'],
    allowedOrigins: [CONFIGURED],
    ...(host === undefined ? {} : { host }),
    ...(insecureNoAuth === undefined ? {} : { insecureNoAuth }),
    ...(isExposed === undefined ? {} : { keys: new KeyRing({ hashes: [hashApiKey(KEY)], isExposed }) }),
  });
  api.chat.script = [SERVING, ENDED];
  return api;
}

interface Place {
  readonly address: string;
  readonly port: number;
  readonly path: string;
}

/** What a request gets that the guard lets through: an empty body is refused by most, by none as a fault of the node. */
function statusWithout(path: string, method: string, status: number): number {
  const here = ROUTES.filter((route) => PATHS[ROUTES.indexOf(route)] === path);
  if (here.length === 0) return 404;
  if (method === 'OPTIONS') return 204;
  if (!here.some((route) => route.method === (method === 'HEAD' ? 'GET' : method))) return 405;
  return method === 'POST' && [400, 404].includes(status) ? status : 200;
}

function headersOf({ hosts = [''], origins = [], site }: Manner, own: string): readonly (readonly string[])[] {
  return [
    ...hosts.map((host) => ['Host', host || own]),
    ...origins.map((origin) => ['Origin', origin || `http://${own}`]),
    ...(site === undefined ? [] : [['Sec-Fetch-Site', site]]),
    ['Authorization', `Bearer ${KEY}`],
  ];
}

function contentOf({ type = 'application/json', encoding }: Manner): readonly (readonly string[])[] {
  return [
    ...(type === '' ? [] : [['Content-Type', type]]),
    ...(encoding === undefined ? [] : [['Content-Encoding', encoding]]),
    ['Content-Length', '2'],
  ];
}
