/**
 * S8: a node never runs more than it has slots for, its queue holds at most `queuePerSlotMax` a slot, and what waits to be
 * sent is bounded by its links. A node whose owner ends it takes no new work until it is gone. Runs are counted from their beginnings and ends, against the slots that the node's
 * last sample showed, and the samples are judged themselves. Not covered: a node before its first sample; bytes of
 * connections that closed since the last one.
 */
import { PLACEMENT } from '../../src/params.ts';
import { SEND_QUEUE } from '../../src/inference/send-queue.ts';
import { REQUESTS_MAX } from '../../src/node/request-desk.ts';
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { Fault, FaultPlan } from '../faults/fault.ts';
import type { NodeSample, WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { Presence } from './presence.ts';

type Offered = Extract<WorldEvent, { type: 'offered' }>;

class Slots implements Checker {
  readonly ignoresGossip = true;
  readonly #breaches: Breaches;
  readonly #running: Int32Array;
  /** 0 = not known yet. */
  readonly #slots: Int32Array;
  readonly #plan: FaultPlan;
  readonly #presence: Presence;
  /** Since when each is to leave; -1 = it is not. */
  readonly #leavingAtMs: Float64Array;

  constructor(context: CheckContext) {
    this.#breaches = new Breaches(context);
    this.#running = new Int32Array(context.scenario.nodes);
    this.#slots = new Int32Array(context.scenario.nodes);
    this.#plan = context.plan;
    this.#presence = new Presence(context.scenario.nodes);
    this.#leavingAtMs = new Float64Array(context.scenario.nodes).fill(-1);
  }

  observe(event: WorldEvent, atMs: number): void {
    this.#presence.observe(event, atMs);
    switch (event.type) {
      case 'fault-began':
        return this.#mayLeave(this.#plan[event.fault], atMs);
      case 'started':
        this.#leavingAtMs[event.node] = -1;
        return;
      case 'offered':
        return this.#judgeOffer(event, atMs);
      case 'run-started':
        this.#running[event.node] = (this.#running[event.node] ?? 0) + 1;
        return this.#judgeRuns(event.node, event.requestId, atMs);
      case 'run-ended':
        this.#running[event.node] = Math.max(0, (this.#running[event.node] ?? 0) - 1);
        return;
      case 'stopped':
        if (event.how === 'paused' || event.how === 'suspended') return;
        this.#running[event.node] = 0;
        this.#leavingAtMs[event.node] = -1;
        return;
      case 'sampled':
        this.#slots[event.node] = event.sample.slots;
        return this.#judgeSample(event.node, event.sample, atMs);
      default:
    }
  }

  finish(): void {
    // Everything is judged as it happens.
  }

  /** Nobody can end what stands still. */
  #mayLeave(fault: Fault | undefined, atMs: number): void {
    if (fault?.kind === 'leave' && this.#presence.isUp(fault.node)) this.#leavingAtMs[fault.node] = atMs;
  }

  #judgeOffer({ node, from, requestId, answer }: Offered, atMs: number): void {
    const sinceMs = this.#leavingAtMs[node] ?? -1;
    if (sinceMs < 0 || answer === 'refused') return;
    const detail = `${answer} a request of n${from} ${atMs - sinceMs} ms after its owner began to end it, promised to refuse all`;
    this.#breaches.add('leaving', { atMs, nodes: [node, from], requestId, detail });
  }

  #judgeRuns(node: number, requestId: string, atMs: number): void {
    const running = this.#running[node] ?? 0;
    const slots = this.#slots[node] ?? 0;
    if (slots === 0 || running <= slots) return;
    const detail = `${running} requests run in ${slots} slots`;
    this.#breaches.add('runs', { atMs, nodes: [node], requestId, detail });
  }

  #judgeSample(node: number, sample: NodeSample, atMs: number): void {
    const { running, slots, queued, asked, bufferedBytes, connections } = sample;
    for (const { kind, seen, limit, what } of [
      { kind: 'running', seen: running, limit: slots, what: 'requests run' },
      { kind: 'queued', seen: queued, limit: slots * PLACEMENT.queuePerSlotMax, what: 'requests wait' },
      { kind: 'asked', seen: asked, limit: REQUESTS_MAX, what: 'requests entered here and live' },
      {
        kind: 'buffered',
        seen: bufferedBytes,
        limit: Math.max(1, connections) * SEND_QUEUE.queuedBytesMax,
        what: 'bytes wait in its links',
      },
    ]) {
      if (seen <= limit) continue;
      this.#breaches.add(kind, { atMs, nodes: [node], detail: `${seen} ${what}, at most ${limit} promised` });
    }
  }
}

export const slotsAreKept: CheckerKind = {
  id: 'S8',
  promise:
    'a node never runs more than its slots, its queue and buffers are bounded, and one that leaves takes no new work',
  when: 'always',
  create: (context) => new Slots(context),
};
