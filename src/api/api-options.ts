/**
 * What the owner of a node may set about its API, the bounds that hold for every connection, and what the API reports
 * about its work. The bounds are there for clients that are slow, stuck or hostile: each of them ends something that
 * would otherwise be held for ever. Tests shrink them; nobody should need to enlarge them.
 */
import { invariant } from '../assert.ts';
import type { NodeId, RequestId } from '../ids.ts';
import { INFERENCE, LIMITS } from '../params.ts';
import type { HandlerName } from './routes.ts';

export interface ApiOptions {
  /** Address to bind; absent = this machine only, both address families. */
  readonly host?: string | undefined;
  /** 0 = any free one. */
  readonly port: number;
  /** Version of the program, for `GET /`. */
  readonly version: string;
  /** Further names of this node, for Host. */
  readonly allowedHosts?: readonly string[];
  /** Origins of web pages that may use this node. */
  readonly allowedOrigins?: readonly string[];
  /** Answers everybody who can reach the address, without a key. */
  readonly insecureNoAuth?: boolean;
  readonly limits?: Partial<ApiLimits>;
}

export interface ApiLimits {
  readonly headersMs: number;
  readonly bodyMs: number;
  readonly bodyBytes: number;
  readonly bodiesBytes: number;
  readonly headerBytes: number;
  readonly idleConnectionMs: number;
  readonly writeStallMs: number;
  readonly connections: number;
  readonly chats: number;
  readonly quietMs: number;
  readonly windowTokens: number;
  readonly pendingLength: number;
  readonly closeGraceMs: number;
}

export const API_LIMITS: ApiLimits = {
  /** A request head is here within this. Source: guess: a slow link, not a patient attacker. */
  headersMs: 10_000,
  /** A body is here within this after its head. Source: guess: 16 MB over 5 Mbit/s. */
  bodyMs: 30_000,
  bodyBytes: LIMITS.httpBodyBytes,
  /** Of all bodies that are on their way; the next one is answered 503. Source: guess: sixteen of the largest. */
  bodiesBytes: 16 * LIMITS.httpBodyBytes,
  /** Source: copied (the default of Node), 16 KiB. */
  headerBytes: 16_384,
  /** A connection without a request is kept this long. Shorter than a load balancer's 60 s makes it lose requests in a
   *  race. Source: copied (load balancers' documentation), plus a margin. */
  idleConnectionMs: 70_000,
  /** A client that takes no byte for this long while some wait is dropped. Source: guess. */
  writeStallMs: 60_000,
  /** More are closed at once. Source: guess: twice the chats. */
  connections: 4_096,
  /** More are answered 503. Source: the requests that one link carries, `INFERENCE.requestsPerLinkMax`. */
  chats: INFERENCE.requestsPerLinkMax,
  /** A stream is never quiet for longer: then its head, and comments, are sent. Clients and proxies give up after 15 to
   *  300 s. Source: survey of clients. */
  quietMs: 10_000,
  /** Tokens on their way to one client at most. Source: as between nodes, `INFERENCE.creditTokens`. */
  windowTokens: INFERENCE.creditTokens,
  /** UTF-16 units that wait for one client at most; only an engine that ignores its grants gets there. Source: guess. */
  pendingLength: 8_388_608,
  /** Between the end of all answers and the cutting of connections at `close()`. Source: guess. */
  closeGraceMs: 1_000,
};

/** What the API did, for the log: ids, sizes and times, nothing that a client wrote. */
export type ApiLogEvent =
  | {
      readonly type: 'request';
      readonly requestId: RequestId;
      readonly method: string;
      /** Absent where no route matched. */
      readonly handler?: HandlerName;
      /** 499 = the client left before the end. */
      readonly status: number;
      readonly elapsedMs: number;
      readonly node?: NodeId;
    }
  /** Bytes that are no HTTP, or came too slowly; `code` is that of Node. */
  | { readonly type: 'client-error'; readonly code: string }
  | { readonly type: 'client-stalled' }
  | { readonly type: 'connections-full' }
  /** A bug of ours. */
  | { readonly type: 'internal-error'; readonly requestId: RequestId; readonly error: unknown };

invariant(API_LIMITS.bodiesBytes >= API_LIMITS.bodyBytes, 'there is room for the largest body');
invariant(API_LIMITS.windowTokens >= 2, 'half a window is at least one token');
