/**
 * Turns what a simulated process does into the world's trace. It sees inputs and effects on their way and adds what only
 * the world knows: numbers instead of ids, who really made a message and when. It changes nothing.
 */
import type { Effect, Input } from '../../src/node/events.ts';
import type { Process } from './process.ts';
import type { Services } from './services.ts';
import { ViewWatch } from './view-watch.ts';
import type { WorldEvent } from '../world-event.ts';

type Happened = Input | Effect;

const GARBAGE = { incarnation: 0, sequence: 0, body: { type: 'garbage' } } as const;

export class ProcessWatch {
  readonly #services: Services;
  readonly #views: ViewWatch;
  /** Runs that began, by asking node and request: a request that only waited here ends without one. */
  readonly #running = new WeakMap<Process, Set<string>>();

  constructor(services: Services) {
    this.#services = services;
    this.#views = new ViewWatch(services);
  }

  see(process: Process, happened: Happened): void {
    switch (happened.type) {
      case 'member-changed': {
        const { verdict, reason } = happened;
        return this.#emit({
          type: 'verdict',
          node: process.node,
          target: this.#nodeOf(happened.node),
          verdict,
          reason,
        });
      }
      case 'judge-message':
        return this.#judged(process, happened);
      case 'request-snapshot': {
        const peer = this.#nodeOf(happened.from);
        const everything = happened.digest.length === 0;
        return this.#emit({ type: 'view-asked', node: process.node, peer, everything });
      }
      case 'snapshot-received':
        return this.#views.before(process, happened.messages);
      case 'dispatch':
      case 'refuse-request': {
        const { requestId, plan } = happened;
        return this.#emit({ type: 'placed', node: process.node, requestId, plan });
      }
      case 'try-started': {
        const { requestId, resumedAt } = happened;
        const server = this.#nodeOf(happened.node);
        return this.#emit({ type: 'try-started', node: process.node, requestId, server, resumedAt });
      }
      case 'try-ended':
        return this.#tryEnded(process, happened);
      case 'serve':
      case 'queue-serve':
      case 'refuse-serve':
        return this.#offered(process, happened);
      case 'serve-ended':
        return this.#runEnded(process, happened);
      default:
    }
  }

  /** The core took in what `see` saw coming. */
  stepped(process: Process, input: Input): void {
    if (input.type !== 'snapshot-received') return;
    const { messages, from } = input;
    const { node } = process;
    this.#emit({ type: 'view-taken', node, peer: this.#nodeOf(from), messages: messages.length });
    this.#views.after(process, messages);
  }

  /** The process is gone, and with it all that ran. */
  forget(process: Process): void {
    for (const key of this.#running.get(process) ?? []) {
      const [from = '', requestId = ''] = key.split(' ');
      this.#emit({ type: 'run-ended', node: process.node, from: Number(from), requestId });
    }
    this.#running.delete(process);
  }

  #judged(process: Process, { messageId, verdict, reason }: Extract<Effect, { type: 'judge-message' }>): void {
    const item = process.itemOf(messageId);
    if (item === undefined) return;
    const { directory } = this.#services;
    const parsed = directory.parse(item.bytes, directory.swarm);
    const { author, madeAtMs, forged } = item;
    const { incarnation, sequence, body } = parsed.type === 'parsed' ? parsed.message : GARBAGE;
    this.#emit({
      type: 'judged',
      node: process.node,
      way: 'gossip',
      author,
      incarnation,
      sequence,
      body: body.type,
      verdict,
      reason,
      madeAtMs,
      forged,
    });
  }

  #tryEnded(process: Process, ended: Extract<Input, { type: 'try-ended' }>): void {
    const { requestId, outcome } = ended;
    this.#emit({
      type: 'try-ended',
      node: process.node,
      requestId,
      server: this.#nodeOf(ended.node),
      outcome: outcome.type,
      code: outcome.type === 'failed' ? outcome.failure.code : '',
      ...(outcome.type === 'busy' && outcome.load !== undefined
        ? { load: { queued: outcome.load.queued, slotMs: outcome.load.slotMs } }
        : {}),
    });
  }

  #offered(process: Process, effect: Extract<Effect, { type: 'serve' | 'queue-serve' | 'refuse-serve' }>): void {
    const { node } = process;
    const { requestId } = effect;
    const from = this.#nodeOf(effect.from);
    if (effect.type === 'refuse-serve')
      return this.#emit({ type: 'offered', node, from, requestId, answer: 'refused', code: effect.failure.code });
    const answer = effect.type === 'serve' ? 'served' : 'queued';
    this.#emit({ type: 'offered', node, from, requestId, answer, code: '' });
    const resumedAt = process.plane.serving.resumedAt(effect.from, effect.requestId);
    // One whose asker went away in this very turn is let in and does not begin.
    if (answer === 'queued' || resumedAt === undefined) return;
    const running = this.#running.get(process) ?? new Set<string>();
    this.#running.set(process, running.add(`${from} ${requestId}`));
    this.#emit({ type: 'run-started', node, from, requestId, resumedAt });
  }

  #runEnded(process: Process, ended: Extract<Input, { type: 'serve-ended' }>): void {
    const { requestId } = ended;
    const from = this.#nodeOf(ended.from);
    if (this.#running.get(process)?.delete(`${from} ${requestId}`) === true)
      this.#emit({ type: 'run-ended', node: process.node, from, requestId });
  }

  #nodeOf(id: Parameters<Services['directory']['nodeOf']>[0]): number {
    return this.#services.directory.nodeOf(id);
  }

  #emit(event: WorldEvent): void {
    this.#services.emit(event);
  }
}
