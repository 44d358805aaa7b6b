/** Three real nodes: any of them answers, everybody knows who is here, and they find each other again. */
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { startMesh, startNode, statusOf, stopAll, until, untilAllAlive, verdictOf } from './harness.ts';

describe('a mesh of three processes', function () {
  this.timeout(60_000);
  let mesh: NodeProcess[] = [];

  before(async () => {
    mesh = await startMesh([['--no-default-model'], [], ['--no-default-model']]);
  });
  after(stopAll);

  it('answers at every node with the model of one, streaming, through the openai client', async () => {
    const texts = await Promise.all(
      mesh.map(async ({ api }) => {
        const client = new OpenAI({ baseURL: `${api}/v1`, apiKey: 'none', maxRetries: 0 });
        const stream = await client.chat.completions.create({
          model: 'skein-hello',
          stream: true,
          messages: [{ role: 'user', content: 'hello' }],
          temperature: 0,
        });
        let text = '';
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
        return text;
      }),
    );
    assert.ok(texts[0] !== undefined && texts[0].length > 200);
    assert.deepEqual(new Set(texts).size, 1);
  });

  it('answers without streaming, with usage, and explains who was considered and why', async () => {
    const [front, serving, other] = mesh;
    assert.ok(front && serving && other);
    const response = await fetch(`${front.api}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'skein-hello', temperature: 0, messages: [{ role: 'user', content: 'hello' }] }),
    });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-skein-node'), serving.node);
    const reply = (await response.json()) as OpenAI.ChatCompletion;
    assert.ok((reply.usage?.completion_tokens ?? 0) >= 150);
    assert.equal(reply.choices[0]?.finish_reason, 'stop');
    const record = (await (
      await fetch(`${front.api}/api/requests/${response.headers.get('x-request-id')}`)
    ).json()) as {
      considered: { node: string }[];
      tries: { node: string; outcome: string }[];
    };
    assert.deepEqual(
      record.considered.map(({ node }) => node),
      [serving.node],
    );
    assert.deepEqual(
      record.tries.map(({ node, outcome }) => ({ node, outcome })),
      [{ node: serving.node, outcome: 'answered' }],
    );
  });

  it('lists each model once, with its owners', async () => {
    for (const { api } of mesh) {
      // eslint-disable-next-line no-await-in-loop
      const list = (await (await fetch(`${api}/v1/models`)).json()) as {
        data: { id: string; skein: { nodes: string[] } }[];
      };
      assert.deepEqual(
        list.data.map(({ id, skein }) => ({ id, owners: skein.nodes.length })),
        [{ id: 'skein-hello', owners: 1 }],
      );
    }
  });

  it('says 404 with the models that exist, and 400 with both numbers for a prompt that fits nowhere', async () => {
    const [front] = mesh;
    assert.ok(front);
    const ask = async (
      model: string,
      content: string,
    ): Promise<{ status: number; error: { code: string; message: string } }> => {
      const response = await fetch(`${front.api}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model, messages: [{ role: 'user', content }] }),
      });
      return {
        status: response.status,
        error: ((await response.json()) as { error: { code: string; message: string } }).error,
      };
    };
    const unknown = await ask('no-such-model', 'hello');
    assert.equal(unknown.status, 404);
    assert.equal(unknown.error.code, 'model_not_found');
    assert.match(unknown.error.message, /skein-hello/);
    const long = await ask('skein-hello', 'word '.repeat(20_000));
    assert.equal(long.status, 400);
    assert.equal(long.error.code, 'context_length_exceeded');
    assert.match(long.error.message, /maximum context length is \d+ tokens.*\d+/);
  });

  it('notices a killed process in under half a second, on every node', async () => {
    const victim = await startNode({ command: ['join', mesh[0]?.invite ?? ''] });
    await untilAllAlive([...mesh, victim]);
    await victim.end('SIGKILL');
    const times = await Promise.all(
      mesh.map(async (node) =>
        until('the killed node is not alive', async () => (await verdictOf(victim, node)) !== 'alive'),
      ),
    );
    assert.ok(Math.max(...times) < 500, `seen after ${times.map(Math.round).join(', ')} ms`);
  });

  it('sees a graceful leave at once, as a leave', async () => {
    const leaver = await startNode({ command: ['join', mesh[0]?.invite ?? ''] });
    await untilAllAlive([...mesh, leaver]);
    assert.equal(await leaver.end('SIGINT'), 0);
    await Promise.all(
      mesh.map(async (node) =>
        until('the leave is seen', async () => ['left', undefined].includes(await verdictOf(leaver, node)), 1_000),
      ),
    );
  });

  it('takes a restarted node back although every bootstrap it knew is gone', async () => {
    const [front, serving, other] = mesh;
    assert.ok(front && serving && other);
    assert.equal(await serving.end('SIGINT'), 0);
    assert.equal(await front.end('SIGINT'), 0);
    // `serving` was told only about `front`; it must come back through what it learnt and kept.
    const again = await startNode({ home: serving.home });
    assert.equal(again.node, serving.node);
    await until(
      'the restarted node and the remaining one see each other',
      async () => (await verdictOf(again, other)) === 'alive' && (await verdictOf(other, again)) === 'alive',
    );
    assert.ok((await statusOf(other)).nodes.length >= 2);
  });
});
