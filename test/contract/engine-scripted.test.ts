import { ScriptedEngine } from '../../src/inference/scripted.ts';
import { parseModelId } from '../../src/ids.ts';
import { engineContract } from './engine.contract.ts';
import { engineTasksContract } from './engine-tasks.contract.ts';

const model = parseModelId('goose:tiny');
if (model === undefined) throw new Error('a valid model id');

engineContract('the scripted engine', async () => {
  const engine = new ScriptedEngine({ models: [model], contextTokens: 256, slots: 3 });
  return { engine, model, exact: true, close: async () => {} };
});

engineTasksContract('the scripted engine', async () => ({
  engine: new ScriptedEngine({ models: [model], contextTokens: 256, slots: 3 }),
  writer: model,
  embedder: model,
  ranker: model,
  longText: 'goose '.repeat(256),
  close: async () => {},
}));
