import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type NodeId, parseNodeId, parseRequestId, type RequestId } from '../../src/ids.ts';
import { Admission, type Decision, type Offer, type Ticket } from '../../src/inference/admission.ts';
import { PLACEMENT } from '../../src/params.ts';

const RATES = { slotMs: 1_000, prefillUsPerToken: 500, decodeMs: 20, arrivalsPerKs: 70 };
const PATIENT_MS = 1_000_000;

function peer(letter: string): NodeId {
  const node = parseNodeId(`12D3KooW${letter.repeat(44)}`);
  assert.ok(node !== undefined);
  return node;
}

function requestId(number: number): RequestId {
  const id = parseRequestId(number.toString(16).padStart(32, '0'));
  assert.ok(id !== undefined);
  return id;
}

/** "A1" = request 1 of peer A. */
function ticket(name: string): Ticket {
  return { from: peer(name.slice(0, 1)), requestId: requestId(Number(name.slice(1))) };
}

function named({ from, requestId: id }: Ticket): string {
  return `${from.at(-1)}${Number.parseInt(id, 16)}`;
}

function offer(name: string, levelMs = PATIENT_MS): Offer {
  return { ...ticket(name), levelMs };
}

function short(decision: Decision): string {
  return decision.type === 'queued' ? `queued ${decision.position}` : decision.type;
}

function filled(slots: number, names: readonly string[], queuePerSlotMax: number = PLACEMENT.queuePerSlotMax) {
  const admission = new Admission(slots, { ...PLACEMENT, queuePerSlotMax });
  const decisions = names.map((name) => short(admission.offer(offer(name), RATES)));
  return { admission, decisions };
}

