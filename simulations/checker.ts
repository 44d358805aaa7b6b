/**
 * The contract of a checker: one promise, one function that folds over the trace and says where it was broken. Safety
 * is judged all the time, liveness only after the world healed. A checker is proven by a mutant that it catches.
 */
import type { FaultPlan } from './faults/fault.ts';
import type { Scenario } from './scenario.ts';
import type { WorldEvent } from './world-event.ts';

export interface Violation {
  /** The checker's id: S4. */
  readonly id: string;
  readonly atMs: number;
  readonly nodes: readonly number[];
  readonly requestId?: string;
  /** What was promised and what was seen, with both numbers. */
  readonly detail: string;
}

/** What is true now, whatever the nodes believe. */
export interface Truth {
  readonly nodes: number;
  /** The process runs and the machine is awake: not crashed, left, paused or suspended. */
  isUp(node: number): boolean;
  /** Since when it is up or not, in true ms. */
  sinceMs(node: number): number;
  /** The network would carry a message both ways. */
  canTalk(left: number, right: number): boolean;
  /** There is a connection between the two processes that both know of. */
  isConnected(left: number, right: number): boolean;
  /** One of their connections carries both ways now; another way (`canTalk`) may be open while their relay sleeps. */
  isCarried(left: number, right: number): boolean;
  /** Who relays their connections now. */
  relaysOf(left: number, right: number): readonly number[];
  /** Took part in no lie and no gray failure so far. */
  isHonest(node: number): boolean;
}

export interface CheckContext {
  readonly scenario: Scenario;
  readonly plan: FaultPlan;
  readonly truth: Truth;
  report(violation: Omit<Violation, 'id'>): void;
}

export interface Checker {
  /**
   * It has no use for gossip that is judged, and does nothing because of the time alone. Most events are of that kind,
   * so it is not shown any.
   */
  readonly ignoresGossip?: true;
  observe(event: WorldEvent, atMs: number): void;
  /** The run is over; what was promised by now is judged. */
  finish(atMs: number): void;
}

export interface CheckerKind {
  readonly id: string;
  /** The promise, as a sentence. */
  readonly promise: string;
  /** Safety holds always; liveness after the world healed. */
  readonly when: 'always' | 'after-healing';
  /** undefined = the machine that it speaks of does not exist yet. */
  readonly create: ((context: CheckContext) => Checker) | undefined;
}
