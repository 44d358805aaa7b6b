/**
 * The beats on one path (`/skein/beat/1`): frames of six bytes, each way. A beat says that the path carries, and behind what
 * kind of NAT its sender finds itself; the other side echoes its number, which tells the round trip of this very path.
 * Only the last few numbers are remembered: an older echo says that the path lives, and no time.
 * Limits: a frame that is none ends the stream; nothing is kept of what came but a cut frame.
 * Source: ours. Layout: kind (1 beat, 2 echo), NAT, number (32 bits, big-endian).
 */
import type { Nat } from './reachability.ts';

const FRAME_BYTES = 6;
/** Source: guess: older ones measure a queue, not a way. */
const REMEMBERED_MAX = 8;
const KINDS = { beat: 1, echo: 2 } as const;
const NATS: readonly Nat[] = ['unknown', 'none', 'endpoint-independent', 'symmetric'];
const NUMBER_LIMIT = 0x1_0000_0000;

export interface Heard {
  /** To send back; empty when there was nothing to answer. */
  readonly echoes: readonly Uint8Array[];
  /** As the last beat said it. */
  readonly nat: Nat | undefined;
  readonly rttMs: number | undefined;
}

export class PathBeat {
  readonly #sentAtMs = new Map<number, number>();
  #number = 0;
  #cut: Uint8Array = new Uint8Array(0);

  beat(nat: Nat, nowMs: number): Uint8Array {
    this.#number = (this.#number + 1) % NUMBER_LIMIT;
    this.#sentAtMs.set(this.#number, nowMs);
    for (const oldest of this.#sentAtMs.keys()) {
      if (this.#sentAtMs.size <= REMEMBERED_MAX) break;
      this.#sentAtMs.delete(oldest);
    }
    return frame(KINDS.beat, nat, this.#number);
  }

  /** Takes in bytes, cut anywhere; undefined when they are not ours, and the stream is of no more use. */
  heard(bytes: Uint8Array, nowMs: number): Heard | undefined {
    const whole = new Uint8Array(this.#cut.length + bytes.length);
    whole.set(this.#cut);
    whole.set(bytes, this.#cut.length);
    const echoes: Uint8Array[] = [];
    let [nat, rttMs]: [Nat | undefined, number | undefined] = [undefined, undefined];
    let offset = 0;
    for (; offset + FRAME_BYTES <= whole.length; offset += FRAME_BYTES) {
      const view = new DataView(whole.buffer, offset, FRAME_BYTES);
      const [kind, said, number] = [view.getUint8(0), NATS[view.getUint8(1)], view.getUint32(2)];
      if (said === undefined || (kind !== KINDS.beat && kind !== KINDS.echo)) return undefined;
      if (kind === KINDS.echo) rttMs = this.#echoed(number, nowMs) ?? rttMs;
      else {
        nat = said;
        // Only the newest is answered: a burst after a pause is one sign of life.
        echoes.length = 0;
        echoes.push(frame(KINDS.echo, 'unknown', number));
      }
    }
    this.#cut = whole.slice(offset);
    return { echoes, nat, rttMs };
  }

  #echoed(number: number, nowMs: number): number | undefined {
    const sentAtMs = this.#sentAtMs.get(number);
    this.#sentAtMs.delete(number);
    return sentAtMs === undefined ? undefined : nowMs - sentAtMs;
  }
}

function frame(kind: number, nat: Nat, number: number): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, kind);
  view.setUint8(1, NATS.indexOf(nat));
  view.setUint32(2, number);
  return bytes;
}
