/**
 * What do our layers cost llama.cpp, and what does batching gain? Tokens a second of 1, 4 and 8 streams together and the
 * time to the first token, through our engine port with its real child, against node-llama-cpp used directly: once with
 * its own batching ("default"), once with batches gathered as ours are ("gather"). Then what a long prompt does to streams
 * beside it, and how soon its cancel frees the slot. The model is random and written on the spot. All engines are asked
 * in turn, round by round, because a shared machine drifts: the ratios count, the speeds are this machine's.
 * `npm run bench -- engine [15m|134m] [rounds] [streams,...]` (streams 0: without speeds). With a llama-server on the PATH, against it too.
 * Limits: one thread each, greedy, no graphics card.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { invariant } from '../src/assert.ts';
import { parseModelId } from '../src/ids.ts';
import type { StoredModel } from '../src/inference/stored-model.ts';
import { type Arm, arrivals, decodeRate, longestGapMs } from './engine-arms.ts';
import { MODEL_SHAPES, writeBenchModel } from './engine-model.io.ts';
import { openOurs, openRaw, type OurArm } from './engine-ours.io.ts';
import { findLlamaServer, openLlamaServer } from './engine-server.io.ts';
import { interleaved, median, summarize } from './stats.ts';

const SLOTS = 8;
const TOKENS = 48;
/** Few streams answer for longer: one stream's 48 tokens take half a second, which other users of a machine disturb. */
const TOKENS_IN_ALL = 192;
/** A greeting, and a short conversation: attention weighs little and much. */
const PROMPT_LENGTHS = [24, 512] as const;
const [PROMPT_LENGTH] = PROMPT_LENGTHS;
const FIRST_TOKEN_PROMPT_LENGTH = 512;
const LONG_PROMPT_LENGTH = 4_000;
const CONTEXT_TOKENS = 4_608;
/** Between two measurements, so that the machine's other users are not held up for long. */
const REST_MS = 100;

let prompts = 0;

