/**
 * A lying member: it runs the production core, and beside it says what a modified program with a valid swarm key could
 * say. Its lies travel the same way as its beacons and are signed with its own key, unless it forges. What each lie is
 * meant to break is said in `fault.ts`; what must hold all the same is the checkers' business.
 */
import { encodeMessage, parseMessage, type Sign } from '../../src/gossip/message-codec.ts';
import type { GossipBody, GossipMessage, ModelLoad } from '../../src/gossip/message.ts';
import type { Lie } from '../faults/fault.ts';
import type { RandomStream } from '../kernel/kernel-port.ts';
import type { GossipItem } from './payload.ts';
import type { Process } from './process.ts';
import type { Services } from './services.ts';

/** Between two lies that are told on the liar's own account. */
const LIE_INTERVAL_MS: Readonly<Record<Lie, number>> = {
  load: Infinity,
  equivocate: Infinity,
  replay: 2_000,
  forge: 1_000,
  accuse: 1_000,
  flood: 100,
};
/** Messages of one burst of a flood. Source: guess: 100 a second, as much as 10 kB/s carries. */
const FLOOD_BURST = 10;
/** How much faster than it is. Source: MESH study ("claim 20x speed, never busy"). */
const BOAST = 20;
/** The last messages that it heard and may use against others. */
const HEARD_MAX = 256;
/** One of so many is kept for longer: in a mesh of any size the last ones are only seconds old. */
const KEEP_EACH = 16;
/** Of those: in a mesh of a hundred nodes, that beacon every few seconds, minutes. */
const KEPT_MAX = 512;
/** A replay younger than this would only be a duplicate. Source: the seen cache of the fabric. */
const REPLAY_AGE_MS_MIN = 70_000;
/** The liar's own numbers run ahead of its core's, and of those that it used when it lied before. */
const SEQUENCE_AHEAD = 1_000_000;
/** Faster than any liar counts. */
const SEQUENCE_PER_MS = 1;

export interface LiarOptions {
  readonly lie: Lie;
  readonly process: Process;
  readonly services: Services;
  readonly random: RandomStream;
}

export class Liar {
  readonly lie: Lie;
  readonly #options: LiarOptions;
  readonly #sign: Sign;
  readonly #heard: GossipItem[] = [];
  /** A sample of what it heard for a long time, oldest first. */
  readonly #kept: GossipItem[] = [];
  #heardCount = 0;
  #own: GossipMessage | undefined;
  #sequence: number;
  #stopped = false;

  constructor(options: LiarOptions) {
    this.lie = options.lie;
    this.#options = options;
    const begunAtMs = options.services.queue.nowMs;
    this.#sequence = SEQUENCE_AHEAD + SEQUENCE_PER_MS * Math.floor(begunAtMs);
    this.#sign = options.services.directory.signerOf(options.process.node);
    this.#later();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** What it makes of a message that its core wants to publish. */
  speak(bytes: Uint8Array): readonly GossipItem[] {
    const { services, process } = this.#options;
    const truth = services.newItem({ bytes, author: process.node, forged: false });
    const message = this.#parse(bytes);
    if (this.#stopped || message === undefined) return [truth];
    this.#own = message;
    const { body } = message;
    if (body.type !== 'load' && body.type !== 'capability') return [truth];
    const boast = this.#encode({ ...message, body: { ...body, loads: body.loads.map(boastful) } });
    if (this.lie === 'load') return [this.#item(boast)];
    if (this.lie === 'equivocate')
      return [
        { ...truth, audience: 0 },
        { ...this.#item(boast), audience: 1 },
      ];
    return [truth];
  }

  hear(item: GossipItem): void {
    if (this.#heard.length >= HEARD_MAX) this.#heard.shift();
    this.#heard.push(item);
    this.#heardCount += 1;
    if (this.#heardCount % KEEP_EACH !== 0) return;
    if (this.#kept.length >= KEPT_MAX) this.#kept.shift();
    this.#kept.push(item);
  }

  #later(): void {
    const intervalMs = LIE_INTERVAL_MS[this.lie];
    if (!Number.isFinite(intervalMs)) return;
    this.#options.process.after(intervalMs, () => {
      if (this.#stopped) return;
      this.#tell();
      this.#later();
    });
  }

  #tell(): void {
    switch (this.lie) {
      case 'replay':
        return this.#replay();
      case 'forge':
        return this.#forge();
      case 'accuse':
        return this.#accuse();
      case 'flood':
        for (let count = 0; count < FLOOD_BURST; count += 1) this.#flood();
        return;
      default:
    }
  }

  #replay(): void {
    const { services, random } = this.#options;
    // Of those that are old enough any: the youngest tries the limits of age, the oldest those of memory.
    const old = this.#kept.filter(({ madeAtMs }) => services.queue.nowMs - madeAtMs >= REPLAY_AGE_MS_MIN);
    const one = old[random.below(Math.max(1, old.length))];
    // The same bytes under a new id: nobody's memory of ids goes back so far.
    if (one !== undefined) this.#publish({ ...this.#item(one.bytes), author: one.author, madeAtMs: one.madeAtMs });
  }

  #forge(): void {
    const { random } = this.#options;
    const victim = this.#heard[random.below(this.#heard.length)];
    const message = victim === undefined ? undefined : this.#parse(victim.bytes);
    if (victim === undefined || message === undefined) return;
    const forgery = { ...message, sequence: message.sequence + 1 + random.below(1_000) };
    this.#publish({ ...this.#item(this.#encode(forgery)), author: victim.author, forged: true });
  }

  #accuse(): void {
    const { process, random } = this.#options;
    const others = process.mesh.members(process.nowMs()).filter(({ self }) => !self);
    const target = others[random.below(others.length)];
    if (target === undefined) return;
    const { node, incarnation } = target;
    this.#say({
      type: 'accusation',
      target: node,
      targetIncarnation: incarnation,
      cause: random.below(2) === 0 ? 'closed' : 'silent',
      evidenceAgeMs: 10_000,
    });
  }

  #flood(): void {
    if (this.#own?.body.type === 'load' || this.#own?.body.type === 'capability') this.#say(this.#own.body);
  }

  #say(body: GossipBody): void {
    if (this.#own === undefined) return;
    this.#sequence += 1;
    const { process } = this.#options;
    const uptimeMs = Math.max(0, Math.round(process.nowMs()));
    this.#publish(this.#item(this.#encode({ ...this.#own, sequence: this.#sequence, uptimeMs, body })));
  }

  #publish(item: GossipItem): void {
    this.#options.services.gossip.publish(this.#options.process, item);
  }

  #item(bytes: Uint8Array): GossipItem {
    const { services, process } = this.#options;
    return services.newItem({ bytes, author: process.node, forged: false });
  }

  #encode(message: GossipMessage): Uint8Array {
    return encodeMessage(message, { swarm: this.#options.services.directory.swarm, sign: this.#sign });
  }

  #parse(bytes: Uint8Array): GossipMessage | undefined {
    const parsed = parseMessage(bytes, this.#options.services.directory.swarm);
    return parsed.type === 'parsed' ? parsed.message : undefined;
  }
}

function faster(value: number): number {
  return Math.max(1, Math.round(value / BOAST));
}

function boastful(load: ModelLoad): ModelLoad {
  return {
    ...load,
    busy: 0,
    queued: 0,
    slotMs: faster(load.slotMs),
    prefillUsPerToken: faster(load.prefillUsPerToken),
    decodeMs: faster(load.decodeMs),
  };
}