describe('admission', () => {
  it('fills the slots, then the queue, then is busy with its load now', () => {
    const { admission, decisions } = filled(2, ['A1', 'A2', 'A3', 'A4', 'A5', 'A6'], 2);
    assert.deepEqual(decisions, ['accepted', 'accepted', 'queued 1', 'queued 2', 'queued 3', 'queued 4']);
    assert.deepEqual(admission.offer(offer('A7'), RATES), {
      type: 'busy',
      load: { ...RATES, busy: 2, queued: 4 },
      retryAfterMs: 5_000,
    });
  });

  it('queues while its own estimate is at most 1.2 times the level and 200 ms', () => {
    const cases = [
      // One departure to wait for: 1000 ms <= 1.2 * 667 + 200.
      { levelMs: 667, expected: 'queued 1' },
      { levelMs: 666, expected: 'busy' },
      { levelMs: 0, expected: 'busy' },
    ];
    for (const { levelMs, expected } of cases) {
      const { admission } = filled(1, ['A1']);
      assert.equal(short(admission.offer(offer('A2', levelMs), RATES)), expected, `level ${levelMs}`);
    }
    const { admission } = filled(1, ['A1']);
    assert.equal(short(admission.offer(offer('A2', 0), { ...RATES, slotMs: 200 })), 'queued 1');
  });

  it('accepts into a free slot whatever the level', () => {
    assert.equal(short(filled(1, []).admission.offer(offer('A1', 0), RATES)), 'accepted');
  });

  it('lets the waiting peers take turns, so that a burst of one delays another by one', () => {
    const { admission, decisions } = filled(1, ['A1', 'A2', 'A3', 'A4', 'B1', 'C1', 'B2'], 10);
    assert.deepEqual(decisions.slice(1), ['queued 1', 'queued 2', 'queued 3', 'queued 2', 'queued 3', 'queued 5']);
    const order: string[] = [];
    let running = ticket('A1');
    for (;;) {
      const [next] = admission.release(running);
      if (next === undefined) break;
      order.push(named(next));
      running = next;
    }
    assert.deepEqual(order, ['A2', 'B1', 'C1', 'A3', 'B2', 'A4']);
    assert.deepEqual([admission.busy, admission.queued], [0, 0]);
  });

  it('tells positions that hold when nobody else comes', () => {
    const { admission } = filled(1, ['A1', 'A2', 'A3', 'B1', 'C1', 'C2', 'B2'], 10);
    const names = ['A2', 'A3', 'B1', 'C1', 'C2', 'B2'];
    const told = new Map(names.map((name) => [name, admission.positionOf(ticket(name))]));
    let running = ticket('A1');
    for (let position = 1; position <= names.length; position += 1) {
      const [next] = admission.release(running);
      assert.ok(next !== undefined);
      assert.equal(told.get(named(next)), position, named(next));
      running = next;
    }
    assert.equal(admission.positionOf(ticket('A2')), undefined);
  });

  it('forgets a cancelled request, running or waiting, and starts the next', () => {
    const { admission } = filled(1, ['A1', 'A2', 'B1']);
    assert.deepEqual(admission.release(ticket('A2')), []);
    assert.equal(admission.queued, 1);
    assert.deepEqual(admission.release(ticket('A9')), []);
    assert.deepEqual(admission.release(ticket('A1')).map(named), ['B1']);
    assert.deepEqual(admission.release(ticket('A1')), [], 'a second release frees nothing');
    assert.equal(admission.busy, 1);
  });

  it('forgets a peer whose link broke', () => {
    const { admission } = filled(2, ['A1', 'B1', 'A2', 'B2']);
    assert.deepEqual(admission.releasePeer(peer('A')).map(named), ['B2']);
    assert.deepEqual([admission.busy, admission.queued], [2, 0]);
  });

  it('refuses the same request twice, but not the same id of another peer', () => {
    const { admission } = filled(1, ['A1', 'A2']);
    for (const name of ['A1', 'A2']) {
      const decision = admission.offer(offer(name), RATES);
      assert.ok(decision.type === 'refused' && decision.failure.code === 'protocol-violation');
    }
    assert.equal(short(admission.offer(offer('B1'), RATES)), 'queued 2');
  });

  it('drains: sends away who waits, refuses who comes, lets run who runs', () => {
    const { admission } = filled(1, ['A1', 'A2', 'B1']);
    assert.deepEqual(admission.drain().map(named), ['A2', 'B1']);
    const decision = admission.offer(offer('C1'), RATES);
    assert.ok(decision.type === 'refused' && decision.failure.code === 'draining');
    assert.deepEqual([admission.draining, admission.busy, admission.queued], [true, 1, 0]);
    assert.deepEqual(admission.release(ticket('A1')), []);
  });

  it('follows a change of slots without sending anybody away', () => {
    const { admission } = filled(2, ['A1', 'A2', 'A3', 'A4']);
    assert.deepEqual(admission.setSlots(1), []);
    assert.deepEqual([admission.busy, admission.queued, admission.slots], [2, 2, 1]);
    assert.deepEqual(admission.release(ticket('A1')), [], 'one too many was running');
    assert.deepEqual(admission.setSlots(3).map(named), ['A3', 'A4']);
    assert.throws(() => admission.setSlots(0), /has a slot/);
  });

  it('keeps its bounds, loses nobody and starts nobody twice, whatever happens (S8)', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({
          type: fc.constant('offer' as const),
          from: fc.constantFrom('A', 'B', 'C'),
          levelMs: fc.nat(9_000),
        }),
        fc.record({ type: fc.constant('release' as const), pick: fc.nat(99) }),
        fc.record({ type: fc.constant('lose' as const), from: fc.constantFrom('A', 'B', 'C') }),
      ),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 4 }), (list, slots) => {
        const admission = new Admission(slots, PLACEMENT);
        const running = new Set<string>();
        const waiting = new Set<string>();
        const started = (tickets: readonly Ticket[]): void => {
          for (const name of tickets.map(named)) {
            assert.ok(waiting.delete(name), `${name} waited`);
            running.add(name);
          }
        };
        for (const [number, step] of list.entries()) {
          if (step.type === 'offer') {
            const name = `${step.from}${number}`;
            const decision = admission.offer(offer(name, step.levelMs), RATES);
            if (decision.type === 'accepted') running.add(name);
            if (decision.type === 'queued') {
              waiting.add(name);
              assert.equal(admission.positionOf(ticket(name)), decision.position);
            }
          } else if (step.type === 'release') {
            const name = [...running, ...waiting][step.pick % Math.max(1, running.size + waiting.size)];
            if (name === undefined) continue;
            running.delete(name);
            waiting.delete(name);
            started(admission.release(ticket(name)));
          } else {
            for (const names of [running, waiting])
              for (const name of names) if (name.startsWith(step.from)) names.delete(name);
            started(admission.releasePeer(peer(step.from)));
          }
          assert.equal(admission.busy, running.size);
          assert.equal(admission.queued, waiting.size);
          assert.ok(running.size <= slots && waiting.size <= PLACEMENT.queuePerSlotMax * slots);
          assert.ok(waiting.size === 0 || running.size === slots, 'nobody waits beside a free slot');
        }
      }),
      { numRuns: 300, seed: 8 },
    );
  });
});
