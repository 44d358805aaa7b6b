/**
 * A thread of its own that asks a node for its sign of life every 20 ms, and a server that does nothing for the same at the
 * same moments: on a machine that others use too, what both take is the machine's, and the difference is the node's.
 */
import { once } from 'node:events';
import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, Worker, workerData } from 'node:worker_threads';

/** What the difference of the slowest poll was since the last question, and without subtraction. */
export interface Polled {
  readonly polls: number;
  readonly failed: number;
  readonly worstMs: number;
  readonly worstDifferenceMs: number;
}

const POLL_MS = 20;
const POLLS_MIN = 3;
const agent = new Agent({ keepAlive: true });

if (parentPort !== null) {
  if (workerData === 'control') await serve(parentPort);
  else if (typeof workerData === 'string') await poll(parentPort, workerData);
}

async function serve(port: NonNullable<typeof parentPort>): Promise<void> {
  const server = createServer((_, response) => response.end('{}')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  port.postMessage(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

async function poll(port: NonNullable<typeof parentPort>, node: string): Promise<void> {
  const control = new Worker(new URL(import.meta.url), { workerData: 'control' });
  const [controlUrl] = await once(control, 'message');
  const asked = { polls: 0, failed: 0, worstMs: 0, worstDifferenceMs: 0 };
  let now = { ...asked };
  let open = 0;
  const timer = setInterval(() => {
    open += 1;
    void Promise.all([timeOf(`${node}/livez`), timeOf(String(controlUrl))]).then(([nodeMs, controlMs]) => {
      open -= 1;
      now.polls += 1;
      if (nodeMs === undefined || controlMs === undefined) {
        now.failed += 1;
        return;
      }
      now.worstMs = Math.max(now.worstMs, nodeMs);
      now.worstDifferenceMs = Math.max(now.worstDifferenceMs, nodeMs - controlMs);
    });
  }, POLL_MS);
  let asking = false;
  port.on('message', (message) => {
    if (message === 'end') {
      clearInterval(timer);
      process.exit(0);
    }
    asking = true;
  });
  // A question is answered when the polls before it are, and some after it.
  setInterval(() => {
    if (!asking || open > 1 || now.polls < POLLS_MIN) return;
    asking = false;
    port.postMessage(now);
    now = { ...asked };
  }, 5);
  port.postMessage('ready');
}

async function timeOf(url: string): Promise<number | undefined> {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    get(url, { agent }, (response) => {
      response
        .resume()
        .on('end', () => resolve(response.statusCode === 200 ? performance.now() - startedMs : undefined));
    }).on('error', () => resolve(undefined));
  });
}
