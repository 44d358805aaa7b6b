/**
 * What does it cost when two homes cannot reach each other straight? Node A at one home asks node B at another: direct
 * (hole-punched, both NATs usual), relayed (both NATs symmetric, through a public node), and from the public node over plain
 * TCP; each in network namespaces, interleaved. Prints the time to the first answer and to the upgrade of a node that just
 * started, throughput, delay per token, and whether relayed streams of 1,000 tok/s in all run for minutes without a cut.
 * `npm run bench -- paths [minutes] [rounds]`, as root; without, only one path over loopback, and it says so.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NodeProcess, startNodeProcess } from '../src/node/node-process.io.ts';
import { stopAll, until } from '../test/e2e/harness.ts';
import { API_PORT, type Host } from '../test/lab/host.ts';
import { createInternet, type Internet } from '../test/lab/internet.ts';
import { Mesh } from '../test/lab/mesh.ts';
import { whyNoLaboratory } from '../test/lab/namespace.ts';
import { askFor, untilMet } from '../test/lab/watching.ts';
import type { LoadJob, LoadResult } from './load.io.ts';
import { runLoad, startUpstream, untilServed, writeUpstreamConfig } from './processes.io.ts';
import { formatSummary, interleaved, median, summarize } from './stats.ts';

const loadGenerator = import.meta.resolve('./load.io.ts');
const fakeUpstream = import.meta.resolve('./fake-upstream.io.ts');

const FAST_PORT = 4_191;
const PACED_PORT = 4_192;
const MET_MS_MAX = 30_000;
const UPGRADE_MS_MAX = 20_000;
/** A few packets more than the gossip of the while that they take. */
const PROBE_TOKENS = 500;

/** One answer as fast as it is taken, and 20 streams at the speed of reading. */
const BULK = { model: 'fast', streams: 1, requests: 1, tokens: 30_000, stream: true, spreadMs: 0 } as const;
const PACED = { model: 'paced', streams: 20, requests: 20, tokens: 60, stream: true, spreadMs: 500 } as const;
/** 50 streams of 25 tok/s: the goal is 1,000 in all. */
const ENDURANCE_STREAMS = 50;
const PACE_TOKENS_PER_SECOND = 25;
const GOAL = { tokensPerSecond: 1_000, upgradeMs: 5_000 } as const;

type PathName = 'public TCP' | 'direct' | 'relayed';

interface Sample {
  readonly firstAnswerMs?: number;
  readonly upgradeMs?: number;
  readonly bulkTokensPerSecond: number;
  readonly firstTokenMs: number;
  readonly transitMs: readonly [p50: number, p99: number];
}

async function main([minutesText = '1', roundsText = '5']: readonly string[]): Promise<void> {
  const [minutes, rounds] = [Number(minutesText), Math.max(1, Number(roundsText))];
  if (!(minutes >= 0)) throw new Error('usage: npm run bench -- paths [minutes] [rounds]');
  const why = await whyNoLaboratory();
  if (why === undefined) await inNamespaces(minutes, rounds);
  else {
    say(`${why}: one path over loopback, nothing relayed`);
    await overLoopback(rounds);
  }
}

async function inNamespaces(minutes: number, rounds: number): Promise<void> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    await stopAll();
    for (const one of stops.splice(0)) {
      // One after the other: few.
      // eslint-disable-next-line no-await-in-loop
      await one();
    }
  };
  process.once('SIGINT', () => void stop().finally(() => process.exit(130)));
  try {
    const usual = await startWorld('endpoint-independent', stops);
    const symmetric = await startWorld('symmetric', stops);
    const cases: readonly (readonly [PathName, World])[] = [
      ['public TCP', usual],
      ['direct', usual],
      ['relayed', symmetric],
    ];
    const samples = new Map<PathName, Sample[]>(cases.map(([name]) => [name, []]));
    for (const [name, world] of interleaved(cases, rounds)) {
      // Measured alone, one after the other.
      // eslint-disable-next-line no-await-in-loop
      samples.get(name)?.push(await measure(name, world));
    }
    report(samples, rounds);
    if (minutes > 0) await endure(symmetric, minutes);
  } finally {
    await stop();
  }
}

interface World {
  readonly internet: Internet;
  readonly mesh: Mesh;
}

