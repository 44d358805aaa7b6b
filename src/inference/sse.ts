/**
 * Which events does a stream of bytes hold? An incremental parser of server-sent events (WHATWG HTML, section 9.2.6)
 * that gives the same events however the bytes are cut: inside a character, between CR and LF, anywhere.
 * The sender is not trusted: a line or event above the bound ends the parsing with `too-long`, bytes that are not
 * UTF-8 become U+FFFD, comments and unknown fields are skipped. Last-event-ids and retry times are of no use here.
 * One leniency: `end()` also gives an event that lacks its closing blank line, as some servers forget it.
 */

export interface SseEvent {
  /** '' where the sender named none. */
  readonly event: string;
  readonly data: string;
}

export type SseParsed =
  { readonly type: 'events'; readonly events: readonly SseEvent[] } | { readonly type: 'too-long' };

const LINE_END = /\r\n|\n|\r/g;

export class SseParser {
  readonly #eventCharactersMax: number;
  readonly #decoder = new TextDecoder('utf-8');
  /** A line still without its end. */
  #line = '';
  /** The last chunk ended with CR: a LF that comes next belongs to it. */
  #endedWithReturn = false;
  #event = '';
  #data: string[] = [];
  #dataCharacters = 0;
  #tooLong = false;

  constructor(eventCharactersMax: number) {
    this.#eventCharactersMax = eventCharactersMax;
  }

  push(chunk: Uint8Array): SseParsed {
    return this.#parse(this.#decoder.decode(chunk, { stream: true }), []);
  }

  /** The bytes are over. */
  end(): SseParsed {
    const events: SseEvent[] = [];
    const rest = this.#parse(this.#decoder.decode(), events);
    if (rest.type === 'too-long') return rest;
    if (this.#line.length > 0) this.#acceptLine(this.#line, events);
    this.#line = '';
    this.#dispatch(events);
    return { type: 'events', events };
  }

  #parse(decoded: string, events: SseEvent[]): SseParsed {
    if (this.#tooLong) return { type: 'too-long' };
    let text = decoded;
    if (this.#endedWithReturn && text.length > 0) {
      if (text.startsWith('\n')) text = text.slice(1);
      this.#endedWithReturn = false;
    }
    this.#acceptText(text, events);
    if (text.endsWith('\r')) this.#endedWithReturn = true;
    if (this.#line.length + this.#dataCharacters > this.#eventCharactersMax) this.#tooLong = true;
    return this.#tooLong ? { type: 'too-long' } : { type: 'events', events };
  }

  #acceptText(text: string, events: SseEvent[]): void {
    if (text.includes('\r')) return this.#acceptAnyLines(text, events);
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      const line = this.#line + text.slice(start, end);
      this.#line = '';
      start = end + 1;
      this.#acceptLine(line, events);
    }
    this.#line += text.slice(start);
  }

  /** The rare senders that end lines with a CR. */
  #acceptAnyLines(text: string, events: SseEvent[]): void {
    let start = 0;
    for (const end of text.matchAll(LINE_END)) {
      const line = this.#line + text.slice(start, end.index);
      this.#line = '';
      start = end.index + end[0].length;
      this.#acceptLine(line, events);
    }
    this.#line += text.slice(start);
  }

  #acceptLine(line: string, events: SseEvent[]): void {
    if (line === '') {
      this.#dispatch(events);
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line.charAt(colon + 1) === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') {
      this.#data.push(value);
      this.#dataCharacters += value.length + 1;
      if (this.#dataCharacters > this.#eventCharactersMax) this.#tooLong = true;
    } else if (field === 'event') {
      this.#event = value;
    }
  }

  #dispatch(events: SseEvent[]): void {
    if (this.#data.length > 0) events.push({ event: this.#event, data: this.#data.join('\n') });
    this.#event = '';
    this.#data = [];
    this.#dataCharacters = 0;
  }
}
