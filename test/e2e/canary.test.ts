/**
 * Marked words go in as prompts, answers, keys and paths, into requests that succeed and that fail in every way, through two
 * nodes and before the eyes of a third. Then everything that the nodes keep or tell is searched for the marks: logs at their most
 * talkative, status, records of requests, state directories. Nothing may be found but in the files that are there for it.
 */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hashApiKey } from '../../src/api/key-record.ts';
import { writeDefaultModel } from '../../src/inference/default-model.ts';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { type Answer, delta, DONE, FINISH, serve, stream, type TestServer } from '../inference/upstream-server.ts';
import { newHome, startNode, stopAll, until } from './harness.ts';

const MARKS = {
  prompt: 'canaryPROMPTxq7',
  answer: 'canaryANSWERxq7',
  apiKey: 'sk-canaryAPIKEYxq7',
  wrongKey: 'sk-canaryWRONGxq7',
  upstreamKey: 'sk-canaryUPSTREAMxq7',
  path: 'canaryPATHxq7',
} as const;
const TRACE = ['--log-level', 'trace', '--log-format', 'json'];
/** More would have pushed lines out of what is kept of a process's stderr. */
const LOG_LENGTH_MAX = 60_000;

describe('marked words', function () {
  this.timeout(60_000);
  let upstream: TestServer;
  let front: NodeProcess;
  let serving: NodeProcess;
  let third: NodeProcess;
  let marks: Readonly<Record<string, string>> = MARKS;
  let manner: 'good' | 'quoting' | 'failing' | 'breaking' = 'good';
  const upstreamSaw: string[] = [];
  const requestIds: string[] = [];
  const clientSaw: string[] = [];

  before(async () => {
    // A server that quotes what it was told, also the key.
    const chat: Answer = (response, request) => {
      upstreamSaw.push(JSON.stringify(request.headers));
      const quoting = JSON.stringify({
        error: { message: `bad ${MARKS.prompt} for ${request.headers.authorization}` },
      });
      if (manner === 'good') stream(response).end(delta(`${MARKS.answer} `) + FINISH + DONE);
      else if (manner === 'quoting') response.writeHead(400, { 'content-type': 'application/json' }).end(quoting);
      else if (manner === 'failing') response.writeHead(500, { 'content-type': 'application/json' }).end(quoting);
      else stream(response).write(delta(MARKS.answer), () => response.destroy());
    };
    upstream = await serve({ 'POST /v1/chat/completions': chat });
    front = await startNode({ args: [...TRACE, '--no-default-model', '--api-key-hash', hashApiKey(MARKS.apiKey)] });
    const home = await newHome();
    const models = join(home, MARKS.path);
    await mkdir(models);
    await writeFile(join(models, 'broken.gguf'), 'GGUFxxxxxxxxxxxxxxxxxxxxxxxxxxx');
    await writeFile(join(models, 'sick.gguf'), sickModel());
    await writeFile(
      join(home, 'config.toml'),
      `[[upstreams]]\nname = "other"\nurl = "${upstream.baseUrl}"\napi-key-env = "OTHER_KEY"\n`,
    );
    const environment = { OTHER_KEY: MARKS.upstreamKey };
    const args = [...TRACE, '--models-directory', models];
    [serving, third] = await Promise.all([
      startNode({ home, command: ['join', front.invite], args, environment }),
      startNode({ command: ['join', front.invite], args: [...TRACE, '--no-default-model'] }),
    ]);
    const key = (await readFile(join(front.home, 'swarm.key'), 'utf8')).trim().split('\n').at(-1) ?? '';
    assert.match(key, /^[0-9a-f]{64}$/);
    marks = { ...MARKS, swarmKey: key, swarmKeyText: Buffer.from(key, 'hex').toString('base64url') };
    for (const node of [front, third])
      // eslint-disable-next-line no-await-in-loop
      await until('the models are known', async () => {
        const said = await get(node, '/v1/models');
        return ['skein-hello', 'fake'].every((name) => said.includes(`"${name}"`));
      });
  });
  after(async () => {
    await stopAll();
    await upstream.close();
  });

  async function get(node: NodeProcess, path: string): Promise<string> {
    const headers = { authorization: `Bearer ${MARKS.apiKey}` };
    return (await fetch(node.api + path, { headers })).text();
  }

  async function askUpstream(
    how: typeof manner,
    node: NodeProcess = front,
    { cutAfter = false, stream: isStream = false } = {},
  ): Promise<number> {
    manner = how;
    const messages = [{ role: 'user', content: `say ${MARKS.prompt}` }];
    return ask({ model: 'fake', messages, stream: isStream }, { node, cutAfter });
  }

  async function ask(
    body: unknown,
    more: {
      readonly node?: NodeProcess;
      readonly key?: string;
      readonly path?: string;
      readonly cutAfter?: boolean;
    } = {},
  ): Promise<number> {
    const { node = front, key = MARKS.apiKey, path = '/v1/chat/completions', cutAfter = false } = more;
    const client = new AbortController();
    const response = await fetch(node.api + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      signal: client.signal,
    });
    requestIds.push(response.headers.get('x-request-id') ?? '');
    if (cutAfter) client.abort();
    else clientSaw.push(await response.text());
    return response.status;
  }

  it('go through requests that succeed and fail in every way', async () => {
    const chat = (model: string, more: object = {}): object => ({
      model,
      messages: [{ role: 'user', content: `say ${MARKS.prompt}` }],
      max_tokens: 30,
      ...more,
    });
    const schema = { type: 'object', properties: { [MARKS.prompt]: { type: 'array', uniqueItems: true } } };
    const table: readonly (readonly [string, () => Promise<number>, readonly number[]])[] = [
      ['a good one', async () => ask(chat('skein-hello')), [200]],
      ['a stream', async () => ask(chat('skein-hello', { stream: true })), [200]],
      ['a client that leaves', async () => ask(chat('skein-hello', { stream: true }), { cutAfter: true }), [200]],
      ['an upstream that answers', async () => askUpstream('good'), [200]],
      ['one that quotes the client', async () => askUpstream('quoting'), [400]],
      ['one that quotes and fails', async () => askUpstream('failing'), [502, 503]],
      ['one that breaks off', async () => askUpstream('breaking', front, { cutAfter: true, stream: true }), [200]],
      ['the serving node itself', async () => askUpstream('good', serving), [200]],
      ['its own failure', async () => askUpstream('quoting', serving), [400]],
      ['broken JSON', async () => ask(`{"messages": "${MARKS.prompt}`), [400]],
      ['a wrong type', async () => ask({ model: 'skein-hello', messages: MARKS.prompt }), [400]],
      [
        'a wrong role',
        async () => ask({ model: 'skein-hello', messages: [{ role: MARKS.prompt, content: 'x' }] }),
        [400],
      ],
      ['an unknown field', async () => ask(chat('skein-hello', { [MARKS.prompt]: 1 })), [200, 400]],
      ['an unknown model', async () => ask(chat('nobody')), [404]],
      ['a broken model', async () => ask(chat('broken')), [404, 503]],
      ['a sick model', async () => ask(chat('sick')), [404, 500, 502, 503]],
      ['a sick model at home', async () => ask(chat('sick'), { node: serving }), [404, 500, 502, 503]],
      [
        'one that is too long',
        async () =>
          ask(chat('skein-hello', { messages: [{ role: 'user', content: `${MARKS.prompt} `.repeat(9_000) }] })),
        [400],
      ],
      [
        'a schema',
        async () =>
          ask(chat('skein-hello', { response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } })),
        [400],
      ],
      [
        'a function',
        async () =>
          ask(
            chat('skein-hello', {
              tools: [{ type: 'function', function: { name: 'f', description: MARKS.prompt, parameters: schema } }],
            }),
          ),
        [400],
      ],
      [
        'a completion',
        async () => ask({ model: 'skein-hello', prompt: MARKS.prompt, max_tokens: 4 }, { path: '/v1/completions' }),
        [200],
      ],
      [
        'a vector',
        async () => ask({ model: 'skein-hello', input: MARKS.prompt }, { path: '/v1/embeddings' }),
        [200, 400, 404, 501],
      ],
      ['a wrong key', async () => ask(chat('skein-hello'), { key: MARKS.wrongKey }), [401]],
      ['a prompt in the path', async () => ask({}, { path: `/v1/${MARKS.prompt}?key=${MARKS.apiKey}` }), [404]],
    ];
    for (const [name, request, statuses] of table) {
      // eslint-disable-next-line no-await-in-loop
      const status = await request();
      assert.ok(statuses.includes(status), `${name}: ${status} ${clientSaw.at(-1)}`);
    }
  });

  it('are told to nobody who need not know', async () => {
    const places = new Map<string, string>();
    for (const node of [front, serving, third]) {
      const name = node === front ? 'front' : node === serving ? 'serving' : 'third';
      const log = node.errors();
      assert.ok(log.length > 200 && log.length < LOG_LENGTH_MAX, `${name} logged ${log.length} characters`);
      places.set(`the log of ${name}`, log);
      for (const path of ['/api/status', '/v1/models', ...requestIds.map((id) => `/api/requests/${id}`)])
        // eslint-disable-next-line no-await-in-loop
        places.set(`${path} of ${name}`, await get(node, path));
      // eslint-disable-next-line no-await-in-loop
      for (const [file, text] of await filesOf(node.home)) places.set(`${file} of ${name}`, text);
    }
    const found: string[] = [];
    for (const [place, text] of places)
      for (const [mark, value] of Object.entries(marks))
        if (isIn(text, value) && !isExpected(mark, place)) found.push(`${mark} in ${place}: ${around(text, value)}`);
    assert.deepEqual(found, []);
  });

  it('of the owner never reach a client, and the key of a client never an upstream', () => {
    const told = clientSaw.join('\n');
    for (const mark of ['path', 'swarmKey', 'swarmKeyText', 'apiKey', 'upstreamKey'])
      assert.ok(!isIn(told, marks[mark] ?? ''), `${mark}: ${around(told, marks[mark] ?? '')}`);
    assert.ok(upstreamSaw.length >= 6);
    for (const headers of upstreamSaw) {
      assert.ok(headers.includes(`Bearer ${MARKS.upstreamKey}`));
      assert.ok(!headers.includes(MARKS.apiKey));
    }
  });
});

