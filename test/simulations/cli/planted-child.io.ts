/** A job of the planted swarm: on one seed it dies, as a process does that runs out of memory. */
import { readTask } from '../../../simulations/cli/swarm-message.ts';
import { serveSwarm } from '../../../simulations/cli/swarm-child.io.ts';
import { PLANTED } from './planted.ts';

/** Nobody else simulates this one. */
const DEADLY_SEED = 666;

process.on('message', (message) => {
  if (readTask(message)?.seed !== DEADLY_SEED) return;
  process.stderr.write('out of something\n', () => process.kill(process.pid, 'SIGKILL'));
});
serveSwarm([PLANTED]);
