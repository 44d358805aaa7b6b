/**
 * How does a chat completion look that is not streamed? One `chat.completion` object with a choice for each job and the usage
 * of all. A message that only calls has no content, as OpenAI has it.
 */
import { completionId, createdS, finishReason } from './chat-stream.ts';
import type { Answer, AnswerHead } from './dialect.ts';
import { type ChatLogprobs, chatLogprobs } from './token-scores.ts';
import { sumUsage, type UsageBody, usageBody } from './usage-body.ts';

interface CalledFunction {
  readonly name: string;
  readonly arguments: string;
}

interface ChatMessageBody {
  readonly role: 'assistant';
  readonly content: string | null;
  readonly refusal: null;
  readonly tool_calls?: readonly {
    readonly id: string;
    readonly type: 'function';
    readonly function: CalledFunction;
  }[];
  readonly function_call?: CalledFunction;
}

export interface ChatCompletionBody {
  readonly id: string;
  readonly object: 'chat.completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly message: ChatMessageBody;
    readonly logprobs: ChatLogprobs | null;
    readonly finish_reason: string;
  }[];
  readonly usage: UsageBody;
}

export interface ChatReplyOptions {
  readonly oldForm: boolean;
  /** Probabilities were asked for. */
  readonly logprobs: boolean;
}

export function chatReply(
  head: AnswerHead,
  answers: readonly Answer[],
  { oldForm, logprobs }: ChatReplyOptions,
): ChatCompletionBody {
  const usages = answers.map(({ usage }) => usage);
  return {
    id: completionId(head),
    object: 'chat.completion',
    created: createdS(head),
    model: head.model,
    choices: answers.map((answer, index) => ({
      index,
      message: messageBody(answer, oldForm),
      logprobs: logprobs ? chatLogprobs(answer.tokens) : null,
      finish_reason: finishReason(answer.finish, oldForm),
    })),
    usage: usageBody(sumUsage(usages, answers.length)),
  };
}

function messageBody({ content, calls }: Answer, oldForm: boolean): ChatMessageBody {
  const [first] = calls;
  if (first === undefined) return { role: 'assistant', content, refusal: null };
  const message = { role: 'assistant', content: content === '' ? null : content, refusal: null } as const;
  if (oldForm) return { ...message, function_call: { name: first.name, arguments: first.arguments } };
  return {
    ...message,
    tool_calls: calls.map(({ id, name, arguments: text }) => ({
      id,
      type: 'function',
      function: { name, arguments: text },
    })),
  };
}
