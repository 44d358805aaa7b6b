/** The default model in a directory of its own, as the store lists it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openModelStore } from '../../../src/inference/model-store.io.ts';
import type { StoredModel } from '../../../src/inference/stored-model.ts';

export interface Hello {
  readonly stored: StoredModel;
  readonly directory: string;
  remove(): Promise<void>;
}

export async function openHello(): Promise<Hello> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-hello-'));
  const [stored] = await openModelStore({
    modelsDirectory: join(directory, 'models'),
    cacheDirectory: join(directory, 'cache'),
    withDefaultModel: true,
  });
  assert.ok(stored !== undefined);
  return { stored, directory, remove: async () => rm(directory, { recursive: true, force: true }) };
}
