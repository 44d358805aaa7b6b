/**
 * How long until skein is there? `skein --help`, `skein up` to its ready line with the default model on disk, and the
 * resident memory of an idle node's networking process. Interleaved with a bare `node -e 0`, because process start is most
 * of it on a busy machine. `npm run bench -- start [rounds]`.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startNodeProcess } from '../src/node/node-process.io.ts';
import { median } from './stats.ts';

const launcher = fileURLToPath(new URL('../bin/skein.js', import.meta.url));

/** How long a ready node rests before its memory is read. Source: guess: start-up garbage is collected by then. */
const REST_MS = 3_000;

async function main(args: readonly string[]): Promise<void> {
  const rounds = Math.max(1, Number(args[0] ?? 7) || 7);
  const home = await mkdtemp(join(tmpdir(), 'skein-bench-'));
  const figures = { bareMs: [] as number[], helpMs: [] as number[], upMs: [] as number[], idleMb: [] as number[] };
  try {
    await upOnce(home); // The first start writes keys and the default model.
    spawnSync(process.execPath, [launcher, '--help']);
    for (let round = 0; round < rounds; round += 1) {
      figures.bareMs.push(timed([process.execPath, '-e', '0']));
      figures.helpMs.push(timed([process.execPath, launcher, '--help']));
      // Measured alone, one after the other.
      // eslint-disable-next-line no-await-in-loop
      const { readyMs, idleMb } = await upOnce(home);
      figures.upMs.push(readyMs);
      figures.idleMb.push(idleMb);
    }
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
  print('node -e 0, ms', figures.bareMs);
  print('skein --help, ms (goal < 100)', figures.helpMs);
  print('skein up to ready, ms (goal < 2000)', figures.upMs);
  print('idle node, resident MB (goal < 150)', figures.idleMb);
}

function timed([command = '', ...args]: readonly string[]): number {
  const startedMs = performance.now();
  spawnSync(command, args);
  return performance.now() - startedMs;
}

async function upOnce(home: string): Promise<{ readyMs: number; idleMb: number }> {
  const startedMs = performance.now();
  const node = await startNodeProcess({ home });
  const readyMs = performance.now() - startedMs;
  await delay(REST_MS);
  const [, resident] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${node.pid}/status`, 'utf8')) ?? [];
  await node.end('SIGTERM');
  return { readyMs, idleMb: Number(resident) / 1_000 };
}

function print(label: string, values: readonly number[]): void {
  const [least, middle, most] = [Math.min(...values), median(values), Math.max(...values)].map((value) =>
    value.toFixed(0),
  );
  process.stdout.write(`${label.padEnd(40)} ${least} / ${middle} / ${most}\n`);
}

await main(process.argv.slice(2));
