/** Structured output through the openai client, asked of a node that has no model, also when the serving machine dies. */
import assert from 'node:assert/strict';
import OpenAI, { BadRequestError } from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { startMesh, stopAll } from './harness.ts';

const FLIGHT = z.object({
  bird: z.enum(['goose', 'swan']),
  plan: z.string().min(60).max(70),
  heading: z.int().min(0).max(359),
  stops: z.array(z.string().max(4)).max(2),
  note: z.union([z.null(), z.string().max(3)]),
});
const SERVING = ['--tokens-per-second-max', '60'];

describe('structured output', function () {
  this.timeout(60_000);
  let mesh: NodeProcess[] = [];

  before(async () => {
    mesh = await startMesh([['--no-default-model'], SERVING, SERVING]);
  });
  after(stopAll);

  function client(): OpenAI {
    return new OpenAI({ baseURL: `${mesh[0]?.api}/v1`, apiKey: 'none', maxRetries: 0 });
  }

  it('is parsed by the client, and refused by name where no grammar can follow the schema', async () => {
    const completion = await client().chat.completions.parse({
      model: 'skein-hello',
      temperature: 0,
      messages: [{ role: 'user', content: 'Plan a flight.' }],
      response_format: zodResponseFormat(FLIGHT, 'flight'),
    });
    assert.ok(FLIGHT.safeParse(completion.choices[0]?.message.parsed).success);
    assert.equal(completion.choices[0]?.finish_reason, 'stop');
    const schema = { type: 'object', properties: { stops: { type: 'array', uniqueItems: true } } };
    await assert.rejects(
      client().chat.completions.create({
        model: 'skein-hello',
        messages: [{ role: 'user', content: 'x' }],
        response_format: { type: 'json_schema', json_schema: { name: 'unique', schema } },
      }),
      (error) =>
        error instanceof BadRequestError &&
        error.param === 'response_format' &&
        error.message.includes('#/properties/stops/uniqueItems'),
    );
  });

  it('goes on in its grammar on another machine when the serving one is killed', async () => {
    const ask = async (onText: (text: string, node: string) => void): Promise<string> => {
      const { data, response } = await client()
        .chat.completions.create({
          model: 'skein-hello',
          stream: true,
          temperature: 0,
          messages: [{ role: 'user', content: 'Plan a flight.' }],
          response_format: zodResponseFormat(FLIGHT, 'flight'),
        })
        .withResponse();
      let text = '';
      for await (const chunk of data) {
        text += chunk.choices[0]?.delta.content ?? '';
        onText(text, response.headers.get('x-skein-node') ?? '');
      }
      return text;
    };
    const undisturbed = await ask(() => undefined);
    let killed: Promise<unknown> | undefined;
    const text = await ask((sofar, node) => {
      if (killed === undefined && sofar.length > 40) killed = mesh.find((one) => one.node === node)?.end('SIGKILL');
    });
    assert.ok(killed !== undefined, 'the serving node was not killed');
    assert.equal(text, undisturbed);
    assert.ok(FLIGHT.safeParse(JSON.parse(text)).success);
  });
});
