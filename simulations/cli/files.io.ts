/**
 * Files of the simulator: reads what a person names and writes what a run leaves behind, `SCENARIO-SEED.run.json` (replay
 * it), `.report.json` and `.html` (read it). What cannot be read or written is returned as a sentence. Limit: files of up
 * to 64 MB are read.
 */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Checked } from '../problem.ts';
import { reportPage } from '../report-html/page.ts';
import type { RunReport } from '../report/report.ts';
import { type RunFile, writeRun } from '../run-file.ts';

/** Where failures go when nobody says where. */
export const FAILURES_DIRECTORY = 'out';

/** Source: guess: far more than the longest plan. */
const FILE_BYTES_MAX = 67_108_864;

export type Written =
  | { readonly type: 'written'; readonly paths: readonly string[] }
  | { readonly type: 'failed'; readonly reason: string };

/** The text of a file of the command line. */
export function readInput(path: string): Checked<string> {
  try {
    const { size } = statSync(path);
    if (size > FILE_BYTES_MAX) return unreadable(path, `${size} bytes`, `a file of up to ${FILE_BYTES_MAX} bytes`);
    return { type: 'valid', value: readFileSync(path, 'utf8') };
  } catch (error) {
    return unreadable(path, reasonOf(error), 'a file that can be read');
  }
}

export function isMissing(path: string): boolean {
  return !existsSync(path);
}

/** undefined = it is there; otherwise why not. Asked before a run, so that none is lost for want of a place. */
export function prepareDirectory(directory: string): string | undefined {
  try {
    makeDirectory(directory);
    return undefined;
  } catch (error) {
    return `cannot make the directory ${directory}: ${reasonOf(error)}`;
  }
}

/** Where the run of a seed is saved. */
export function runPath(directory: string, { scenario, seed }: RunFile): string {
  return join(directory, `${scenario.name}-${seed}.run.json`);
}

/** `NAME` of `NAME.run.json`, in its directory or another. */
export function withoutEnding(path: string, directory = dirname(path)): string {
  return join(directory, basename(path).replace(/(?:\.run)?\.json$/, ''));
}

export function writeRunFile(path: string, file: RunFile): Written {
  return writeAll([{ path, text: writeRun(file) }]);
}

/** As JSON and as a page. */
export function writeReport(name: string, report: RunReport): Written {
  return writeAll([
    { path: `${name}.report.json`, text: `${JSON.stringify(report)}\n` },
    { path: `${name}.html`, text: reportPage(report) },
  ]);
}

export function writeText(path: string, text: string): Written {
  return writeAll([{ path, text }]);
}

function writeAll(files: readonly { readonly path: string; readonly text: string }[]): Written {
  try {
    for (const { path, text } of files) {
      makeDirectory(dirname(path));
      writeFileSync(path, text);
    }
    return { type: 'written', paths: files.map(({ path }) => path) };
  } catch (error) {
    return { type: 'failed', reason: `cannot write: ${reasonOf(error)}` };
  }
}

/** One level at a time: Node's recursive way never returns below /proc. */
function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory);
  } catch (error) {
    if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true) return;
    const parent = dirname(directory);
    if (!isCode(error, 'ENOENT') || parent === directory) throw error;
    makeDirectory(parent);
    mkdirSync(directory);
  }
}

function unreadable(path: string, got: string, expected: string): Checked<never> {
  return { type: 'invalid', problems: [{ field: path, expected, got }] };
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
