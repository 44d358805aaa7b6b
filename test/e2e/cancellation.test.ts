/**
 * A client that goes away frees what it held within 250 ms, at whatever stage its request is: in the queue, while a model loads,
 * before the first token, in the middle of an answer, streamed or not, at the node that serves and through another one.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type FakeUpstream, startFakeUpstream } from '../../bench/fake-upstream.io.ts';
import { writeDefaultModel } from '../../src/inference/default-model.ts';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { INFERENCE } from '../../src/params.ts';
import { shortestMs } from '../shortest.ts';
import { type Answer, serve, type TestServer } from '../inference/upstream-server.ts';
import { BOMBS, withTemplate } from './hostile-corpus.ts';
import { newHome, startNode, statusOf, stopAll, until, untilAllAlive } from './harness.ts';

describe('a client that goes away', function () {
  this.timeout(60_000);
  let upstream: FakeUpstream;
  let silent: TestServer;
  let silentRuns = 0;
  let front: NodeProcess;
  let serving: NodeProcess;

  const neverAnswer: Answer = (response) => {
    silentRuns += 1;
    response.on('close', () => {
      silentRuns -= 1;
    });
  };
  const isRunning = (): boolean => upstream.stats().running + silentRuns > 0;

  before(async () => {
    // One token at once, and another one each second.
    upstream = await startFakeUpstream({ tokens: 10_000, tokensPerSecond: 1 });
    silent = await serve({
      'GET /v1/models': { data: [{ id: 'silent' }] },
      'POST /v1/chat/completions': neverAnswer,
    });
    const home = await newHome();
    const models = join(home, 'models');
    await mkdir(models);
    await writeFile(join(models, 'slow-to-load.gguf'), withTemplate(writeDefaultModel(), BOMBS['bomb-loop'] ?? ''));
    await writeFile(
      join(home, 'config.toml'),
      [
        `[[upstreams]]\nname = "one"\nurl = "${upstream.baseUrl}"\nslots = 1\n`,
        `[[upstreams]]\nname = "two"\nurl = "${silent.baseUrl}"\nslots = 1\n`,
      ].join(''),
    );
    front = await startNode({ args: ['--no-default-model'] });
    serving = await startNode({ home, command: ['join', front.invite], args: ['--no-default-model'] });
    await untilAllAlive([front, serving]);
    await until('the models are known', async () => {
      const names = await namesAt(front);
      return ['fake', 'silent'].every((name) => names.includes(name));
    });
  });
  after(async () => {
    await stopAll();
    await Promise.all([upstream.close(), silent.close()]);
  });

  async function busyAt(node: NodeProcess, model: string): Promise<number> {
    const self = (await statusOf(node)).nodes.find((one) => one.node === serving.node);
    return self?.models.find((one) => one.model === model)?.busy ?? 0;
  }

  it('while the model loads', async () => {
    await until('the model is offered', async () => (await namesAt(front)).includes('slow-to-load'));
    for (const node of [front, serving]) {
      // eslint-disable-next-line no-await-in-loop
      const ms = await shortestMs(INFERENCE.cancelMsMax, async () => {
        const client = ask(node, { model: 'slow-to-load' });
        await until('it waits', async () => (await requestsAt(node, serving)) === 2);
        return freed(
          client,
          async () => (await requestsAt(node, serving)) === 0 && (await busyAt(serving, 'slow-to-load')) === 0,
        );
      });
      assert.ok(ms < INFERENCE.cancelMsMax, `after ${ms} ms`);
    }
  });

  for (const where of ['through another node', 'at the serving node'] as const)
    for (const stream of [true, false])
      for (const stage of ['before the first token', 'in the middle'] as const)
        it(`${where}, ${stream ? 'streamed' : 'in one piece'}, ${stage}`, async () => {
          const node = where === 'at the serving node' ? serving : front;
          const ms = await shortestMs(INFERENCE.cancelMsMax, async () => {
            const model = stage === 'in the middle' ? 'fake' : 'silent';
            const client = ask(node, { model, stream });
            await until('it runs', async () => isRunning());
            if (stage === 'in the middle')
              await until(
                'a token came',
                async () => JSON.stringify(await statusOf(node)).includes('"tokens":1'),
                5_000,
              );
            return freed(
              client,
              async () =>
                !isRunning() && (await busyAt(serving, model)) === 0 && (await requestsAt(node, serving)) === 0,
            );
          });
          assert.ok(ms < INFERENCE.cancelMsMax, `after ${ms} ms`);
        });

  for (const where of ['through another node', 'at the serving node'] as const)
    it(`${where}, in the queue, and nothing of it reaches the server`, async () => {
      const node = where === 'at the serving node' ? serving : front;
      const first = ask(node, { stream: true });
      await until('the slot is taken', async () => upstream.stats().running === 1);
      const { requests } = upstream.stats();
      const ms = await shortestMs(INFERENCE.cancelMsMax, async () => {
        const waiting = ask(node, {});
        await until('it waits', async () => (await requestsAt(node, serving)) === 4);
        return freed(waiting, async () => (await requestsAt(node, serving)) === 2);
      });
      assert.ok(ms < INFERENCE.cancelMsMax, `after ${ms} ms`);
      await freed(first, async () => upstream.stats().running === 0 && (await requestsAt(node, serving)) === 0);
      assert.equal(upstream.stats().requests, requests);
    });
});

async function namesAt(node: NodeProcess): Promise<readonly string[]> {
  const list = (await (await fetch(`${node.api}/v1/models`)).json()) as { data: { id: string }[] };
  return list.data.map(({ id }) => id);
}

function ask(node: NodeProcess, body: object): AbortController {
  const client = new AbortController();
  fetch(`${node.api}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'fake', messages: [{ role: 'user', content: 'hello' }], ...body }),
    signal: client.signal,
  })
    .then(async (response) => response.text())
    // Only what the nodes know is asserted; an answer that came in spite of all shows there.
    .catch(() => 'gone');
  return client;
}

/** Each request counts where it entered and where it is served. */
async function requestsAt(front: NodeProcess, serving: NodeProcess): Promise<number> {
  const [entered, served] = await Promise.all([statusOf(front), statusOf(serving)]);
  return (
    entered.requests.filter(({ side }) => side === 'entered').length +
    served.requests.filter(({ side }) => side === 'served').length
  );
}

async function freed(client: AbortController, isFree: () => Promise<boolean>): Promise<number> {
  const abortedMs = performance.now();
  client.abort();
  await until('it is free', isFree, 5_000);
  return performance.now() - abortedMs;
}
