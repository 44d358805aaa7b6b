/**
 * How does a request end? Which failure is final because no other node can do better, which of two failures tells the
 * client more, and what is counted when an answer came from several nodes. Plain functions of what `request-session.ts`
 * knows at the end. Limits: the figures of an engine are claims, bounded by what an answer can be.
 */
import { type ErrorCode, type Failure, isNodeFault } from '../errors.ts';
import { LIMITS } from '../params.ts';
import type { Usage } from './engine.ts';

/** Failures that say that a node is out of reach, and nothing about the request. */
const NODE_GONE: ReadonlySet<ErrorCode> = new Set(['stream-lost', 'stalled', 'draining']);

/** True where no other node can do better. Going on may need more context than starting did, so there it is not final. */
export function isFinal(reason: Failure, tokensRead: number): boolean {
  if (isNodeFault(reason.code)) return false;
  return tokensRead === 0 || reason.code !== 'context-length-exceeded';
}

/** What an engine answered tells more than the mesh can; that nodes went away is the mesh's to tell, with when to come again. */
export function lastWord(ofMesh: Failure, ofNode: Failure | undefined, tokensRead: number): Failure {
  return ofNode === undefined || (tokensRead === 0 && NODE_GONE.has(ofNode.code)) ? ofMesh : ofNode;
}

/** Of the whole answer; `promptTokens` as the first node counted them, 0 = it did not. */
export function wholeUsage(usage: Usage, seen: { readonly promptTokens: number; readonly tokens: number }): Usage {
  const promptTokens = seen.promptTokens === 0 ? usage.promptTokens : seen.promptTokens;
  const completionTokens = Math.min(LIMITS.answerTokens, Math.max(usage.completionTokens, seen.tokens));
  return { promptTokens, completionTokens, cachedTokens: Math.min(usage.cachedTokens, promptTokens) };
}
