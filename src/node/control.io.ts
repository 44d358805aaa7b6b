/**
 * How does a command on this machine tell the running node to do something that no web page and no other user may? Over a
 * port on loopback that wants a secret of 32 random bytes, which stands in `control.json` in the state directory, readable by
 * the node's user only. One line of JSON each way. A browser cannot say the first line, and who guesses is cut off.
 * Limits: one request for each socket, 256 KiB, ten seconds, eight sockets at once; root can read everything, as ever.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { reasonOf } from '../errors.ts';
import { replaceFile } from '../state-file.io.ts';

const TOKEN_BYTES = 32;
/** Source: ours: a full trust list, encoded as text, is below. */
const LINE_BYTES_MAX = 262_144;
/** Source: guess: a command waits for the disk, not for other machines. */
const ANSWER_MS_MAX = 10_000;
const SOCKETS_MAX = 8;

export type ControlRequest = Readonly<Record<string, unknown>>;
/** `problem`: what, why and what to do. */
export type ControlAnswer = Readonly<Record<string, unknown>> & { readonly problem?: string };
export type ControlHandler = (request: ControlRequest) => Promise<ControlAnswer>;

export class ControlServer {
  readonly #handler: ControlHandler;
  readonly #stateDirectory: string;
  readonly #token = randomBytes(TOKEN_BYTES);
  readonly #server: Server;

  constructor(stateDirectory: string, handler: ControlHandler) {
    this.#stateDirectory = stateDirectory;
    this.#handler = handler;
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = SOCKETS_MAX;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', () => resolve());
    });
    const address = this.#server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const file = { port, token: this.#token.toString('hex') };
    await replaceFile(join(this.#stateDirectory, 'control.json'), `${JSON.stringify(file)}\n`);
  }

  async stop(): Promise<void> {
    this.#server.close();
    await rm(join(this.#stateDirectory, 'control.json'), { force: true });
  }

  #serve(socket: Socket): void {
    let line = '';
    const timer = setTimeout(() => socket.destroy(), ANSWER_MS_MAX).unref();
    socket.setEncoding('utf8');
    // A client that goes away has its answer or does not want it.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => clearTimeout(timer));
    socket.on('data', (text: string) => {
      line += text;
      const end = line.indexOf('\n');
      if (line.length > LINE_BYTES_MAX) return socket.destroy();
      if (end < 0) return undefined;
      socket.removeAllListeners('data');
      const request = parseObject(line.slice(0, end));
      if (request === undefined || !this.#isAllowed(request['token'])) return socket.destroy();
      this.#handler(request).then(
        (answer) => socket.end(`${JSON.stringify(answer)}\n`),
        (error: unknown) => socket.end(`${JSON.stringify({ problem: reasonOf(error) })}\n`),
      );
      return undefined;
    });
  }

  #isAllowed(token: unknown): boolean {
    const given = Buffer.from(typeof token === 'string' ? token : '', 'hex');
    return given.length === TOKEN_BYTES && timingSafeEqual(given, this.#token);
  }
}

/** The answer of the node that runs with this state directory; undefined where none does. */
export async function askControl(stateDirectory: string, request: ControlRequest): Promise<ControlAnswer | undefined> {
  const file = await readControlFile(stateDirectory);
  if (file === undefined) return undefined;
  const { promise, resolve } = Promise.withResolvers<ControlAnswer | undefined>();
  let text = '';
  const socket = connect({ port: file.port, host: '127.0.0.1' });
  const timer = setTimeout(() => socket.destroy(), ANSWER_MS_MAX);
  socket.setEncoding('utf8');
  socket.on('connect', () => socket.write(`${JSON.stringify({ ...request, token: file.token })}\n`));
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  // The file was left by a node that is gone, or its port is another's now: nobody of ours runs.
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    clearTimeout(timer);
    resolve(parseObject(text));
  });
  return promise;
}

async function readControlFile(
  stateDirectory: string,
): Promise<{ readonly port: number; readonly token: string } | undefined> {
  try {
    const { port, token } = parseObject(await readFile(join(stateDirectory, 'control.json'), 'utf8')) ?? {};
    return typeof port === 'number' && typeof token === 'string' ? { port, token } : undefined;
  } catch {
    return undefined; // no node runs
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined; // not ours
  }
}
