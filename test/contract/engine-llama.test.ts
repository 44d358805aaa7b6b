import { defaultModelPieces } from '../../src/inference/default-model.ts';
import { LlamaEngine } from '../../src/inference/llama/llama-engine.io.ts';
import { openHello } from '../inference/llama/hello.ts';
import { openReaders } from '../inference/llama/readers.ts';
import { engineContract } from './engine.contract.ts';
import { engineTasksContract } from './engine-tasks.contract.ts';

engineContract('the llama engine', async () => {
  const hello = await openHello();
  const engine = new LlamaEngine({ models: [hello.stored], slots: 3, maxThreads: 1 });
  await engine.ready(hello.stored.model);
  return {
    engine,
    model: hello.stored.model,
    exact: true,
    close: async () => {
      await engine.close();
      await hello.remove();
    },
  };
});

engineTasksContract('the llama engine', async () => {
  const readers = await openReaders();
  const { stored, writer, embedder, ranker } = readers;
  const engine = new LlamaEngine({ models: stored, slots: 3, maxThreads: 1, contextTokens: 4_096 });
  for (const { model } of stored) await engine.ready(model);
  return {
    engine,
    writer,
    embedder,
    ranker,
    prompt: defaultModelPieces.slice(0, 20).join(''),
    longText: 'goose '.repeat(4_096),
    close: async () => {
      await engine.close();
      await readers.remove();
    },
  };
});