async function startWorld(
  nat: 'endpoint-independent' | 'symmetric',
  stops: (() => Promise<unknown>)[],
): Promise<World> {
  const internet = await createInternet();
  stops.push(async () => internet.remove());
  await internet.setNats({ nat }, { nat });
  const mesh = await Mesh.create(internet);
  const { host } = internet.b;
  await startUpstreams(host);
  const folder = await mkdtemp(join(tmpdir(), 'skein-bench-'));
  stops.push(async () => rm(folder, { recursive: true, force: true }));
  const config = join(folder, 'server.toml');
  await writeFile(config, [upstreamTable('fast', FAST_PORT), upstreamTable('paced', PACED_PORT)].join('\n'));
  const relay = await mesh.startRelay(internet.relay);
  const server = await mesh.startNode(host, { args: ['--config', config, '--no-default-model'] });
  await untilMet([relay, server], MET_MS_MAX);
  return { internet, mesh };
}

async function startUpstreams(host: Host): Promise<void> {
  const common = ['--stamp', '--tokens', '1000000'];
  await host.startProgram(fakeUpstream, '--port', String(FAST_PORT), '--model', 'fast', ...common);
  const pace = ['--tokens-per-second', String(PACE_TOKENS_PER_SECOND)];
  await host.startProgram(fakeUpstream, '--port', String(PACED_PORT), '--model', 'paced', ...pace, ...common);
}

function upstreamTable(name: string, port: number): string {
  return `[[upstreams]]\nname = "${name}"\nurl = "http://127.0.0.1:${port}/v1"\nslots = 1100\ncontext-tokens = 1000000\n`;
}

async function measure(name: PathName, world: World): Promise<Sample> {
  if (name === 'public TCP') return streams(world.internet.relay);
  const { internet, mesh } = world;
  const front = await mesh.startNode(internet.a.host, { args: ['--no-default-model'] });
  try {
    const firstAnswerMs = await untilAnswered(front);
    if (name === 'relayed') return { firstAnswerMs, ...(await checkedStreams(name, world)) };
    const probe = async (): Promise<unknown> => askFor({ front, model: 'fast', tokens: PROBE_TOKENS });
    const upgradeMs = firstAnswerMs + (await mesh.untilDirect(probe, UPGRADE_MS_MAX));
    return { firstAnswerMs, upgradeMs, ...(await checkedStreams(name, world)) };
  } finally {
    await front.end('SIGKILL');
  }
}

/** From the moment that the node says it is ready, before it has met anybody. */
async function untilAnswered(front: NodeProcess): Promise<number> {
  return until('the first answer', async () => isAnswered(front), MET_MS_MAX);
}

async function isAnswered(front: NodeProcess): Promise<boolean> {
  try {
    return (await askFor({ front, model: 'fast', tokens: 1 })).text !== '';
  } catch {
    // Nobody who could answer is known yet.
    return false;
  }
}

/** A figure counts only for the path that it is told of. */
async function checkedStreams(name: 'direct' | 'relayed', { internet, mesh }: World): Promise<Sample> {
  const { result, relays, direct } = await mesh.carriedDuring(async () => streams(internet.a.host));
  if (direct.bytes > relays.bytes !== (name === 'direct'))
    throw new Error(`the streams went another way than ${name}: ${direct.bytes} bytes direct, ${relays.bytes} relayed`);
  return result;
}

async function streams(host: Host): Promise<Sample> {
  const [bulk, paced] = [await load(host, BULK), await load(host, PACED)];
  return {
    bulkTokensPerSecond: bulk.tokensPerSecond,
    firstTokenMs: paced.firstTokenUs[0] / 1_000,
    transitMs: [paced.transitUs[0] / 1_000, paced.transitUs[1] / 1_000],
  };
}

/** The clients run in the host itself, so that nothing stands between them and the node. */
async function load(host: Host, job: Omit<LoadJob, 'url' | 'pids'>): Promise<LoadResult> {
  const whole: LoadJob = { ...job, url: `http://127.0.0.1:${API_PORT}`, pids: [] };
  const result = JSON.parse(await host.runProgram(loadGenerator, JSON.stringify(whole))) as LoadResult;
  if (result.errors + result.truncated > 0)
    throw new Error(`${result.errors} errors, ${result.truncated} cut: ${result.reasons.join('; ')}`);
  return result;
}

