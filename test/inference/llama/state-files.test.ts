/** Conversations that lost their slot, or their process: are they found again, and only whole? With the real child. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultModelText } from '../../../src/inference/default-model.ts';
import type { Engine, Job } from '../../../src/inference/engine.ts';
import {
  emptyDirectory,
  openKeepDirectory,
  removeKeepDirectory,
  subdirectory,
} from '../../../src/inference/llama/keep-directory.io.ts';
import { LlamaEngine, type LlamaEngineOptions } from '../../../src/inference/llama/llama-engine.io.ts';
import { ModelHost } from '../../../src/inference/llama/model-host.io.ts';
import { prepareJob } from '../../../src/inference/llama/run-command.ts';
import { probeSandbox } from '../../../src/inference/llama/sandbox.io.ts';
import { planSandbox } from '../../../src/inference/llama/sandbox.ts';
import { Grammars } from '../../../src/inference/answer-format.ts';
import { Recording } from '../../contract/engine.contract.ts';
import { type Hello, openHello } from './hello.ts';

const ANSWER_TOKENS = 8;
const BYTES_MAX = 64 * 2 ** 20;
/** Some hundred tokens each, of which the first differs. */
const LONG = 'a long question about nothing. '.repeat(40);
const ALICE = `alice asks ${LONG}`;
const BOB = `bob asks ${LONG}`;

describe('a conversation without a slot', function () {
  this.timeout(30_000);
  let hello: Hello;
  let directory: string;
  const engines: LlamaEngine[] = [];

  beforeEach(async () => {
    hello = await openHello();
    directory = await mkdtemp(join(tmpdir(), 'skein-keep-'));
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close();
    await hello.remove();
    await rm(directory, { recursive: true, force: true });
  });

  async function open(more: Partial<LlamaEngineOptions> = {}): Promise<LlamaEngine> {
    const engine = new LlamaEngine({
      models: [hello.stored],
      slots: 1,
      maxThreads: 1,
      keep: { directory, bytesMax: BYTES_MAX },
      ...more,
    });
    engines.push(engine);
    const model = await engine.ready(hello.stored.model);
    assert.equal(model?.state, 'ready', model?.problem);
    return engine;
  }

  function job(content: string, maxTokens: number): Job {
    return {
      model: hello.stored.model,
      messages: [{ role: 'user', content }],
      sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [], maxTokens },
    };
  }

  /** How much of the prompt was found, as a ratio. */
  async function ask(engine: Engine, content: string): Promise<number> {
    const recording = new Recording(engine, job(content, ANSWER_TOKENS), ANSWER_TOKENS);
    const { usage } = await recording.ended();
    assert.ok(recording.text !== '' && defaultModelText.startsWith(recording.text), recording.text);
    return usage.cachedTokens / usage.promptTokens;
  }

  /** Of the first model. */
  const filesOf = async (): Promise<readonly string[]> =>
    (await readdir(join(directory, '0'))).filter((name) => name.endsWith('.state'));

  it('is found again in its file when it comes back, and the other one too', async () => {
    const engine = await open();
    assert.ok((await ask(engine, ALICE)) < 0.1);
    assert.ok((await ask(engine, BOB)) < 0.1);
    assert.ok((await ask(engine, ALICE)) > 0.95);
    assert.ok((await ask(engine, BOB)) > 0.95);
    assert.ok((await ask(engine, `${BOB}!`)) > 0.9);
  });

  it('comes and goes beside one that answers, and neither disturbs the other', async () => {
    const engine = await open({ slots: 2 });
    const beside = new Recording(engine, job('hi', 1_000), 1);
    await beside.until('its first token', () => beside.tokens > 0);
    await ask(engine, ALICE);
    await ask(engine, BOB);
    beside.grant(50);
    assert.ok((await ask(engine, ALICE)) > 0.95);
    assert.ok(beside.terminal === undefined);
    beside.grant(1_000);
    assert.ok((await ask(engine, BOB)) > 0.95);
    await beside.ended();
    assert.equal(beside.text, defaultModelText);
  });

  it('is read again where nothing is kept', async () => {
    const engine = new LlamaEngine({ models: [hello.stored], slots: 1, maxThreads: 1 });
    engines.push(engine);
    await ask(engine, ALICE);
    await ask(engine, BOB);
    assert.ok((await ask(engine, ALICE)) < 0.1);
  });

  it('is kept once, and not at all when it is short', async () => {
    const engine = await open();
    await ask(engine, 'hi');
    await ask(engine, ALICE);
    await ask(engine, BOB);
    await ask(engine, ALICE);
    await ask(engine, BOB);
    assert.equal((await filesOf()).length, 2);
  });

  for (const { name, harm } of [
    {
      name: 'was changed',
      harm: async (path: string) => {
        const bytes = await readFile(path);
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
        await writeFile(path, bytes);
      },
    },
    { name: 'was cut off', harm: async (path: string) => truncate(path, (await stat(path)).size >> 1) },
    { name: 'is gone', harm: async (path: string) => rm(path) },
  ])
    it(`is read again where its file ${name}, and its model lives on`, async () => {
      const engine = await open();
      await ask(engine, ALICE);
      await ask(engine, BOB);
      // Its digest is known when it is found once.
      assert.ok((await ask(engine, ALICE)) > 0.95);
      await ask(engine, BOB);
      const pid = engine.pidOf(hello.stored.model);
      for (const file of await filesOf()) await harm(join(directory, '0', file));
      assert.ok((await ask(engine, ALICE)) < 0.1);
      assert.equal(engine.pidOf(hello.stored.model), pid);
    });

  it('is read again where there is no room for a file', async () => {
    const engine = await open({ keep: { directory, bytesMax: 1 } });
    await ask(engine, ALICE);
    await ask(engine, BOB);
    assert.ok((await ask(engine, ALICE)) < 0.1);
    assert.deepEqual(await filesOf(), []);
  });

  it('is not lost to the one that makes room for it, where there is room for one', async () => {
    const probe = await open();
    await ask(probe, ALICE);
    await ask(probe, BOB);
    await ask(probe, ALICE);
    await ask(probe, BOB);
    const [file = ''] = await filesOf();
    const { size } = await stat(join(directory, '0', file));
    await rm(join(directory, '0'), { recursive: true });
    const engine = await open({ keep: { directory, bytesMax: size * 1.5 } });
    await ask(engine, ALICE);
    await ask(engine, BOB);
    for (const again of [ALICE, BOB, ALICE]) assert.ok((await ask(engine, again)) > 0.95);
    assert.equal((await filesOf()).length, 1);
  });

  it('outlives the process of its model, and is forgotten when that dies', async () => {
    const host = new ModelHost({
      stored: hello.stored,
      slots: 1,
      contextTokens: 8_192,
      threads: 1,
      keep: subdirectory({ directory, bytesMax: BYTES_MAX }, '0', 1),
      onChanged: () => undefined,
    });
    const engine: Engine = {
      kind: 'llama',
      models: () => [host.model],
      start: (asked, on) => {
        const prepared = prepareJob(asked, new Grammars());
        assert.ok(!('code' in prepared));
        return host.start(prepared, on);
      },
    };
    try {
      await ask(engine, ALICE);
      await ask(engine, BOB);
      const { pid } = host;
      const [refused] = await Promise.all([host.unload(), ask(engine, BOB)]);
      assert.ok(!refused, 'it answers');
      assert.deepEqual(await Promise.all([host.unload(), host.unload()]), [true, true]);
      assert.equal(host.pid, undefined);
      assert.equal((await filesOf()).length, 2);
      assert.ok((await ask(engine, ALICE)) > 0.95);
      assert.ok((await ask(engine, BOB)) > 0.95);
      assert.ok(host.pid !== undefined && host.pid !== pid);
      process.kill(host.pid, 'SIGKILL');
      while (host.model.state === 'ready') await new Promise((resolve) => setImmediate(resolve));
      await host.ready();
      assert.ok((await ask(engine, ALICE)) < 0.1);
      assert.ok(await host.unload());
      assert.ok(await host.forget());
      assert.ok(!(await host.forget()));
      assert.ok((await ask(engine, ALICE)) < 0.1);
    } finally {
      await host.close();
    }
  });

  it('is kept behind the sandbox of this machine too', async () => {
    const probe = await probeSandbox();
    const plan = planSandbox('auto', probe);
    assert.ok(plan.type === 'plan');
    const engine = await open({ sandbox: { layers: plan.layers, probe } });
    await ask(engine, ALICE);
    await ask(engine, BOB);
    assert.ok((await ask(engine, ALICE)) > 0.95);
  });
});

