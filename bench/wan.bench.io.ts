/**
 * Does a request through the mesh cost a network round trip that plain HTTP would not? Node A, a path of 20 ms each way,
 * node B, a fake upstream; against the same client that asks the upstream with HTTP keep-alive through the same path.
 * Both are warm: the connections stand, the link is open. Blocks are interleaved. Goal: at most 3 ms more to the first
 * token; a round trip more would be 40. `npm run bench -- wan [blocks]`. Source: ours.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeInvite, encodeInvite } from '../src/discovery/invite.ts';
import { startNodeProcess } from '../src/node/node-process.io.ts';
import { startRelay } from './delay-relay.io.ts';
import { runLoad, startUpstream, untilServed, writeUpstreamConfig } from './processes.io.ts';
import { formatSummary, summarize } from './stats.ts';

const ONE_WAY_MS = 20;
const GOAL_MS = 3;
const JOB = { model: 'fake', streams: 1, requests: 12, tokens: 5, stream: true, spreadMs: 0, pids: [] } as const;

async function main(args: readonly string[]): Promise<void> {
  const blocks = Math.max(1, Number(args[0] ?? 6) || 6);
  const folder = await mkdtemp(join(tmpdir(), 'skein-bench-'));
  const stops: (() => Promise<unknown>)[] = [async () => rm(folder, { recursive: true, force: true })];
  try {
    const urls = await startBoth(folder, stops);
    const plain: number[] = [];
    const hop: number[] = [];
    for (let block = 0; block <= blocks; block += 1) {
      for (const [url, into] of [
        [urls.plain, plain],
        [urls.hop, hop],
      ] as const) {
        // Measured alone, one after the other.
        // eslint-disable-next-line no-await-in-loop
        const { firstTokenUs, errors, truncated } = await runLoad({ ...JOB, url });
        if (errors + truncated > 0) throw new Error(`${errors + truncated} answers of ${url} were not whole`);
        if (block > 0) into.push(firstTokenUs[0] / 1_000);
      }
    }
    report(plain, hop);
  } finally {
    for (const stop of stops.toReversed()) {
      // In reverse order of starting.
      // eslint-disable-next-line no-await-in-loop
      await stop();
    }
  }
}

/** The client's addresses of the upstream and of node A. */
async function startBoth(
  folder: string,
  stops: (() => Promise<unknown>)[],
): Promise<{ readonly plain: string; readonly hop: string }> {
  await mkdir(join(folder, 'b'));
  const upstream = await startUpstream(20);
  stops.push(async () => upstream.stop());
  const plain = await startRelay(upstream.port, ONE_WAY_MS);
  stops.push(async () => plain.close());
  const front = await startNodeProcess({ home: join(folder, 'a'), args: ['--no-default-model'] });
  stops.push(async () => front.end('SIGTERM'));
  const [address = ''] = front.addresses;
  const path = await startRelay(Number(/\/tcp\/(\d+)/.exec(address)?.[1]), ONE_WAY_MS);
  stops.push(async () => path.close());
  const config = join(folder, 'b', 'bench.toml');
  await writeUpstreamConfig(config, upstream.port);
  const back = await startNodeProcess({
    home: join(folder, 'b'),
    command: ['join', invitedThrough(front.invite, `/ip4/127.0.0.1/tcp/${path.port}/p2p/${front.node}`)],
    args: ['--no-default-model', '--config', config],
  });
  stops.push(async () => back.end('SIGTERM'));
  await untilServed(front.api);
  return { plain: `http://127.0.0.1:${plain.port}`, hop: front.api };
}

/** The same invite with another address: whoever joins with it goes through the relay, and is connected then. */
function invitedThrough(link: string, address: string): string {
  const decoded = decodeInvite(link, Date.now() / 1_000);
  if (decoded.type === 'rejected') throw new Error(decoded.reason);
  return encodeInvite({ ...decoded.invite, addresses: [address] });
}

function report(plain: readonly number[], hop: readonly number[]): void {
  const added = summarize(hop.map((ms, index) => ms - (plain[index] ?? ms)));
  const lines = [
    `first token over a path of ${ONE_WAY_MS} ms each way, ${hop.length} blocks`,
    `  plain HTTP, kept alive   ${formatSummary(summarize(plain), 'ms')}`,
    `  skein A-B                ${formatSummary(summarize(hop), 'ms')}`,
    `  added                    ${formatSummary(added, 'ms')} (goal ${GOAL_MS}: ${added.median <= GOAL_MS ? 'met' : 'MISSED'})`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  if (added.median < -ONE_WAY_MS) throw new Error('the nodes did not go through the relay');
}

await main(process.argv.slice(2));
