/**
 * The data plane of a node: everything between the API's `ChatService` and the engines, here and on other nodes. It joins
 * the pure `RequestPlane` (asking and serving) with the real links, and carries out the mesh's effects that concern
 * requests and signs of life. Tokens never reach the mesh.
 */
import type { ModelId, NodeId } from '../ids.ts';
import type { Effect, Input } from '../node/events.ts';
import type { PlaneClock } from './alarm.ts';
import type { AskedSummary } from './asking.ts';
import type { ByteStream } from './byte-stream.ts';
import type { ChatEvent, ChatRequest, ChatRun, ChatService } from './chat.ts';
import type { Engine } from './engine.ts';
import type { LinkCounters } from './link.io.ts';
import { Peers } from './peers.io.ts';
import { type RequestEffectOfMesh, RequestPlane } from './request-plane.ts';
import type { ServedSummary } from './serving.ts';

/** The protocol of a link; register it with at least two streams each way for every connection. */
export const LINK_PROTOCOL = '/skein/link/1';

export interface DataPlaneOptions {
  readonly self: NodeId;
  /** Who serves a model here. */
  engineFor(model: ModelId): Engine | undefined;
  /** A new link stream to a connected member. Rejects when there is no connection or the signal fires. */
  openLink(node: NodeId, signal: AbortSignal): Promise<ByteStream>;
  /** The last connection of a member with open requests is gone: true when another one was made. Absent = nobody tries. */
  redial?(node: NodeId): Promise<boolean>;
  /** To the mesh. It may come back with effects at once. */
  report(input: Input): void;
  /** For all answers of this node, each: the owner's limit. 0 or absent = none. */
  readonly tokensPerSecondMax?: number;
  /** 32 random bytes of this process: a conversation goes back to the node that holds its beginning. Absent = by its session's key alone. */
  readonly prefixKey?: Uint8Array;
  readonly clock?: PlaneClock;
}

type DataPlaneEffect = RequestEffectOfMesh | Extract<Effect, { readonly type: 'send-heartbeat' | 'send-ping' }>;

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
  /** There is a better connection to that member than the one its link is on: `openLink` gives a stream on it. */
  moveLink(node: NodeId): void;
  /** Live requests, for status pages. */
  requests(): LiveRequests;
  /** Other nodes that requests run with, either way. */
  busyNodes(): ReadonlySet<NodeId>;
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
  soon: (call) => queueMicrotask(call),
};

class Plane implements DataPlane {
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
  readonly #requests: RequestPlane;
  readonly #peers: Peers;
  #idle: (() => void) | undefined;

  constructor(options: DataPlaneOptions) {
    const { self } = options;
    const report = (input: Input): void => options.report(input);
    const openLink = async (node: NodeId, signal: AbortSignal): Promise<ByteStream> => options.openLink(node, signal);
    const clock = options.clock ?? systemClock;
    this.#clock = clock;
    this.#requests = new RequestPlane({
      self,
      clock,
      tokensPerSecondMax: options.tokensPerSecondMax ?? 0,
      engineFor: (model) => options.engineFor(model),
      openRemote: (opening) => this.#peers.open(opening),
      report,
      ended: () => this.#ended(),
      ...(options.prefixKey !== undefined && { prefixKey: options.prefixKey }),
    });
    const { serving } = this.#requests;
    const ports = { self, clock, serving, counters: this.#counters, openLink, report };
    const redial = options.redial?.bind(options);
    this.#peers = new Peers(redial === undefined ? ports : { ...ports, redial });
  }

  start(request: ChatRequest, on: (event: ChatEvent) => void): ChatRun {
    return this.#requests.start(request, on);
  }

  carryOut(effect: DataPlaneEffect): void {
    switch (effect.type) {
      case 'send-heartbeat':
        return this.#peers.heartbeat(effect.to);
      case 'send-ping':
        return this.#peers.ping(effect.to);
      default:
        return this.#requests.carryOut(effect);
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

  moveLink(node: NodeId): void {
    this.#peers.moveLink(node);
  }

  requests(): LiveRequests {
    return this.#requests.requests();
  }

  busyNodes(): ReadonlySet<NodeId> {
    const { asked, served } = this.requests();
    return new Set([...asked.flatMap(({ node }) => node ?? []), ...served.map(({ from }) => from)]);
  }

  linked(): readonly NodeId[] {
    return this.#peers.linked();
  }

  counters(): Readonly<DataPlaneCounters> {
    return { ...this.#counters };
  }

  async drain(timeoutMs: number): Promise<void> {
    this.#requests.drain();
    this.#peers.drain();
    await new Promise<void>((resolve) => {
      const cancelTimeout = this.#clock.after(timeoutMs, resolve);
      this.#idle = () => {
        cancelTimeout();
        resolve();
      };
      this.#ended();
    });
    this.#requests.stop();
  }

  close(): void {
    this.#requests.drain();
    this.#requests.stop();
    this.#peers.close();
  }

  #ended(): void {
    if (this.#requests.live === 0) this.#idle?.();
  }
}
