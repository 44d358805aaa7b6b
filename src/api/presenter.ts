/**
 * What leaves for the client when something of an answer arrives? The pure half of an exchange: it gives the text of each run to
 * its reader, the parts to the dialect's writer, and holds what was written until the exchange takes it. Whole replies are
 * collected, lists of data go to their writer line by line, so that no large answer is worked on in one go at its end.
 * Limits: `ANSWER_LENGTH_MAX` for one run, because the text comes from another machine.
 */
import { type Failure, failure } from '../errors.ts';
import type { RequestId } from '../ids.ts';
import { LineReader, type ScoredToken } from '../inference/answer-lines.ts';
import type { RunEnd } from '../inference/engine.ts';
import { type AnswerEnd, type AnswerReader, answerReader, type AnswerSink, type CallHead } from './answer-parts.ts';
import {
  type Answer,
  ANSWER_LENGTH_MAX,
  type AnswerHead,
  type Asked,
  type LineWriter,
  type Show,
  type StreamWriter,
  type Times,
} from './dialect.ts';

export interface PresenterInit {
  readonly asked: Asked;
  readonly head: AnswerHead;
  /** Of each job. */
  readonly runIds: readonly RequestId[];
}

export type Last =
  /** The rest of a stream is in `take`. */
  | { readonly type: 'stream' }
  | { readonly type: 'json'; readonly json: string }
  | { readonly type: 'failed'; readonly failure: Failure };

export interface Presenter {
  /** Of a stream, where it is one. */
  readonly stream: StreamWriter | undefined;
  /** What was written since the last time, for the client. */
  take(): string;
  readonly pendingLength: number;
  /** A piece of the answer to one job; what is wrong with it, if anything. */
  text(job: number, text: string): Failure | undefined;
  ended(job: number, end: RunEnd): Failure | undefined;
  /** All jobs have ended. */
  finish(times: Times): Last;
  /** The stream cannot go on. */
  fail(failure: Failure): void;
}

export function presenter(init: PresenterInit): Presenter {
  const { show } = init.asked;
  if (show.type === 'lines') return new LinePresenter(init, show.open(init.head));
  return show.type === 'stream' ? new StreamPresenter(init, show.open(init.head)) : new ReplyPresenter(init, show);
}

/** One reader for each job, and the ends that they came to. */
class Readers {
  readonly ends: AnswerEnd[] = [];
  readonly #readers: readonly AnswerReader[];
  readonly #lengths: number[];

  constructor({ asked, runIds, head }: PresenterInit, sinkOf: (job: number) => AnswerSink) {
    this.#lengths = asked.jobs.map(() => 0);
    this.#readers = asked.jobs.map((job, index) => answerReader(job, runIds[index] ?? head.requestId, sinkOf(index)));
  }

  text(job: number, text: string): Failure | undefined {
    const length = (this.#lengths[job] ?? 0) + text.length;
    this.#lengths[job] = length;
    return length > ANSWER_LENGTH_MAX ? tooLong() : this.#readers[job]?.push(text);
  }

  end(job: number, end: RunEnd): AnswerEnd | Failure | undefined {
    const ended = this.#readers[job]?.end(end);
    if (ended === undefined || ended.type === 'failed') return ended?.failure;
    this.ends[job] = ended.end;
    return ended.end;
  }
}

class StreamPresenter implements Presenter {
  readonly stream: StreamWriter;
  readonly #readers: Readers;
  #pending = '';
  #opened = false;

  constructor(init: PresenterInit, writer: StreamWriter) {
    this.stream = writer;
    this.#readers = new Readers(init, (job) => this.#sink(job));
  }

  get pendingLength(): number {
    return this.#pending.length;
  }

  take(): string {
    const pending = this.#pending;
    this.#pending = '';
    return pending;
  }

  text(job: number, text: string): Failure | undefined {
    return this.#readers.text(job, text);
  }

  ended(job: number, end: RunEnd): Failure | undefined {
    const shown = this.#readers.end(job, end);
    if (shown === undefined || 'code' in shown) return shown;
    this.#push(this.#writer().jobEnded(job, shown));
    return undefined;
  }

  finish(times: Times): Last {
    this.#push(this.#writer().closed(this.#readers.ends, times));
    return { type: 'stream' };
  }

  fail(reason: Failure): void {
    this.#pending += this.stream.failed(reason);
  }

