import assert from 'node:assert/strict';
import { type MessageStream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface';
import { preSharedKey } from '@libp2p/pnet';
import { multiaddr } from '@multiformats/multiaddr';
import { swarmProtector } from '../../src/discovery/protector.io.ts';
import { LoopbackSwarm, testKey } from '../node/loopback.ts';

const MEGABYTE = 1_048_576;
const KEY = testKey(1);

type Protect = (connection: MessageStream) => Promise<MessageStream>;

const ours: Protect = async (connection) => swarmProtector(KEY)().protect(connection);
const stock: Protect = async (connection) =>
  preSharedKey({ psk: new TextEncoder().encode(KEY.fileText()) })().protect(connection);

/** One end of a connection in memory, with what pnet uses of it. */
class Wire extends EventTarget {
  readonly remoteAddr = multiaddr('/ip4/127.0.0.1/tcp/1');
  readonly direction = 'outbound';
  readonly log = Object.assign(() => {}, { newScope: () => this.log, error: () => {}, trace: () => {} });
  status = 'open';
  other: Wire | undefined;

  send(data: { subarray(): Uint8Array }): boolean {
    // A copy, and one message per write, like a transport that delivers whatever it was given.
    const bytes = data.subarray().slice();
    queueMicrotask(() => this.other?.dispatchEvent(new StreamMessageEvent(bytes)));
    return true;
  }

  push(): void {}

  abort(error: Error): void {
    this.status = 'aborted';
    this.dispatchEvent(new StreamCloseEvent(true, error));
  }
}

async function openPair(left: Protect, right: Protect): Promise<[MessageStream, MessageStream]> {
  const [near, far] = [new Wire(), new Wire()];
  near.other = far;
  far.other = near;
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  return Promise.all([left(near as unknown as MessageStream), right(far as unknown as MessageStream)]);
}

/** Sends writes of a known pattern; resolves with the number of wrong bytes at the ends of what arrived. */
async function transfer([from, to]: [MessageStream, MessageStream], writes: number, size: number): Promise<number> {
  const pattern = Uint8Array.from({ length: size }, (_, index) => index % 251);
  const { promise, resolve } = Promise.withResolvers<number>();
  let sum = 0;
  let wrong = 0;
  to.addEventListener('message', ({ data }) => {
    const bytes = data.subarray();
    const start = sum % size;
    if (bytes[0] !== pattern[start] || bytes.at(-1) !== pattern[start + bytes.length - 1]) wrong += 1;
    sum += bytes.length;
    if (sum === writes * size) resolve(wrong);
  });
  for (let write = 0; write < writes; write += 1) {
    from.send(pattern);
    await Promise.resolve();
  }
  return promise;
}

describe('the protector of the swarm key', () => {
  const swarm = new LoopbackSwarm();
  afterEach(async () => swarm.stop());

  it('speaks with the original on either side', async () => {
    for (const [left, right] of [
      [ours, stock],
      [stock, ours],
    ] as const)
      assert.equal(await transfer(await openPair(left, right), 3, 70_000), 0);
  });

  // First of the two, while the cipher's memory is small. The original keeps 64 bytes of its 640 kB for each direction of every connection there ever was.
  it('gives back what closed connections held', async () => {
    for (let count = 0; count < 2_800; count += 1)
      for (const end of await openPair(ours, ours)) end.abort(new Error('test'));
    const pairs = await Promise.all([openPair(ours, ours), openPair(ours, ours)]);
    const wrong = await Promise.all(pairs.map(async (pair) => transfer(pair, 120, 4_096)));
    assert.deepEqual(wrong, [0, 0]);
  });

  // With the original, the ciphers detach each other's memory until it is full: the process loses all connections.
  it('survives large writes that alternate between connections', async () => {
    const pairs = await Promise.all([openPair(ours, ours), openPair(ours, ours)]);
    const wrong = await Promise.all(pairs.map(async (pair) => transfer(pair, 50, MEGABYTE)));
    assert.deepEqual(wrong, [0, 0]);
  });

  it('ignores what arrives after the end', async () => {
    const [near, far] = await openPair(ours, ours);
    far.abort(new Error('test'));
    near.send(new Uint8Array(10));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(far.status, 'aborted');
  });

  it('carries large writes of members', async () => {
    const [a, b] = await Promise.all([swarm.start(), swarm.start()]);
    const done = Promise.withResolvers<void>();
    let sum = 0;
    await b.network.handle('/test/bulk/1', (stream) => {
      stream.addEventListener('message', ({ data }) => {
        sum += data.byteLength;
        if (sum === 8 * MEGABYTE) done.resolve();
      });
    });
    await swarm.connect(a, b);
    const stream = await a.network.openStream(b.id, '/test/bulk/1', AbortSignal.timeout(2_000));
    for (let write = 0; write < 8; write += 1)
      if (!stream.send(new Uint8Array(MEGABYTE))) await stream.onDrain({ signal: AbortSignal.timeout(5_000) });
    await done.promise;
  });
});
