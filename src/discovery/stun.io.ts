/**
 * Who tells a node behind a NAT how the world sees it, when nobody wants to ask a public service? Every reachable member:
 * it answers STUN at the number of its TCP port, over UDP, where the others expect it. Whoever asks is answered, for a
 * member's question looks like a stranger's; the answer tells a host only its own address, and a host that asks too
 * often gets none. `probeNat` asks two servers from one socket: the same answer twice means that a hole can be punched.
 * Limits: answers per host and second, hosts that are counted; time of a probe.
 * Source: RFC 8489; the kinds of NAT are those of RFC 5780.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  decodeStunAnswer,
  decodeStunRequest,
  encodeStunAnswer,
  encodeStunRequest,
  isStunPort,
  TRANSACTION_BYTES,
  type StunAddress,
} from './stun.ts';

/** Source: guess: an ICE agent asks some ten times; behind one NAT there may be several. */
const ANSWERS_PER_SECOND_MAX = 50;
const HOSTS_MAX = 1_024;
/** A lost question is asked again after this. Source: spec: RFC 8489, 6.2.1: 500 ms. */
const ASK_AGAIN_MS = 500;
const QUESTIONS_MAX = 4;

export class StunResponder {
  readonly #sockets: Socket[] = [];
  readonly #asked = new Map<string, number>();
  #second = 0;
  #closed = false;
  answered = 0;
  refused = 0;

  /** Rejects when the port is taken. The next one is a second door, so that a single server can tell a symmetric NAT. */
  async listen(port: number): Promise<void> {
    await this.#bind('udp4', port);
    // Without IPv6 here nobody asks over IPv6, and without the second door the kind of NAT takes a second server.
    const others = [this.#bind('udp6', port), this.#bind('udp4', port + 1), this.#bind('udp6', port + 1)];
    await Promise.allSettled(others);
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets.splice(0)) socket.close();
  }

  async #bind(type: 'udp4' | 'udp6', port: number): Promise<void> {
    const socket = createSocket({ type, ipv6Only: type === 'udp6' }).unref();
    socket.on('message', (datagram, from) => this.#answer(socket, datagram, from));
    try {
      // The last port has no next one: that throws.
      socket.bind(port);
      await once(socket, 'listening');
    } catch (error) {
      socket.close();
      throw error;
    }
    // What a single datagram meets on its way is no concern of the next one.
    socket.on('error', () => (this.refused += 1));
    // Closed meanwhile: nobody would ever close this one.
    if (this.#closed) socket.close();
    else this.#sockets.push(socket);
  }

  #answer(socket: Socket, datagram: Uint8Array, from: RemoteInfo): void {
    const transaction = decodeStunRequest(datagram);
    if (transaction === undefined || !this.#mayAsk(from.address)) return void (this.refused += 1);
    const answer = encodeStunAnswer(transaction, { host: from.address, port: from.port });
    if (answer === undefined) return void (this.refused += 1);
    this.answered += 1;
    socket.send(answer, from.port, from.address);
  }

  #mayAsk(host: string): boolean {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) this.#asked.clear();
    this.#second = second;
    const count = (this.#asked.get(host) ?? 0) + 1;
    if (count > ANSWERS_PER_SECOND_MAX || (count === 1 && this.#asked.size >= HOSTS_MAX)) return false;
    this.#asked.set(host, count);
    return true;
  }
}

/** The second door of a server. */
export function secondDoor({ host, port }: StunAddress): StunAddress {
  return { host, port: port + 1 };
}

/** Where each server saw one and the same socket of ours; a server that does not answer in time is left out. */
export async function probeNat(servers: readonly StunAddress[], signal: AbortSignal): Promise<readonly StunAddress[]> {
  const isIp6 = servers[0]?.host.includes(':') === true;
  const socket = createSocket(isIp6 ? 'udp6' : 'udp4').unref();
  try {
    socket.bind(0);
    await once(socket, 'listening', { signal });
    const seen = await Promise.all(servers.map(async (server) => ask(socket, server, signal)));
    return seen.filter((address) => address !== undefined);
  } finally {
    socket.close();
  }
}

async function ask(socket: Socket, server: StunAddress, signal: AbortSignal): Promise<StunAddress | undefined> {
  if (!isStunPort(server.port)) return undefined; // behind the last port there is no second door
  const transaction = new Uint8Array(randomBytes(TRANSACTION_BYTES));
  const { promise, resolve } = Promise.withResolvers<StunAddress | undefined>();
  const onMessage = (datagram: Uint8Array): void => {
    const address = decodeStunAnswer(datagram, transaction);
    if (address !== undefined) resolve(address);
  };
  let questions = 0;
  const question = (): void => {
    if (questions === QUESTIONS_MAX) return resolve(undefined);
    questions += 1;
    socket.send(encodeStunRequest(transaction), server.port, server.host, (error) => {
      if (error !== null) resolve(undefined); // no route: no answer
    });
  };
  const timer = setInterval(question, ASK_AGAIN_MS).unref();
  const onAbort = (): void => resolve(undefined);
  socket.on('message', onMessage);
  signal.addEventListener('abort', onAbort, { once: true });
  question();
  try {
    return await promise;
  } finally {
    clearInterval(timer);
    socket.off('message', onMessage);
    signal.removeEventListener('abort', onAbort);
  }
}
