/**
 * Does somebody else's server keep to the format that was asked for? Some ignore it and answer in prose. Its first character
 * gives most of them away before anything of the answer left, so that another node can be asked; what is no JSON at the
 * end is a failure and no end. Limits: between the two nothing is checked; whether a schema is followed to the letter is the
 * server's word; a text that the client's stop strings cut short is not checked at its end. Where functions are offered, an
 * answer that begins with a call is none of a format.
 */
import { type Failure, failure } from '../errors.ts';
import { scoredText } from './answer-lines.ts';
import type { Job, EngineEvent } from './engine.ts';
import { type CharacterSet, has } from './schema-grammar/characters.ts';
import { TOOL_CALL_START } from './tool-text.ts';

export interface FormatWatchOptions {
  readonly job: Job;
  /** The characters with which a text of the format begins. */
  readonly starts: CharacterSet;
  /** The server's name in messages. */
  readonly upstream: string;
}

export class FormatWatch {
  readonly #options: FormatWatchOptions;
  #text = '';
  #hasBegun = false;
  #isCalls = false;

  constructor(options: FormatWatchOptions) {
    this.#options = options;
  }

  /** The event, or the failure that it means. */
  check(event: EngineEvent): EngineEvent {
    if (event.type === 'tokens') {
      this.#text += this.#textOf(event.text);
      const broken = this.#hasBegun ? undefined : this.#checkStart();
      return broken === undefined ? event : { type: 'failed', failure: broken };
    }
    if (event.type !== 'ended' || event.finishReason !== 'stop') return event;
    const isCut = this.#options.job.sampling.stop.length > 0;
    return isCut || this.#isCalls || this.#isWhole()
      ? event
      : { type: 'failed', failure: this.#broken('ended its answer in the middle of it') };
  }

  /** Without the probabilities around it. */
  #textOf(text: string): string {
    return this.#options.job.sampling.logprobs === undefined ? text : (scoredText(text) ?? '');
  }

  #checkStart(): Failure | undefined {
    const begun = this.#text.replace(/^[\t\n\r ]+/, '');
    const first = begun.codePointAt(0);
    if (first === undefined) return undefined;
    if (this.#options.job.toolUse !== undefined) {
      this.#isCalls = begun.startsWith(TOOL_CALL_START);
      if (!this.#isCalls && TOOL_CALL_START.startsWith(begun)) return undefined;
    }
    this.#hasBegun = true;
    if (this.#isCalls) return undefined;
    return has(this.#options.starts, first) ? undefined : this.#broken('began its answer in another');
  }

  #isWhole(): boolean {
    const value = parseJson(this.#text);
    if (this.#options.job.format?.type !== 'json-object') return value !== undefined;
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  }

  #broken(what: string): Failure {
    return failure('upstream-failed', `upstream ${this.#options.upstream} was asked for a format and ${what}`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
