/**
 * How does a machine that holds a code, and no swarm key, get the key from the node that gave the code out? In a channel of
 * its own: TLS 1.3 with a pre-shared key derived from the code (both ends prove that they hold it, and the session's key is
 * fresh, so that a recording is of no use to who finds the code later), on a port that is open only while a code is. Nothing of the
 * mesh can be reached through it. Every attempt is counted and kept on disk before it is answered, and a code is
 * marked as used, and synced, before the key is sent: after a crash it may be lost, never used twice.
 * Limits: the other machine must reach this one by TCP; eight sockets at once, fifteen seconds each. Source: ours; RFC 8446.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { join } from 'node:path';
import { errorCode } from '../file-error.ts';
import { encodeOnceCode, ONCE_SECRET_BYTES, onceKey, onceName, type Place } from './once-code.ts';
import {
  attemptOnce,
  decodeOnceRecords,
  encodeOnceRecords,
  isOpen,
  ONCE_CODES_MAX,
  type OnceRecord,
  type OnceRefusal,
  openOnce,
  redeemOnce,
} from './once-codes.ts';
import { ONCE_REQUEST_BYTES_MAX, ONCE_TLS } from './once-channel.ts';

/** Source: guess: a handshake and one line, from a machine that is busy; strangers hold a socket no longer. */
const SOCKET_MS_MAX = 15_000;
const SOCKETS_MAX = 8;
/** Source: guess: a log that a person reads. */
const SAY_AGAIN_MS = 10_000;

export interface OnceDeskOptions {
  readonly stateDirectory: string;
  /** The answer to one line of the machine that joins: what it gets. Called after the code is used up. */
  readonly welcome: (request: string) => Promise<string>;
  readonly onEvent: (event: string) => void;
  readonly onProblem: (where: string, error: unknown) => void;
}

export interface OpenedCode {
  readonly type: 'opened';
  readonly link: string;
  readonly name: string;
  readonly expiresAt: number;
}

export type OpenCodeResult = OpenedCode | { readonly type: 'refused'; readonly message: string };

export interface OpenCodeOptions {
  readonly seconds: number;
  /** Where this machine can be reached, best first. */
  readonly hosts: readonly string[];
  /** 0 = any free one. */
  readonly port: number;
}

export class OnceDesk {
  readonly #options: OnceDeskOptions;
  readonly #path: string;
  #records: readonly OnceRecord[];
  /** Which code the channel of a socket is keyed by. */
  readonly #names = new WeakMap<TLSSocket, string>();
  #server: Server | undefined;
  /** Two commands at once wait for the same listener. */
  #starting: Promise<void> | undefined;
  #closing: NodeJS.Timeout | undefined;
  readonly #saidAtMs = new Map<OnceRefusal | 'failed', number>();

  constructor(options: OnceDeskOptions) {
    this.#options = options;
    this.#path = join(options.stateDirectory, 'once-codes.json');
    this.#records = decodeOnceRecords(readText(this.#path));
  }

  /** Serves again the codes that were open when the node ended. */
  async resume(): Promise<void> {
    const open = this.#records.find((record) => isOpen(record, nowSeconds()));
    if (open === undefined) return;
    try {
      await this.#listen(open.port, undefined);
    } catch (error) {
      this.#options.onProblem('codes that work once cannot be used any more, their port is taken', error);
    }
  }

