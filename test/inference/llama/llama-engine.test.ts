/** What the llama engine adds to the contract: the real answer of the default model, and the deaths of its child. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  defaultModelPieces,
  defaultModelText,
  defaultModelTokenIds,
  defaultModelTokens,
} from '../../../src/inference/default-model.ts';
import type { Job, Resume, Sampling } from '../../../src/inference/engine.ts';
import { LlamaEngine, type LlamaEngineOptions } from '../../../src/inference/llama/llama-engine.io.ts';
import { openModelStore } from '../../../src/inference/model-store.io.ts';
import { modelIdOfFile, type StoredModel } from '../../../src/inference/stored-model.ts';
import { INFERENCE } from '../../../src/params.ts';
import { Recording } from '../../contract/engine.contract.ts';
import { shortestMs } from '../../shortest.ts';
import { type Hello, openHello } from './hello.ts';

const GREEDY: Sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] };

describe('the llama engine', function () {
  this.timeout(30_000);
  let hello: Hello;
  /** For the cases that leave it as it was. */
  let shared: LlamaEngine;
  const engines: LlamaEngine[] = [];

  before(async () => {
    hello = await openHello();
    shared = new LlamaEngine({ models: [hello.stored], slots: 1, maxThreads: 1 });
    await shared.ready(hello.stored.model);
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
  });
  after(async () => {
    await shared.close();
    await hello.remove();
  });

  function open(more: Partial<LlamaEngineOptions> = {}): LlamaEngine {
    const engine = new LlamaEngine({ models: [hello.stored], slots: 2, maxThreads: 1, ...more });
    engines.push(engine);
    return engine;
  }

  function job(more: { content?: string; sampling?: Partial<Sampling>; resume?: Resume } = {}): Job {
    return {
      model: hello.stored.model,
      messages: [{ role: 'user', content: more.content ?? 'What is skein?' }],
      sampling: { ...GREEDY, ...more.sampling },
      ...(more.resume === undefined ? {} : { resume: more.resume }),
    };
  }

  /** A model file of a directory of its own, as the store lists it. */
  async function store(name: string, bytes: Uint8Array): Promise<StoredModel> {
    const path = join(hello.directory, `${name}.gguf`);
    await writeFile(path, bytes);
    const models = await openModelStore({
      modelsDirectory: join(hello.directory, 'empty'),
      extraPaths: [path],
      cacheDirectory: join(hello.directory, 'cache'),
      withDefaultModel: false,
    });
    const stored = models.find(({ model }) => model === modelIdOfFile(`${name}.gguf`));
    assert.ok(stored !== undefined);
    return stored;
  }

  it('gives the whole text of the default model, whatever is asked and however warm', async () => {
    for (const [content, temperature] of [
      ['What is skein?', 0],
      ['x', 1],
      ['Was ist das? 🦢\n\nskein joins', 1.5],
    ] as const) {
      const recording = new Recording(shared, job({ content, sampling: { temperature } }), 1_000);
      const ended = await recording.ended();
      assert.equal(recording.text, defaultModelText);
      assert.equal(ended.finishReason, 'stop');
      assert.equal(ended.usage.completionTokens, defaultModelTokens);
    }
  });

  it('loads on first use and says so, and ends its child when it is closed', async () => {
    const states: string[] = [];
    const engine: LlamaEngine = open({
      onModelsChanged: () => states.push(...engine.models().map(({ state }) => state)),
    });
    const before = engine.models()[0];
    assert.equal(before?.state, 'on-disk');
    assert.ok(before.loadMs > 0);
    assert.equal(before.digest, hello.stored.digest);
    await new Recording(engine, job({ sampling: { maxTokens: 1 } }), 1).ended();
    assert.deepEqual(states, ['loading', 'ready']);
    const pid = engine.pidOf(hello.stored.model);
    const run = new Recording(engine, job(), 5);
    await run.until('tokens', () => run.tokens === 5);
    await engine.close();
    await run.failed();
    assert.ok(pid !== undefined);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    assert.equal((await new Recording(engine, job(), 1).failed()).failure.code, 'draining');
  });

  it('goes on to the exact end from any token, by ids or by text alone', async () => {
    const ids = defaultModelTokenIds();
    for (const tokens of [1, 7, 100, defaultModelTokens - 1]) {
      const text = defaultModelText.slice(0, pieceEnd(tokens));
      for (const tokenIds of [ids.slice(0, tokens), []]) {
        const rest = new Recording(shared, job({ resume: { tokens, tokenIds, text } }), 1_000);
        const ended = await rest.ended();
        assert.equal(text + rest.text, defaultModelText, `resumed at ${tokens} with ${tokenIds.length} ids`);
        assert.equal(rest.tokens, defaultModelTokens - tokens);
        assert.equal(ended.usage.completionTokens, defaultModelTokens);
      }
    }
  });

  it('takes token ids of another vocabulary as none', async () => {
    const text = defaultModelText.slice(0, pieceEnd(5));
    const resume = { tokens: 5, tokenIds: [1, 2, 3, 4, 4_000_000_000], text };
    const rest = new Recording(shared, job({ resume }), 1_000);
    await rest.ended();
    assert.equal(text + rest.text, defaultModelText);
  });

  it('evaluates the common beginning of two prompts once', async () => {
    const content = 'the same long question '.repeat(20);
    const first = await new Recording(shared, job({ content, sampling: { maxTokens: 1 } }), 1).ended();
    const second = await new Recording(shared, job({ content: `${content}?`, sampling: { maxTokens: 1 } }), 1).ended();
    assert.ok(first.usage.cachedTokens < 40);
    assert.ok(second.usage.cachedTokens > 0.9 * first.usage.promptTokens);
    assert.equal(second.usage.promptTokens, first.usage.promptTokens + 1);
  });

  it('ends with length when the context is full, and refuses what leaves no room', async () => {
    const engine = open({ contextTokens: 256 });
    await engine.ready(hello.stored.model);
    const { contextTokens } = engine.models()[0] ?? { contextTokens: 0 };
    const probe = await new Recording(engine, job({ content: 'a', sampling: { maxTokens: 1 } }), 1).ended();
    const fixed = probe.usage.promptTokens - 1;
    for (const room of [1, 2, 20]) {
      const recording = new Recording(engine, job({ content: 'a'.repeat(contextTokens - fixed - room) }), 1_000);
      const ended = await recording.ended();
      assert.equal(ended.finishReason, 'length');
      assert.equal(recording.tokens, room);
      assert.equal(recording.text, defaultModelText.slice(0, pieceEnd(room)));
    }
    const none = await new Recording(engine, job({ content: 'a'.repeat(contextTokens - fixed) }), 1).failed();
    assert.equal(none.failure.code, 'context-length-exceeded');
    assert.match(none.failure.message, new RegExp(`is ${contextTokens} tokens. However.* ${contextTokens} tokens`));
  });

  it('refuses an enormous prompt at once', async () => {
    const startedMs = performance.now();
    const failed = await new Recording(shared, job({ content: 'goose '.repeat(2_000_000) }), 1).failed();
    assert.equal(failed.failure.code, 'context-length-exceeded');
    assert.ok(performance.now() - startedMs < 3_000);
  });

  it('refuses more runs than slots as busy, and shows the wait for the prompt', async () => {
    const held = new Recording(shared, job());
    const refused = await new Recording(shared, job(), 1).failed();
    assert.equal(refused.failure.code, 'busy');
    await held.until('progress', () => held.events.some(({ type }) => type === 'progress'));
    held.cancel();
  });

  it('takes the next run from within the end of the last one, on a full model', async () => {
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      const start = (left: number): void => {
        const run = shared.start(job({ sampling: { maxTokens: 2 } }), ({ type }) => {
          if (type !== 'ended' && type !== 'failed') return;
          seen.push(type);
          if (left === 0) resolve();
          else start(left - 1);
        });
        run.grant(2);
      };
      start(3);
    });
    assert.deepEqual(seen, ['ended', 'ended', 'ended', 'ended']);
  });

  it('holds as many runs as it has slots behind cancelled ones, and forgets those that are cancelled too', async () => {
    const first = new Recording(shared, job({ content: 'a'.repeat(6_000) }));
    await first.until('progress', () => first.events.length > 0);
    first.cancel();
    const second = new Recording(shared, job({ sampling: { maxTokens: 1 } }), 1);
    assert.equal((await new Recording(shared, job(), 1).failed()).failure.code, 'busy');
    second.cancel();
    const third = new Recording(shared, job({ sampling: { maxTokens: 1 } }), 1);
    assert.equal((await third.finished()).type, 'ended');
    assert.deepEqual(second.events, []);
  });

  it('frees its slot at once when a long prompt is cancelled', async () => {
    let letter = 0;
    const freeAfterMs = await shortestMs(INFERENCE.cancelMsMax, async () => {
      // Another prompt each time, so that nothing of it is known yet.
      letter += 1;
      const long = new Recording(shared, job({ content: String.fromCharCode(96 + letter).repeat(8_000) }));
      await long.until('progress', () => long.events.length > 0);
      long.cancel();
      const cancelledMs = performance.now();
      // As the desk that hands out slots does: whoever waited starts at once.
      const next = new Recording(shared, job({ sampling: { maxTokens: 1 } }), 1);
      await next.until('its first sign', () => next.events.some(({ type }) => type === 'tokens' || type === 'failed'));
      const elapsedMs = performance.now() - cancelledMs;
      assert.equal((await next.finished()).type, 'ended');
      return elapsedMs;
    });
    assert.ok(freeAfterMs < INFERENCE.cancelMsMax, `busy for ${freeAfterMs} ms`);
  });

  it('answers the death of its child with one failure for each run, and serves again', async () => {
    const engine = open();
    await engine.ready(hello.stored.model);
    const runs = [new Recording(engine, job(), 5), new Recording(engine, job(), 5)];
    for (const run of runs) await run.until('tokens', () => run.tokens === 5);
    kill(engine, 'SIGKILL');
    for (const run of runs) {
      const failed = await run.failed();
      assert.equal(failed.failure.code, 'engine-failed');
      assert.match(failed.failure.message, /SIGKILL/);
      run.cancel();
    }
    const [dead] = engine.models();
    assert.equal(dead?.state, 'on-disk');
    assert.match(
      dead.problem ?? '',
      /^the process that runs \S+ ended: by SIGKILL, and the 2 answers .* another node .*; after a pause of \d+ ms the next request starts it again$/,
    );
    const resting = await new Recording(engine, job(), 1).failed();
    assert.equal(resting.failure.code, 'model-not-ready');
    assert.ok((resting.failure.retryAfterMs ?? 0) > 0);
    await engine.ready(hello.stored.model);
    assert.deepEqual([engine.models()[0]?.state, engine.models()[0]?.problem], ['ready', undefined]);
    const again = new Recording(engine, job(), 1_000);
    await again.ended();
    assert.equal(again.text, defaultModelText);
    for (const run of runs) run.verify();
  });

  it('answers the silence of its child like its death', async () => {
    const engine = open({ watchTickMs: 250 });
    await engine.ready(hello.stored.model);
    // At once: a short patience must not end a child that is only slow.
    kill(engine, 'SIGSTOP');
    const failed = await new Recording(engine, job(), 5).failed();
    assert.equal(failed.failure.code, 'engine-failed');
    assert.match(failed.failure.message, /stopped answering/);
    assert.match(engine.models()[0]?.problem ?? '', /ended: it stopped answering, and the answer under way/);
  });

  it('ends the child when its parent is gone', async () => {
    const path = fileURLToPath(new URL('../../../src/inference/llama/llama-child.io.ts', import.meta.url));
    const child = fork(path, { execArgv: [] });
    await once(child, 'message');
    child.disconnect();
    await once(child, 'exit');
    assert.equal(child.signalCode, 'SIGKILL');
  });

  it('names the files that are no models, and serves the others', async () => {
    const corrupt = await store('corrupt', new TextEncoder().encode('GGUFxxxxxxxxxxxxxxxxxxxx'));
    // Only llama.cpp can tell that this one is broken.
    const bytes = await readFile(hello.stored.path);
    const broken = await store('broken', replaceText(bytes, 'blk.0.attn_q.weight', 'blk.0.attn_x.weight'));
    assert.equal(broken.state, 'on-disk');
    const engine = open({ models: [corrupt, broken, hello.stored] });
    for (const { model, path } of [corrupt, broken]) {
      const failed = await new Recording(engine, { ...job(), model }, 1).failed();
      assert.equal(failed.failure.code, 'model-not-ready');
      // Whoever asked may be a stranger: where the file lies is for its owner.
      assert.ok(failed.failure.message.includes(model), failed.failure.message);
      assert.ok(!failed.failure.message.includes(path), failed.failure.message);
      const shown = engine.models().find((one) => one.model === model);
      assert.equal(shown?.state, 'failed');
      assert.ok(shown.problem?.includes(path), shown.problem);
    }
    await new Recording(engine, job({ sampling: { maxTokens: 1 } }), 1).ended();
  });

  it('says of a chat template that it never ends', async () => {
    const bomb = '{% for i in range(30000000) %}{% for j in range(30000000) %}{% endfor %}{% endfor %}';
    const hostile = await store('bomb', withTemplate(await readFile(hello.stored.path), bomb));
    const engine = open({ models: [hostile] });
    const failed = await new Recording(engine, { ...job(), model: hostile.model }, 1).failed();
    assert.equal(failed.failure.code, 'model-not-ready');
    assert.match(failed.failure.message, /its chat template does not end/);
    assert.equal(engine.models()[0]?.state, 'failed');
  });

  it('ends a chat template that does not end for some conversation, and goes on with the others', async () => {
    const late =
      '{% if messages|length > 30 %}{% for i in range(30000000) %}{% endfor %}{% endif %}' +
      '{% for m in messages %}!<|im_start|>{{ m.role }}\n{{ m.content }}{% endfor %}';
    const hostile = await store('late', withTemplate(await readFile(hello.stored.path), late));
    const { model } = hostile;
    const engine = open({ models: [hostile] });
    assert.equal((await engine.ready(model))?.state, 'ready');
    const other = new Recording(engine, { ...job(), model }, 5);
    await other.until('tokens', () => other.tokens === 5);
    const messages = Array.from({ length: 41 }, (_, index) => ({
      role: index % 2 === 0 ? ('user' as const) : ('assistant' as const),
      content: 'honk',
    }));
    const failed = await new Recording(engine, { ...job(), messages, model }, 1).failed();
    assert.match(failed.failure.message, /template of the model did not end within 500 ms/);
    other.grant(1_000);
    await other.ended();
    await new Recording(engine, { ...job({ sampling: { maxTokens: 1 } }), model }, 1).ended();
  });

  it('starts a model no more whose process died three times', async () => {
    const engine = open();
    const { model } = hello.stored;
    for (let death = 1; death <= 3; death += 1) {
      const run = await startable(engine);
      // While it loads is soon enough.
      kill(engine, 'SIGKILL');
      const { failure } = await run.failed();
      assert.equal(failure.code, 'engine-failed');
    }
    const [dead] = engine.models();
    assert.equal(dead?.state, 'failed');
    assert.match(dead.problem ?? '', /ended its process 3 times within minutes .*SIGKILL/);
    const refused = await new Recording(engine, job(), 1).failed();
    assert.equal(refused.failure.code, 'model-not-ready');
    assert.equal(refused.failure.retryAfterMs, undefined);
    assert.equal(engine.pidOf(model), undefined);
    assert.equal((await engine.ready(model))?.state, 'ready', 'somebody asked for it');
  });

  /** Asks until the pause after a death is over, as long as it says. */
  async function startable(engine: LlamaEngine): Promise<Recording> {
    for (;;) {
      const run = new Recording(engine, job(), 1);
      const waitMs = run.terminal?.type === 'failed' ? run.terminal.failure.retryAfterMs : undefined;
      if (waitMs === undefined) return run;
      await delay(waitMs);
    }
  }
});

/** Where the `count`th piece of the text ends: pieces are what the tokenizer made of it. */
function pieceEnd(count: number): number {
  return defaultModelPieces.slice(0, count).join('').length;
}

function kill(engine: LlamaEngine, signal: NodeJS.Signals): void {
  const [model] = engine.models();
  const pid = model && engine.pidOf(model.model);
  assert.ok(pid !== undefined);
  process.kill(pid, signal);
}

/** The default model with another template, which is not longer. */
function withTemplate(model: Buffer, template: string): Buffer {
  const copy = Buffer.from(model);
  const key = 'tokenizer.chat_template';
  const at = copy.indexOf(key) + key.length + 4;
  const length = Number(copy.readBigUInt64LE(at));
  assert.ok(template.length <= length, `${template.length} of ${length} bytes`);
  copy.write(template.padEnd(length), at + 8);
  return copy;
}

function replaceText(bytes: Buffer, from: string, to: string): Buffer {
  const copy = Buffer.from(bytes);
  copy.write(to, copy.indexOf(from));
  return copy;
}