describe('the directory of kept conversations', () => {
  let parent: string;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'skein-keep-'));
  });
  afterEach(async () => rm(parent, { recursive: true, force: true }));

  it('is for nobody else, and ends with the node; what a killed node left goes with the next one', async () => {
    // No process has this id: it is above the greatest that Linux gives.
    const leftover = join(parent, 'skein-kept-4194305-x');
    await mkdir(join(leftover, '0'), { recursive: true });
    await mkdir(join(parent, 'of somebody else'));
    await symlink(join(parent, 'of somebody else'), join(parent, 'skein-kept-4194305-y'));
    const keep = await openKeepDirectory(1_000, parent);
    assert.ok(keep !== undefined);
    assert.equal(keep.bytesMax, 1_000);
    assert.equal((await stat(keep.directory)).mode & 0o777, 0o700);
    const second = await openKeepDirectory(1_000, parent);
    assert.ok(second !== undefined);
    assert.equal((await readdir(parent)).length, 4);
    const model = subdirectory(keep, '0', 2);
    assert.equal(model.bytesMax, 500);
    await writeFile(join(model.directory, '1.state'), 'x');
    assert.ok(await emptyDirectory(model.directory));
    assert.ok(!(await emptyDirectory(model.directory)));
    await Promise.all([keep, second].map(removeKeepDirectory));
    assert.deepEqual((await readdir(parent)).toSorted(), ['of somebody else', 'skein-kept-4194305-y']);
  });

  it('is not made where nothing is wanted, or there is no memory to hold it', async () => {
    assert.equal(await openKeepDirectory(0, parent), undefined);
    assert.equal(await openKeepDirectory(1_000, join(parent, 'missing')), undefined);
    assert.deepEqual(await readdir(parent), []);
  });
});
