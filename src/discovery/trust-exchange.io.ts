/**
 * How does what the owner signed reach every member? Two members exchange all they know when they connect, and whoever learnt
 * something new opens an exchange with all others at once, so that a revocation crosses the mesh in a few round trips
 * whatever way it takes. Known things change nothing, which ends the flood. From time to time one member is asked anyway,
 * for what a broken stream lost.
 * Limits: a frame is bounded and so is its time; at most one exchange with each member at a time, and one more to follow; a member
 * that asks on and on is answered twice a second.
 */
import type { NodeId } from '../ids.ts';
import type { Network, NetworkStream } from '../node/network.ts';
import { equalBytes } from '../bytes.ts';
import { RelayMeter, type RelayRate } from './relay-rate.ts';
import {
  decodeTrustMessage,
  encodeTrustMessage,
  TRUST_FRAME_BYTES_MAX,
  TRUST_PROTOCOL,
  type TrustKnowledge,
  type TrustMessage,
  trustMessage,
} from './trust-message.ts';

/** Source: guess: some hundred kB over a slow line. */
const EXCHANGE_MS_MAX = 10_000;
/** Between two looks at one random member. Source: as often as the anti-entropy of gossip. */
const REPAIR_MS = 30_000;
/** After an exchange that broke. Source: guess. */
const RETRY_MS = 1_000;
const STREAMS_MAX = 4;
/** Exchanges that one member may begin: each may cost us milliseconds of decoding and verifying. Source: guess: a mesh in which
 *  everybody learns something at once asks once for each change. */
const ASKS: RelayRate = { bytesPerSecond: 2, burstBytes: 32, membersMax: 1_024 };

export interface TrustExchangePort {
  readonly self: NodeId;
  knowledge(): TrustKnowledge;
  /** Returns true when it was new. */
  learn(from: NodeId, message: TrustMessage): void;
  onProblem(where: string, error: unknown): void;
}

export class TrustExchange {
  readonly #port: TrustExchangePort;
  readonly #network: Network;
  /** Under way, and whether another one is wanted after it. */
  readonly #running = new Map<NodeId, { again: boolean }>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Counts exchanges in place of bytes. */
  readonly #asks = new RelayMeter(ASKS);
  #turn = 0;

  constructor(port: TrustExchangePort, network: Network) {
    this.#port = port;
    this.#network = network;
  }

  async start(): Promise<void> {
    await this.#network.handle(TRUST_PROTOCOL, async (stream, from) => this.#answer(stream, from), {
      maxInboundStreams: STREAMS_MAX,
      maxOutboundStreams: STREAMS_MAX,
    });
    this.#timers.add(setInterval(() => this.#repair(), REPAIR_MS).unref());
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** One of the two begins. */
  connected(node: NodeId): void {
    if (this.#port.self < node) this.#exchange(node);
  }

  /** Tells everybody but `except`. */
  spread(except?: NodeId): void {
    for (const node of this.#network.members()) if (node !== except) this.#exchange(node);
  }

  #repair(): void {
    const members = this.#network.members();
    const node = members[this.#turn % Math.max(1, members.length)];
    this.#turn += 1;
    if (node !== undefined) this.#exchange(node);
  }

  #exchange(node: NodeId): void {
    const running = this.#running.get(node);
    if (running !== undefined) {
      running.again = true;
      return;
    }
    const state = { again: false };
    this.#running.set(node, state);
    void this.#ask(node)
      .catch((error: unknown) => {
        this.#port.onProblem(`the owner's lists for ${node}`, error);
        if (this.#network.isConnected(node)) this.#later(node);
      })
      .finally(() => {
        this.#running.delete(node);
        if (state.again && this.#network.isConnected(node)) this.#exchange(node);
      });
  }

  #later(node: NodeId): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#network.isConnected(node)) this.#exchange(node);
    }, RETRY_MS).unref();
    this.#timers.add(timer);
  }

  async #ask(node: NodeId): Promise<void> {
    const signal = AbortSignal.timeout(EXCHANGE_MS_MAX);
    const stream = await this.#network.openStream(node, TRUST_PROTOCOL, signal);
    const frames = new Frames(stream, signal);
    try {
      const told = trustMessage(this.#port.knowledge(), false);
      frames.send(told);
      const answer = await frames.next();
      this.#port.learn(node, answer);
      if (!equalBytes(answer.digest, told.digest)) frames.send(trustMessage(this.#port.knowledge(), true));
      await stream.close({ signal });
    } catch (error) {
      stream.abort(asError(error));
      throw error;
    }
  }

  async #answer(stream: NetworkStream, from: NodeId): Promise<void> {
    if (this.#asks.take(from, 1, performance.now()) > 0)
      return stream.abort(new Error('too many questions about trust: ask again later'));
    const signal = AbortSignal.timeout(EXCHANGE_MS_MAX);
    const frames = new Frames(stream, signal);
    try {
      const asked = await frames.next();
      const own = trustMessage(this.#port.knowledge(), false);
      const isSame = equalBytes(asked.digest, own.digest);
      frames.send(isSame ? own : trustMessage(this.#port.knowledge(), true));
      this.#port.learn(from, asked);
      if (!isSame) this.#port.learn(from, await frames.next());
      await stream.close({ signal });
    } catch (error) {
      stream.abort(asError(error));
      this.#port.onProblem(`the owner's lists from ${from}`, error);
    }
  }
}

/** Messages with their length in front, in four bytes. */
class Frames {
  readonly #stream: NetworkStream;
  readonly #signal: AbortSignal;
  #buffer = Buffer.alloc(0);
  #ended: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(stream: NetworkStream, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
    stream.addEventListener('message', ({ data }) => {
      if (this.#buffer.length > TRUST_FRAME_BYTES_MAX + 4) return this.#end(new Error('the frame is too long'));
      this.#buffer = Buffer.concat([this.#buffer, data.subarray()]);
      this.#wake?.();
    });
    stream.addEventListener('remoteCloseWrite', () => this.#end(new Error('the remote said no more')));
    stream.addEventListener('close', ({ error }) => this.#end(error ?? new Error('the stream is closed')));
    signal.addEventListener('abort', () => this.#end(new Error('it took too long')), { once: true });
  }

  send(message: TrustMessage): void {
    const body = encodeTrustMessage(message);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    this.#stream.send(Buffer.concat([head, body]));
  }

  /** Rejects when the remote ends, sends what is no message, or takes too long. */
  async next(): Promise<TrustMessage> {
    for (;;) {
      const bytes = this.#take();
      if (bytes !== undefined) {
        const message = decodeTrustMessage(bytes);
        if (message === undefined) throw new Error('expected a message about trust, got something else');
        return message;
      }
      if (this.#ended !== undefined) throw this.#ended;
      this.#signal.throwIfAborted();
      // eslint-disable-next-line no-await-in-loop
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #take(): Uint8Array | undefined {
    if (this.#buffer.length < 4) return undefined;
    const length = this.#buffer.readUInt32BE(0);
    if (length > TRUST_FRAME_BYTES_MAX)
      throw new Error(`expected at most ${TRUST_FRAME_BYTES_MAX} bytes, got ${length}`);
    if (this.#buffer.length < 4 + length) return undefined;
    const bytes = new Uint8Array(this.#buffer.subarray(4, 4 + length));
    this.#buffer = this.#buffer.subarray(4 + length);
    return bytes;
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#wake?.();
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
