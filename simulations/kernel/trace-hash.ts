/**
 * Did two runs do the same? Everything that happens is folded, in order and with its time, into 64 bits; equal digests
 * mean equal traces. The digest at the end of each whole second is kept, so that two runs that differ can be told in
 * which second they parted. Numbers and short strings are mixed in as they are, nothing is serialised.
 * Limits: of a plan only its ranking and its level count, because the record that explains it holds nothing else that
 * decides; checkpoints for `CHECKPOINTS_MAX` seconds, later ones are left out and the digest goes on. No defence against
 * traces that are made to collide. Source: MurmurHash3's mixing over two 32-bit lanes, as `hash64` does.
 */
import { invariant } from '../../src/assert.ts';
import { finalMix, type Hash64, hashHex } from '../../src/bytes.ts';
import type { NodeSample, WorldEvent } from '../world-event.ts';

/** Thirty days of true time; 20 MB. Source: guess. */
const CHECKPOINTS_MAX = 2_592_000;

/** Every type of event, in an order that stays: its place is what is folded. */
const TYPES: Readonly<Record<WorldEvent['type'], number>> = {
  started: 1,
  stopped: 2,
  resumed: 3,
  'fault-began': 4,
  'fault-ended': 5,
  healed: 6,
  connected: 7,
  disconnected: 8,
  verdict: 9,
  judged: 10,
  'request-arrived': 11,
  placed: 12,
  'try-started': 13,
  'try-ended': 14,
  text: 15,
  'request-ended': 16,
  offered: 17,
  'run-started': 18,
  'run-ended': 19,
  sampled: 20,
  'view-asked': 21,
  'view-taken': 22,
};

export class TraceHash {
  #high = 0x9747b28c;
  #low = 0x85ebca6b;
  #second = 0;
  readonly #checkpoints: Hash64[] = [];
  readonly #float = new Float64Array(1);
  readonly #words = new Uint32Array(this.#float.buffer);

  /** Times never go back. */
  fold(event: WorldEvent, atMs: number): void {
    this.#reach(atMs);
    this.#word(TYPES[event.type]);
    this.#number(atMs);
    if ('requestId' in event) this.#request(event);
    else this.#node(event);
  }

