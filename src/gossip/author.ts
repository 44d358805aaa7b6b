/**
 * What this node says of itself: what it can do, how busy it is, and under which (incarnation, sequence) it says so. Every
 * message is signed once here. The sequence rises with every message and never falls; the incarnation rises to refute
 * an accusation, after a sleep, or when something of our own future comes back to us (a lost state file).
 */
import type { NodeId, SwarmFingerprint } from '../ids.ts';
import { BOUNDS, fitCapability, fitLoads } from './message-bounds.ts';
import { encodeMessage, type Sign } from './message-codec.ts';
import type { Capability, GossipBody, GossipMessage, ModelLoad } from './message.ts';

export interface Said {
  readonly message: GossipMessage;
  readonly bytes: Uint8Array;
}

/** How far one accusation may push the incarnation: a node whose clock starts in 1970 catches up in one step, and a
 *  liar needs tens of thousands of steps to use the numbers up. Source: guess. */
const INCARNATION_STEP_MAX = 4_294_967_296;

export class Author {
  readonly self: NodeId;
  readonly #swarm: SwarmFingerprint;
  readonly #sign: Sign;
  #incarnation: number;
  #sequence = 0;
  #capability: Capability | undefined;
  #loads: readonly ModelLoad[] = [];
  /** The last capability that was sent under this incarnation; 0 = none. */
  #capabilitySequence = 0;

  constructor(options: {
    readonly self: NodeId;
    readonly swarm: SwarmFingerprint;
    readonly incarnation: number;
    readonly sign: Sign;
  }) {
    this.self = options.self;
    this.#swarm = options.swarm;
    this.#sign = options.sign;
    this.#incarnation = options.incarnation;
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** Before the first capability there is nothing to say. */
  get canSpeak(): boolean {
    return this.#capability !== undefined;
  }

  /** False when it says what was said before. */
  setCapability(capability: Capability): boolean {
    const fitted = fitCapability(capability);
    const changed = JSON.stringify(fitted) !== JSON.stringify(this.#capability);
    this.#capability = fitted;
    this.#loads = fitLoads(this.#loads, fitted.models.length);
    return changed;
  }

  /** Rows in the order of the capability's models. False when nothing changed. */
  setLoads(loads: readonly ModelLoad[]): boolean {
    const models = this.#capability?.models.length ?? 0;
    const before = this.#loads;
    // What was made to fit before fits as it is.
    if (before.length === models && before.every((load, row) => isSameLoad(load, loads[row]))) return false;
    this.#loads = fitLoads(loads, models);
    return this.#loads.length !== before.length || this.#loads.some((load, row) => !isSameLoad(load, before[row]));
  }

  /** Above `incarnation`; false when that is out of reach, so that nobody can push us beyond the bounds. */
  raiseAbove(incarnation: number): boolean {
    const raised = Math.max(this.#incarnation, incarnation) + 1;
    if (raised > BOUNDS.incarnationMax || raised - this.#incarnation > INCARNATION_STEP_MAX) return false;
    this.#incarnation = raised;
    this.#capabilitySequence = 0;
    return true;
  }

  /** Whether a message in our name is from a life that this process does not remember. */
  isUnremembered(message: GossipMessage): boolean {
    if (message.incarnation !== this.#incarnation) return message.incarnation > this.#incarnation;
    return message.sequence > this.#sequence;
  }

  capabilityBody(): GossipBody | undefined {
    return this.#capability && { type: 'capability', capability: this.#capability, loads: this.#loads };
  }

  /** From now on load messages follow the capability with this sequence. */
  capabilitySaid(sequence: number): void {
    this.#capabilitySequence = sequence;
  }

  /** Undefined until the capability that the rows follow was sent. */
  loadBody(): GossipBody | undefined {
    if (this.#capabilitySequence === 0) return undefined;
    return { type: 'load', capabilitySequence: this.#capabilitySequence, loads: this.#loads };
  }

  say(body: GossipBody, nowMs: number): Said {
    this.#sequence += 1;
    const message: GossipMessage = {
      author: this.self,
      incarnation: this.#incarnation,
      sequence: this.#sequence,
      uptimeMs: Math.max(0, Math.floor(nowMs)),
      body,
    };
    return { message, bytes: encodeMessage(message, { swarm: this.#swarm, sign: this.#sign }) };
  }
}

function isSameLoad(left: ModelLoad, right: ModelLoad | undefined): boolean {
  return (
    left.busy === right?.busy &&
    left.queued === right.queued &&
    left.slotMs === right.slotMs &&
    left.prefillUsPerToken === right.prefillUsPerToken &&
    left.decodeMs === right.decodeMs &&
    left.arrivalsPerKs === right.arrivalsPerKs
  );
}
