/**
 * One request as the node's own front door sees it: what the API asks of the mesh, and what it hears back. The API
 * adapters (OpenAI today) translate to and from this and know nothing of nodes, links or failover.
 */
import type { Failure } from '../errors.ts';
import type { NodeId, RequestId } from '../ids.ts';
import type { Job, RunEnd } from './engine.ts';

export interface ChatRequest {
  readonly requestId: RequestId;
  /** Ties the turns of one conversation together ("" = none): sessions go back to the node that holds their prefix. */
  readonly sessionKey: string;
  readonly job: Job;
}

export type ChatEvent =
  /** Nothing to show yet, but something moves: queued, loading, prefill. */
  | { readonly type: 'waiting'; readonly node: NodeId; readonly detail: string }
  /** A node accepted. Comes again when the answer goes on elsewhere. */
  | { readonly type: 'serving'; readonly node: NodeId; readonly resumedAt: number }
  | { readonly type: 'text'; readonly text: string; readonly tokens: number }
  | ({ readonly type: 'ended' } & RunEnd)
  | { readonly type: 'failed'; readonly failure: Failure };

export interface ChatRun {
  /** Room for `tokens` more at the client: backpressure from its socket. */
  grant(tokens: number): void;
  /** The client is gone. Idempotent; no event follows. */
  cancel(): void;
}

/** The port through which the API starts work. */
export interface ChatService {
  start(request: ChatRequest, on: (event: ChatEvent) => void): ChatRun;
}
