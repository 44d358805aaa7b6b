/**
 * By what is a request placed? By its session, so that all turns of a conversation find the node that holds its prefix;
 * without a session by the request's id mixed with the first block of its prompt, so that requests spread by weight.
 * The word in front of each kind keeps a session key from standing for a request. The key spreads, it protects nothing.
 * Source: the placement study; hash of `bytes.ts`.
 */
import { type Hash64, hash64, hashHex, utf8 } from '../bytes.ts';
import type { RequestId } from '../ids.ts';

export interface KeyParts {
  /** '' = none. */
  readonly sessionKey: string;
  readonly requestId: RequestId;
  /** The first block of the prompt. */
  readonly promptHead: string;
}

export function requestKey({ sessionKey, requestId, promptHead }: KeyParts): Hash64 {
  if (sessionKey !== '') return hash64(utf8(`session/${sessionKey}`));
  return hash64(utf8(`request/${requestId}/${hashHex(hash64(utf8(promptHead)))}`));
}
