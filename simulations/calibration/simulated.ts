/**
 * The schedule in the simulated world: one run for each seed, with the same strikes and everything else drawn anew (who
 * starts when, clocks, the order of connections), so that the runs together show the range that the model allows.
 * Reads only what a real node tells as well: changes of verdicts, and messages as they are judged.
 */
import { World } from '../world.ts';
import type { WorldEvent } from '../world-event.ts';
import type { Half } from './comparison.ts';
import type { Change, Delivery, Moment } from './recording.ts';
import { planOf, type Schedule, scenarioOf } from './schedule.ts';

export function simulate(schedule: Schedule, seed: number): Half {
  const recorder = new Recorder(schedule);
  const scenario = scenarioOf(schedule);
  const world = new World({
    scenario,
    seed: `calibration/${seed}`,
    plan: planOf(schedule),
    watch: (event, atMs) => recorder.observe(event, atMs),
  });
  world.run(scenario.durationMs);
  return { schedule, recording: recorder };
}

class Recorder {
  readonly moments: Moment[] = [];
  readonly changes: Change[] = [];
  readonly deliveries: Delivery[] = [];
  readonly #schedule: Schedule;
  /** The strike under way at each node. */
  readonly #current = new Map<number, number>();

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  observe(event: WorldEvent, atMs: number): void {
    switch (event.type) {
      case 'fault-began':
        return this.#began(event.fault, atMs);
      case 'started':
      case 'resumed':
        return this.#ended(event.node, atMs);
      case 'verdict': {
        const { node: observer, target, verdict, reason } = event;
        this.changes.push({ atMs, observer, target, verdict, reason });
        return;
      }
      case 'judged': {
        // Real nodes are listened to at their gossip.
        if (event.way !== 'gossip') return;
        const { node: receiver, author, body, madeAtMs } = event;
        this.deliveries.push({ madeAtMs, afterMs: atMs - madeAtMs, author, receiver, body });
        return;
      }
      default:
    }
  }

  #began(strike: number, atMs: number): void {
    const node = this.#schedule.strikes[strike]?.node;
    if (node === undefined) return;
    this.#current.set(node, strike);
    this.moments.push({ strike, what: 'begun', atMs });
  }

  #ended(node: number, atMs: number): void {
    const strike = this.#current.get(node);
    if (strike === undefined) return;
    this.#current.delete(node);
    this.moments.push({ strike, what: 'ended', atMs });
  }
}