  async open({ seconds, hosts, port }: OpenCodeOptions): Promise<OpenCodeResult> {
    const secret = new Uint8Array(randomBytes(ONCE_SECRET_BYTES));
    const listening = await this.#listen(port, hosts.every(isLoopback) ? hosts[0] : undefined);
    const record: OnceRecord = {
      name: onceName(secret),
      secret,
      expiresAt: nowSeconds() + seconds,
      attempts: 0,
      redeemed: false,
      port: listening,
    };
    const records = openOnce(this.#records, record, nowSeconds());
    if (records === undefined)
      return { type: 'refused', message: `${ONCE_CODES_MAX} codes are open already: use them, or wait until they end` };
    this.#keep(records);
    this.#closeLater();
    const places: readonly Place[] = hosts.map((host) => ({ host, port: listening }));
    const { name, expiresAt } = record;
    return { type: 'opened', link: encodeOnceCode({ secret, places, expiresAt }), name, expiresAt };
  }

  close(): void {
    clearTimeout(this.#closing);
    this.#server?.close();
    this.#server = undefined;
  }

  /** The port; one listener serves all codes. */
  async #listen(port: number, host: string | undefined): Promise<number> {
    this.#server ??= this.#createServer();
    const server = this.#server;
    if (!server.listening) {
      this.#starting ??= new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ port, ...(host === undefined ? {} : { host }) }, () => resolve());
      })
        .catch((error: unknown) => {
          this.#server = undefined;
          throw error;
        })
        .finally(() => (this.#starting = undefined));
      await this.#starting;
    }
    this.#closeLater();
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  #createServer(): Server {
    const server = createServer({
      ...ONCE_TLS,
      handshakeTimeout: SOCKET_MS_MAX,
      pskCallback: (socket, name) => this.#attempt(socket, name),
    });
    server.maxConnections = SOCKETS_MAX;
    server.on('connection', (socket) => {
      const timer = setTimeout(() => socket.destroy(), SOCKET_MS_MAX).unref();
      socket.on('close', () => clearTimeout(timer));
    });
    server.on('tlsClientError', (error) => this.#failed(error));
    server.on('error', (error) => this.#options.onProblem('the listener for codes', error));
    server.on('secureConnection', (socket) => this.#serve(socket));
    return server;
  }

  /** The key for a name that a socket shows, before anything is proved. */
  #attempt(socket: TLSSocket, name: string): Uint8Array<ArrayBuffer> | null {
    const { records, refusal } = attemptOnce(this.#records, name, nowSeconds());
    if (refusal !== undefined) {
      this.#refused(refusal);
      return null;
    }
    this.#keep(records);
    const record = records.find((one) => one.name === name);
    if (record === undefined) return null;
    this.#names.set(socket, name);
    return new Uint8Array(onceKey(record.secret));
  }

  #serve(socket: TLSSocket): void {
    let line = '';
    socket.setEncoding('utf8');
    socket.on('error', (error) => this.#failed(error));
    socket.on('data', (text: string) => {
      line += text;
      if (line.length > ONCE_REQUEST_BYTES_MAX) return socket.destroy();
      const end = line.indexOf('\n');
      if (end < 0) return undefined;
      socket.removeAllListeners('data');
      this.#redeem(this.#names.get(socket) ?? '', line.slice(0, end)).then(
        (answer) => socket.end(`${answer}\n`),
        (error: unknown) => {
          this.#options.onProblem('a code that works once', error);
          socket.destroy();
        },
      );
      return undefined;
    });
  }

  async #redeem(name: string, request: string): Promise<string> {
    const { records, refusal } = redeemOnce(this.#records, name, nowSeconds());
    if (refusal !== undefined) {
      this.#refused(refusal);
      return `refused ${refusal}`;
    }
    // Used up, on disk, before anything is given.
    this.#keep(records);
    this.#options.onEvent(`the code ${name} was used`);
    this.#closeLater();
    return this.#options.welcome(request);
  }

  #refused(refusal: OnceRefusal): void {
    if (this.#maySay(refusal)) this.#options.onEvent(`a code that works once was refused: ${refusal}`);
  }

  #failed(error: unknown): void {
    if (this.#maySay('failed')) this.#options.onProblem('a code that works once', error);
  }

  /** Whoever finds the port can knock hundreds of times a second: one line of each kind in a while tells as much. */
  #maySay(what: OnceRefusal | 'failed'): boolean {
    const nowMs = performance.now();
    if (nowMs < (this.#saidAtMs.get(what) ?? -SAY_AGAIN_MS) + SAY_AGAIN_MS) return false;
    this.#saidAtMs.set(what, nowMs);
    return true;
  }

  #keep(records: readonly OnceRecord[]): void {
    this.#records = records;
    const temporary = `${this.#path}.tmp`;
    const file = openSync(temporary, 'w', 0o600);
    try {
      writeSync(file, encodeOnceRecords(records));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, this.#path);
  }

  /** The port is closed when no code is open any more. */
  #closeLater(): void {
    clearTimeout(this.#closing);
    const ends = this.#records.filter((record) => isOpen(record, nowSeconds())).map(({ expiresAt }) => expiresAt);
    const waitMs = ends.length === 0 ? 0 : (Math.max(...ends) - nowSeconds() + 1) * 1_000;
    this.#closing = setTimeout(() => {
      if (this.#records.some((record) => isOpen(record, nowSeconds()))) this.#closeLater();
      else this.close();
    }, waitMs).unref();
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  }
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1';
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}
