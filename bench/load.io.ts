/**
 * A load generator of its own process: `node bench/load.io.ts '<JSON job>'` prints one JSON line of figures.
 * `streams` clients, each on a warm connection of its own and started evenly over `spreadMs`, read answers of a fake
 * upstream that stamps every token with the machine's monotonic clock, so that the time from the upstream's write to the
 * client's read is measured per token. It reads the CPU time of the processes under test itself, so that its own start
 * and the warm-up are no part of it. Bounded: the number of requests is in the job, and one that takes too long is an error.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { percentiles } from './stats.ts';

export interface LoadJob {
  readonly url: string;
  readonly model: string;
  /** Clients at once. */
  readonly streams: number;
  /** Requests in total. */
  readonly requests: number;
  readonly tokens: number;
  readonly stream: boolean;
  /** The clients start evenly over this time. */
  readonly spreadMs: number;
  /** Processes whose CPU time is wanted. */
  readonly pids: readonly number[];
}

export interface LoadResult {
  /** Microseconds from the request's write to the first token, or to the whole answer where it is no stream. */
  readonly firstTokenUs: readonly [p50: number, p99: number];
  /** Microseconds from the upstream's write of a token to the client's read of it. */
  readonly transitUs: readonly [p50: number, p99: number];
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly requestsPerSecond: number;
  /** Of `pids` together. */
  readonly cpuUs: number;
  readonly truncated: number;
  readonly errors: number;
  /** What the first errors were. */
  readonly reasons: readonly string[];
}

/** Source: guess, ten times the longest answer asked for here. */
const REQUEST_MS_MAX = 60_000;
/** Connections that are opened at once. Source: guess, far below the backlog of a listening socket. */
const WARM_AT_ONCE = 64;
const REASONS_MAX = 3;

/** A node may merge tokens into one event: there are as many as there are stamps. */
const STAMP = / t(\d+)/g;

interface Tally {
  readonly firstTokenUs: number[];
  readonly transitUs: number[];
  readonly reasons: string[];
  tokens: number;
  truncated: number;
  errors: number;
}

async function run(job: LoadJob): Promise<LoadResult> {
  const agents = Array.from({ length: job.streams }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  await warm(job, agents);
  const tally = newTally();
  let left = job.requests;
  const client = async (agent: Agent, index: number): Promise<void> => {
    if (index > 0) await delay((job.spreadMs * index) / job.streams);
    while (left > 0) {
      left -= 1;
      // Each client asks one thing after the other.
      // eslint-disable-next-line no-await-in-loop
      await one(job, agent, tally);
    }
  };
  const [startedUs, cpuBeforeUs] = [nowUs(), cpuUs(job.pids)];
  await Promise.all(agents.map(client));
  const [seconds, usedUs] = [(nowUs() - startedUs) / 1e6, cpuUs(job.pids) - cpuBeforeUs];
  for (const agent of agents) agent.destroy();
  return {
    firstTokenUs: percentiles(tally.firstTokenUs),
    transitUs: percentiles(tally.transitUs),
    tokens: tally.tokens,
    tokensPerSecond: tally.tokens / seconds,
    requestsPerSecond: job.requests / seconds,
    cpuUs: usedUs,
    truncated: tally.truncated,
    errors: tally.errors,
    reasons: tally.reasons,
  };
}

/** One short request on every connection, some at a time. */
async function warm(job: LoadJob, agents: readonly Agent[]): Promise<void> {
  const tally = newTally();
  const short = { ...job, stream: false, tokens: 1 };
  for (let from = 0; from < agents.length; from += WARM_AT_ONCE) {
    // One batch after the other.
    // eslint-disable-next-line no-await-in-loop
    await Promise.all(agents.slice(from, from + WARM_AT_ONCE).map((agent) => one(short, agent, tally)));
  }
  if (tally.errors > 0) throw new Error(`the warm-up failed: ${tally.reasons.join('; ')}`);
}

function newTally(): Tally {
  return { firstTokenUs: [], transitUs: [], reasons: [], tokens: 0, truncated: 0, errors: 0 };
}

function one(job: LoadJob, agent: Agent, tally: Tally): Promise<void> {
  const body = JSON.stringify({
    model: job.model,
    stream: job.stream,
    max_tokens: job.tokens,
    messages: [{ role: 'user', content: 'count' }],
  });
  return new Promise((resolve) => {
    const sentUs = nowUs();
    const reader = new AnswerReader(sentUs, tally);
    const outgoing = request(`${job.url}/v1/chat/completions`, {
      agent,
      method: 'POST',
      timeout: REQUEST_MS_MAX,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    });
    const fail = (reason: string): void => {
      tally.errors += 1;
      if (tally.reasons.length < REASONS_MAX) tally.reasons.push(reason);
      resolve();
    };
    outgoing.on('error', (error) => fail(error.message));
    outgoing.on('timeout', () => outgoing.destroy(new Error('too slow')));
    outgoing.on('response', (response) => {
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => reader.read(chunk));
      response.on('error', (error) => fail(error.message));
      response.on('end', () => {
        tally.tokens += reader.tokens;
        if (response.statusCode !== 200) return fail(`status ${response.statusCode}: ${reader.rest}`);
        if (!job.stream) tally.firstTokenUs.push(nowUs() - sentUs);
        else if (reader.tokens !== job.tokens) tally.truncated += 1;
        return resolve();
      });
    });
    outgoing.end(body);
  });
}

/** Finds the stamps, also one that is cut by the edge of a chunk. */
class AnswerReader {
  tokens = 0;
  /** The unfinished line. */
  rest = '';
  readonly #sentUs: number;
  readonly #tally: Tally;

  constructor(sentUs: number, tally: Tally) {
    this.#sentUs = sentUs;
    this.#tally = tally;
  }

  read(chunk: string): void {
    const readUs = nowUs();
    const text = this.rest + chunk;
    const end = text.lastIndexOf('\n') + 1;
    this.rest = text.slice(end);
    for (const match of text.slice(0, end).matchAll(STAMP)) {
      if (this.tokens === 0) this.#tally.firstTokenUs.push(readUs - this.#sentUs);
      this.#tally.transitUs.push(readUs - Number(match[1]));
      this.tokens += 1;
    }
  }
}

function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/** Of all threads of all processes, from the scheduler: ticks of 10 ms are too coarse. */
function cpuUs(pids: readonly number[]): number {
  let sumUs = 0;
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [runNs] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
      sumUs += Number(runNs) / 1_000;
    }
  }
  return sumUs;
}

const [text] = process.argv.slice(2);
if (text !== undefined) process.stdout.write(`${JSON.stringify(await run(JSON.parse(text) as LoadJob))}\n`);