async function main([name = '15m', roundsText = '5', streamsText = '1,4,8']: readonly string[]): Promise<void> {
  const shape = MODEL_SHAPES[name];
  invariant(shape !== undefined, `the models are ${Object.keys(MODEL_SHAPES).join(' and ')}`);
  const rounds = Math.max(1, Number(roundsText) || 5);
  const folder = await mkdtemp(join(tmpdir(), 'skein-bench-'));
  const arms: Arm[] = [];
  try {
    const path = join(folder, `${name}.gguf`);
    const stored = storedModel(path, await writeBenchModel(path, shape));
    print(`model ${name}: ${shape.weights}, ${(stored.sizeBytes / 1e6).toFixed(0)} MB, 1 thread, ${rounds} rounds`);
    const options = { stored, slots: SLOTS, contextTokens: CONTEXT_TOKENS, threads: 1 };
    const ours = await openOurs(options);
    arms.push(ours, await openRaw('gather', options), await openRaw('default', options));
    const server = await findLlamaServer();
    if (server === undefined) print('llama-server: not on the PATH, left out');
    else arms.push(await openLlamaServer(options, server));
    await speeds(arms, rounds, streamsText.split(',').map(Number).filter(Boolean));
    await firstTokens(arms, rounds);
    await besideLongPrompt(ours, rounds);
    await cancels(ours, rounds);
  } finally {
    await Promise.all(arms.map(async (arm) => arm.close()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Tokens a second while all streams decode, and what a token costs of processors, which other programs disturb less. */
async function speeds(arms: readonly Arm[], rounds: number, streamCounts: readonly number[]): Promise<void> {
  for (const streams of streamCounts)
    for (const length of PROMPT_LENGTHS) {
      const tokens = Math.max(TOKENS, TOKENS_IN_ALL / streams);
      const costs = new Map<Arm, number[]>(arms.map((arm) => [arm, []]));
      // One case after the other.
      // eslint-disable-next-line no-await-in-loop
      const rates = await measure(arms, rounds, async (arm) => {
        const beforeMs = arm.cpuMs();
        const result = await arm.run({
          prompts: Array.from({ length: streams }, () => nextPrompt(length)),
          tokens,
        });
        costs.get(arm)?.push((arm.cpuMs() - beforeMs) / (streams * tokens));
        return decodeRate(result);
      });
      const title = `${streams} streams behind ${length} tokens`;
      printRows(`${title}, tokens a second`, rates);
      printRows(
        `${title}, processor ms a token, prompts included (less is better)`,
        new Map([...costs].map(([arm, values]) => [arm, values.slice(1)])),
      );
    }
}

/** One stream, a prompt of hundreds of tokens. */
async function firstTokens(arms: readonly Arm[], rounds: number): Promise<void> {
  const times = await measure(arms, rounds, async (arm) => {
    const { arrivalsMs } = await arm.run({ prompts: [nextPrompt(FIRST_TOKEN_PROMPT_LENGTH)], tokens: 1 });
    return arrivalsMs[0]?.[0] ?? Number.NaN;
  });
  printRows(`first token after ${FIRST_TOKEN_PROMPT_LENGTH} tokens of prompt, ms (less is better)`, times);
}

/** Four streams decode, then a long prompt comes. */
async function besideLongPrompt(ours: OurArm, rounds: number): Promise<void> {
  const gapsMs: number[] = [];
  const usualMs: number[] = [];
  const promptMs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // eslint-disable-next-line no-await-in-loop
    const result = await gapsBeside(ours);
    gapsMs.push(result.gapMs);
    usualMs.push(result.usualMs);
    promptMs.push(result.promptMs);
  }
  print(`4 streams beside a prompt of ${LONG_PROMPT_LENGTH} tokens`);
  printOne('  longest gap before it, ms', usualMs);
  printOne('  longest gap while it is read, ms (goal <= 150)', gapsMs);
  printOne('  its first token, ms', promptMs);
}

async function gapsBeside(ours: OurArm): Promise<{ gapMs: number; usualMs: number; promptMs: number }> {
  const startedMs = performance.now();
  const arrivalsMs: number[][] = [[], [], [], []];
  const runs = arrivalsMs.map((times) =>
    ours.start(nextPrompt(PROMPT_LENGTH), {
      tokens: CONTEXT_TOKENS - 2 * PROMPT_LENGTH - 100,
      onTokens: (count) => times.push(...arrivals(count, performance.now() - startedMs)),
    }),
  );
  await delay(1_000);
  const askedMs = performance.now() - startedMs;
  const promptMs = await new Promise<number>((resolve) => {
    runs.push(
      ours.start(nextPrompt(LONG_PROMPT_LENGTH), {
        tokens: 1,
        onTokens: () => resolve(performance.now() - startedMs - askedMs),
      }),
    );
  });
  for (const run of runs) run.cancel();
  await delay(REST_MS);
  const before = arrivalsMs.map((times) => times.filter((ms) => ms <= askedMs));
  return {
    gapMs: longestGapMs({ arrivalsMs }, askedMs),
    usualMs: longestGapMs({ arrivalsMs: before }, (before[0]?.[0] ?? 0) + 100),
    promptMs,
  };
}

/** From the cancel of a prompt that is being read until whoever waited for its slot has a first token. */
async function cancels(ours: OurArm, rounds: number): Promise<void> {
  const freeMs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // eslint-disable-next-line no-await-in-loop
    freeMs.push(await cancelOnce(ours));
  }
  print('cancel while a prompt is read');
  printOne('  until the next one in its slot has a token, ms (goal < 150)', freeMs);
}

/** All other slots are held by answers that wait for their client. */
async function cancelOnce(ours: OurArm): Promise<number> {
  const held = Array.from({ length: SLOTS - 1 }, () =>
    ours.start(nextPrompt(PROMPT_LENGTH), { tokens: 2, grantedTokens: 0, onTokens: () => undefined }),
  );
  const { promise: reading, resolve: begun } = Promise.withResolvers<undefined>();
  const long = ours.start(nextPrompt(LONG_PROMPT_LENGTH), {
    tokens: 1,
    onTokens: () => undefined,
    onProgress: (done) => {
      if (done > LONG_PROMPT_LENGTH / 4) begun(undefined);
    },
  });
  await reading;
  const cancelledMs = performance.now();
  long.cancel();
  await ours.untilServed(nextPrompt(PROMPT_LENGTH));
  const freeMs = performance.now() - cancelledMs;
  for (const run of held) run.cancel();
  await delay(REST_MS);
  return freeMs;
}

async function measure(
  arms: readonly Arm[],
  rounds: number,
  once: (arm: Arm) => Promise<number>,
): Promise<ReadonlyMap<Arm, readonly number[]>> {
  const figures = new Map<Arm, number[]>(arms.map((arm) => [arm, []]));
  // The first of each is not counted.
  for (const arm of [...arms, ...interleaved(arms, rounds)]) {
    // eslint-disable-next-line no-await-in-loop
    figures.get(arm)?.push(await once(arm));
    // eslint-disable-next-line no-await-in-loop
    await delay(REST_MS);
  }
  return new Map([...figures].map(([arm, values]) => [arm, values.slice(1)]));
}

/** Never seen before from its first letters on, a token for each. */
function nextPrompt(length: number): string {
  prompts += 1;
  const [first, second] = [prompts % 26, Math.floor(prompts / 26) % 26].map((digit) => String.fromCharCode(97 + digit));
  return `${first ?? ''}${second ?? ''}${Math.floor(prompts / 676)}`.padEnd(length, 'z');
}

function storedModel(path: string, { digest, sizeBytes }: { digest: string; sizeBytes: number }): StoredModel {
  const model = parseModelId('random');
  invariant(model !== undefined, 'the name is valid');
  return { model, path, state: 'on-disk', digest, sizeBytes, contextLength: 8_192, architecture: 'llama' };
}

/** Ratios are of the medians, ours to theirs, and of each round. */
function printRows(title: string, figures: ReadonlyMap<Arm, readonly number[]>): void {
  print(title);
  const [ours = []] = figures.values();
  for (const [arm, values] of figures) {
    const ratios = values.map((value, round) => (ours[round] ?? Number.NaN) / value);
    const ratio =
      arm.name === 'ours'
        ? ''
        : `   ours / this: ${formatRange(ratios, 2)} (medians ${(median(ours) / median(values)).toFixed(2)})`;
    print(`  ${arm.name.padEnd(14)} ${formatRange(values, median(values) < 20 ? 2 : 0)}${ratio}`);
  }
}

function printOne(label: string, values: readonly number[]): void {
  print(`${label.padEnd(56)} ${formatRange(values, 0)}`);
}

function formatRange(values: readonly number[], digits: number): string {
  const { min, median: middle, max } = summarize(values);
  return [min, middle, max].map((value) => value.toFixed(digits)).join(' / ');
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

await main(process.argv.slice(2));
