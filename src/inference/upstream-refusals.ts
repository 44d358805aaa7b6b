/**
 * What can an upstream not do, whatever its server says? Refused before it is asked: going on in the middle of what a server can
 * only begin anew (a format, a call, a list of probabilities), probabilities together with calls, and work for which
 * its list says that the model is of another kind. What only this upstream cannot do is its failure, so that another
 * node is asked; what no node could do better is the client's.
 */
import { type Failure, failure } from '../errors.ts';
import type { Job } from './engine.ts';
import { TOOL_CALL_START } from './tool-text.ts';

export interface UpstreamAbilities {
  /** Its configured name. */
  readonly upstream: string;
  /** False for a model that only embeds. */
  readonly chats: boolean;
}

export function whyRefused(job: Job, { upstream, chats }: UpstreamAbilities): Failure | undefined {
  const isList = job.task?.type === 'embedding' || job.task?.type === 'rerank';
  if (!isList && !chats)
    return failure('unsupported-feature', `${job.model} only embeds: ask it for embeddings`, { param: 'model' });
  if (job.toolUse !== undefined && job.sampling.logprobs !== undefined)
    return failure('upstream-failed', `upstream ${upstream} cannot tell probabilities of an answer with calls`);
  return isList ? undefined : whyNotResumed(job, upstream);
}

function whyNotResumed({ resume, format, toolUse, sampling }: Job, upstream: string): Failure | undefined {
  if (resume === undefined || resume.text === '') return undefined;
  const cannot = (what: string): Failure =>
    failure('upstream-failed', `upstream ${upstream} cannot go on with ${what} that another engine began`);
  if (format !== undefined && format.type !== 'text') return cannot('a formatted answer');
  if (sampling.logprobs !== undefined) return cannot('an answer with probabilities');
  const called = toolUse !== undefined && (toolUse.choice.type !== 'auto' || resume.text.includes(TOOL_CALL_START));
  return called ? cannot('an answer with calls') : undefined;
}
