import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_MODEL_ID, writeDefaultModel } from '../../src/inference/default-model.ts';
import { type ModelStoreOptions, openModelStore } from '../../src/inference/model-store.io.ts';
import { modelIdOfFile, shownModelId, type StoredModel } from '../../src/inference/stored-model.ts';

describe('the model store', () => {
  const file = writeDefaultModel();
  const digest = createHash('sha256').update(file).digest('hex');
  let home: string;
  let models: string;

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'skein-store-'));
    models = join(home, 'models');
  });
  afterEach(async () => rm(home, { recursive: true, force: true }));

  async function open(more: Partial<ModelStoreOptions> = {}): Promise<readonly StoredModel[]> {
    return openModelStore({
      modelsDirectory: models,
      cacheDirectory: join(home, 'cache'),
      withDefaultModel: false,
      ...more,
    });
  }

  it('gives a fresh machine a private directory with the default model', async () => {
    const [stored, ...others] = await open({ withDefaultModel: true });
    assert.deepEqual(others, []);
    assert.equal(stored?.model, DEFAULT_MODEL_ID);
    assert.equal(stored.state, 'on-disk');
    assert.equal(stored.digest, digest);
    assert.equal(stored.contextLength, 8_192);
    assert.deepEqual(new Uint8Array(await readFile(stored.path)), file);
    if (process.platform !== 'win32') assert.equal((await stat(models)).mode & 0o777, 0o700);
  });

  it('leaves an empty directory empty when no default model is wanted', async () => {
    assert.deepEqual(await open(), []);
    assert.ok((await stat(models)).isDirectory());
  });

  it('lists what is bad with a problem that names the path and the mend, beside what is good', async () => {
    await mkdir(models);
    await writeFile(join(models, 'good.gguf'), file);
    await writeFile(join(models, 'notes.txt'), 'no model');
    await writeFile(join(models, 'zip.gguf'), 'PK not a model');
    await writeFile(join(models, 'cut.gguf'), file.subarray(0, file.length - 100_000));
    await writeFile(join(models, 'a name; with spaces.gguf'), file);
    await mkdir(join(models, 'folder.gguf'));
    const missing = join(home, 'missing.gguf');
    const found = await open({ extraPaths: [missing] });
    const byId = new Map(found.map((model) => [String(model.model), model]));
    assert.equal(byId.get('good')?.state, 'on-disk');
    for (const { id, path, problem } of [
      { id: 'zip', path: 'zip.gguf', problem: /no GGUF file.*replace it or remove it/ },
      { id: 'cut', path: 'cut.gguf', problem: /cut off/ },
      { id: 'a-name-with-spaces', path: 'a name; with spaces.gguf', problem: /rename it/ },
      { id: 'folder', path: 'folder.gguf', problem: /EISDIR|regular file/ },
      { id: 'missing', path: missing, problem: /bring the file back/ },
    ]) {
      const model = byId.get(id);
      assert.equal(model?.state, 'failed', id);
      assert.match(model.problem ?? '', problem, id);
      assert.ok(model.problem?.includes(path), id);
      assert.equal(model.digest, '');
    }
    assert.equal(found.length, 6);
  });

  it('looks into a directory that the owner added, one level deep', async () => {
    const more = join(home, 'more');
    await mkdir(join(more, 'deeper'), { recursive: true });
    await writeFile(join(more, 'one.gguf'), file);
    await writeFile(join(more, 'notes.txt'), 'no model');
    await writeFile(join(more, 'deeper', 'two.gguf'), file);
    assert.deepEqual(
      (await open({ extraPaths: [more] })).map(({ model, state }) => [model, state]),
      [['one', 'on-disk']],
    );
  });

  it('says which file it may not read', async function () {
    if (process.platform === 'win32' || process.getuid?.() === 0) this.skip();
    await mkdir(models);
    await writeFile(join(models, 'secret.gguf'), file);
    await chmod(join(models, 'secret.gguf'), 0);
    assert.match((await open())[0]?.problem ?? '', /chmod u\+r/);
  });

  it('refuses a link out of the directory, and follows one within', async function () {
    if (process.platform === 'win32') this.skip();
    await mkdir(models);
    await writeFile(join(home, 'outside.gguf'), file);
    await writeFile(join(models, 'real.gguf'), file);
    await symlink(join(home, 'outside.gguf'), join(models, 'escape.gguf'));
    await symlink(join(models, 'real.gguf'), join(models, 'alias.gguf'));
    const states = Object.fromEntries((await open()).map(({ model, state }) => [model, state]));
    assert.deepEqual(states, { alias: 'on-disk', escape: 'failed', real: 'on-disk' });
  });

  it('serves the first of two files with one name, and names both', async () => {
    await mkdir(models);
    await mkdir(join(home, 'more'));
    const paths = [join(models, 'twin.gguf'), join(home, 'more', 'twin.gguf')];
    for (const path of paths) await writeFile(path, file);
    const [first, second] = await open({ extraPaths: paths });
    assert.equal(first?.model, 'twin');
    assert.equal(first.state, 'on-disk');
    assert.equal(second?.model, 'twin@2');
    assert.equal(second.state, 'failed');
    for (const path of paths) assert.ok(second.problem?.includes(path));
  });

  it('hashes a file again only when its size or time changed', async () => {
    await mkdir(models);
    const path = join(models, 'm.gguf');
    await writeFile(path, file);
    await open();
    const cache = join(home, 'cache', 'model-digests.json');
    // A digest that no file has shows whether the cache was believed.
    const marked = (await readFile(cache, 'utf8')).replace(digest, '0'.repeat(64));
    await writeFile(cache, marked);
    assert.equal((await open())[0]?.digest, '0'.repeat(64));
    await utimes(path, 1_000, 1_000);
    assert.equal((await open())[0]?.digest, digest);
    assert.ok((await readFile(cache, 'utf8')).includes(digest));
  });

  it('takes a broken cache as an empty one', async () => {
    await mkdir(models);
    await mkdir(join(home, 'cache'));
    await writeFile(join(models, 'm.gguf'), file);
    for (const content of ['', '{', '[]', '{"x":{"digest":5}}', 'null']) {
      await writeFile(join(home, 'cache', 'model-digests.json'), content);
      assert.equal((await open())[0]?.digest, digest);
    }
  });

  it('names the directory that cannot be used', async () => {
    await writeFile(models, 'a file in its place');
    await assert.rejects(open(), (error: Error) => error.message.includes(models));
  });
});