  /** Of all that was folded so far, as 16 hex digits. */
  digest(): string {
    return hashHex(this.#now());
  }

  /** One digest for each whole second that is over at `atMs`: of everything before its end. */
  checkpoints(atMs: number): readonly string[] {
    this.#reach(atMs);
    return this.#checkpoints.map(hashHex);
  }

  #reach(atMs: number): void {
    if (atMs < (this.#second + 1) * 1_000) return;
    const second = Math.floor(atMs / 1_000);
    invariant(Number.isFinite(second), 'a trace has times');
    const hash = this.#now();
    const last = Math.min(second, CHECKPOINTS_MAX);
    while (this.#checkpoints.length < last) this.#checkpoints.push(hash);
    this.#second = second;
  }

  #now(): Hash64 {
    const low = finalMix(this.#low + this.#high);
    return { high: finalMix(this.#high ^ low), low };
  }

  /** What happens to nodes. */
  #node(event: Exclude<WorldEvent, { readonly requestId: string }>): void {
    switch (event.type) {
      case 'healed':
        return;
      case 'fault-began':
      case 'fault-ended':
        this.#number(event.fault);
        return;
      case 'started':
      case 'stopped':
      case 'resumed':
        this.#number(event.node);
        if (event.type === 'started') this.#number(event.incarnation);
        if (event.type === 'stopped') this.#text(event.how);
        return;
      case 'connected':
      case 'disconnected':
        this.#number(event.node);
        this.#number(event.peer);
        return;
      case 'verdict':
        this.#number(event.node);
        this.#number(event.target);
        this.#text(event.verdict);
        this.#text(event.reason);
        return;
      case 'judged':
        this.#judged(event);
        return;
      case 'view-asked':
        this.#number(event.node);
        this.#number(event.peer);
        this.#word(event.everything ? 1 : 0);
        return;
      case 'view-taken':
        this.#number(event.node);
        this.#number(event.peer);
        this.#number(event.messages);
        return;
      case 'sampled':
        this.#number(event.node);
        this.#sample(event.sample);
    }
  }

  /** What happens to requests. */
  #request(event: Extract<WorldEvent, { readonly requestId: string }>): void {
    this.#number(event.node);
    this.#text(event.requestId);
    switch (event.type) {
      case 'request-arrived':
        this.#number(event.model);
        this.#number(event.promptTokens);
        this.#number(event.answerTokens);
        this.#number(event.feasible);
        return;
      case 'placed':
        this.#number(event.plan.levelMs);
        this.#number(event.plan.ranked.length);
        for (const node of event.plan.ranked) this.#text(node);
        return;
      case 'try-started':
        this.#number(event.server);
        this.#number(event.resumedAt);
        return;
      case 'try-ended':
        this.#number(event.server);
        this.#text(event.outcome);
        this.#text(event.code);
        if (event.load !== undefined) this.#number(event.load.queued);
        if (event.load !== undefined) this.#number(event.load.slotMs);
        return;
      case 'text':
        this.#number(event.position);
        this.#number(event.tokens);
        return;
      case 'request-ended':
        this.#text(event.result);
        this.#text(event.failure?.code ?? '');
        this.#text(event.failure?.message ?? '');
        this.#number(event.tokens);
        this.#number(event.completionTokens);
        return;
      case 'offered':
        this.#number(event.from);
        this.#text(event.answer);
        this.#text(event.code);
        return;
      case 'run-started':
      case 'run-ended':
        this.#number(event.from);
        if (event.type === 'run-started') this.#number(event.resumedAt);
    }
  }

  #judged(event: Extract<WorldEvent, { readonly type: 'judged' }>): void {
    this.#number(event.node);
    this.#number(event.author);
    this.#number(event.incarnation);
    this.#number(event.sequence);
    this.#text(event.body);
    this.#text(event.verdict);
    this.#text(event.reason);
    this.#text(event.way);
    this.#number(event.madeAtMs);
    this.#word(event.forged ? 1 : 0);
  }

  #sample(sample: NodeSample): void {
    this.#number(sample.alive);
    this.#number(sample.suspect);
    this.#number(sample.viewAgeMs);
    this.#word(sample.isStale ? 1 : 0);
    this.#number(sample.connections);
    this.#number(sample.running);
    this.#number(sample.queued);
    this.#number(sample.asked);
    this.#number(sample.slots);
    this.#number(sample.bufferedBytes);
    this.#number(sample.gossipBytes);
    this.#number(sample.heartbeatBytes);
    this.#number(sample.requestBytes);
    this.#number(sample.viewHash);
  }

  #number(value: number): void {
    if ((value | 0) === value) {
      this.#word(value);
      return;
    }
    this.#float[0] = value;
    this.#word(this.#words[0] ?? 0);
    this.#word(this.#words[1] ?? 0);
  }

  /** Two UTF-16 units a word; the length first, so that the ends of two strings cannot trade places. */
  #text(value: string): void {
    this.#word(value.length);
    for (let index = 0; index < value.length; index += 2)
      this.#word(value.charCodeAt(index) | ((index + 1 < value.length ? value.charCodeAt(index + 1) : 0) << 16));
  }

  #word(word: number): void {
    const high = Math.imul(this.#high ^ Math.imul(word, 0xcc9e2d51), 0x1b873593);
    this.#high = (((high << 13) | (high >>> 19)) + this.#low) | 0;
    const low = Math.imul(this.#low ^ Math.imul(word, 0x9e3779b1) ^ this.#high, 0x85ebca6b);
    this.#low = (((low << 15) | (low >>> 17)) + 0x165667b1) | 0;
  }
}

/** The first second in which two runs parted, by their checkpoints; undefined when one begins with all of the other. */
export function firstDifferingSecond(left: readonly string[], right: readonly string[]): number | undefined {
  const common = Math.min(left.length, right.length);
  for (let second = 0; second < common; second += 1) if (left[second] !== right[second]) return second;
  return undefined;
}
