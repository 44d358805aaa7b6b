/**
 * The child's way out: messages of one turn of the event loop leave together, and tokens of one run in one message,
 * because each send costs more than a token of a small model. Bounded by the credit that the parent gave each run.
 */
import { CHILD_LIMITS, type ChildMessage } from './child-protocol.ts';

type Tokens = Extract<ChildMessage, { type: 'tokens' }>;

export class Outbox {
  readonly #send: (messages: readonly ChildMessage[]) => void;
  #messages: ChildMessage[] = [];
  /** Where each run's tokens of this turn are in `#messages`. */
  readonly #tokensAt = new Map<number, number>();

  constructor(send: (messages: readonly ChildMessage[]) => void) {
    this.#send = send;
  }

  push(message: ChildMessage): void {
    if (message.type === 'tokens' && this.#merge(message)) return;
    if (this.#messages.length === 0) setImmediate(() => this.flush());
    if (message.type === 'tokens') this.#tokensAt.set(message.runId, this.#messages.length);
    this.#messages.push(message);
    if (this.#messages.length >= CHILD_LIMITS.messagesMax) this.flush();
  }

  flush(): void {
    if (this.#messages.length === 0) return;
    const messages = this.#messages;
    this.#messages = [];
    this.#tokensAt.clear();
    this.#send(messages);
  }

  #merge(more: Tokens): boolean {
    const index = this.#tokensAt.get(more.runId);
    const earlier = index === undefined ? undefined : this.#messages[index];
    if (index === undefined || earlier?.type !== 'tokens') return false;
    const tokenIds = [...earlier.tokenIds, ...more.tokenIds];
    const text = earlier.text + more.text;
    if (tokenIds.length > CHILD_LIMITS.tokensMax || text.length > CHILD_LIMITS.textLengthMax) return false;
    this.#messages[index] = { ...earlier, tokenIds, text };
    return true;
  }
}
