/**
 * How does a response of OpenAI's Responses API look while it streams? Named events, each with its type and a number that counts
 * them, in an order that clients build the response from: created, in progress, each item from added to done, and the whole
 * response once more at its end. There is no `[DONE]`.
 * An answer that breaks off says `response.failed`, and then `error` with the fields of both forms that clients read
 * (flat as specified, nested as OpenAI sends it), because the official client only throws for the nested one.
 * Built for the cost per token: one JSON.stringify of the piece of text between two ready strings.
 * Source: spec (OpenAI API description, ResponseStreamEvent); clients' sources for the errors.
 */
import type { Failure } from '../errors.ts';
import type { ScoredToken } from '../inference/answer-lines.ts';
import type { AnswerEnd, CallHead } from './answer-parts.ts';
import type { StreamWriter } from './dialect.ts';
import { EVENT_STREAM, KEEP_ALIVE_COMMENT, namedEvent } from './event-stream.ts';
import {
  callItem,
  endOf,
  itemId,
  type ItemStatus,
  messageItem,
  type OutputItem,
  responseBody,
  type ResponseInit,
  responsesError,
  type ResponseState,
  textPart,
} from './responses-body.ts';
import { chatLogprobs } from './token-scores.ts';

/** The message that is being said. */
interface OpenMessage {
  readonly id: string;
  readonly texts: string[];
  readonly tokens: ScoredToken[];
  /** Of an event with a piece of its text, up to that piece. */
  readonly deltaStart: string;
}

/** The call that is being made. */
interface OpenCall {
  readonly itemId: string;
  readonly id: string;
  readonly name: string;
  readonly texts: string[];
  ended: boolean;
}

const DELTA = 'response.output_text.delta';

export class ResponsesStream implements StreamWriter {
  readonly contentType = EVENT_STREAM;
  readonly #init: ResponseInit;
  readonly #output: OutputItem[] = [];
  #sequence = 0;
  #opened = false;
  #message: OpenMessage | undefined;
  #call: OpenCall | undefined;

  constructor(init: ResponseInit) {
    this.#init = init;
  }

  opened(): string {
    this.#opened = true;
    return this.#snapshot('response.created', { type: 'in_progress' }) + this.#snapshot('response.in_progress', { type: 'in_progress' }); // prettier-ignore
  }

  content(_job: number, text: string, tokens: readonly ScoredToken[]): string {
    let before = '';
    let message = this.#message;
    if (message === undefined) ({ message, added: before } = this.#openMessage());
    message.texts.push(text);
    for (const token of tokens) message.tokens.push(token);
    const logprobs = tokens.length === 0 ? '[]' : JSON.stringify(chatLogprobs(tokens).content);
    return `${before}${message.deltaStart}${JSON.stringify(text)},"logprobs":${logprobs},"sequence_number":${this.#next()}}\n\n`;
  }

  callBegan(_job: number, { id, name }: CallHead): string {
    const before = this.#closeMessage('completed') + this.#closeCall();
    const call: OpenCall = { itemId: itemId(this.#init.head, 'fc', this.#output.length), id, name, texts: [], ended: false }; // prettier-ignore
    this.#call = call;
    const item = callItem(call.itemId, 'in_progress', { id, name, arguments: '' });
    return before + this.#event('response.output_item.added', { output_index: this.#output.length, item });
  }

  callArguments(_job: number, _index: number, text: string): string {
    const call = this.#call;
    if (call === undefined) return '';
    call.texts.push(text);
    return this.#event('response.function_call_arguments.delta', { ...this.#place(call.itemId), delta: text });
  }

  callEnded(): string {
    if (this.#call !== undefined) this.#call.ended = true;
    return this.#closeCall();
  }

  jobEnded(_job: number, { finish }: AnswerEnd): string {
    const isSilent = this.#message === undefined && this.#call === undefined && this.#output.length === 0;
    const before = isSilent ? this.#openMessage().added : '';
    return before + this.#closeMessage(endOf(finish)) + this.#closeCall();
  }

  closed(ends: readonly AnswerEnd[]): string {
    const [end] = ends;
    if (end === undefined) return '';
    const type = endOf(end.finish);
    return this.#snapshot(`response.${type}`, { type, usage: end.usage });
  }

  failed(failure: Failure): string {
    const { error } = responsesError(failure);
    const { code, message, param } = error;
    const last = this.#opened ? this.#snapshot('response.failed', { type: 'failed', failure }) : '';
    return last + this.#event('error', { code, message, param, error });
  }

  keepAlive(): string {
    return KEEP_ALIVE_COMMENT;
  }

  #openMessage(): { readonly message: OpenMessage; readonly added: string } {
    const id = itemId(this.#init.head, 'msg', this.#output.length);
    const place = { ...this.#place(id), content_index: 0 };
    const start = JSON.stringify({ type: DELTA, ...place }).slice(0, -1);
    const message = { id, texts: [], tokens: [], deltaStart: `event: ${DELTA}\ndata: ${start},"delta":` };
    this.#message = message;
    const item = messageItem(id, 'in_progress', []);
    const added = this.#event('response.output_item.added', { output_index: this.#output.length, item });
    const part = this.#event('response.content_part.added', { ...place, part: textPart('', []) });
    return { message, added: added + part };
  }

  #closeMessage(status: ItemStatus): string {
    const message = this.#message;
    if (message === undefined) return '';
    this.#message = undefined;
    const part = textPart(message.texts.join(''), message.tokens);
    const place = { ...this.#place(message.id), content_index: 0 };
    const { text, logprobs } = part;
    const texts = this.#event('response.output_text.done', { ...place, text, logprobs });
    const parts = this.#event('response.content_part.done', { ...place, part });
    return texts + parts + this.#itemDone(messageItem(message.id, status, [part]));
  }

  /** A call that its length cut has no end of its arguments. */
  #closeCall(): string {
    const call = this.#call;
    if (call === undefined) return '';
    this.#call = undefined;
    const { id, name, ended } = call;
    const whole = call.texts.join('');
    const done = ended
      ? this.#event('response.function_call_arguments.done', { ...this.#place(call.itemId), name, arguments: whole })
      : '';
    return done + this.#itemDone(callItem(call.itemId, ended ? 'completed' : 'incomplete', { id, name, arguments: whole })); // prettier-ignore
  }

  #itemDone(item: OutputItem): string {
    const done = this.#event('response.output_item.done', { output_index: this.#output.length, item });
    this.#output.push(item);
    return done;
  }

  #place(id: string): { item_id: string; output_index: number } {
    return { item_id: id, output_index: this.#output.length };
  }

  #snapshot(type: string, state: ResponseState): string {
    return this.#event(type, { response: responseBody(this.#init, state, this.#output) });
  }

  #event(type: string, fields: object): string {
    return namedEvent(type, { type, ...fields, sequence_number: this.#next() });
  }

  #next(): number {
    this.#sequence += 1;
    return this.#sequence - 1;
  }
}
