/**
 * The data plane of a node: everything between the API's `ChatService` and the engines, here and on other nodes. It joins
 * the asking side, the serving side and the links, carries out the mesh's effects that concern requests and signs of
 * life, and reports back what changes a decision. A request that is placed on this node takes the same way through
 * the same sessions, only without a wire. Tokens never reach the mesh.
 */
import { unreachable } from '../assert.ts';
import { failure } from '../errors.ts';
import type { ModelId, NodeId } from '../ids.ts';
import type { Effect, Input } from '../node/events.ts';
import type { PlaneClock } from './alarm.io.ts';
import { type AskedSummary, Asking, type Opening, type ServerLine } from './asking.io.ts';
import type { ByteStream } from './byte-stream.ts';
import type { ChatEvent, ChatRequest, ChatRun, ChatService } from './chat.ts';
import type { Engine } from './engine.ts';
import type { LinkCounters } from './link.io.ts';
import { Peers } from './peers.io.ts';
import { type ServedSummary, Serving } from './serving.io.ts';

/** The protocol of a link; register it with at least two streams each way for every connection. */
export const LINK_PROTOCOL = '/skein/link/1';

export interface DataPlaneOptions {
  readonly self: NodeId;
  /** Who serves a model here. */
  engineFor(model: ModelId): Engine | undefined;
  /** A new link stream to a connected member. Rejects when there is no connection or the signal fires. */
  openLink(node: NodeId, signal: AbortSignal): Promise<ByteStream>;
  /** To the mesh. It may come back with effects at once. */
  report(input: Input): void;
  /** For all answers of this node, each: the owner's limit. 0 or absent = none. */
  readonly tokensPerSecondMax?: number;
  readonly clock?: PlaneClock;
}

type DataPlaneEffect = Extract<
  Effect,
  {
    readonly type:
      'send-heartbeat' | 'send-ping' | 'dispatch' | 'refuse-request' | 'serve' | 'queue-serve' | 'refuse-serve';
  }
>;

interface DataPlaneCounters extends LinkCounters {
  /** Links that could not be opened. */
  opensFailed: number;
}

interface LiveRequests {
  readonly asked: readonly AskedSummary[];
  readonly served: readonly ServedSummary[];
}

export interface DataPlane extends ChatService {
  carryOut(effect: DataPlaneEffect): void;
  /** The first connection to a proven member exists, or the last is gone. */
  connectionOpened(node: NodeId): void;
  connectionLost(node: NodeId): void;
  /** A member opened a link stream to us. */
  acceptLink(node: NodeId, stream: ByteStream): void;
  /** Live requests, for status pages. */
  requests(): LiveRequests;
  /** Members with a link. */
  linked(): readonly NodeId[];
  counters(): Readonly<DataPlaneCounters>;
  /** Takes nothing new, waits until nothing lives or time is up, then ends what is left. */
  drain(timeoutMs: number): Promise<void>;
  close(): void;
}

export function createDataPlane(options: DataPlaneOptions): DataPlane {
  return new Plane(options);
}

