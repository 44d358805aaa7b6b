import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  encodeFrame,
  encodeSnapshot,
  FrameReader,
  type FrameStep,
  SNAPSHOT_MESSAGES_MAX,
  SNAPSHOT_PROTOCOL,
} from '../../src/gossip/snapshot-frames.ts';
import { requestSnapshot, serveSnapshot } from '../../src/gossip/snapshot.io.ts';
import { GOSSIP } from '../../src/params.ts';
import { LoopbackSwarm } from '../node/loopback.ts';

const ANSWER = { count: undefined, frameBytesMax: 100, bytesMax: 1_000 };

function read(bytes: Uint8Array, cut: number): FrameStep {
  const reader = new FrameReader(ANSWER);
  let step: FrameStep = { type: 'more' };
  for (let from = 0; from < bytes.length && step.type === 'more'; from += cut)
    step = reader.receive(bytes.subarray(from, from + cut));
  return step;
}

function uint32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

const STORED = Array.from({ length: 2_000 }, (_, index) => new Uint8Array(400).fill(index % 256));

async function answer(digest: Uint8Array): Promise<readonly Uint8Array[]> {
  return digest.length === 3 ? STORED : [];
}

describe('the frames of a snapshot', () => {
  it('give the same messages however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 10 }),
        fc.integer({ min: 1, max: 70 }),
        (messages, cut) => {
          const step = read(Buffer.concat(encodeSnapshot(messages)), cut);
          assert.deepEqual(
            step.type === 'done' && step.frames.map((frame) => [...frame]),
            messages.map((message) => [...message]),
          );
        },
      ),
    );
  });

  it('are refused above each limit', () => {
    const cases: readonly [string, number[], FrameStep['type']][] = [
      ['a frame of the limit', [...uint32(1), ...uint32(100), ...Array.from({ length: 100 }, () => 1)], 'done'],
      ['a longer frame', [...uint32(1), ...uint32(101)], 'refused'],
      ['as many messages as allowed', uint32(SNAPSHOT_MESSAGES_MAX), 'more'],
      ['one more', uint32(SNAPSHOT_MESSAGES_MAX + 1), 'refused'],
      ['none', uint32(0), 'done'],
      ['bytes after the end', [...uint32(0), 1], 'refused'],
      ['too many bytes', Array.from({ length: 1_001 }, () => 0), 'refused'],
    ];
    for (const [name, bytes, expected] of cases) assert.equal(read(Uint8Array.from(bytes), 2_000).type, expected, name);
  });

  it('leave out what would break a limit', () => {
    const [count] = encodeSnapshot([
      new Uint8Array(GOSSIP.messageBytesMax + 1),
      new Uint8Array(GOSSIP.messageBytesMax),
    ]);
    assert.deepEqual([...(count ?? [])], [0, 0, 0, 1]);
    const full = encodeSnapshot(Array.from({ length: 600 }, () => new Uint8Array(GOSSIP.messageBytesMax)));
    assert.ok(full.reduce((sum, part) => sum + part.length, 0) <= 8_388_608);
  });
});

describe('the snapshot exchange', () => {
  const swarm = new LoopbackSwarm();
  afterEach(async () => swarm.stop());

  it('brings all messages of a member to the one that asks', async () => {
    const [a, b] = await Promise.all([swarm.start(), swarm.start()]);
    const problems: (string | undefined)[] = [];
    await b.network.handle(SNAPSHOT_PROTOCOL, async (stream, from) => {
      problems.push(await serveSnapshot({ stream, from, answer }));
    });
    await swarm.connect(a, b);
    const open = async (signal: AbortSignal) => a.network.openStream(b.id, SNAPSHOT_PROTOCOL, signal);
    const all = await requestSnapshot(open, Uint8Array.of(1, 2, 3));
    assert.ok(all.type === 'received');
    assert.equal(all.messages.length, STORED.length);
    assert.equal(all.messages[1_999]?.[399], 1_999 % 256);
    assert.deepEqual(await requestSnapshot(open, new Uint8Array()), { type: 'received', messages: [] });
    assert.deepEqual(problems, [undefined, undefined]);
  });

  it('fails with a reason when the other side does not keep to it, or time is up', async () => {
    const [a, b] = await Promise.all([swarm.start(), swarm.start()]);
    await b.network.handle('/garbage', (stream) => void stream.send(new Uint8Array(20).fill(255)));
    await b.network.handle('/silent', () => {});
    await b.network.handle('/abort', (stream) => stream.abort(new Error('no')));
    const served = Promise.withResolvers<string | undefined>();
    await b.network.handle('/served', async (stream, from) => {
      served.resolve(await serveSnapshot({ stream, from, answer: async () => [] }));
    });
    await swarm.connect(a, b);
    const ask = async (protocol: string, signal?: AbortSignal) =>
      requestSnapshot(async (deadline) => a.network.openStream(b.id, protocol, deadline), new Uint8Array(), signal);
    for (const [protocol, expected] of [
      ['/garbage', /more than/],
      ['/abort', /./],
      ['/unknown', /./],
    ] as const) {
      const result = await ask(protocol);
      assert.match(result.type === 'failed' ? result.reason : '', expected, protocol);
    }
    assert.equal((await ask('/silent', AbortSignal.timeout(50))).type, 'failed');
    const stream = await a.network.openStream(b.id, '/served', AbortSignal.timeout(1_000));
    stream.send(encodeFrame(new Uint8Array(5_000)));
    assert.match((await served.promise) ?? '', /more than/);
  });
});
