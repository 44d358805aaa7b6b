/**
 * How well could it be done? One scheduler knows every slot, queue and cache as they are now, and nothing travels: each
 * message goes where its first token is expected first. It knows speeds and mean lengths of answers, but nobody knows how
 * long an answer gets: a wait is the number of departures before one's turn times their mean distance. It is greedy, as
 * everybody else here is, so it is a yardstick and not a bound: something may beat it at the tail.
 */
import { type Message, PREFILL_SPEEDUP } from './demand.ts';
import { Machine } from './machine.ts';
import type { Running, Site, Strategy } from './world.ts';

export const OMNISCIENT: Strategy = { name: 'omniscient', start: (site) => new Omniscient(site) };

class Omniscient implements Running {
  readonly machines: readonly Machine[];
  readonly #site: Site;
  readonly #queues: readonly Message[][];
  /** Mean tokens that a message needs, its cached part left out; learnt as messages end. */
  #workTokens = 0;
  #ended = 0;

  constructor(site: Site) {
    this.#site = site;
    const { agenda, tally, demand } = site;
    this.#queues = demand.machines.map(() => []);
    this.machines = demand.machines.map(
      (spec, node) =>
        new Machine(spec, agenda, {
          firstToken: (run) => tally.firstToken(run.message, agenda.nowMs, run.cachedTokens),
          ended: (run) => {
            const { promptTokens, answerTokens } = run.message;
            this.#workTokens += (promptTokens - run.cachedTokens) / PREFILL_SPEEDUP + answerTokens;
            this.#ended += 1;
            const next = this.#queues[node]?.shift();
            if (next !== undefined) this.machines[node]?.start(next);
          },
        }),
    );
  }

  arrived(message: Message): void {
    let best = 0;
    let leastMs = Infinity;
    for (const [node, machine] of this.machines.entries()) {
      const expectedMs = this.#expectedMs(node, machine, message);
      if (expectedMs < leastMs) [best, leastMs] = [node, expectedMs];
    }
    this.#site.tally.offered(best, this.#site.agenda.nowMs);
    const machine = this.machines[best];
    if (machine === undefined || machine.busy >= machine.spec.slots) this.#queues[best]?.push(message);
    else machine.start(message);
  }

  #expectedMs(node: number, machine: Machine, message: Message): number {
    const { slots } = machine.spec;
    const departures = Math.max(0, machine.busy + (this.#queues[node]?.length ?? 0) + 1 - slots);
    const meanTokens = this.#ended === 0 ? 1 : this.#workTokens / this.#ended;
    const waitMs = departures === 0 ? 0 : (departures * meanTokens) / (machine.shareOf(slots) * slots);
    const newTokens = (message.promptTokens - machine.cachedTokens(message)) / PREFILL_SPEEDUP + 1;
    return waitMs + newTokens / machine.shareOf(machine.busy + 1);
  }
}
