import { SimulatedEngine } from '../../../simulations/work/worker.ts';
import { TimingWheel } from '../../../simulations/kernel/event-queue.ts';
import { parseModelId } from '../../../src/ids.ts';
import { engineContract } from '../../contract/engine.contract.ts';

const machine = { tokensPerSecond: 40, prefillFactor: 15, slots: 3, cacheTokens: 10_000 };

/** The suite waits in real time: virtual time runs on beside it, some milliseconds in each turn of the event loop. */
function drive(queue: TimingWheel): () => void {
  let next: NodeJS.Immediate | undefined;
  const turn = (): void => {
    queue.run(queue.nowMs + 20);
    next = setImmediate(turn);
  };
  turn();
  return () => clearImmediate(next);
}

for (const { name, batchMs } of [
  { name: 'the simulated engine', batchMs: 100 },
  { name: 'the simulated engine, a token at a time', batchMs: 0 },
]) {
  engineContract(name, async () => {
    const model = parseModelId('goose:tiny');
    if (model === undefined) throw new Error('a valid model id');
    const queue = new TimingWheel();
    const models = [{ model, contextTokens: 1_024, loadMs: 0, speed: 1 }];
    const engine = new SimulatedEngine({ queue, machine, models, batchMs });
    const stop = drive(queue);
    return { engine, model, exact: true, close: async () => stop() };
  });
}
