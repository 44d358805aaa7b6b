import { LlamaEngine } from '../../src/inference/llama/llama-engine.io.ts';
import { openHello } from '../inference/llama/hello.ts';
import { engineContract } from './engine.contract.ts';

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
