/**
 * What happened in a simulated world, as its trace: checkers fold over it, metrics count it, the report draws it and the
 * trace hash seals it. It tells the truth, also about what no node can know. Nodes are numbered from 0; `atMs` of every
 * event is true time. Nothing here is known to the core under test.
 */
import type { Failure } from '../src/errors.ts';
import type { DispatchPlan } from '../src/node/events.ts';

export type WorldEvent =
  // Processes and machines.
  | { readonly type: 'started'; readonly node: number; readonly incarnation: number }
  | {
      readonly type: 'stopped';
      readonly node: number;
      readonly how: 'crashed' | 'powered-off' | 'left' | 'paused' | 'suspended';
    }
  /** A paused or suspended one goes on. */
  | { readonly type: 'resumed'; readonly node: number }
  /** `fault` is the index in the plan. */
  | { readonly type: 'fault-began' | 'fault-ended'; readonly fault: number }
  | { readonly type: 'healed' }
  // Connections.
  | { readonly type: 'connected' | 'disconnected'; readonly node: number; readonly peer: number }
  // Views.
  | {
      readonly type: 'verdict';
      readonly node: number;
      readonly target: number;
      readonly verdict: 'alive' | 'suspect' | 'dead' | 'left';
      readonly reason: string;
    }
  /** A node asks another for what differs from its digest, or everything where it has nothing; and takes the answer in. */
  | { readonly type: 'view-asked'; readonly node: number; readonly peer: number; readonly everything: boolean }
  | { readonly type: 'view-taken'; readonly node: number; readonly peer: number; readonly messages: number }
  /**
   * `author` made this message; `forged` when somebody else did. Gossip and lies, not one's own; of the messages of a
   * told view those that changed what is believed.
   */
  | {
      readonly type: 'judged';
      readonly node: number;
      readonly way: 'gossip' | 'view';
      readonly author: number;
      readonly incarnation: number;
      readonly sequence: number;
      readonly body: 'capability' | 'load' | 'goodbye' | 'accusation' | 'garbage';
      readonly verdict: 'accept' | 'ignore' | 'reject';
      readonly reason: string;
      readonly madeAtMs: number;
      readonly forged: boolean;
    }
  // Requests, at the node where they entered.
  | {
      readonly type: 'request-arrived';
      readonly node: number;
      readonly requestId: string;
      readonly model: number;
      readonly promptTokens: number;
      readonly answerTokens: number;
      /** Nodes that are up, reachable from here and hold the model, by truth. */
      readonly feasible: number;
    }
  | { readonly type: 'placed'; readonly node: number; readonly requestId: string; readonly plan: DispatchPlan }
  | {
      readonly type: 'try-started';
      readonly node: number;
      readonly requestId: string;
      readonly server: number;
      readonly resumedAt: number;
    }
  | {
      readonly type: 'try-ended';
      readonly node: number;
      readonly requestId: string;
      readonly server: number;
      readonly outcome: 'answered' | 'busy' | 'failed' | 'cancelled';
      readonly code: string;
      /** What a busy one told of itself. */
      readonly load?: { readonly queued: number; readonly slotMs: number };
    }
  /** What the client reads. `position` is read out of the text itself; -1 when the text makes no sense. */
  | {
      readonly type: 'text';
      readonly node: number;
      readonly requestId: string;
      readonly position: number;
      readonly tokens: number;
    }
  | {
      readonly type: 'request-ended';
      readonly node: number;
      readonly requestId: string;
      /** node-lost: the node where it entered died, and the client with it. */
      readonly result: 'answered' | 'failed' | 'client-gone' | 'node-lost';
      readonly failure: Failure | undefined;
      readonly tokens: number;
      readonly completionTokens: number;
    }
  // Work, at the node that serves.
  | {
      readonly type: 'offered';
      readonly node: number;
      readonly from: number;
      readonly requestId: string;
      readonly answer: 'served' | 'queued' | 'refused';
      readonly code: string;
    }
  | {
      readonly type: 'run-started';
      readonly node: number;
      readonly requestId: string;
      readonly from: number;
      /** Tokens of the answer that it was told are said already. */
      readonly resumedAt: number;
    }
  | { readonly type: 'run-ended'; readonly node: number; readonly requestId: string; readonly from: number }
  /** One look at each node that is up, every `SAMPLE_INTERVAL_MS`. */
  | { readonly type: 'sampled'; readonly node: number; readonly sample: NodeSample };

export interface NodeSample {
  /** Members that it takes for alive, and for suspect, itself included. */
  readonly alive: number;
  readonly suspect: number;
  /** Of its load figures, mean over the members, by the node's own account. */
  readonly viewAgeMs: number;
  readonly isStale: boolean;
  readonly connections: number;
  /** Running and waiting here; entered here. */
  readonly running: number;
  readonly queued: number;
  readonly asked: number;
  readonly slots: number;
  /** Bytes that wait in its sockets and links. */
  readonly bufferedBytes: number;
  /** Sent by it since the last look: gossip and snapshots; heartbeats and pings; requests and answers. */
  readonly gossipBytes: number;
  readonly heartbeatBytes: number;
  readonly requestBytes: number;
  /** A fingerprint of its view: (member, incarnation) of all it takes for alive. */
  readonly viewHash: number;
}

export const SAMPLE_INTERVAL_MS = 1_000;
