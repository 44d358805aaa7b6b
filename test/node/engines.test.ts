/** What the owner is told of the engines: with the real llama.cpp and its child process. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_MODEL_ID } from '../../src/inference/default-model.ts';
import { Grammars } from '../../src/inference/answer-format.ts';
import { LlamaEngine } from '../../src/inference/llama/llama-engine.io.ts';
import { loadConfig } from '../../src/node/config.io.ts';
import { type Engines, openEngines } from '../../src/node/engines.io.ts';

describe('the engines of a node', function () {
  this.timeout(30_000);
  let home: string;
  let engines: Engines | undefined;
  beforeEach(async () => (home = await mkdtemp(join(tmpdir(), 'skein-engines-'))));
  afterEach(async () => {
    await engines?.close();
    await rm(home, { recursive: true, force: true });
  });

  it('warn once when the process of a model dies: which, how and what comes next, and not when the node stops', async () => {
    const config = loadConfig({ flags: { home }, environment: {} });
    assert.ok(config.type === 'loaded');
    const changes = new EventEmitter();
    const warnings: string[] = [];
    engines = await openEngines({
      options: config.options,
      paths: config.paths,
      environment: {},
      grammars: new Grammars(),
      onModelsChanged: () => changes.emit('changed'),
      onMessage: (level, message) => {
        if (level === 'warn') warnings.push(message);
      },
    });
    const { set } = engines;
    const until = async (state: string): Promise<void> => {
      while (set.models()[0]?.state !== state) await once(changes, 'changed');
    };
    await until('ready');
    const engine = set.engineFor(DEFAULT_MODEL_ID);
    assert.ok(engine instanceof LlamaEngine);
    const pid = engine.pidOf(DEFAULT_MODEL_ID);
    assert.ok(pid !== undefined);
    process.kill(pid, 'SIGKILL');
    await until('on-disk');
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0] ?? '',
      new RegExp(
        `^the process that runs ${DEFAULT_MODEL_ID} ended: by SIGKILL; after a pause of \\d+ ms the next request starts it again$`,
      ),
    );
    assert.equal(set.models()[0]?.problem, warnings[0], 'the status shows it too');
    await engine.ready(DEFAULT_MODEL_ID);
    await engines.close();
    assert.equal(warnings.length, 1);
  });
});
