/**
 * The event log of a run, one line an event, on stdout: what is printed for `--trace`. Lines are gathered for a piece of the
 * run and then written, waiting for whoever reads, so that a long run needs no more memory than a short one.
 */
import { describeEvent } from '../report/describe-event.ts';
import type { FaultPlan } from '../faults/fault.ts';
import { moment } from '../report/report-words.ts';
import type { WorldEvent } from '../world-event.ts';
import type { Terminal } from './terminal.io.ts';

const TIME_WIDTH = 12;

export class TraceLog {
  readonly #terminal: Terminal;
  readonly #plan: FaultPlan;
  #lines: string[] = [];

  constructor(terminal: Terminal, plan: FaultPlan) {
    this.#terminal = terminal;
    this.#plan = plan;
  }

  observe(event: WorldEvent, atMs: number): void {
    this.#lines.push(`${moment(atMs).padStart(TIME_WIDTH)}  ${describeEvent(event, this.#plan)}\n`);
  }

  async flush(): Promise<void> {
    const text = this.#lines.join('');
    this.#lines = [];
    await this.#terminal.outPatiently(text);
  }
}