describe('the id of a model file', () => {
  it('is its name without the ending, or none', () => {
    for (const { name, id } of [
      { name: 'Qwen2.5-0.5B-Instruct-Q4_K_M.gguf', id: 'Qwen2.5-0.5B-Instruct-Q4_K_M' },
      { name: 'A.GGUF', id: 'A' },
      { name: '.gguf', id: undefined },
      { name: '-x.gguf', id: undefined },
      { name: 'a b.gguf', id: undefined },
      { name: 'a%2e.gguf', id: undefined },
      { name: 'sha256:..gguf', id: undefined },
      { name: `${'a'.repeat(128)}.gguf`, id: 'a'.repeat(128) },
      { name: `${'a'.repeat(129)}.gguf`, id: undefined },
      { name: 'model.bin', id: undefined },
    ])
      assert.equal(modelIdOfFile(name), id, name);
  });

  it('can be shown even when the name is none', () => {
    for (const { name, id } of [
      { name: 'a b\u0000c.gguf', id: 'a-b-c' },
      { name: '.gguf', id: 'unnamed' },
      { name: '🦢.gguf', id: 'unnamed' },
      { name: `${'ü'.repeat(5)}x.gguf`, id: 'x' },
    ])
      assert.equal(shownModelId(name), id, name);
  });
});
