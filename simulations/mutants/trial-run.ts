/**
 * What a process is told that runs one trial, and what it says in the end: the words between the gate and its children.
 */
import type { Edit, Trial } from './mutant.ts';

export interface TrialTask {
  readonly trial: Trial;
  /** undefined = the core as it is. */
  readonly edit: Edit | undefined;
  /** One violation of any of these is enough to end it. */
  readonly enough: readonly string[];
}

export interface Seen {
  /** The checker's id. */
  readonly id: string;
  readonly atMs: number;
  readonly detail: string;
}

export type TrialResult =
  | { readonly type: 'ran'; readonly seen: readonly Seen[]; readonly cpuMs: number }
  /** The core threw. */
  | { readonly type: 'crashed'; readonly atMs: number; readonly error: string; readonly cpuMs: number }
  /** It could not be run at all. */
  | { readonly type: 'broken'; readonly reason: string };
