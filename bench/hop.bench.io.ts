/**
 * What does the mesh hop cost? client -> node A -> node B -> upstream, against the same client direct, through one
 * nginx, and through nginx -> TLS 1.3 -> nginx, all in one run and interleaved block by block, because a shared machine drifts.
 * Prints added time to first token, added delay per token, CPU per token and per short request, and 1,000 streams.
 * `npm run bench -- hop [blocks]`; needs Debian's `nginx` for two of its columns and says so when it is missing.
 */
import { mkdtemp, rm, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startNodeProcess } from '../src/node/node-process.io.ts';
import type { LoadJob } from './load.io.ts';
import { hasNginx, startPlain, startTlsPair } from './nginx.io.ts';
import { runLoad, startUpstream, untilServed, writeUpstreamConfig } from './processes.io.ts';
import { median } from './stats.ts';

interface Target {
  readonly name: string;
  readonly url: string;
  readonly model: string;
  readonly pids: () => readonly number[];
}

interface Row {
  readonly firstTokenUs: number;
  readonly transitUs: number;
  readonly cpuUsPerToken: number;
  readonly cpuUsPerRequest: number;
  readonly tokensPerSecond: number;
  readonly bad: number;
}

interface Shape {
  readonly title: string;
  readonly job: Omit<LoadJob, 'url' | 'model' | 'pids'>;
  readonly tokensPerSecond: number;
}

const SHAPES: readonly Shape[] = [
  {
    title: '1 stream',
    job: { streams: 1, requests: 12, tokens: 5, stream: true, spreadMs: 0 },
    tokensPerSecond: 20,
  },
  {
    title: '50 streams of 20 tok/s',
    job: { streams: 50, requests: 150, tokens: 20, stream: true, spreadMs: 1_000 },
    tokensPerSecond: 20,
  },
  {
    title: '200 streams of 20 tok/s',
    job: { streams: 200, requests: 600, tokens: 30, stream: true, spreadMs: 1_000 },
    tokensPerSecond: 20,
  },
  {
    title: 'short requests, 64 at once',
    job: { streams: 64, requests: 6_000, tokens: 1, stream: false, spreadMs: 0 },
    tokensPerSecond: 0,
  },
  {
    title: '1,000 streams of 20 tok/s',
    job: { streams: 1_000, requests: 1_000, tokens: 120, stream: true, spreadMs: 2_000 },
    tokensPerSecond: 20,
  },
];

async function main(args: readonly string[]): Promise<void> {
  const blocks = Math.max(1, Number(args[0] ?? 6) || 6);
  const folder = await mkdtemp(join(tmpdir(), 'skein-bench-'));
  const stops: (() => Promise<unknown>)[] = [async () => rm(folder, { recursive: true, force: true })];
  try {
    for (const tokensPerSecond of new Set(SHAPES.map((shape) => shape.tokensPerSecond))) {
      // One upstream speed after the other; everything inside is interleaved.
      // eslint-disable-next-line no-await-in-loop
      const targets = await startTargets(join(folder, `speed-${tokensPerSecond}`), tokensPerSecond, stops);
      for (const shape of SHAPES.filter((one) => one.tokensPerSecond === tokensPerSecond)) {
        // eslint-disable-next-line no-await-in-loop
        print(shape, targets, await measure(shape, targets, blocks));
      }
      // eslint-disable-next-line no-await-in-loop
      await printLinks(targets.at(-1)?.url ?? '');
    }
  } finally {
    for (const stop of stops.toReversed()) {
      // In reverse order of starting.
      // eslint-disable-next-line no-await-in-loop
      await stop();
    }
  }
}

async function startTargets(
  folder: string,
  tokensPerSecond: number,
  stops: (() => Promise<unknown>)[],
): Promise<readonly Target[]> {
  await mkdir(join(folder, 'b'), { recursive: true });
  const upstream = await startUpstream(tokensPerSecond);
  const { port } = upstream;
  stops.push(async () => upstream.stop());
  const direct = `http://127.0.0.1:${port}`;
  const targets: Target[] = [{ name: 'direct', url: direct, model: 'fake', pids: () => [] }];
  if (hasNginx()) {
    const plain = await startPlain(folder, port);
    const pair = await startTlsPair(join(folder, 'tls'), port);
    stops.push(
      async () => plain.stop(),
      async () => pair.stop(),
    );
    targets.push(
      { name: 'nginx', url: plain.url, model: 'fake', pids: plain.pids },
      { name: 'nginx-TLS-nginx', url: pair.url, model: 'fake', pids: pair.pids },
    );
  } else say('nginx or openssl is not installed: its two columns are missing (apt-get install nginx openssl)');
  const config = join(folder, 'b', 'bench.toml');
  await writeUpstreamConfig(config, port);
  const front = await startNodeProcess({ home: join(folder, 'a'), args: ['--no-default-model'] });
  stops.push(async () => front.end('SIGTERM'));
  const back = await startNodeProcess({
    home: join(folder, 'b'),
    command: ['join', front.invite],
    args: ['--no-default-model', '--config', config],
  });
  stops.push(async () => back.end('SIGTERM'));
  targets.push({ name: 'skein A-B', url: front.api, model: 'fake', pids: () => [front.pid, back.pid] });
  await untilServed(front.api);
  return targets;
}

