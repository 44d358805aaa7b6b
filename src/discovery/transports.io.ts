/**
 * Which transports does a node have, and when are they loaded? TCP and the relay's are there from the start; the others
 * are dear (a native library, threads of its own) and are loaded when the first path needs them: a node whose peers are
 * all on its own network never pays. Another transport is another entry of a list: what kinds of path it makes, how it
 * is loaded, where it listens. Every one of them ends in libp2p's upgrade, and so behind the membership proof.
 * Limits: a transport that fails to load is not tried again before a pause, and the other paths stay.
 * Source: measured: loading takes 150 to 400 ms; settings of WebRTC from docs/decisions.
 */
import { start, stop, type Transport } from '@libp2p/interface';
import type { WebRTCDirectTransportComponents, WebRTCTransportComponents } from '@libp2p/webrtc';
import { multiaddr } from '@multiformats/multiaddr';
import type { PathKind } from './transports.ts';

/** Written and not yet on the wire, over all of a stream. Longer: heartbeats wait behind bulk. Source: measured, then doubled. */
const BUFFERED_BYTES_MAX = 131_072;
/** Source: guess: a library that is missing stays missing. */
const LOAD_AGAIN_MS = 60_000;

export type TransportComponents = WebRTCTransportComponents & WebRTCDirectTransportComponents;

export interface LazyTransport {
  readonly kinds: readonly PathKind[];
  /** Where it listens once loaded, unless told otherwise. */
  readonly listen: readonly string[];
  readonly load: () => Promise<(components: TransportComponents) => Transport>;
}

export interface WebrtcOptions {
  /** STUN servers as "stun:host:port", read anew for each connection. */
  readonly stunServers: () => readonly string[];
}

/** Direct between two nodes behind NATs, greeted over a relay. */
export function webrtcTransport(options: WebrtcOptions): LazyTransport {
  return {
    kinds: ['webrtc'],
    listen: [],
    load: async () => {
      const { webRTC } = await import('@libp2p/webrtc');
      return webRTC({
        // An empty list, not an absent one: libp2p would ask public servers that nobody here chose.
        rtcConfiguration: () => ({ iceServers: options.stunServers().map((urls) => ({ urls })) }),
        dataChannel: { maxBufferedAmount: BUFFERED_BYTES_MAX },
      });
    },
  };
}

/** Over UDP to a node that is reachable, where TCP does not get through. */
export function webrtcDirectTransport(listen: readonly string[]): LazyTransport {
  return {
    kinds: ['webrtc-direct'],
    listen,
    load: async () => {
      const { webRTCDirect } = await import('@libp2p/webrtc');
      return webRTCDirect({
        rtcConfiguration: { iceServers: [] },
        dataChannel: { maxBufferedAmount: BUFFERED_BYTES_MAX },
      });
    },
  };
}

export class Transports {
  readonly #lazy: readonly LazyTransport[];
  readonly #loading = new Map<LazyTransport, { readonly done: Promise<void>; readonly atMs: number }>();
  readonly #loaded: Transport[] = [];
  readonly #listening = new Map<LazyTransport, Promise<void>>();
  #components: TransportComponents | undefined;
  #stopped = false;

  constructor(lazy: readonly LazyTransport[]) {
    this.#lazy = lazy;
  }

  attach(components: TransportComponents): void {
    this.#components = components;
  }

  /** The transport for this kind of path is there afterwards. Rejects when there is none. */
  async need(kind: PathKind): Promise<void> {
    if (isAlwaysThere(kind)) return;
    const lazy = this.#lazy.find(({ kinds }) => kinds.includes(kind));
    if (lazy === undefined) throw new Error(`paths of the kind ${kind} are switched off`);
    await this.#load(lazy);
  }

  /** Listens on the transport for this kind of path as well. */
  async listen(kind: PathKind): Promise<void> {
    const lazy = this.#lazy.find(({ kinds }) => kinds.includes(kind));
    if (lazy === undefined) throw new Error(`paths of the kind ${kind} are switched off`);
    if (lazy.listen.length === 0) return;
    await this.#load(lazy);
    const listening =
      this.#listening.get(lazy) ?? this.#components?.transportManager.listen(lazy.listen.map((one) => multiaddr(one)));
    if (listening === undefined) return;
    this.#listening.set(lazy, listening);
    await listening;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled([...this.#loading.values()].map(({ done }) => done));
    await stop(...this.#loaded);
  }

  async #load(lazy: LazyTransport): Promise<void> {
    const known = this.#loading.get(lazy);
    if (known !== undefined && performance.now() < known.atMs + LOAD_AGAIN_MS) return known.done;
    const isLoaded =
      known !== undefined &&
      (await known.done.then(
        () => true,
        () => false,
      ));
    if (isLoaded) return;
    const done = this.#loadNow(lazy);
    this.#loading.set(lazy, { done, atMs: performance.now() });
    await done;
  }

  async #loadNow(lazy: LazyTransport): Promise<void> {
    const create = await lazy.load();
    const components = this.#components;
    if (components === undefined || this.#stopped) throw new Error('the node stops');
    const transport = create(components);
    await start(transport);
    this.#loaded.push(transport);
    components.transportManager.add(transport);
  }
}

function isAlwaysThere(kind: PathKind): boolean {
  return kind === 'lan' || kind === 'tcp' || kind === 'relayed';
}
