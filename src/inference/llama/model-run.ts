/**
 * One answer as the parent keeps it: what was granted, what came, and whether the child keeps to the rules. It turns checked
 * messages of the child into the events of the engine port, at most one terminal event, and none after a cancel.
 * Pure: the link to the child is whoever calls.
 */
import { unreachable } from '../../assert.ts';
import { type Failure, failure } from '../../errors.ts';
import type { EngineEvent, Job, RunEnd } from '../engine.ts';
import type { ChildMessage, StartCommand } from './child-protocol.ts';
import { contextFailure } from './problems.ts';

/** Messages about a run. */
export type RunMessage = Extract<ChildMessage, { readonly runId: number }>;

/** A job, and what the child is told of it (`run-command.ts`). */
export interface PreparedJob {
  readonly job: Job;
  readonly command: Omit<StartCommand, 'type' | 'runId'>;
}

export class ModelRun {
  readonly runId: number;
  readonly #prepared: PreparedJob;
  /** Lines of data: their tokens have no ids, and each may take long. */
  readonly #isList: boolean;
  readonly #on: (event: EngineEvent) => void;
  #granted = 0;
  #position: number;
  readonly #firstPosition: number;
  /** Open for events: neither ended nor cancelled. */
  #open = true;
  #promptTokensDone = 0;
  #promptTokens = 0;
  #cachedTokens = 0;

  constructor(runId: number, prepared: PreparedJob, on: (event: EngineEvent) => void) {
    const { job } = prepared;
    this.runId = runId;
    this.#prepared = prepared;
    this.#isList = job.task !== undefined && job.task.type !== 'completion';
    this.#on = on;
    this.#firstPosition = job.resume?.tokens ?? 0;
    this.#position = this.#firstPosition;
  }

  get open(): boolean {
    return this.#open;
  }

  get granted(): number {
    return this.#granted;
  }

  /** The command that starts it in the child. */
  get command(): StartCommand {
    return { type: 'start', runId: this.runId, ...this.#prepared.command };
  }

  grant(tokens: number): void {
    this.#granted += tokens;
  }

  /** No event follows. */
  close(): void {
    this.#open = false;
  }

  fail(reason: Failure): void {
    this.#finish({ type: 'failed', failure: reason });
  }

  /** A sign of life as long as there is no token to show, and between two lines of data. */
  waiting(): void {
    if (!this.#open || (this.#position > this.#firstPosition && !this.#isList)) return;
    this.#on({
      type: 'progress',
      promptTokensDone: this.#promptTokensDone,
      promptTokens: this.#promptTokens,
      cachedTokens: this.#cachedTokens,
    });
  }

  /** What the child said about this run; the broken rule, if it broke one. */
  accept(message: RunMessage): string | undefined {
    switch (message.type) {
      case 'progress':
        this.#promptTokensDone = message.promptTokensDone;
        this.#promptTokens = message.promptTokens;
        this.#cachedTokens = message.cachedTokens;
        this.waiting();
        return undefined;
      case 'tokens':
        return this.#acceptTokens(message);
      case 'ended':
        if (this.#open && message.usage.completionTokens !== this.#position) return 'its usage does not fit its tokens';
        this.#finish(endedEvent(message, this.#prepared.job));
        return undefined;
      case 'too-long':
        this.fail(contextFailure(message, this.#prepared.job.task, this.#position));
        return undefined;
      case 'failed':
        this.fail(failure('engine-failed', `the engine failed: ${message.detail}`));
        return undefined;
      case 'refused':
        this.fail(failure(message.reason, message.detail));
        return undefined;
      case 'released':
        return this.#open ? 'it gave up a run that was not cancelled' : undefined;
      default:
        return unreachable(message);
    }
  }

  #acceptTokens({ position, tokenIds, text }: Extract<RunMessage, { type: 'tokens' }>): string | undefined {
    if (!this.#open) return undefined;
    if (position !== this.#position) return `its tokens skip from ${this.#position} to ${position}`;
    if (position + tokenIds.length - this.#firstPosition > this.#granted) return 'it produced more than was granted';
    this.#position += tokenIds.length;
    this.#on({ type: 'tokens', position, tokens: tokenIds.length, tokenIds: this.#isList ? [] : tokenIds, text });
    return undefined;
  }

  #finish(event: EngineEvent): void {
    if (!this.#open) return;
    this.#open = false;
    this.#on(event);
  }
}

/** True for the last message of a run: its slot is free. */
export function isLast(message: RunMessage): boolean {
  return message.type !== 'progress' && message.type !== 'tokens';
}

/** The child may only name what there is. */
function endedEvent({ finishReason, usage, stopIndex }: RunEnd, { sampling }: Job): EngineEvent {
  const isKnown = finishReason === 'stop' && stopIndex !== undefined && stopIndex < sampling.stop.length;
  return { type: 'ended', finishReason, usage, ...(isKnown ? { stopIndex } : {}) };
}