/** Blocks of all targets in turn; a first block warms everything up and is not counted. */
async function measure(
  shape: Shape,
  targets: readonly Target[],
  blocks: number,
): Promise<ReadonlyMap<string, readonly Row[]>> {
  const rows = new Map<string, Row[]>(targets.map(({ name }) => [name, []]));
  for (let block = 0; block <= blocks; block += 1) {
    for (const target of targets) {
      // Measured alone, one after the other.
      // eslint-disable-next-line no-await-in-loop
      const row = await measureOnce(shape, target);
      if (block > 0) rows.get(target.name)?.push(row);
    }
  }
  return rows;
}

async function measureOnce({ job }: Shape, target: Target): Promise<Row> {
  const whole: LoadJob = { ...job, url: target.url, model: target.model, pids: target.pids() };
  const result = await runLoad(whole);
  if (result.reasons.length > 0) say(`  ${target.name}: ${result.reasons.join('; ')}`);
  return {
    firstTokenUs: result.firstTokenUs[0],
    transitUs: result.transitUs[0],
    cpuUsPerToken: result.cpuUs / Math.max(1, result.tokens),
    cpuUsPerRequest: result.cpuUs / job.requests,
    tokensPerSecond: result.tokensPerSecond,
    bad: result.truncated + result.errors,
  };
}

function print(shape: Shape, targets: readonly Target[], rows: ReadonlyMap<string, readonly Row[]>): void {
  const direct = rows.get('direct') ?? [];
  say(`\n${shape.title} (${direct.length} blocks; min / median / max)`);
  for (const target of targets) {
    const own = rows.get(target.name) ?? [];
    const added = (pick: (row: Row) => number): string =>
      spread(own.map((row, index) => (pick(row) - pick(direct[index] ?? row)) / 1_000));
    const columns = [`added first token ms ${added((row) => row.firstTokenUs)}`];
    if (shape.job.stream)
      columns.push(
        `added per token ms ${added((row) => row.transitUs)}`,
        `CPU us/token ${spread(own.map((row) => row.cpuUsPerToken))}`,
      );
    else columns.push(`CPU us/request ${spread(own.map((row) => row.cpuUsPerRequest))}`);
    if (shape.job.streams >= 1_000)
      columns.push(
        `tok/s / direct ${spread(
          own.map((row, index) => row.tokensPerSecond / (direct[index]?.tokensPerSecond ?? 1)),
          3,
        )}`,
      );
    columns.push(`bad ${own.reduce((sum, row) => sum + row.bad, 0)}`);
    say(`  ${target.name.padEnd(16)} ${columns.join('   ')}`);
  }
  printRatios(shape, rows);
}

/** Steady state means that requests open no streams: one link carried them all. */
async function printLinks(api: string): Promise<void> {
  const response = await fetch(`${api}/api/status`);
  const { counters } = (await response.json()) as { readonly counters: Readonly<Record<string, number>> };
  const { linksOpened, linksLost, writes } = counters;
  say(`\nlinks that node A opened or took ${linksOpened}, lost ${linksLost}; its writes ${writes}`);
}

/** skein against the TLS pair, as the median of the ratios of each block. */
function printRatios(shape: Shape, rows: ReadonlyMap<string, readonly Row[]>): void {
  const [own, pair, direct] = ['skein A-B', 'nginx-TLS-nginx', 'direct'].map((name) => rows.get(name) ?? []);
  if (own === undefined || pair === undefined || direct === undefined || pair.length === 0) return;
  const ratio = (pick: (row: Row) => number, base: (row: Row | undefined) => number): number[] =>
    own.map((row, index) => (pick(row) - base(direct[index])) / (pick(pair[index] ?? row) - base(direct[index])));
  const texts = [
    `first token ${spread(
      ratio(
        (row) => row.firstTokenUs,
        (row) => row?.firstTokenUs ?? 0,
      ),
    )}`,
  ];
  if (shape.job.stream) texts.push(`CPU per token ${spread(ratio((row) => row.cpuUsPerToken, none))}`);
  else texts.push(`CPU per request ${spread(ratio((row) => row.cpuUsPerRequest, none))}`);
  say(`  skein / TLS pair: ${texts.join('   ')}`);
}

/** Nothing to subtract: direct has no processes between. */
function none(): number {
  return 0;
}

function spread(values: readonly number[], digits: number = 2): string {
  const text = (value: number): string => value.toFixed(digits);
  return `${text(Math.min(...values))} / ${text(median(values))} / ${text(Math.max(...values))}`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main(process.argv.slice(2));
