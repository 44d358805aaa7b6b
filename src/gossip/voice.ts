/**
 * When this node speaks, what follows: the message is signed, taken into our own view, published, and the cadence
 * learns of it. Also the defence of our good name: an accusation, or a message in our name from a life that we do not
 * remember, is answered by a higher incarnation; a buried node that talks to us is told so, or its words would go
 * unheard for ten minutes (two halves of a healed mesh hold each other for dead). After the goodbye it is silent.
 */
import type { NodeId } from '../ids.ts';
import type { Author } from './author.ts';
import type { Cadence } from './cadence.ts';
import type { GossipEffect } from './gossip-events.ts';
import type { LivenessEvent } from './liveness.ts';
import { BOUNDS, whole } from './message-bounds.ts';
import type { GossipBody, GossipMessage } from './message.ts';
import type { View } from './view.ts';

/** Between two refutations, so that accusations cannot make a node talk without end. Source: guess. */
const REFUTATION_GAP_MS = 250;
/** Between two messages to a node that does not know it is held for dead. Source: guess. */
const TELL_DEAD_GAP_MS = 1_000;

export class Voice {
  readonly author: Author;
  readonly #view: View;
  readonly #cadence: Cadence;
  readonly #emit: (effect: GossipEffect) => void;
  /** One entry per connection at most. */
  readonly #toldDeadAtMs = new Map<NodeId, number>();
  #raisedAtMs = -Infinity;
  #left = false;

  constructor(parts: {
    readonly author: Author;
    readonly view: View;
    readonly cadence: Cadence;
    readonly emit: (effect: GossipEffect) => void;
  }) {
    this.author = parts.author;
    this.#view = parts.view;
    this.#cadence = parts.cadence;
    this.#emit = parts.emit;
  }

  get hasLeft(): boolean {
    return this.#left;
  }

  sayCapability(nowMs: number): void {
    const body = this.author.capabilityBody();
    if (body === undefined || this.#left) return;
    const { sequence } = this.#say(body, nowMs).message;
    this.author.capabilitySaid(sequence);
    this.#cadence.capabilityPublished(nowMs);
  }

  sayLoad(nowMs: number): void {
    const body = this.author.loadBody();
    if (body === undefined || this.#left) return;
    this.#cadence.loadPublished(this.#say(body, nowMs).bytes.length, nowMs);
  }

  accuse(event: Extract<LivenessEvent, { type: 'accuse' }>, nowMs: number): void {
    const { target, targetIncarnation, cause } = event;
    const evidenceAgeMs = whole(event.evidenceAgeMs, { min: 0, max: BOUNDS.evidenceAgeMsMax });
    this.#say({ type: 'accusation', target, targetIncarnation, cause, evidenceAgeMs }, nowMs);
  }

  leave(nowMs: number): void {
    if (this.#left) return;
    this.#say({ type: 'goodbye' }, nowMs);
    this.#left = true;
  }

  /** Signed words against us, or in our own name from a forgotten life. */
  defend(message: GossipMessage, nowMs: number): void {
    const { body } = message;
    if (message.author === this.#self) {
      if (this.author.isUnremembered(message)) this.raise(message.incarnation, nowMs);
    } else if (body.type === 'accusation' && body.target === this.#self) {
      if (body.targetIncarnation >= this.author.incarnation) this.raise(body.targetIncarnation, nowMs);
    }
  }

  /** A new incarnation, above our own and above the one given. */
  raise(above: number, nowMs: number): void {
    if (this.#left || nowMs < this.#raisedAtMs + REFUTATION_GAP_MS || !this.author.raiseAbove(above)) return;
    this.#raisedAtMs = nowMs;
    this.#emit({ type: 'persist-incarnation', incarnation: this.author.incarnation });
    this.sayCapability(nowMs);
  }

  tellIfDead(node: NodeId, nowMs: number): void {
    const tombstone = this.#left ? undefined : this.#view.tombstone(node, nowMs);
    if (tombstone === undefined || nowMs < (this.#toldDeadAtMs.get(node) ?? -Infinity) + TELL_DEAD_GAP_MS) return;
    this.#toldDeadAtMs.set(node, nowMs);
    const targetIncarnation = tombstone.incarnation;
    this.#say({ type: 'accusation', target: node, targetIncarnation, cause: 'silent', evidenceAgeMs: 0 }, nowMs);
  }

  /** The connection is gone: nobody to tell. */
  forget(node: NodeId): void {
    this.#toldDeadAtMs.delete(node);
  }

  get #self(): NodeId {
    return this.author.self;
  }

  #say(body: GossipBody, nowMs: number): { readonly message: GossipMessage; readonly bytes: Uint8Array } {
    const said = this.author.say(body, nowMs);
    this.#view.publishOwn(said.message, said.bytes, nowMs);
    this.#emit({ type: 'publish', bytes: said.bytes });
    return said;
  }
}
