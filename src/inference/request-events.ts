/**
 * What can happen to one request at the asking node (past tense), what its session asks for (imperative), and what it
 * reports to the mesh. `request-session.ts` turns the one into the others; `asking.ts` carries them out.
 * Every event of a try names its attempt, so that what comes late from a node that was given up is told apart.
 */
import type { Failure } from '../errors.ts';
import type { NodeId } from '../ids.ts';
import type { TryOutcome } from '../node/events.ts';
import type { ChatEvent } from './chat.ts';
import type { Resume } from './engine.ts';
import type { Answer } from './messages.ts';

export type RequestInput =
  /** `expectedMs`: to the first token at the first that is ranked, where the plan says so. */
  | {
      readonly type: 'dispatched';
      readonly ranked: readonly NodeId[];
      readonly levelMs: number;
      readonly expectedMs?: number;
    }
  | { readonly type: 'refused-by-mesh'; readonly failure: Failure }
  /** `attempt` is the number given by `open`: what comes from an abandoned try is ignored. */
  | { readonly type: 'answered'; readonly attempt: number; readonly answer: Answer }
  | { readonly type: 'link-lost'; readonly attempt: number; readonly reason: string }
  | { readonly type: 'client-granted'; readonly tokens: number }
  | { readonly type: 'client-cancelled' }
  /** This node ends it: it stops. */
  | { readonly type: 'stopped'; readonly failure: Failure }
  | { readonly type: 'woke' };

export type RequestReport =
  | { readonly type: 'try-started'; readonly node: NodeId; readonly resumedAt: number }
  | { readonly type: 'first-token-seen'; readonly node: NodeId; readonly elapsedMs: number }
  | { readonly type: 'try-ended'; readonly node: NodeId; readonly tokens: number; readonly outcome: TryOutcome }
  | { readonly type: 'replan-wanted'; readonly excluded: readonly NodeId[] }
  | {
      readonly type: 'request-ended';
      readonly result: 'answered' | 'failed' | 'client-gone';
      readonly failure?: Failure;
    };

export type RequestEffect =
  | {
      readonly type: 'open';
      readonly attempt: number;
      readonly node: NodeId;
      readonly levelMs: number;
      readonly creditTokens: number;
      readonly resume: Resume | undefined;
      /** Of the model that made the resume's token ids. */
      readonly resumeDigest: string;
    }
  | { readonly type: 'cancel'; readonly attempt: number }
  | { readonly type: 'credit'; readonly attempt: number; readonly tokens: number }
  | { readonly type: 'emit'; readonly event: ChatEvent }
  | { readonly type: 'report'; readonly report: RequestReport };
