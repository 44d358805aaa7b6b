/**
 * What simulated processes send each other over a connection: the same messages as over the real protocols, as objects
 * instead of bytes, with the size that they would have. The sizes count on links and in the reports.
 */
import type { OpenBody } from '../../src/inference/job-codec.ts';
import type { Answer, Reattach } from '../../src/inference/messages.ts';

/** One signed message under way. Everybody passes on this very object, so that its truth can be told from its identity. */
export interface GossipItem {
  readonly id: number;
  readonly bytes: Uint8Array;
  /** Who made it, by truth. */
  readonly author: number;
  readonly madeAtMs: number;
  readonly forged: boolean;
  /** An equivocator sends it to nodes of this parity only; they pass it on to all. */
  readonly audience?: 0 | 1;
}

export type Payload =
  | { readonly type: 'heartbeat' }
  | { readonly type: 'ping'; readonly nonce: number }
  | { readonly type: 'pong'; readonly nonce: number }
  | { readonly type: 'gossip'; readonly item: GossipItem }
  /** What was seen lately, for those who may have missed it, and their wish. */
  | { readonly type: 'have'; readonly items: readonly GossipItem[] }
  | { readonly type: 'want'; readonly items: readonly GossipItem[] }
  | { readonly type: 'graft' }
  | { readonly type: 'prune' }
  | { readonly type: 'view-asked'; readonly digest: Uint8Array }
  | { readonly type: 'view-told'; readonly messages: readonly Uint8Array[] }
  | { readonly type: 'open'; readonly channel: number; readonly open: OpenBody; readonly bytes: number }
  | { readonly type: 'reattach'; readonly channel: number; readonly ask: Reattach }
  | { readonly type: 'credit'; readonly channel: number; readonly tokens: number }
  | { readonly type: 'cancel'; readonly channel: number }
  | { readonly type: 'answer'; readonly channel: number; readonly answer: Answer };

/** Which budget a payload counts on. */
export type Traffic = 'gossip' | 'heartbeat' | 'request';

/** TCP/IP, noise and yamux around one small write. Source: measured (MESH figures: 52 + 26 + 18 + 12). */
const WIRE_BYTES = 108;
/** A gossipsub message id, and the RPC around a message. Source: our settings; measured. */
const MESSAGE_ID_BYTES = 20;
const RPC_BYTES = 22;
/** A frame of the link without its text. Source: measured: `frames.ts`. */
const FRAME_BYTES = 16;

export function trafficOf(payload: Payload): Traffic {
  switch (payload.type) {
    case 'heartbeat':
    case 'ping':
    case 'pong':
      return 'heartbeat';
    case 'open':
    case 'reattach':
    case 'credit':
    case 'cancel':
    case 'answer':
      return 'request';
    default:
      return 'gossip';
  }
}

export function bytesOf(payload: Payload): number {
  switch (payload.type) {
    case 'gossip':
      return WIRE_BYTES + RPC_BYTES + payload.item.bytes.length;
    case 'have':
    case 'want':
      return WIRE_BYTES + RPC_BYTES + MESSAGE_ID_BYTES * payload.items.length;
    case 'view-asked':
      return WIRE_BYTES + payload.digest.length;
    case 'view-told':
      return payload.messages.reduce((sum, message) => sum + message.length + 4, WIRE_BYTES);
    case 'open':
      return WIRE_BYTES + FRAME_BYTES + payload.bytes;
    case 'answer':
      return WIRE_BYTES + FRAME_BYTES + (payload.answer.type === 'tokens' ? payload.answer.text.length : 0);
    default:
      return WIRE_BYTES + FRAME_BYTES;
  }
}
