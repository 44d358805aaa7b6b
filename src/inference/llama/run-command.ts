/**
 * What is the child told of a job? Messages that every chat template has, a grammar where the answer is bound to a format or to
 * calls of functions, and what a client has read of a resumed answer. What cannot be done is a failure before anything runs:
 * a schema that no grammar can follow, an empty input, a resumed answer that is not what it should be.
 */
import { type Failure, failure } from '../../errors.ts';
import { scoredText } from '../answer-lines.ts';
import type { Grammars } from '../answer-format.ts';
import type { Job, Resume } from '../engine.ts';
import type { StartCommand } from './child-protocol.ts';
import type { PreparedJob } from './model-run.ts';
import { plainMessages } from './tool-prompt.ts';

export function prepareJob(job: Job, grammars: Grammars): PreparedJob | Failure {
  const { sampling, task } = job;
  const problem = inputProblem(job);
  if (problem !== undefined) return problem;
  const held = heldTo(job, grammars);
  if ('code' in held) return held;
  const resume = plainResume(job);
  if (resume === 'broken')
    return failure('invalid-request', 'resume.text: expected the lines of an answer with logprobs', {
      param: 'resume',
    });
  const command = {
    messages: plainMessages(job),
    sampling,
    ...held,
    ...(task === undefined ? {} : { task }),
    ...(resume === undefined ? {} : { resume }),
  };
  return { job, command };
}

function heldTo({ format, toolUse }: Job, grammars: Grammars): Pick<StartCommand, 'grammar' | 'calls'> | Failure {
  if (toolUse !== undefined) {
    const grammar = grammars.ofTools(toolUse, format);
    if (grammar.type === 'refused') return grammar.failure;
    // With a format the grammar alone says where the answer ends, as without functions.
    if (format !== undefined && format.type !== 'text') return { grammar: grammar.text };
    return { grammar: grammar.text, calls: toolUse.choice.type === 'auto' ? 'possible' : 'only' };
  }
  const grammar = grammars.of(format);
  if (grammar.type === 'refused') return grammar.failure;
  return grammar.type === 'grammar' ? { grammar: grammar.text } : {};
}

function inputProblem({ task }: Job): Failure | undefined {
  if (task?.type !== 'embedding') return undefined;
  const empty = task.inputs.indexOf('');
  if (empty < 0) return undefined;
  return failure('invalid-request', `input[${empty}] is empty; a text needs at least one character`, {
    param: 'input',
  });
}

function plainResume({ resume, sampling }: Job): Resume | undefined | 'broken' {
  if (resume === undefined || sampling.logprobs === undefined) return resume;
  const text = scoredText(resume.text);
  return text === undefined ? 'broken' : { ...resume, text };
}
