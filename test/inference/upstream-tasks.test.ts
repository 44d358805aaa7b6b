/** What is no plain chat: calls, probabilities, texts that go on, vectors and scores, before a real HTTP server. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type ModelId, parseModelId } from '../../src/ids.ts';
import { decodeScoredToken, decodeVector } from '../../src/inference/answer-lines.ts';
import type { Job, Resume, ToolUse } from '../../src/inference/engine.ts';
import { encodeToolCall } from '../../src/inference/tool-text.ts';
import { createUpstreamEngine, type UpstreamEngine } from '../../src/inference/upstream.io.ts';
import { Recording } from '../contract/engine.contract.ts';
import { delta, DONE, FINISH, serve, stream, type TestServer } from './upstream-server.ts';

const CHAT = 'POST /v1/chat/completions';
const TOOL_USE: ToolUse = {
  tools: [{ name: 'look', parameters: '{"type":"object"}' }],
  choice: { type: 'required' },
  parallel: true,
};

describe('work that is no plain chat, at an upstream,', () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  });

  async function open(
    routes: Readonly<Record<string, unknown>>,
  ): Promise<{ engine: UpstreamEngine; server: TestServer }> {
    const server = await serve(routes);
    closers.push(() => server.close());
    const engine = createUpstreamEngine({ name: 'test', baseUrl: server.baseUrl });
    closers.push(() => engine.close());
    await engine.refresh();
    return { engine, server };
  }

  it('becomes text with calls in it, which stop strings do not cut', async () => {
    const { engine } = await open({
      [CHAT]: (response: ServerResponse) => {
        stream(response);
        response.write(delta('Let me look.'));
        for (const call of [
          { index: 0, id: 'a', function: { name: 'look', arguments: '' } },
          { index: 0, function: { arguments: '{"at":' } },
          { index: 0, function: { arguments: ' "STOP"}' } },
        ])
          response.write(chunk({ delta: { tool_calls: [call] }, finish_reason: null }));
        response.end(chunk({ delta: {}, finish_reason: 'tool_calls' }) + DONE);
      },
    });
    const sampling = { ...job().sampling, stop: ['STOP'] };
    const run = new Recording(engine, { ...job(), toolUse: TOOL_USE, sampling }, 100);
    assert.equal((await run.ended()).finishReason, 'stop');
    assert.equal(run.text, `Let me look.${encodeToolCall('look', '{"at": "STOP"}')}`);
  });

  it('fails before anything left where a call was required and none came, streamed or not', async () => {
    const prose = { choices: [{ message: { content: 'I would rather talk.' }, finish_reason: 'stop' }] };
    for (const answer of [prose, inProse]) {
      const { engine } = await open({ [CHAT]: answer });
      const run = new Recording(engine, { ...job(), toolUse: TOOL_USE }, 100);
      const { failure } = await run.failed();
      assert.equal(failure.code, 'upstream-failed');
      assert.equal(run.tokens, 0);
    }
  });

  it('takes whole calls of a server that does not stream', async () => {
    const call = { id: 'a', type: 'function', function: { name: 'look', arguments: '{}' } };
    const message = { role: 'assistant', content: null, tool_calls: [call] };
    const { engine } = await open({ [CHAT]: { choices: [{ message, finish_reason: 'tool_calls' }] } });
    const run = new Recording(engine, { ...job(), toolUse: TOOL_USE }, 100);
    await run.ended();
    assert.equal(run.text, encodeToolCall('look', '{}'));
  });

  it('tells the probability of each token as a line, the last one with the text that was held back', async () => {
    const { engine } = await open({
      [CHAT]: (response: ServerResponse) => {
        stream(response).end(scored('one') + scored(' two') + scored(' th') + FINISH + DONE);
      },
    });
    const sampling = { ...job().sampling, logprobs: 2, stop: [' three'] };
    const run = new Recording(engine, { ...job(), sampling }, 1);
    await run.until('a token', () => run.tokens === 1);
    run.grant(10);
    await run.ended();
    const tokens = run.text.trimEnd().split('\n').map(decodeScoredToken);
    assert.deepEqual(
      tokens.map((token) => token?.text),
      ['one', ' two', ' th'],
    );
    assert.equal(run.tokens, 3);
  });

  it('keeps to its format beside its probabilities, or fails', async () => {
    for (const [token, expected] of [
      ['{}', 'ended'],
      ['no', 'failed'],
    ] as const) {
      const { engine } = await open({
        [CHAT]: (response: ServerResponse) => void stream(response).end(scored(token) + FINISH + DONE),
      });
      const sampling = { ...job().sampling, logprobs: 0 };
      const run = new Recording(engine, { ...job(), sampling, format: { type: 'json-object' } }, 100);
      assert.equal((await run.finished()).type, expected);
    }
  });

  it('fails where probabilities were asked for and the server tells none', async () => {
    const { engine } = await open({
      [CHAT]: (response: ServerResponse) => {
        stream(response).end(delta('x') + FINISH + DONE);
      },
    });
    const run = new Recording(engine, { ...job(), sampling: { ...job().sampling, logprobs: 0 } }, 100);
    assert.match((await run.failed()).failure.message, /probabilities/);
  });

  it('goes on with a text, streamed or not, also where another engine began', async () => {
    for (const answer of [inText, { choices: [{ text: ' upon a', finish_reason: 'stop' }] }]) {
      const { engine, server } = await open({ 'POST /v1/completions': answer });
      const task = { type: 'completion', prompt: 'Once' } as const;
      const run = new Recording(engine, { ...job(), messages: [], task }, 100);
      await run.ended();
      assert.equal(run.text, ' upon a');
      assert.ok(server.requests.includes('POST /v1/completions'));
      const resumed = new Recording(
        engine,
        { ...job(), task, resume: { tokens: 1, tokenIds: [], text: ' upon a' } },
        100,
      );
      await resumed.ended();
      assert.equal(resumed.text, ' upon a');
    }
  });

  it('brings vectors in order, and hears a cancel', async () => {
    const { engine } = await open({
      'POST /v1/embeddings': {
        data: [
          { index: 1, embedding: [0, 2] },
          { index: 0, embedding: [2, 0] },
        ],
      },
    });
    const task = { type: 'embedding', inputs: ['a', 'b'] } as const;
    const run = new Recording(engine, { ...job(), messages: [], task }, 1);
    await run.until('a line', () => run.tokens === 1);
    run.grant(1);
    assert.equal((await run.ended()).usage.completionTokens, 2);
    const vectors = run.text.trimEnd().split('\n').map(decodeVector);
    assert.deepEqual(vectors.map((line) => [...(line?.vector ?? [])]), [[1, 0], [0, 1]]); // prettier-ignore
    const cancelled = new Recording(engine, { ...job(), messages: [], task }, 10);
    cancelled.cancel();
    await new Recording(engine, { ...job(), messages: [], task }, 10).ended();
    cancelled.verify();
  });

  it('is the client’s mistake where the server or the model is not made for it', async () => {
    const { engine } = await open({
      'GET /v1/models': { data: [{ id: 'fake' }, { id: 'embedder' }] },
      'GET /api/version': { version: '0.9' },
      'POST /api/show': (response: ServerResponse) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ capabilities: ['embedding'] }));
      },
    });
    const rerank = { type: 'rerank', query: 'q', documents: ['a'] } as const;
    const unranked = await new Recording(engine, { ...job(), messages: [], task: rerank }, 10).failed();
    assert.equal(unranked.failure.code, 'unsupported-feature');
    const chat = await new Recording(engine, { ...job(), model: modelId('embedder') }, 10).failed();
    assert.equal(chat.failure.code, 'unsupported-feature');
    assert.match(chat.failure.message, /only embeds/);
  });

  it('does not go on in the middle of what it can only begin anew', async () => {
    const { engine, server } = await open({});
    const auto: ToolUse = { ...TOOL_USE, choice: { type: 'auto' } };
    const cases: readonly Job[] = [
      { ...job(), toolUse: TOOL_USE, resume: resumeOf('Well') },
      { ...job(), toolUse: auto, resume: resumeOf('Well<tool_call>') },
      { ...job(), sampling: { ...job().sampling, logprobs: 0 }, resume: resumeOf('{}\n') },
      { ...job(), sampling: { ...job().sampling, logprobs: 0 }, toolUse: auto },
    ];
    for (const one of cases) {
      const { failure } = await new Recording(engine, one, 10).failed();
      assert.equal(failure.code, 'upstream-failed');
    }
    assert.ok(!server.requests.includes(CHAT));
  });
});

function inProse(response: ServerResponse): void {
  stream(response).end(delta('I would rather talk.') + FINISH + DONE);
}

function inText(response: ServerResponse): void {
  const end = chunk({ text: '', finish_reason: 'stop' });
  stream(response).end(chunk({ text: ' upon' }) + chunk({ text: ' a' }) + end + DONE);
}

function scored(token: string): string {
  return chunk({ delta: { content: token }, logprobs: { content: [{ token, logprob: -1, top_logprobs: [] }] } });
}

function resumeOf(text: string): Resume {
  return { tokens: 1, tokenIds: [], text };
}

function chunk(choice: object): string {
  return `data: ${JSON.stringify({ choices: [{ index: 0, ...choice }] })}\n\n`;
}

function job(): Job {
  return {
    model: modelId('fake'),
    messages: [{ role: 'user', content: 'hello' }],
    sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] },
  };
}

function modelId(text: string): ModelId {
  const model = parseModelId(text);
  assert.ok(model !== undefined);
  return model;
}
