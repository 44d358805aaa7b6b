/**
 * What did a view that was told change? The core judges the messages of a snapshot without a word, so what it believed
 * of their authors before is compared with what it believes after: a message counts as accepted when the rows or the
 * capability that the view shows now are those of this very message and were not before. It changes nothing.
 * Not seen: a load that comes with or before its capability (it may have waited for that one here), goodbyes of nodes
 * that were not in the view, and which of two messages under one number stayed (an equivocation: nobody accepts it).
 */
import type { GossipMember } from '../../src/gossip/gossip-events.ts';
import type { Capability, GossipBody, GossipMessage, ModelLoad } from '../../src/gossip/message.ts';
import type { NodeId } from '../../src/ids.ts';
import type { Process } from './process.ts';
import type { Services } from './services.ts';

type Beacon = Extract<GossipBody, { type: 'capability' | 'load' }>;
type Members = ReadonlyMap<NodeId, GossipMember>;

export class ViewWatch {
  readonly #services: Services;
  #before: Members = new Map();

  constructor(services: Services) {
    this.#services = services;
  }

  /** A view is about to be taken in. */
  before(process: Process, messages: readonly Uint8Array[]): void {
    this.#before = this.#authorsOf(process, messages);
  }

  /** It was, in this very step. */
  after(process: Process, messages: readonly Uint8Array[]): void {
    const { directory } = this.#services;
    const before = this.#before;
    const now = this.#authorsOf(process, messages);
    for (const bytes of messages) {
      const parsed = directory.parse(bytes, directory.swarm);
      const item = this.#services.itemOf(bytes);
      if (parsed.type !== 'parsed' || item === undefined) continue;
      const { message } = parsed;
      const { author, incarnation, sequence, body } = message;
      if (author === process.id || !this.#isNews(message, before.get(author), now.get(author))) continue;
      this.#services.emit({
        type: 'judged',
        node: process.node,
        way: 'view',
        author: directory.nodeOf(author),
        incarnation,
        sequence,
        body: body.type,
        verdict: 'accept',
        reason: body.type,
        madeAtMs: item.madeAtMs,
        forged: item.forged,
      });
    }
  }

  /** Those whom these messages may change, as the view shows them now. */
  #authorsOf(process: Process, messages: readonly Uint8Array[]): Members {
    const { directory } = this.#services;
    const nowMs = process.nowMs();
    const members = new Map<NodeId, GossipMember>();
    for (const bytes of messages) {
      const parsed = directory.parse(bytes, directory.swarm);
      if (parsed.type !== 'parsed') continue;
      const { author } = parsed.message;
      const member = author === process.id ? undefined : process.mesh.member(author, nowMs);
      if (member !== undefined) members.set(author, member);
    }
    return members;
  }

  #isNews(message: GossipMessage, before: GossipMember | undefined, now: GossipMember | undefined): boolean {
    const { body } = message;
    if (body.type === 'goodbye') return before !== undefined && now === undefined;
    if (body.type === 'accusation' || partOf(body, now) !== partOf(body, body)) return false;
    if (before === undefined) return body.type === 'capability';
    if (body.type === 'load' && before.capability !== now?.capability) return false;
    return partOf(body, before) !== partOf(body, body) && !this.#isEquivocation(message, before, partOf(body, before));
  }

  /** Something else under the same number. */
  #isEquivocation({ incarnation, sequence }: GossipMessage, before: GossipMember, part: object | undefined): boolean {
    if (part === undefined || before.incarnation !== incarnation) return false;
    return this.#services.directory.sequenceOf(part) === sequence;
  }
}

/** What a message of this kind changes. */
function partOf(
  { type }: Pick<Beacon, 'type'>,
  holder: { readonly capability?: Capability | undefined; readonly loads: readonly ModelLoad[] } | undefined,
): object | undefined {
  return type === 'capability' ? holder?.capability : holder?.loads;
}