/** Streams that all last the whole time, through one relay. */
async function endure(world: World, minutes: number): Promise<void> {
  const { internet, mesh } = world;
  const front = await mesh.startNode(internet.a.host, { args: ['--no-default-model'] });
  await untilAnswered(front);
  const tokens = Math.ceil(minutes * 60 * PACE_TOKENS_PER_SECOND);
  const job = { model: 'paced', streams: ENDURANCE_STREAMS, requests: ENDURANCE_STREAMS, tokens, stream: true };
  const { result, relays, direct } = await mesh.carriedDuring(async () =>
    load(internet.a.host, { ...job, spreadMs: 1_000 }),
  );
  const bytes = `${(relays.bytes / 1e6).toFixed(1)} MB through the relay, ${(direct.bytes / 1e6).toFixed(1)} MB beside it`;
  const verdict = result.tokensPerSecond >= GOAL.tokensPerSecond ? 'met' : 'MISSED';
  say(
    `\nendurance: ${ENDURANCE_STREAMS} relayed streams for ${minutes} min: ${result.tokensPerSecond.toFixed(0)} tok/s in all, none cut ` +
      `(goal ${GOAL.tokensPerSecond}: ${verdict}); delay per token p50 ${ms(result.transitUs[0])}, p99 ${ms(result.transitUs[1])}; ${bytes}`,
  );
  if (relays.bytes < result.tokens) throw new Error('the streams did not go through the relay');
}

/** Two nodes on one machine: what a path costs that costs nothing. */
async function overLoopback(rounds: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-bench-'));
  const stops: (() => Promise<unknown>)[] = [async () => rm(folder, { recursive: true, force: true })];
  try {
    const upstream = await startUpstream(PACE_TOKENS_PER_SECOND);
    stops.push(async () => upstream.stop());
    await mkdir(join(folder, 'b'));
    const config = join(folder, 'b', 'bench.toml');
    await writeUpstreamConfig(config, upstream.port);
    const front = await startNodeProcess({ home: join(folder, 'a'), args: ['--no-default-model'] });
    stops.push(async () => front.end('SIGTERM'));
    const back = await startNodeProcess({
      home: join(folder, 'b'),
      command: ['join', front.invite],
      args: ['--no-default-model', '--config', config],
    });
    stops.push(async () => back.end('SIGTERM'));
    await untilServed(front.api);
    const results: LoadResult[] = [];
    for (let round = 0; round < rounds; round += 1) {
      // Measured alone, one after the other.
      // eslint-disable-next-line no-await-in-loop
      results.push(await runLoad({ ...PACED, model: 'fake', url: front.api, pids: [] }));
    }
    say(`loopback, ${rounds} rounds`);
    say(`  first token      ${formatSummary(summarize(results.map((one) => one.firstTokenUs[0] / 1_000)), 'ms')}`);
    say(`  delay per token  ${formatSummary(summarize(results.map((one) => one.transitUs[0] / 1_000)), 'ms')}`);
  } finally {
    for (const stop of stops.toReversed()) {
      // In reverse order of starting.
      // eslint-disable-next-line no-await-in-loop
      await stop();
    }
  }
}

function report(samples: ReadonlyMap<PathName, readonly Sample[]>, rounds: number): void {
  const figures: readonly (readonly [string, string, (sample: Sample) => number | undefined])[] = [
    ['first answer after the start', 'ms', (sample) => sample.firstAnswerMs],
    ['upgrade after the start', 'ms', (sample) => sample.upgradeMs],
    ['one answer, as fast as it is taken', 'tok/s', (sample) => sample.bulkTokensPerSecond],
    ['first token, 20 streams', 'ms', (sample) => sample.firstTokenMs],
    ['delay per token p50', 'ms', (sample) => sample.transitMs[0]],
    ['delay per token p99', 'ms', (sample) => sample.transitMs[1]],
  ];
  for (const [title, unit, pick] of figures) {
    say(`\n${title} (${rounds} rounds, interleaved)`);
    const medians = new Map<PathName, number>();
    for (const [name, rows] of samples) {
      const values = rows.flatMap((row) => pick(row) ?? []);
      if (values.length === 0) continue;
      medians.set(name, median(values));
      say(`  ${name.padEnd(12)} ${formatSummary(summarize(values), unit)}`);
    }
    const [direct, relayed] = [medians.get('direct'), medians.get('relayed')];
    if (direct !== undefined && relayed !== undefined) say(`  relayed / direct ${(relayed / direct).toFixed(2)}`);
  }
  const upgrades = (samples.get('direct') ?? []).flatMap(({ upgradeMs }) => upgradeMs ?? []);
  const worst = Math.max(...upgrades);
  say(`\nupgrade: worst ${worst.toFixed(0)} ms (goal ${GOAL.upgradeMs}: ${worst < GOAL.upgradeMs ? 'met' : 'MISSED'})`);
}

function ms(microseconds: number): string {
  return `${(microseconds / 1_000).toFixed(1)} ms`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main(process.argv.slice(2));
