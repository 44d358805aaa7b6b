/**
 * What two nodes say to each other on a link (`/skein/link/1`), as types. The asking node opens a channel, grants and
 * cancels; the serving node answers; both speak about the link. The bytes are in `message-bytes.ts` and `frames.ts`, the
 * rules of who may say what when in `link.ts`. The body of `open` is `job-codec.ts`.
 */
import type { Failure } from '../errors.ts';
import type { ModelLoad } from '../gossip/message.ts';
import type { RequestId } from '../ids.ts';
import type { RunEnd } from './engine.ts';

/**
 * Takes a request up again whose link ended, or is left for a better one: on a new channel, from where the asker stands.
 * It names the try by what the answer had when it was opened, so that an older try of the same request is never taken for it.
 */
export interface Reattach {
  readonly type: 'reattach';
  readonly requestId: RequestId;
  /** Tokens and characters of the answer when the try began. */
  readonly startTokens: number;
  readonly startCharacters: number;
  /** `tokens` answers that the asker took in since then, and the tokens in them. */
  readonly answers: number;
  readonly tokens: number;
  /** Granted from there on. */
  readonly creditTokens: number;
  /** The asker has heard that it was accepted. */
  readonly accepted: boolean;
  /** False: the asker went elsewhere meanwhile, and the request is over. */
  readonly wanted: boolean;
}

/** From the node that asks, on a channel it chose. */
export type Ask =
  | { readonly type: 'open'; readonly body: Uint8Array }
  | Reattach
  | { readonly type: 'credit'; readonly tokens: number }
  | { readonly type: 'cancel' };

export interface TokensAnswer {
  readonly type: 'tokens';
  /** Position of the first token in the whole answer. */
  readonly position: number;
  readonly tokens: number;
  /** As many as `tokens`, or none. */
  readonly tokenIds: readonly number[];
  readonly text: string;
}

/** From the node that serves. Exactly one of refused, ended, failed and cancelled is the last on a channel. */
export type Answer =
  /** `digest` of the model that answers, '' = not provable. */
  | { readonly type: 'accepted'; readonly digest: string }
  | { readonly type: 'queued'; readonly position: number }
  | { readonly type: 'refused'; readonly failure: Failure; readonly load: ModelLoad | undefined }
  | { readonly type: 'progress'; readonly promptTokensDone: number; readonly promptTokens: number }
  | TokensAnswer
  | ({ readonly type: 'ended' } & RunEnd)
  | { readonly type: 'failed'; readonly failure: Failure }
  | { readonly type: 'cancelled' };

/** About the link itself. */
export type Control =
  /** Bytes of long messages taken in: room for as many more. */
  | { readonly type: 'received'; readonly bytes: number }
  | { readonly type: 'heartbeat' }
  | { readonly type: 'ping'; readonly nonce: number }
  | { readonly type: 'pong'; readonly nonce: number }
  /** link: open nothing more here, there is another link. node: open nothing more at all. */
  | { readonly type: 'draining'; readonly scope: 'link' | 'node' };

export type LinkMessage = Ask | Answer | Control;

export function isLast(answer: Answer): boolean {
  return (
    answer.type === 'ended' || answer.type === 'failed' || answer.type === 'refused' || answer.type === 'cancelled'
  );
}

export function isAnswer(message: LinkMessage): message is Answer {
  return ANSWERS[message.type] === true;
}

export function isAsk(message: LinkMessage): message is Ask {
  return (
    message.type === 'open' || message.type === 'credit' || message.type === 'cancel' || message.type === 'reattach'
  );
}

const ANSWERS: Partial<Record<LinkMessage['type'], true>> = {
  accepted: true,
  queued: true,
  refused: true,
  progress: true,
  tokens: true,
  ended: true,
  failed: true,
  cancelled: true,
} satisfies Record<Answer['type'], true>;
