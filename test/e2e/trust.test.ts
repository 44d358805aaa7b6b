/** Who comes in, who is out, and a key that changes under a running answer: real processes, real commands. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI from 'openai';
import { toHex } from '../../src/bytes.ts';
import { toBase64Url } from '../../src/discovery/link-text.ts';
import { decodeOnceCode } from '../../src/discovery/once-code.ts';
import { type NodeProcess, runSkein } from '../../src/node/node-process.io.ts';
import { newHome, startNode, statusOf, stopAll, until, untilAllAlive } from './harness.ts';

/** The goal for a revocation. */
const OUT_MS_MAX = 10_000;
const NO_MODEL = ['--no-default-model'];

async function skein(home: string, ...args: readonly string[]): Promise<string> {
  const { code, out, err } = await runSkein(args, { home });
  assert.equal(code, 0, `skein ${args.join(' ')}: ${err}`);
  return out.trim();
}

async function refusal(home: string, ...args: readonly string[]): Promise<string> {
  const { code, err } = await runSkein(args, { home });
  assert.notEqual(code, 0, `skein ${args.join(' ')} was not refused`);
  return err;
}

async function isConnected(from: NodeProcess, to: Pick<NodeProcess, 'node'>): Promise<boolean> {
  return (await statusOf(from)).nodes.some(({ node, connected }) => node === to.node && connected);
}

async function counters(node: NodeProcess): Promise<Record<string, number>> {
  const status: unknown = await (await fetch(`${node.api}/api/status`)).json();
  return (status as { counters: Record<string, number> }).counters;
}

describe('a machine that is invited', function () {
  this.timeout(180_000);
  afterEach(stopAll);

  it('joins by a link that it reads from a file, keeps what it got, and is answered', async () => {
    const first = await startNode();
    const home = await newHome();
    const file = join(home, 'link');
    await writeFile(file, await skein(first.home, 'invite', '--ttl', '5m'), { mode: 0o600 });
    const second = await startNode({ home, command: ['join'], args: ['--file', file, ...NO_MODEL] });
    await untilAllAlive([first, second]);
    const client = new OpenAI({ baseURL: `${second.api}/v1`, apiKey: 'none', maxRetries: 0 });
    const answer = await client.chat.completions.create({
      model: 'skein-hello',
      max_tokens: 8,
      messages: [{ role: 'user', content: 'What is skein?' }],
    });
    assert.ok((answer.choices[0]?.message.content ?? '').length > 0);
    await second.end('SIGTERM');
    // Only what is on disk brings it back.
    const again = await startNode({ home, args: NO_MODEL });
    await untilAllAlive([first, again]);
  });

  it('does not show the link in the list of processes', async () => {
    const first = await startNode({ args: NO_MODEL });
    const second = await startNode({ command: ['join', first.invite], args: NO_MODEL });
    if (process.platform === 'linux')
      assert.doesNotMatch(await readFile(`/proc/${second.pid}/cmdline`, 'utf8'), /skein:\/\/join/);
    for (const node of [first, second]) assert.doesNotMatch(node.errors(), /skein:\/\/(?:join|once)/);
  });

  it('keeps its swarm when a link of another one comes, unless it is forced', async () => {
    const [first, other] = await Promise.all([startNode({ args: NO_MODEL }), startNode({ args: NO_MODEL })]);
    const home = await newHome();
    await skein(home, 'join', first.invite, '--no-start');
    const key = await readFile(join(home, 'swarm.key'), 'utf8');
    assert.match(await refusal(home, 'join', other.invite, '--no-start'), /--force/);
    assert.equal(await readFile(join(home, 'swarm.key'), 'utf8'), key);
    await skein(home, 'join', other.invite, '--no-start', '--force');
    assert.notEqual(await readFile(join(home, 'swarm.key'), 'utf8'), key);
    assert.match(await refusal(home, 'join', first.invite.slice(0, -4), '--no-start'), /damaged/);
  });
});

describe('a code that works once', function () {
  this.timeout(180_000);
  afterEach(stopAll);

  it('lets one machine in, and no second one', async () => {
    const first = await startNode({ args: [...NO_MODEL, '--log-level', 'trace'] });
    const code = await skein(first.home, 'invite', '--once');
    const homes = await Promise.all([newHome(), newHome()]);
    const tries = await Promise.all(homes.map(async (home) => runSkein(['join', code, '--no-start'], { home })));
    assert.equal(tries.filter((one) => one.code === 0).length, 1);
    const winner = homes[tries.findIndex((one) => one.code === 0)];
    const second = await startNode({ ...(winner === undefined ? {} : { home: winner }), args: NO_MODEL });
    await untilAllAlive([first, second]);
    assert.match(await refusal(await newHome(), 'join', code, '--no-start'), /used|expired/);
    const codes = await readFile(join(first.home, 'state', 'once-codes.json'), 'utf8');
    assert.match(codes, /"redeemed":true/);
    // A code is a key until it is used, and its secret is in no log, however talkative.
    const decoded = decodeOnceCode(code, 0);
    assert.ok(decoded.type === 'once-code');
    const { secret } = decoded.code;
    const marks = ['skein://', toHex(secret), toBase64Url(secret), code.slice(20, 60)];
    const texts = [first.errors(), second.errors(), ...tries.map(({ out, err }) => out + err)];
    for (const text of texts)
      for (const mark of marks) assert.equal(text.includes(mark), false, `${mark.slice(0, 8)} in:\n${text}`);
  });
});

