/**
 * What must the answer to a conversation be? Adds the format and the functions that a client asked for to a job; the same
 * for every dialect. Where a call must come, there is no text that a format could be for. Where one may, both at once are
 * refused: no grammar here is for calls and a format together.
 */
import type { Failure } from '../errors.ts';
import type { Grammars } from '../inference/answer-format.ts';
import type { Job, ToolUse } from '../inference/engine.ts';
import { unsupportedField } from './request-body.ts';
import { readResponseFormat } from './response-format.ts';

export interface Constraints {
  /** As `response_format` has it, whatever the client calls it. */
  readonly format: unknown;
  readonly toolUse: ToolUse | undefined;
  readonly grammars: Grammars;
}

export type ConstrainedJob =
  { readonly type: 'job'; readonly job: Job } | { readonly type: 'refused'; readonly failure: Failure };

/** The dearest part of reading a request, so the last. */
export function constrainedJob(job: Job, { format, toolUse, grammars }: Constraints): ConstrainedJob {
  const read = readResponseFormat(format, grammars);
  if (read.type === 'refused') return read;
  if (read.format === undefined) return { type: 'job', job: toolUse === undefined ? job : { ...job, toolUse } };
  if (toolUse === undefined) return { type: 'job', job: { ...job, format: read.format } };
  if (toolUse.choice.type !== 'auto') return { type: 'job', job: { ...job, toolUse } };
  const why =
    'not together with tools that may be called: leave one of them out, or say in tool_choice that one must be';
  const failure = unsupportedField('response_format', why);
  return { type: 'refused', failure };
}
