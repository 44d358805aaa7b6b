/** The failure detector of one node, driven like the core drives it, with a clock that the test moves. */
import { Liveness, type LivenessEvent } from '../../src/gossip/liveness.ts';
import type { NodeId } from '../../src/ids.ts';
import { nodeNumber } from './signing.ts';

const self = nodeNumber(0);

/** A detector with `others` connected members, driven like the core does, one millisecond resolution. */
export class Bench {
  readonly liveness = new Liveness(self, 0);
  readonly events: { atMs: number; event: LivenessEvent }[] = [];
  nowMs = 0;
  #sequence = 0;

  constructor(others: number) {
    for (let number = 1; number <= others; number += 1) {
      this.liveness.connected(nodeNumber(number), 0);
      this.beacon(number);
    }
    this.#collect();
  }

  beacon(number: number, incarnation = 5, ageMs = 0): void {
    this.liveness.beacon({ node: nodeNumber(number), incarnation, ageMs, intervalMs: 1_000 }, this.nowMs);
    this.#collect();
  }

  /** Time goes by; `speaking` members are heard every 100 ms. */
  run(durationMs: number, speaking: readonly number[] = []): void {
    const untilMs = this.nowMs + durationMs;
    while (this.nowMs < untilMs) {
      this.nowMs += 1;
      this.liveness.begin(this.nowMs);
      if (this.nowMs % 100 === 0) for (const number of speaking) this.liveness.heard(nodeNumber(number), this.nowMs);
      this.liveness.check(this.nowMs);
      this.#collect();
    }
  }

  /** The process is not running for a while. */
  stall(durationMs: number): string {
    this.nowMs = this.liveness.nextMs() + durationMs;
    const presence = this.liveness.begin(this.nowMs);
    this.liveness.check(this.nowMs);
    this.#collect();
    return presence;
  }

  connect(number: number): void {
    this.liveness.connected(nodeNumber(number), this.nowMs);
    this.#collect();
  }

  /** A dial is over. */
  probed(number: number, answered: boolean): void {
    if (answered) this.liveness.connected(nodeNumber(number), this.nowMs);
    else this.liveness.unreachable(nodeNumber(number), this.nowMs);
    this.#collect();
  }

  close(number: number): void {
    this.liveness.disconnected(nodeNumber(number), this.nowMs);
    this.#collect();
  }

  accuse(
    accuser: number,
    target: number,
    more: { cause?: 'closed' | 'silent'; ageMs?: number; incarnation?: number } = {},
  ): boolean {
    this.#sequence += 1;
    const news = this.liveness.accused(
      {
        accuser: nodeNumber(accuser),
        incarnation: 5,
        sequence: this.#sequence,
        target: nodeNumber(target),
        targetIncarnation: more.incarnation ?? 5,
        cause: more.cause ?? 'silent',
        ageMs: more.ageMs ?? 0,
      },
      this.nowMs,
    );
    this.#collect();
    return news;
  }

  verdict(number: number): string | undefined {
    return this.liveness.status(nodeNumber(number))?.verdict;
  }

  accusations(): (NodeId | undefined)[] {
    return this.events.flatMap(({ event }) => (event.type === 'accuse' ? [event.target] : []));
  }

  count(type: LivenessEvent['type']): number {
    return this.events.filter(({ event }) => event.type === type).length;
  }

  verdicts(): string[] {
    return this.events.flatMap(({ event }) => (event.type === 'verdict' ? [event.verdict] : []));
  }

  #collect(): void {
    for (const event of this.liveness.drain()) this.events.push({ atMs: this.nowMs, event });
    this.liveness.expect(this.liveness.nextMs());
  }
}
