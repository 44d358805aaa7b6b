/**
 * How close does placement come to a scheduler that knows everything, and how do the usual strategies compare? Runs the
 * placement study (`simulations/placement-study`), shows how far it is on a terminal, prints the tables and ends with 1
 * when a goal is missed. Options: --quick (two cells, one seed), --seeds N, --cells (every cell of every strategy), --only
 * TEXT (strategies whose name contains it). Figures do not depend on the machine; only the time that it takes does.
 */
import { parseArgs } from 'node:util';
import { CELLS, QUICK_CELLS } from '../simulations/placement-study/cells.ts';
import { OURS } from '../simulations/placement-study/ours.ts';
import {
  type CellResult,
  countRuns,
  liarsResult,
  rowsOf,
  STRATEGIES,
  steps,
  type StudyOptions,
} from '../simulations/placement-study/study.ts';
import { cellTable, liarsTable, strategyTable, verdicts } from '../simulations/placement-study/table.ts';

const SEEDS = 3;
const BAR_WIDTH = 40;

main();

function main(): void {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      cells: { type: 'boolean', default: false },
      seeds: { type: 'string' },
      only: { type: 'string', default: '' },
    },
  });
  const seeds = Number(values.seeds ?? (values.quick ? 1 : SEEDS));
  if (!Number.isInteger(seeds) || seeds < 1 || seeds > 100) {
    process.stderr.write(`--seeds: expected a whole number from 1 to 100, got "${values.seeds ?? ''}"\n`);
    process.exitCode = 2;
    return;
  }
  const options: StudyOptions = {
    cells: values.quick ? QUICK_CELLS : CELLS,
    strategies: STRATEGIES.filter(({ name }) => name.includes(values.only) || name === OURS.name),
    seeds: Array.from({ length: seeds }, (_, index) => String(index + 1)),
    share: values.quick ? 0.5 : 1,
  };
  process.stdout.write(`${options.cells.length} cells, ${options.strategies.length} strategies, ${seeds} seeds\n`);
  const startedAtMs = performance.now();
  const results = runAll(options);
  report(results, { all: values.cells });
  const liars = STRATEGIES.filter(({ name }) => name === OURS.name || name === 'least expected wait');
  process.stdout.write(
    `\n${liarsTable(liars.map((strategy) => liarsResult(strategy, options.seeds, options.share)))}\n`,
  );
  process.stdout.write(`took ${Math.round((performance.now() - startedAtMs) / 1_000)} s\n`);
}

function runAll(options: StudyOptions): readonly CellResult[] {
  const runs = countRuns(options);
  const running = steps(options);
  for (;;) {
    const step = running.next();
    if (step.done === true) return step.value;
    showProgress(step.value, runs);
  }
}

function showProgress(over: number, runs: number): void {
  if (!process.stderr.isTTY) return;
  const filled = Math.floor((over / runs) * BAR_WIDTH);
  const bar = '#'.repeat(filled).padEnd(BAR_WIDTH, '.');
  process.stderr.write(`\r[${bar}] ${over} of ${runs}${over === runs ? '\n' : ''}`);
}

function report(results: readonly CellResult[], { all }: { readonly all: boolean }): void {
  const rows = rowsOf(results);
  const shown = results.filter(({ strategy }) => all || strategy === OURS.name);
  process.stdout.write(`\n${cellTable(shown)}\n\n${strategyTable(rows)}\n\n`);
  const ours = rows.find(({ strategy }) => strategy === OURS.name);
  if (ours === undefined) return;
  for (const { text, met } of verdicts(ours)) {
    process.stdout.write(`${text}\n`);
    if (!met) process.exitCode = 1;
  }
}
