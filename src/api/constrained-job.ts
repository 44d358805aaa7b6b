/**
 * What must the answer to a conversation be? Adds the format and the functions that a client asked for to a job; the same
 * for every dialect. Where a call must come, there is no text that a format could be for. Where one may, the answer is calls, or
 * a text of the format.
 */
import type { Failure } from '../errors.ts';
import type { Grammars } from '../inference/answer-format.ts';
import type { Job, ToolUse } from '../inference/engine.ts';
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
  const isText = read.format !== undefined && (toolUse === undefined || toolUse.choice.type === 'auto');
  return {
    type: 'job',
    job: {
      ...job,
      ...(isText ? { format: read.format } : {}),
      ...(toolUse === undefined ? {} : { toolUse }),
    },
  };
}
