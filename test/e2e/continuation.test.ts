/** The promise that skein exists for: kill -9 the machine that is answering, and the client's text does not change. */
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { startMesh, startNode, stopAll, untilAllAlive } from './harness.ts';

const ROUNDS = 20;
const SERVING = ['--tokens-per-second-max', '120'];

describe('an answer whose serving node is killed', function () {
  this.timeout(240_000);
  after(stopAll);

  it(`equals the undisturbed one, ${ROUNDS} times of ${ROUNDS}`, async () => {
    const [front, ...rest] = await startMesh([['--no-default-model'], SERVING, SERVING]);
    assert.ok(front);
    let serving = rest;
    const undisturbed = await ask(front, () => undefined);
    assert.ok(undisturbed.text.length > 200);
    for (let round = 0; round < ROUNDS; round += 1) {
      let killed: Promise<unknown> | undefined;
      // Another place in the text each round, from the first tokens to near the end.
      const killAfter = Math.floor((undisturbed.text.length * (round + 0.5)) / (ROUNDS + 1));
      // Rounds share one mesh: one after the other.
      // eslint-disable-next-line no-await-in-loop
      const answer = await ask(front, (text, node) => {
        if (killed === undefined && text.length >= killAfter)
          killed = serving.find((one) => one.node === node)?.end('SIGKILL');
      });
      assert.ok(killed !== undefined, `round ${round}: the serving node was not killed`);
      assert.equal(answer.text, undisturbed.text, `round ${round}`);
      assert.equal(answer.finishReason, 'stop');
      assert.deepEqual(answer.usage, undisturbed.usage);
      // eslint-disable-next-line no-await-in-loop
      const replacement = await startNode({ command: ['join', front.invite], args: SERVING });
      serving = [...serving.filter((one) => one.node !== answer.node), replacement];
      // eslint-disable-next-line no-await-in-loop
      await untilAllAlive([front, ...serving]).catch((error: unknown) => {
        throw new Error(`round ${round}: ${front.errors()}`, { cause: error });
      });
    }
  });
});

interface Answer {
  readonly text: string;
  readonly node: string;
  readonly finishReason: string | undefined;
  readonly usage: unknown;
}

async function ask(front: NodeProcess, onText: (text: string, node: string) => void): Promise<Answer> {
  const client = new OpenAI({ baseURL: `${front.api}/v1`, apiKey: 'none', maxRetries: 0 });
  const { data: stream, response } = await client.chat.completions
    .create({
      model: 'skein-hello',
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0,
      messages: [{ role: 'user', content: 'What is skein?' }],
    })
    .withResponse();
  const node = response.headers.get('x-skein-node') ?? '';
  const answer = { text: '', node, finishReason: undefined as string | undefined, usage: undefined as unknown };
  for await (const chunk of stream) {
    answer.text += chunk.choices[0]?.delta.content ?? '';
    answer.finishReason = chunk.choices[0]?.finish_reason ?? answer.finishReason;
    // How much of the prompt was cached depends on who served before; the counts do not.
    if (chunk.usage)
      answer.usage = {
        prompt: chunk.usage.prompt_tokens,
        completion: chunk.usage.completion_tokens,
        total: chunk.usage.total_tokens,
      };
    onText(answer.text, node);
  }
  return answer;
}
