/** Somebody else's server behind one node, asked through another: whoever uses the mesh must not notice the difference. */
import assert from 'node:assert/strict';
import { type FakeUpstream, startFakeUpstream } from '../../bench/fake-upstream.io.ts';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { INFERENCE } from '../../src/params.ts';
import { shortestMs } from '../shortest.ts';
import { startMesh, startNode, statusOf, stopAll, until } from './harness.ts';

const NO_MODEL = ['--no-default-model'];

describe('an upstream behind another node', function () {
  this.timeout(60_000);
  const upstreams: FakeUpstream[] = [];
  afterEach(async () => {
    await stopAll();
    await Promise.all(upstreams.splice(0).map(async (upstream) => upstream.close()));
  });

  async function start(options: Parameters<typeof startFakeUpstream>[0] = {}): Promise<FakeUpstream> {
    const upstream = await startFakeUpstream(options);
    upstreams.push(upstream);
    return upstream;
  }

  it('answers, also when it does not tell how long a prompt may be', async () => {
    const [front, serving] = await pair(await start({ tokens: 12 }));
    const response = await ask(front, {});
    assert.equal(response.status, 200, await response.clone().text());
    assert.equal(response.headers.get('x-skein-node'), serving.node);
    const reply = (await response.json()) as { choices: { message: { content: string } }[] };
    assert.equal(reply.choices[0]?.message.content.trim().split(' ').length, 12);
  });

  for (const stream of [true, false])
    it(`is left alone at once when the client goes away, ${stream ? 'streamed' : 'not streamed'}`, async () => {
      const upstream = await start({ tokens: 10_000, tokensPerSecond: 20 });
      const [front] = await pair(upstream);
      const freeAfterMs = await shortestMs(INFERENCE.cancelMsMax, async () => {
        const client = new AbortController();
        const asked = ask(front, { stream }, client.signal)
          .then(async (response) => response.text())
          .catch(() => 'aborted');
        await until('the answer runs', async () => upstream.stats().running === 1);
        const abortedMs = performance.now();
        client.abort();
        await until('the upstream is free', async () => upstream.stats().running === 0, 5_000);
        const elapsedMs = performance.now() - abortedMs;
        assert.equal(await asked, 'aborted');
        return elapsedMs;
      });
      assert.ok(freeAfterMs < INFERENCE.cancelMsMax, `busy for ${freeAfterMs} ms`);
    });

  it('is missed with 503, a reason and Retry-After, also by requests that were under way', async () => {
    const upstream = await start({ tokens: 10_000, tokensPerSecond: 1 });
    const [front, serving] = await pair(upstream);
    const clients = new AbortController();
    const running = Array.from({ length: 4 }, async () => ask(front, {}, clients.signal).catch(() => undefined));
    await until('the slots are taken', async () => upstream.stats().running === 4);
    // It waits in the queue of the node that goes away.
    const waiting = ask(front, {});
    await until('it waits', async () => (await statusOf(front)).requests.length === 5);
    await serving.end('SIGKILL');
    for (const response of [await waiting, await ask(front, {})]) {
      assert.equal(response.status, 503);
      assert.ok(Number(response.headers.get('retry-after')) >= 1);
      // eslint-disable-next-line no-await-in-loop
      const { error } = (await response.json()) as { error: { message: string } };
      assert.match(error.message, /fake/);
    }
    clients.abort();
    await Promise.all(running);
  });

  it('that is down is told in the log with the mend, and offered as soon as it is up', async () => {
    const stopped = await startFakeUpstream();
    const { port } = stopped;
    await stopped.close();
    const node = await startNode({ args: [...NO_MODEL, '--upstream', `http://127.0.0.1:${port}/v1`] });
    await until('the log tells', async () => node.errors().includes(`127.0.0.1:${port}`));
    assert.match(node.errors(), /connection refused\. Start that server or correct its base url/);
    await start({ port });
    await until('its model is offered', async () => (await modelsAt(node)).includes('fake'));
    assert.match(node.errors(), /answers again/);
  });
});

/** A node without models, and one with the upstream, which the first knows of. */
async function pair(upstream: FakeUpstream): Promise<readonly [NodeProcess, NodeProcess]> {
  const [front, serving] = await startMesh([NO_MODEL, [...NO_MODEL, '--upstream', upstream.baseUrl]]);
  assert.ok(front && serving);
  await until('the model is known', async () => (await modelsAt(front)).includes('fake'));
  return [front, serving];
}

async function modelsAt(node: NodeProcess): Promise<readonly string[]> {
  const list = (await (await fetch(`${node.api}/v1/models`)).json()) as { data: { id: string }[] };
  return list.data.map(({ id }) => id);
}

async function ask(node: NodeProcess, more: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${node.api}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'fake', messages: [{ role: 'user', content: 'hello' }], ...more }),
    signal: signal ?? null,
  });
}