describe('a node that the owner revokes', function () {
  this.timeout(240_000);
  afterEach(stopAll);

  it('is out everywhere within ten seconds, stays out when it starts again, and comes back when it is trusted', async () => {
    const first = await startNode({ args: NO_MODEL });
    await skein(first.home, 'trust', 'init');
    const link = await skein(first.home, 'invite');
    const [second, third] = await Promise.all([
      startNode({ command: ['join', link], args: NO_MODEL }),
      startNode({ command: ['join', link], args: NO_MODEL }),
    ]);
    await untilAllAlive([first, second, third]);
    await skein(first.home, 'trust', 'revoke', third.node);
    const tookMs = await until(
      'the revoked node is disconnected everywhere',
      async () => !(await isConnected(first, third)) && !(await isConnected(second, third)),
    );
    assert.ok(tookMs < OUT_MS_MAX, `${tookMs} ms`);
    await third.end('SIGKILL');
    await second.end('SIGTERM');
    // Both start again; what the second knows is on its disk only, and it has not met the first yet.
    const secondAgain = await startNode({ home: second.home, args: NO_MODEL });
    const thirdAgain = await startNode({ home: third.home, args: NO_MODEL });
    await until('it is told why', async () =>
      /does not admit this node: the owner revoked it/.test(thirdAgain.errors()),
    );
    await untilAllAlive([first, secondAgain]);
    for (const node of [first, secondAgain]) assert.equal(await isConnected(node, thirdAgain), false);
    await skein(first.home, 'trust', 'add', third.node);
    await until('it is in again', async () => isConnected(first, thirdAgain), 60_000);
  });
});

describe('a swarm that changes its key', function () {
  this.timeout(240_000);
  afterEach(stopAll);

  it('cuts no answer, refuses the old key after the end, and takes who was away with a new link', async () => {
    const first = await startNode({ args: NO_MODEL });
    const [serving, away] = await Promise.all([
      startNode({ command: ['join', first.invite], args: ['--tokens-per-second-max', '4'] }),
      startNode({ command: ['join', first.invite], args: NO_MODEL }),
    ]);
    await untilAllAlive([first, serving, away]);
    const { swarm } = first;
    await away.end('SIGTERM');
    const before = await counters(first);
    const client = new OpenAI({ baseURL: `${first.api}/v1`, apiKey: 'none', maxRetries: 0 });
    const stream = await client.chat.completions.create({
      model: 'skein-hello',
      stream: true,
      temperature: 0,
      messages: [{ role: 'user', content: 'What is skein?' }],
    });
    const answer = new Reading(stream);
    await answer.more();
    await skein(first.home, 'key', 'rotate', '--stage');
    const ready = async (): Promise<boolean> =>
      /"ready":2,"nodes":2/.test(await skein(first.home, 'key', 'rotate', '--status', '--json'));
    await until('both nodes accept the new key', ready);
    await skein(first.home, 'key', 'rotate', '--use');
    await until('both nodes dial with it', ready);
    await skein(first.home, 'key', 'rotate', '--finish');
    await until(
      'the old connection was proven again',
      // Twice, where both sides asked at once.
      async () => ((await counters(first))['membership-proven-again'] ?? 0) >= 1,
    );
    // The old key is refused by now, and the answer goes on.
    for (let piece = 0; piece < 5; piece += 1)
      // eslint-disable-next-line no-await-in-loop
      await answer.more();
    stream.controller.abort();
    const after = await counters(first);
    assert.equal(after['membership-proven'], before['membership-proven'], 'no connection was made anew');
    // Who was away has the old key only.
    const strange = await startNode({ home: away.home, args: NO_MODEL });
    // Admitted nodes meet in a second.
    await delay(3_000);
    assert.equal(await isConnected(first, strange), false);
    await strange.end('SIGTERM');
    const link = await skein(first.home, 'invite');
    const back = await startNode({ home: away.home, command: ['join', link], args: NO_MODEL });
    assert.equal(back.swarm, swarm, 'the swarm keeps its name');
    await untilAllAlive([first, serving, back]);
    // The new key is the one on disk.
    await serving.end('SIGTERM');
    await untilAllAlive([first, await startNode({ home: serving.home, args: NO_MODEL }), back]);
  });
});

/** An answer that is read piece by piece. */
class Reading {
  readonly #chunks: AsyncIterator<OpenAI.ChatCompletionChunk>;

  constructor(stream: AsyncIterable<OpenAI.ChatCompletionChunk>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** Resolves when it says more; rejects when it failed, or is over. */
  async more(): Promise<void> {
    for (;;) {
      // eslint-disable-next-line no-await-in-loop
      const { done, value } = await this.#chunks.next();
      assert.notEqual(done, true, 'the answer was over too early');
      if ((value?.choices[0]?.delta.content ?? '') !== '') return;
    }
  }
}
