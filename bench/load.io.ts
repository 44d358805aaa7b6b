/**
 * A load generator of its own process: `node bench/load.io.ts '<JSON job>'` prints one JSON line of figures.
 * `streams` clients at once each read one answer of a fake upstream that stamps every token with the machine's
 * monotonic clock, so that the time from the upstream's write to the client's read is measured per token.
 * Everything is bounded: the number of requests is in the job, and a request that takes too long counts as an error.
 */
import { Agent, request } from 'node:http';
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
}

export interface LoadResult {
  /** Microseconds from the request's write to the first token. */
  readonly firstTokenUs: readonly [p50: number, p99: number];
  /** Microseconds from the upstream's write of a token to the client's read of it. */
  readonly transitUs: readonly [p50: number, p99: number];
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly requestsPerSecond: number;
  readonly truncated: number;
  readonly errors: number;
}

/** Source: guess, ten times the longest answer asked for here. */
const REQUEST_MS_MAX = 60_000;

const STAMP = /"content":" ?t(\d+)/g;

interface Tally {
  readonly firstTokenUs: number[];
  readonly transitUs: number[];
  tokens: number;
  truncated: number;
  errors: number;
}

async function run(job: LoadJob): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: job.streams });
  const tally: Tally = { firstTokenUs: [], transitUs: [], tokens: 0, truncated: 0, errors: 0 };
  let left = job.requests;
  const startedUs = nowUs();
  const client = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      // Each client asks one thing after the other.
      // eslint-disable-next-line no-await-in-loop
      await one(job, agent, tally);
    }
  };
  await Promise.all(Array.from({ length: job.streams }, client));
  const seconds = (nowUs() - startedUs) / 1e6;
  agent.destroy();
  return {
    firstTokenUs: percentiles(tally.firstTokenUs),
    transitUs: percentiles(tally.transitUs),
    tokens: tally.tokens,
    tokensPerSecond: tally.tokens / seconds,
    requestsPerSecond: job.requests / seconds,
    truncated: tally.truncated,
    errors: tally.errors,
  };
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
    let seen = 0;
    const outgoing = request(`${job.url}/v1/chat/completions`, {
      agent,
      method: 'POST',
      timeout: REQUEST_MS_MAX,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    });
    const fail = (): void => {
      tally.errors += 1;
      resolve();
    };
    outgoing.on('error', fail);
    outgoing.on('timeout', () => outgoing.destroy(new Error('too slow')));
    outgoing.on('response', (response) => {
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        const readUs = nowUs();
        if (seen === 0 && (!job.stream || chunk.includes('"content":" t'))) tally.firstTokenUs.push(readUs - sentUs);
        if (!job.stream) seen = 1;
        for (const match of job.stream ? chunk.matchAll(STAMP) : []) {
          tally.transitUs.push(readUs - Number(match[1]));
          seen += 1;
        }
      });
      response.on('error', fail);
      response.on('end', () => {
        tally.tokens += seen;
        if (response.statusCode !== 200) tally.errors += 1;
        else if (job.stream && seen !== job.tokens) tally.truncated += 1;
        resolve();
      });
    });
    outgoing.end(body);
  });
}

function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

const [text] = process.argv.slice(2);
if (text !== undefined) process.stdout.write(`${JSON.stringify(await run(JSON.parse(text) as LoadJob))}\n`);
