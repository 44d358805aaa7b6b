/** The default model and the two that only read, in a directory of their own, as the store lists them. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelId } from '../../../src/ids.ts';
import { DEFAULT_MODEL_ID } from '../../../src/inference/default-model.ts';
import { openModelStore } from '../../../src/inference/model-store.io.ts';
import { modelIdOfFile, type StoredModel } from '../../../src/inference/stored-model.ts';
import { writeReaderModel } from './reader-models.ts';

export interface Readers {
  readonly stored: readonly StoredModel[];
  readonly writer: ModelId;
  readonly embedder: ModelId;
  readonly ranker: ModelId;
  remove(): Promise<void>;
}

export async function openReaders(): Promise<Readers> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-readers-'));
  const modelsDirectory = join(directory, 'models');
  await mkdir(modelsDirectory);
  for (const kind of ['bert', 'rank'] as const)
    await writeFile(join(modelsDirectory, `${kind}.gguf`), writeReaderModel(kind));
  const stored = await openModelStore({
    modelsDirectory,
    cacheDirectory: join(directory, 'cache'),
    withDefaultModel: false,
  });
  const [hello] = await openModelStore({
    modelsDirectory: join(directory, 'none'),
    cacheDirectory: join(directory, 'cache'),
    withDefaultModel: true,
  });
  const [embedder, ranker] = ['bert.gguf', 'rank.gguf'].map((name) => modelIdOfFile(name));
  assert.ok(hello !== undefined && embedder !== undefined && ranker !== undefined);
  return {
    stored: [hello, ...stored],
    writer: DEFAULT_MODEL_ID,
    embedder,
    ranker,
    remove: async () => rm(directory, { recursive: true, force: true }),
  };
}
