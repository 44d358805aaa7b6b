import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type FakeUpstreamOptions, startFakeUpstream } from '../../bench/fake-upstream.io.ts';
import { utf8 } from '../../src/bytes.ts';
import { type ModelId, parseModelId } from '../../src/ids.ts';
import type { AnswerFormat, Job } from '../../src/inference/engine.ts';
import type { UpstreamOptions } from '../../src/inference/upstream-options.ts';
import { createUpstreamEngine, type UpstreamEngine } from '../../src/inference/upstream.io.ts';
import { Recording } from '../contract/engine.contract.ts';
import { type Answer, delta, DONE, FINISH, serve, stream, type TestServer } from './upstream-server.ts';

const CHAT = 'POST /v1/chat/completions';
const FAKE = modelId('fake');

describe('the upstream engine', () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  });

  async function server(routes: Readonly<Record<string, unknown>>, port = 0): Promise<TestServer> {
    const started = await serve(routes, port);
    closers.push(() => started.close());
    return started;
  }

  async function engineAt(baseUrl: string, more: Partial<UpstreamOptions> = {}): Promise<UpstreamEngine> {
    const engine = createUpstreamEngine({ name: 'test', baseUrl, ...more });
    closers.push(() => engine.close());
    await engine.refresh();
    return engine;
  }

  async function before(answer: Answer, more: Partial<UpstreamOptions> = {}) {
    const started = await server({ [CHAT]: answer });
    const engine = await engineAt(started.baseUrl, more);
    return { server: started, engine, start: (granted = 1_000) => new Recording(engine, job(), granted) };
  }

  async function fakeEngine(options: FakeUpstreamOptions = {}, more: Partial<UpstreamOptions> = {}) {
    const fake = await startFakeUpstream(options);
    closers.push(() => fake.close());
    return { fake, engine: await engineAt(fake.baseUrl, more) };
  }

  describe('asked for a format', () => {
    const format: AnswerFormat = {
      type: 'json-schema',
      name: 'answer',
      schema: '{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}}',
      strict: true,
    };

    it('passes on what keeps to it', async () => {
      const { engine } = await before(saying(['\n', '{"a":', ' "b"}']));
      const run = new Recording(engine, { ...job(), format }, 100);
      await run.ended();
      assert.equal(run.text, '\n{"a": "b"}');
    });

    it('fails before anything left where the server answers in prose, and where JSON ends in the middle', async () => {
      for (const [deltas, wanted, message] of [
        [['Sure! ', '{"a":"b"}'], format, /began its answer in another/],
        [['```json\n{}'], { type: 'json-object' }, /began its answer in another/],
        [['[1]'], { type: 'json-object' }, /began its answer in another/],
        [['{"a":', '"b"'], format, /ended its answer in the middle/],
      ] as const) {
        const { engine } = await before(saying(deltas));
        const run = new Recording(engine, { ...job(), format: wanted }, 100);
        const { failure } = await run.failed();
        assert.equal(failure.code, 'upstream-failed');
        assert.match(failure.message, message);
        if (/another/.test(failure.message)) assert.equal(run.tokens, 0);
        // The slot is free.
        await new Recording(engine, job(), 100).ended();
      }
    });

    it('leaves an answer alone that the length or a stop string of the client cut', async () => {
      const { engine } = await before(saying(['{"a":', '"b"}']));
      const sampling = { ...job().sampling, stop: ['b'] };
      const run = new Recording(engine, { ...job(), format, sampling }, 100);
      assert.equal((await run.ended()).finishReason, 'stop');
      assert.equal(run.text, '{"a":"');
      const short = new Recording(engine, { ...job(), format, sampling: { ...job().sampling, maxTokens: 1 } }, 100);
      assert.equal((await short.ended()).finishReason, 'length');
    });

    it('does not go on with what another engine began, and does not ask for what no grammar can follow', async () => {
      const { engine, server: asked } = await before(saying(['{}']));
      const resume = { tokens: 1, tokenIds: [], text: '{' };
      const resumed = await new Recording(engine, { ...job(), format, resume }, 100).failed();
      assert.equal(resumed.failure.code, 'upstream-failed');
      assert.match(resumed.failure.message, /cannot go on/);
      const refused = await new Recording(
        engine,
        { ...job(), format: { ...format, schema: '{"not":{}}' } },
        100,
      ).failed();
      assert.equal(refused.failure.code, 'invalid-request');
      assert.ok(!asked.requests.includes(CHAT));
    });
  });

  describe('before a hostile server', () => {
    it('never follows a redirect', async () => {
      const elsewhere = await server({});
      const { start } = await before((response) => {
        response.writeHead(302, { location: `http://127.0.0.1:${elsewhere.port}/v1/chat/completions` }).end();
      });
      const { failure } = await start().failed();
      assert.equal(failure.code, 'upstream-failed');
      assert.match(failure.message, /redirect to http:.*never followed/);
      assert.deepEqual(elsewhere.requests, []);
    });

    it('never follows a redirect of the list of models', async () => {
      const elsewhere = await server({});
      const { baseUrl } = await server({
        'GET /v1/models': (response: ServerResponse) => {
          response.writeHead(307, { location: elsewhere.baseUrl }).end();
        },
      });
      const engine = await engineAt(baseUrl);
      assert.deepEqual(engine.models(), []);
      assert.deepEqual(elsewhere.requests, []);
    });

    for (const { name, status, type } of [
      { name: 'a line without an end', status: 200, type: 'text/event-stream' },
      { name: 'a JSON body without an end', status: 200, type: 'application/json' },
      { name: 'an error without an end', status: 500, type: 'text/plain' },
    ])
      it(`stops reading ${name}`, async () => {
        let sent = 0;
        let gone: Promise<unknown> | undefined;
        const { start } = await before((response) => {
          gone = once(response, 'close');
          response.writeHead(status, { 'content-type': type });
          const more = (): void => {
            while (!response.destroyed && !response.writableNeedDrain) {
              sent += 65_536;
              response.write('x'.repeat(65_536));
            }
            if (!response.destroyed) response.once('drain', more);
          };
          more();
        });
        assert.equal((await start().failed()).failure.code, 'upstream-failed');
        await gone;
        assert.ok(sent < 32_000_000, `${sent} bytes were taken`);
      });

    it('takes invalid UTF-8 as replacement characters', async () => {
      const { start } = await before((response) => {
        const text = delta('a?b');
        const bytes = utf8(text);
        bytes[text.indexOf('?')] = 0xff;
        stream(response).write(bytes);
        response.end(FINISH + DONE);
      });
      const recording = start();
      await recording.ended();
      assert.equal(recording.text, 'a\u{fffd}b');
    });

    it('understands an answer that comes in chunks of one byte', async () => {
      const { start } = await before(async (response) => {
        stream(response).socket?.setNoDelay(true);
        for (const byte of utf8(delta('gänse ') + delta('🪿') + FINISH + DONE)) {
          response.write(Uint8Array.of(byte));
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
        }
        response.end();
      });
      const recording = start();
      await recording.ended();
      assert.equal(recording.text, 'gänse 🪿');
      assert.equal(recording.tokens, 2);
    });

    for (const { name, text, expected } of [
      { name: 'ends well without [DONE]', text: delta('a') + FINISH, expected: 'stop' },
      { name: 'ends well without a finish reason', text: delta('a') + DONE, expected: 'stop' },
      { name: 'fails where the answer just ends', text: delta('a'), expected: 'upstream-failed' },
      {
        name: 'fails on an error in the stream',
        text: `data: {"error":{"message":"out of memory"}}\n\n`,
        expected: 'upstream-failed',
      },
      { name: 'fails on garbage', text: 'data: {{{\n\n', expected: 'upstream-failed' },
    ])
      it(name, async () => {
        const { start } = await before((response) => {
          stream(response).end(text);
        });
        const last = await start().finished();
        assert.equal(last.type === 'ended' ? last.finishReason : last.failure.code, expected);
      });

    it('fails where the connection breaks in the middle, but not after the finish reason', async () => {
      for (const { text, expected } of [
        { text: delta('a'), expected: 'failed' },
        { text: delta('a') + FINISH, expected: 'ended' },
      ]) {
        const { start } = await before((response) => {
          stream(response).write(text, () => response.destroy());
        });
        const recording = start();
        assert.equal((await recording.finished()).type, expected);
      }
    });

    it('takes no HTML and nothing compressed for an answer', async () => {
      for (const headers of [
        { 'content-type': 'text/html' },
        { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' },
      ]) {
        const { start } = await before((response) => {
          response.writeHead(200, headers).end(delta('a') + DONE);
        });
        assert.match((await start().failed()).failure.message, /neither an event stream nor JSON/);
      }
    });

    for (const { name, begin } of [
      { name: 'says nothing at all', begin: () => {} },
      { name: 'sends headers only', begin: (response: ServerResponse) => stream(response).flushHeaders() },
      { name: 'stops in the middle', begin: (response: ServerResponse) => stream(response).write(delta('a')) },
      {
        name: 'only drips comments',
        begin: (response: ServerResponse) => {
          stream(response);
          const timer = setInterval(() => response.write(': x\n\n'), 5);
          response.on('close', () => clearInterval(timer));
        },
      },
    ])
      it(`has stalled when it ${name}`, async () => {
        let gone: Promise<unknown> | undefined;
        const { start } = await before(
          (response) => {
            gone = once(response, 'close');
            begin(response);
          },
          { timeouts: { firstTokenMs: 60, idleMs: 40, progressMs: 10 } },
        );
        const recording = start();
        assert.equal((await recording.failed()).failure.code, 'stalled');
        await gone;
      });

    it('sends a request once more that a closed connection swallowed, and only once', async () => {
      for (const { swallowed, expected } of [
        { swallowed: 1, expected: 'ended' },
        { swallowed: 2, expected: 'failed' },
      ]) {
        let tries = 0;
        const { start } = await before((response) => {
          tries += 1;
          if (tries <= swallowed) response.destroy();
          else stream(response).end(delta('a') + FINISH + DONE);
        });
        assert.equal((await start().finished()).type, expected);
        assert.equal(tries, 2);
      }
    });
  });

  describe('with one run', () => {
    it('gives signs of life while it waits', async () => {
      let answer: (() => void) | undefined;
      const { start } = await before(
        (response) => {
          answer = () => stream(response).end(delta('a') + FINISH + DONE);
        },
        { timeouts: { progressMs: 5 } },
      );
      const recording = start();
      await recording.until('two signs of life', () => recording.events.length >= 2 && answer !== undefined);
      assert.ok(recording.events.every((event) => event.type === 'progress'));
      answer?.();
      await recording.ended();
    });

    it('stops reading while it has no credit', async () => {
      let blocked: (() => void) | undefined;
      const full = new Promise<void>((resolve) => {
        blocked = resolve;
      });
      let drained = false;
      const chunk = delta('goose ').repeat(500);
      const { start } = await before((response) => {
        stream(response);
        // Stops at once when the reader stops: what no buffer takes stays here.
        const more = (): void => {
          while (!response.writableNeedDrain) response.write(chunk);
          response.once('drain', more);
          setImmediate(() => {
            if (response.writableNeedDrain) blocked?.();
          });
        };
        more();
        response.on('drain', () => {
          drained = true;
        });
      });
      const recording = start(3);
      await recording.until('three tokens', () => recording.tokens === 3);
      await full;
      // Another whole answer passes, and still nobody reads this one.
      const { engine } = await fakeEngine({ tokens: 2_000 });
      while (drained) {
        drained = false;
        await new Recording(engine, job(), 5_000).ended();
      }
      assert.equal(recording.tokens, 3);
      recording.grant(10_000);
      await recording.until('the rest of the grant', () => recording.tokens === 10_003);
      recording.cancel();
    });

    it('closes the connection of a cancelled run at once, whether it reads or not', async () => {
      for (const granted of [1, 1_000_000]) {
        const gone: Promise<unknown>[] = [];
        const { start } = await before((response) => {
          gone.push(once(response, 'close'));
          stream(response).write(delta('a').repeat(200));
        });
        const recording = start(granted);
        await recording.until('a token', () => recording.tokens > 0);
        recording.cancel();
        await Promise.all(gone);
      }
    });

    it('closes the connection of a run that is cancelled before it is made', async () => {
      const { fake, engine } = await fakeEngine({ tokensPerSecond: 1 });
      new Recording(engine, job()).cancel();
      const next = new Recording(engine, job(), 1);
      await next.until('a token', () => next.tokens === 1);
      assert.ok(fake.stats().requests <= 2);
      assert.equal(fake.stats().running, 1);
      next.cancel();
    });

    it('drops a beginning that a server repeats instead of going on', async () => {
      const { engine } = await fakeEngine({ ignoreContinuation: true, tokens: 20 });
      const whole = new Recording(engine, job(), 1_000);
      await whole.ended();
      const resume = whole.resumePoints()[6];
      assert.ok(resume !== undefined);
      const rest = new Recording(engine, { ...job(), resume }, 1_000);
      await rest.ended();
      assert.equal(resume.text + rest.text, whole.text);
    });

    it('is busy above the slots', async () => {
      const { engine } = await fakeEngine({}, { slots: 1 });
      const first = new Recording(engine, job());
      assert.equal((await new Recording(engine, job(), 9).failed()).failure.code, 'busy');
      first.cancel();
      await new Recording(engine, job(), 1_000).ended();
    });

    it('keeps the connection for the next answer', async () => {
      const { server: started, start } = await before((response) => {
        stream(response).end(delta('a') + FINISH + DONE);
      });
      const earlier = started.connections();
      for (let round = 0; round < 5; round += 1) await start().ended();
      assert.ok(started.connections() <= earlier + 1, `${started.connections() - earlier} new connections`);
    });

    it('sends its own key and nothing else about anybody', async () => {
      for (const { more, expected } of [
        { more: { apiKey: 'sk-upstream' }, expected: 'Bearer sk-upstream' },
        { more: {}, expected: undefined },
      ]) {
        const { fake, engine } = await fakeEngine({}, more);
        await new Recording(engine, job(), 1_000).ended();
        const headers = fake.stats().last?.headers ?? {};
        assert.equal(headers.authorization, expected);
        assert.deepEqual(
          Object.keys(headers)
            .filter((name) => name !== 'authorization')
            .toSorted(),
          ['accept', 'connection', 'content-length', 'content-type', 'host'],
        );
      }
    });

    it('fails when the engine is closed', async () => {
      const { fake, engine } = await fakeEngine({ tokensPerSecond: 1 });
      const recording = new Recording(engine, job(), 5);
      await recording.until('a token', () => recording.tokens > 0);
      await Promise.all([engine.close(), recording.failed()]);
      await engine.close();
      assert.equal((await new Recording(engine, job(), 5).failed()).failure.code, 'draining');
      assert.ok(fake.stats().requests === 1);
    });
  });
});

/** An answer of these deltas. */
function saying(deltas: readonly string[]): Answer {
  return (response) => {
    stream(response);
    for (const text of deltas) response.write(delta(text));
    response.end(FINISH + DONE);
  };
}

function job(): Job {
  return {
    model: FAKE,
    messages: [{ role: 'user', content: 'hello' }],
    sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] },
  };
}

function modelId(text: string): ModelId {
  const model = parseModelId(text);
  assert.ok(model !== undefined);
  return model;
}
