/**
 * The thread that works out schemas (`grammar-workshop.io.ts`): one constraint comes in, what came of it goes out. It reads and
 * writes nothing else, and what it knows of its last schemas is the formats, which are constants.
 */
import { parentPort } from 'node:worker_threads';
import { type Constraint, workOut } from './answer-format.ts';

parentPort?.on('message', (constraint: Constraint) => {
  // There is no window, and no origin.
  // eslint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(workOut(constraint));
});