const systemClock: PlaneClock = {
  nowMs: () => performance.now(),
  after: (delayMs, call) => {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
};

class Plane implements DataPlane {
  readonly #self: NodeId;
  readonly #clock: PlaneClock;
  readonly #counters: DataPlaneCounters = {
    linksOpened: 0,
    linksLost: 0,
    opensFailed: 0,
    garbage: 0,
    violations: 0,
    writes: 0,
    bytesSent: 0,
    bytesReceived: 0,
  };
  readonly #serving: Serving;
  readonly #peers: Peers;
  readonly #asking: Asking;
  #draining = false;
  #idle: (() => void) | undefined;

  constructor(options: DataPlaneOptions) {
    const { self } = options;
    const report = (input: Input): void => options.report(input);
    const openLink = async (node: NodeId, signal: AbortSignal): Promise<ByteStream> => options.openLink(node, signal);
    const clock = options.clock ?? systemClock;
    this.#self = self;
    this.#clock = clock;
    const ended = (): void => this.#ended();
    this.#serving = new Serving({
      clock,
      tokensPerSecondMax: options.tokensPerSecondMax ?? 0,
      engineFor: (model) => options.engineFor(model),
      report,
      ended,
    });
    this.#peers = new Peers({ self, clock, serving: this.#serving, counters: this.#counters, openLink, report });
    this.#asking = new Asking({ clock, open: (opening) => this.#open(opening), report, ended });
  }

  start(request: ChatRequest, on: (event: ChatEvent) => void): ChatRun {
    if (!this.#draining) return this.#asking.start(request, on);
    let cancelled = false;
    const reason = failure('draining', 'this node is stopping and takes nothing new');
    queueMicrotask(() => {
      if (!cancelled) on({ type: 'failed', failure: reason });
    });
    return {
      grant: () => undefined,
      cancel: () => {
        cancelled = true;
      },
    };
  }

  carryOut(effect: DataPlaneEffect): void {
    switch (effect.type) {
      case 'dispatch':
        return this.#asking.dispatch(effect.requestId, effect.plan);
      case 'refuse-request':
        return this.#asking.refuse(effect.requestId, effect.failure);
      case 'serve':
        return this.#serving.serve(effect.from, effect.requestId);
      case 'queue-serve':
        return this.#serving.queue(effect.from, effect.requestId, effect.position);
      case 'refuse-serve':
        return this.#serving.refuse(effect.from, effect.requestId, { failure: effect.failure, load: effect.load });
      case 'send-heartbeat':
        return this.#peers.heartbeat(effect.to);
      case 'send-ping':
        return this.#peers.ping(effect.to);
      default:
        return unreachable(effect);
    }
  }

  connectionOpened(node: NodeId): void {
    this.#peers.connectionOpened(node);
  }

  connectionLost(node: NodeId): void {
    this.#peers.connectionLost(node);
  }

  acceptLink(node: NodeId, stream: ByteStream): void {
    this.#peers.acceptLink(node, stream);
  }

  requests(): LiveRequests {
    return { asked: this.#asking.list(), served: this.#serving.list() };
  }

  linked(): readonly NodeId[] {
    return this.#peers.linked();
  }

  counters(): Readonly<DataPlaneCounters> {
    return { ...this.#counters };
  }

  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    this.#peers.drain();
    await new Promise<void>((resolve) => {
      const cancelTimeout = this.#clock.after(timeoutMs, resolve);
      this.#idle = () => {
        cancelTimeout();
        resolve();
      };
      this.#ended();
    });
    this.#stop();
  }

  close(): void {
    this.#draining = true;
    this.#stop();
    this.#peers.close();
  }

  #stop(): void {
    const reason = failure('draining', 'the node is stopping');
    this.#asking.stop(reason);
    this.#serving.stop(reason);
  }

  #ended(): void {
    if (this.#asking.live === 0 && this.#serving.live === 0) this.#idle?.();
  }

  #open(opening: Opening): ServerLine {
    return opening.node === this.#self ? this.#openHere(opening) : this.#peers.open(opening);
  }

  /** The same request without a wire: answers are handed over as they come. */
  #openHere(opening: Opening): ServerLine {
    const { requestId, levelMs, creditTokens, resumeDigest } = opening.parts;
    const open = { requestId, levelMs, creditTokens, job: opening.job, resumeDigest };
    const served = this.#serving.open(
      this.#self,
      {
        answer: (answer) => opening.answered(answer),
        tokensWaiting: (waiting) => {
          const tokens = waiting.takeTokens();
          if (tokens !== undefined) opening.answered(tokens);
        },
      },
      { type: 'open', open },
    );
    return {
      credit: (tokens) => {
        if (served !== undefined) this.#serving.fromAsker(served, { type: 'credit-received', tokens });
      },
      cancel: () => {
        if (served !== undefined) this.#serving.fromAsker(served, { type: 'cancelled' });
      },
    };
  }
}
