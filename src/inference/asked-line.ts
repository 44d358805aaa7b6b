/**
 * The asker's end of one try, apart from the link that carries it: how far the answer was taken in and what is still
 * granted. So the try outlives its link: when that ends, or a better path is there, the line is put on another link and
 * says from where to go on (`reattach`). Phases: fresh (nothing was said yet) -> sent -> over; a line is carried by one
 * link at a time or by none. What is granted while no link carries it is kept and told with the next message.
 * Limits: a few numbers for each try; the text stays with the session.
 */
import type { Opening, ServerLine } from './asking.ts';
import type { OpenParts } from './job-codec.ts';
import { type Answer, type Reattach, isLast } from './messages.ts';

/** A link that carries lines, each on a channel. */
export interface Carrier {
  credit(channel: number, tokens: number): void;
  cancel(channel: number): void;
}

export class AskedLine implements ServerLine {
  readonly opening: Opening;
  readonly #cancelledUncarried: (line: AskedLine) => void;
  #phase: 'fresh' | 'sent' | 'over' = 'fresh';
  #carried: { readonly by: Carrier; readonly channel: number } | undefined;
  #creditTokens: number;
  #answers = 0;
  #tokens = 0;
  #heard = false;
  #accepted = false;
  /** When the last link that carried it ended. */
  partedAtMs = Number.POSITIVE_INFINITY;

  /** `cancelledUncarried`: the asker gave it up while no link carried it. */
  constructor(opening: Opening, cancelledUncarried: (line: AskedLine) => void) {
    this.opening = opening;
    this.#creditTokens = opening.parts.creditTokens;
    this.#cancelledUncarried = cancelledUncarried;
  }

  get phase(): 'fresh' | 'sent' | 'over' {
    return this.#phase;
  }

  /** The serving node surely has the request: it said something about it. */
  get heard(): boolean {
    return this.#heard;
  }

  /** What opens it, with all that was granted so far. */
  get parts(): OpenParts {
    return { ...this.opening.parts, creditTokens: this.#creditTokens };
  }

  carriedBy(by: Carrier, channel: number): void {
    if (this.#phase === 'fresh') this.#phase = 'sent';
    this.#carried = { by, channel };
  }

  /** The link that carried it is gone, or is left. */
  parted(nowMs: number): void {
    this.#carried = undefined;
    this.partedAtMs = nowMs;
  }

  credit(tokens: number): void {
    if (this.#phase === 'over') return;
    this.#creditTokens += tokens;
    this.#carried?.by.credit(this.#carried.channel, tokens);
  }

  cancel(): void {
    if (this.#phase === 'over') return;
    const carried = this.#carried;
    if (carried !== undefined) carried.by.cancel(carried.channel);
    else this.#cancelledUncarried(this);
    this.#finish();
  }

  answered(answer: Answer): void {
    if (this.#phase === 'over') return;
    this.#heard = true;
    if (answer.type === 'accepted') this.#accepted = true;
    if (answer.type === 'tokens') {
      this.#answers += 1;
      this.#tokens += answer.tokens;
      // More than was granted is for the session to judge; here it must not turn negative.
      this.#creditTokens = Math.max(0, this.#creditTokens - answer.tokens);
    }
    if (isLast(answer)) this.#finish();
    this.opening.answered(answer);
  }

  /** Nothing more comes. */
  lost(reason: string): void {
    if (this.#phase === 'over') return;
    this.#finish();
    this.opening.lost(reason);
  }

  /** What takes it up again on another link; `wanted` false ends it at the serving node. */
  reattach(wanted: boolean): Reattach {
    const { requestId, resume } = this.opening.parts;
    return {
      type: 'reattach',
      requestId,
      startTokens: resume?.tokens ?? 0,
      startCharacters: resume?.text.length ?? 0,
      answers: this.#answers,
      tokens: this.#tokens,
      creditTokens: this.#creditTokens,
      accepted: this.#accepted,
      wanted,
    };
  }

  #finish(): void {
    this.#phase = 'over';
    this.#carried = undefined;
  }
}
