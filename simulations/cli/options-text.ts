/**
 * What exactly is run? Every value of a scenario, in the words that `--set` takes, so that each can be copied and changed:
 * `workload.load=0.4`. Printed before a run, because a seed without its options is no run. Source: TigerBeetle's `vopr`.
 */
import type { Scenario } from '../scenario.ts';

const WIDTH = 100;
const INDENT = '  ';

/** Lines of up to 100 characters; a value that is longer than a line stays whole. */
export function optionsText({ name: _name, question: _question, ...options }: Scenario): string {
  const lines: string[] = [];
  let line = '';
  for (const word of valuesOf('', options)) {
    if (line !== '' && INDENT.length + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => `${INDENT}${one}\n`).join('');
}

function valuesOf(path: string, value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [`${path}=${String(value)}`];
  const fields = Object.entries(value);
  if (fields.length === 0) return [`${path}=${JSON.stringify(value)}`];
  return fields.flatMap(([name, part]) => valuesOf(path === '' ? name : `${path}.${name}`, part));
}
