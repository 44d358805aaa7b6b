/**
 * The simulator's command line as tests see it: what it prints, where it prints it, its files and its exit code. In this
 * process where that is enough, because a child takes a second to start; as a child where signals and streams matter.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Given, main } from '../../../simulations/main.io.ts';
import { Terminal } from '../../../simulations/cli/terminal.io.ts';
import { PLANTED } from './planted.ts';

/** Source: guess: many times what the slowest test needs. A child that hangs is killed. */
const CHILD_MS_MAX = 60_000;

export const PRODUCT = fileURLToPath(new URL('../../../simulations/main.io.ts', import.meta.url));

/** With the promise that cannot be kept, and no other. */
export const WITH_PLANTED: Given = {
  program: 'planted',
  checkers: [PLANTED],
  knownSeeds: [],
  swarmChild: new URL('planted-child.io.ts', import.meta.url),
};

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Signalled {
  readonly cwd: string;
  readonly signals: readonly NodeJS.Signals[];
  /** The first signal is sent when this has been printed once, the second when twice. */
  readonly cue: string;
}

const directories: string[] = [];

export function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'skein-sim-'));
  directories.push(directory);
  return directory;
}

export function removeDirectories(): void {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
}

export async function runHere(words: readonly string[], given: Given = {}): Promise<Ended> {
  const [stdout, stderr] = [new Collected(), new Collected()];
  const code = await main(words, { ...given, terminal: new Terminal({ stdout, stderr }) });
  return { code, out: stdout.text, err: stderr.text };
}

export async function runChild(script: string, words: readonly string[], signalled: Signalled): Promise<Ended> {
  const { cwd, signals, cue } = signalled;
  const child = spawn(process.execPath, [script, ...words], { cwd, timeout: CHILD_MS_MAX, killSignal: 'SIGKILL' });
  let out = '';
  let err = '';
  let sent = 0;
  const answer = (): void => {
    const signal = signals[sent];
    if (signal === undefined || `${out}${err}`.split(cue).length - 1 <= sent) return;
    sent += 1;
    child.kill(signal);
  };
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
    answer();
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    answer();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code) => resolve({ code, out, err }));
  });
}

class Collected extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
