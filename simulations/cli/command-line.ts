/**
 * Which command runs this again? Every failure ends with one line that can be copied into a shell: the scenario, the seed
 * and what was changed of the scenario, or the file of a run. Words that a POSIX shell would take apart are quoted.
 */
import { type Checked } from '../problem.ts';
import { withOverrides } from '../scenario-check.ts';
import type { Scenario } from '../scenario.ts';
import { SCENARIOS, scenarioNames } from '../scenarios/index.ts';

/** A scenario by name, with what `--set` changes of it. */
export function chooseScenario(name: string, overrides: readonly string[]): Checked<Scenario> {
  const scenario = SCENARIOS.get(name);
  if (scenario === undefined) {
    const expected = `one of ${scenarioNames().join(', ')}`;
    return { type: 'invalid', problems: [{ field: 'scenario', expected, got: JSON.stringify(name) }] };
  }
  return withOverrides(scenario, overrides);
}

export interface SeedCommand {
  /** How the program was called. */
  readonly program: string;
  readonly scenario: string;
  readonly seed: number;
  readonly overrides: readonly string[];
}

export function runCommand({ program, scenario, seed, overrides }: SeedCommand): string {
  const sets = overrides.flatMap((override) => ['--set', override]);
  return commandLine(program, ['run', scenario, '--seed', String(seed), ...sets]);
}

export function commandLine(program: string, words: readonly string[]): string {
  return [program, ...words.map(quoted)].join(' ');
}

function quoted(word: string): string {
  return /^[\w./=:,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
