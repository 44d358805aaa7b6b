/**
 * The contract of a command of the simulator: its name, what it may be told, and what it does. A command gets the words of
 * its line and a toolbox with everything that a test may want to be another; it returns an exit code and never ends the
 * process itself. Exit codes: 0 fine, 1 something is broken, 2 asked for wrongly, 130 ended by Ctrl-C.
 */
import type { Command } from 'commander';
import type { CheckerKind } from '../checker.ts';
import { type Checked, describeProblem, type Problem } from '../problem.ts';
import type { Terminal } from './terminal.io.ts';

export const EXIT_FINE = 0;
export const EXIT_BROKEN = 1;
export const EXIT_USAGE = 2;
export const EXIT_INTERRUPTED = 130;

export interface Toolbox {
  /** How the program was called: begins every command that is printed. */
  readonly program: string;
  /** What is judged. */
  readonly checkers: readonly CheckerKind[];
  /** What a swarm starts once for each job. */
  readonly swarmChild: URL;
  /** What a swarm runs first, as `seeds.json` has it. */
  readonly knownSeeds: unknown;
}

export interface Invocation {
  readonly toolbox: Toolbox;
  readonly terminal: Terminal;
  readonly words: readonly string[];
  readonly options: Options;
}

export interface SimulationCommand {
  readonly name: string;
  readonly summary: string;
  /** Arguments and options. */
  define(command: Command): void;
  /** The exit code. */
  run(invocation: Invocation): Promise<number>;
}

/** What was given after `--`, by name. */
export class Options {
  readonly #given: Readonly<Record<string, unknown>>;

  constructor(given: Readonly<Record<string, unknown>>) {
    this.#given = given;
  }

  isSet(name: string): boolean {
    return this.#given[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#given[name];
    return typeof value === 'string' ? value : undefined;
  }

  texts(name: string): readonly string[] {
    const value = this.#given[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** What the reader makes of the text; `otherwise` where there is none. */
  read<Value>(name: string, reader: (text: string) => Checked<Value>, otherwise: Value): Checked<Value> {
    const text = this.text(name);
    return text === undefined ? { type: 'valid', value: otherwise } : reader(text);
  }
}

/** For an option that may be given more than once. */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}

/** Says everything that is wrong. */
export function refuse({ terminal, toolbox }: Invocation, problems: readonly Problem[]): number {
  // A number that is wrong in two ways is expected in one.
  for (const problem of new Set(problems.map(describeProblem))) terminal.note(`${toolbox.program}: ${problem}\n`);
  return EXIT_USAGE;
}

/** Something that cannot be done here: a file that cannot be read or written. */
export function fail({ terminal, toolbox }: Invocation, what: string): number {
  terminal.note(`${toolbox.program}: ${what}\n`);
  return EXIT_BROKEN;
}
