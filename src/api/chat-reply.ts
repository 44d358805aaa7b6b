/**
 * How does an answer look that is not streamed? One `chat.completion` object with one choice and the usage. The pieces
 * are kept until the end; a maximum bounds them, because the text comes from another machine.
 */
import type { FinishReason, Usage } from '../inference/engine.ts';
import { type ChatStreamHead, completionId, type UsageBody, usageBody } from './chat-stream.ts';

export interface ChatCompletionBody {
  readonly id: string;
  readonly object: 'chat.completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: 0;
    readonly message: { readonly role: 'assistant'; readonly content: string; readonly refusal: null };
    readonly logprobs: null;
    readonly finish_reason: FinishReason;
  }[];
  readonly usage: UsageBody;
}

/** Longest answer kept, in UTF-16 units. Source: guess: `LIMITS.answerTokens` times 16. */
export const REPLY_LENGTH_MAX = 16_777_216;

/** The pieces of one answer. */
export class ReplyText {
  readonly #pieces: string[] = [];
  #length = 0;

  /** False when the answer is longer than allowed; the piece is then not kept. */
  add(piece: string): boolean {
    if (this.#length + piece.length > REPLY_LENGTH_MAX) return false;
    this.#length += piece.length;
    if (piece !== '') this.#pieces.push(piece);
    return true;
  }

  whole(): string {
    return this.#pieces.join('');
  }
}

export interface ChatAnswer {
  readonly text: string;
  readonly finishReason: FinishReason;
  readonly usage: Usage;
}

export function chatReply(head: Omit<ChatStreamHead, 'includeUsage'>, answer: ChatAnswer): ChatCompletionBody {
  return {
    id: completionId(head.requestId),
    object: 'chat.completion',
    created: head.createdS,
    model: head.model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: answer.text, refusal: null },
        logprobs: null,
        finish_reason: answer.finishReason,
      },
    ],
    usage: usageBody(answer.usage),
  };
}
