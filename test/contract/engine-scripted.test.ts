import { ScriptedEngine } from '../../src/inference/scripted.ts';
import { parseModelId } from '../../src/ids.ts';
import { engineContract } from './engine.contract.ts';

engineContract('the scripted engine', async () => {
  const model = parseModelId('goose:tiny');
  if (model === undefined) throw new Error('a valid model id');
  const engine = new ScriptedEngine({ models: [model], contextTokens: 256, slots: 3 });
  return { engine, model, exact: true, close: async () => {} };
});
