/**
 * How does a completion of a text look, streamed or not? The older shape of OpenAI: `text` in each choice instead of a message,
 * probabilities as parallel lists, the prompt in front where it was asked for. Framing, ids and the rules of finish and
 * usage are those of chats (`chat-stream.ts`). Choices count through the prompts: those of the first come first.
 */
import { createdS } from './chat-stream.ts';
import type { Answer, AnswerHead, StreamWriter } from './dialect.ts';
import { DONE, errorEvent, EVENT_STREAM, KEEP_ALIVE_COMMENT } from './event-stream.ts';
import { completionLogprobs } from './token-scores.ts';
import { sumUsage, usageBody } from './usage-body.ts';

export interface CompletionAnswerOptions {
  /** Jobs in a row that have the same prompt. */
  readonly choices: number;
  readonly includeUsage: boolean;
  /** For each job what stands before its answer: its prompt, or ''. */
  readonly echoes: readonly string[];
  readonly logprobs: boolean;
}

export function completionStream(head: AnswerHead, options: CompletionAnswerOptions): StreamWriter {
  const { choices, includeUsage, echoes } = options;
  const opening =
    `data: {"id":${JSON.stringify(textCompletionId(head))},"object":"text_completion",` +
    `"created":${createdS(head)},"model":${JSON.stringify(head.model)},"choices":[`;
  const texts = echoes.map((_, job) => `${opening}{"index":${job},"text":`);
  const suffix = `,"logprobs":null,"finish_reason":null}]}\n\n`;
  /** Where the next token of each job begins in its text. */
  const offsets = echoes.map(() => 0);
  const plain = (job: number, text: string): string => texts[job] + JSON.stringify(text) + suffix;
  return {
    contentType: EVENT_STREAM,
    opened: () => echoes.map((echo, job) => (echo === '' ? '' : plain(job, echo))).join(''),
    content: (job, text, tokens) => {
      if (tokens.length === 0) return plain(job, text);
      const logprobs = completionLogprobs(tokens, offsets[job] ?? 0);
      offsets[job] = (offsets[job] ?? 0) + text.length;
      return `${texts[job]}${JSON.stringify(text)},"logprobs":${JSON.stringify(logprobs)},"finish_reason":null}]}\n\n`;
    },
    // A job without tools has no calls.
    callBegan: () => '',
    callArguments: () => '',
    callEnded: () => '',
    jobEnded: (job, { finish }) => `${texts[job]}"","logprobs":null,"finish_reason":"${finish}"}]}\n\n`,
    closed: (ends) => {
      if (!includeUsage) return DONE;
      const usage = sumUsage(ends.map((end) => end.usage), choices); // prettier-ignore
      return `${opening}],"usage":${JSON.stringify(usageBody(usage))}}\n\n${DONE}`;
    },
    failed: errorEvent,
    keepAlive: () => KEEP_ALIVE_COMMENT,
  };
}

export function completionReply(
  head: AnswerHead,
  answers: readonly Answer[],
  { choices, echoes, logprobs }: CompletionAnswerOptions,
): unknown {
  const usages = answers.map(({ usage }) => usage);
  return {
    id: textCompletionId(head),
    object: 'text_completion',
    created: createdS(head),
    model: head.model,
    choices: answers.map(({ content, tokens, finish }, index) => ({
      index,
      text: (echoes[index] ?? '') + content,
      logprobs: logprobs ? completionLogprobs(tokens, 0) : null,
      finish_reason: finish,
    })),
    usage: usageBody(sumUsage(usages, choices)),
  };
}

function textCompletionId({ requestId }: AnswerHead): string {
  return `cmpl-${requestId}`;
}