/** It has all that a header needs, and not all that llama.cpp needs. */
function sickModel(): Uint8Array {
  const bytes = Buffer.from(writeDefaultModel());
  bytes.write('outputXnorm', bytes.indexOf('output_norm.weight'));
  return bytes;
}

/** The owner of a model file is told its path where something is wrong with it, and the cache of digests is by path. */
function isExpected(mark: string, place: string): boolean {
  if (mark !== 'path') return false;
  return (
    ['the log of serving', '/api/status of serving', '/v1/models of serving'].includes(place) ||
    /model-digests\.json of serving/.test(place)
  );
}

/** As it is, or in the ways in which bytes are usually written. */
function isIn(text: string, mark: string): boolean {
  const bytes = Buffer.from(mark);
  return [mark, encodeURIComponent(mark), bytes.toString('hex'), bytes.toString('base64').slice(0, -4)].some((form) =>
    text.includes(form),
  );
}

function around(text: string, mark: string): string {
  const at = Math.max(0, text.indexOf(mark));
  return text.slice(Math.max(0, at - 160), at + 60);
}

/** All but the keys themselves, the settings that the test wrote, and the models. */
async function filesOf(home: string): Promise<readonly (readonly [string, string])[]> {
  const entries = await readdir(home, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !/\.(?:key|gguf)$|^config\.toml$/.test(entry.name));
  assert.ok(files.length > 0);
  return Promise.all(
    files.map(
      async ({ parentPath, name }) =>
        [join(basename(parentPath), name), await readFile(join(parentPath, name), 'latin1')] as const,
    ),
  );
}
