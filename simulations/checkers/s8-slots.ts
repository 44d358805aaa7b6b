/**
 * S8: a node never runs more than it has slots for, its queue holds at most `queuePerSlotMax` a slot, and what waits to be
 * sent is bounded by its links. Runs are counted from their beginnings and ends, against the slots that the node's
 * last sample showed, and the samples are judged themselves. Not covered: a node before its first sample; bytes of
 * connections that closed since the last one.
 */
import { PLACEMENT } from '../../src/params.ts';
import { SEND_QUEUE } from '../../src/inference/send-queue.ts';
import { REQUESTS_MAX } from '../../src/node/request-desk.ts';
import type { CheckContext, Checker, CheckerKind } from '../checker.ts';
import type { NodeSample, WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';

class Slots implements Checker {
  readonly #breaches: Breaches;
  readonly #running: Int32Array;
  /** 0 = not known yet. */
  readonly #slots: Int32Array;

  constructor(context: CheckContext) {
    this.#breaches = new Breaches(context);
    this.#running = new Int32Array(context.scenario.nodes);
    this.#slots = new Int32Array(context.scenario.nodes);
  }

  observe(event: WorldEvent, atMs: number): void {
    switch (event.type) {
      case 'run-started':
        this.#running[event.node] = (this.#running[event.node] ?? 0) + 1;
        return this.#judgeRuns(event.node, event.requestId, atMs);
      case 'run-ended':
        this.#running[event.node] = Math.max(0, (this.#running[event.node] ?? 0) - 1);
        return;
      case 'stopped':
        if (event.how !== 'paused' && event.how !== 'suspended') this.#running[event.node] = 0;
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
  promise: 'a node never runs more than its slots, and its queue and buffers are bounded',
  when: 'always',
  create: (context) => new Slots(context),
};