  #push(text: string): void {
    this.#pending += text;
  }

  /** Asked first for what opens a stream: a writer may count what it writes. */
  #writer(): StreamWriter {
    if (!this.#opened) {
      this.#opened = true;
      this.#push(this.stream.opened());
    }
    return this.stream;
  }

  #sink(job: number): AnswerSink {
    return {
      content: (text, tokens) => this.#push(this.#writer().content(job, text, tokens)),
      callBegan: (call) => this.#push(this.#writer().callBegan(job, call)),
      callArguments: (index, text) => this.#push(this.#writer().callArguments(job, index, text)),
      callEnded: (index) => this.#push(this.#writer().callEnded(job, index)),
    };
  }
}

/** The parts of one answer, until it is whole. */
export class AnswerCollector implements AnswerSink {
  readonly #texts: string[] = [];
  readonly #tokens: ScoredToken[] = [];
  readonly #calls: { readonly id: string; readonly name: string; readonly texts: string[] }[] = [];

  content(text: string, tokens: readonly ScoredToken[]): void {
    if (text !== '') this.#texts.push(text);
    for (const token of tokens) this.#tokens.push(token);
  }

  callBegan({ id, name }: CallHead): void {
    this.#calls.push({ id, name, texts: [] });
  }

  callArguments(index: number, text: string): void {
    this.#calls[index]?.texts.push(text);
  }

  callEnded(): void {
    // A call that is cut by the limit of tokens is shown as far as it came.
  }

  answer(end: AnswerEnd): Answer {
    const calls = this.#calls.map(({ id, name, texts }) => ({ id, name, arguments: texts.join('') }));
    return { ...end, content: this.#texts.join(''), tokens: this.#tokens, calls };
  }
}

class ReplyPresenter implements Presenter {
  readonly stream = undefined;
  readonly pendingLength = 0;
  readonly #head: AnswerHead;
  readonly #show: Extract<Show, { type: 'reply' }>;
  readonly #collectors: readonly AnswerCollector[];
  readonly #readers: Readers;

  constructor(init: PresenterInit, show: Extract<Show, { type: 'reply' }>) {
    this.#head = init.head;
    this.#show = show;
    const collectors = init.asked.jobs.map(() => new AnswerCollector());
    this.#collectors = collectors;
    this.#readers = new Readers(init, (job) => collectors[job] ?? new AnswerCollector());
  }

  take(): string {
    return '';
  }

  text(job: number, text: string): Failure | undefined {
    return this.#readers.text(job, text);
  }

  ended(job: number, end: RunEnd): Failure | undefined {
    const shown = this.#readers.end(job, end);
    return shown !== undefined && 'code' in shown ? shown : undefined;
  }

  finish(times: Times): Last {
    const { ends } = this.#readers;
    const answers = this.#collectors.flatMap((collector, job) => {
      const end = ends[job];
      return end === undefined ? [] : [collector.answer(end)];
    });
    return { type: 'json', json: JSON.stringify(this.#show.body(this.#head, answers, times)) };
  }

  fail(): void {
    // Nothing of it has left.
  }
}

class LinePresenter implements Presenter {
  readonly stream = undefined;
  readonly pendingLength = 0;
  readonly #writer: LineWriter;
  readonly #readers: readonly LineReader[];

  constructor({ asked }: PresenterInit, writer: LineWriter) {
    this.#writer = writer;
    this.#readers = asked.jobs.map(() => new LineReader());
  }

  take(): string {
    return '';
  }

  text(job: number, text: string): Failure | undefined {
    const lines = this.#readers[job]?.push(text);
    const isFine = lines?.every((line) => this.#writer.line(job, line)) ?? false;
    return isFine ? undefined : failure('engine-failed', 'the engine sent a result that is none');
  }

  ended(job: number): Failure | undefined {
    const isWhole = this.#readers[job]?.isEmpty ?? false;
    return isWhole ? undefined : failure('engine-failed', 'the engine ended in the middle of a result');
  }

  finish(times: Times): Last {
    const last = this.#writer.closed(times);
    return last.type === 'failed' ? last : { type: 'json', json: last.json };
  }

  fail(): void {
    // Nothing of it has left.
  }
}

function tooLong(): Failure {
  return failure('engine-failed', 'the answer is longer than this node passes on');
}
