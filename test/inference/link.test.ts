import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { FRAME_PAYLOAD_BYTES_MAX, writeFrameHeader } from '../../src/inference/frames.ts';
import { type Broken, LINK, type Link } from '../../src/inference/link.ts';
import type { Answer } from '../../src/inference/messages.ts';
import { SEND_QUEUE } from '../../src/inference/send-queue.ts';
import { INFERENCE, LIMITS } from '../../src/params.ts';
import { End, settle, TOKENS, USAGE, WRITE } from './link-ends.ts';

const LOAD = { busy: 4, queued: 8, slotMs: 900, prefillUsPerToken: 250, decodeMs: 30, arrivalsPerKs: 77 };
const ANSWERS: readonly Answer[] = [
  { type: 'queued', position: 3 },
  { type: 'accepted', digest: 'ab'.repeat(32) },
  { type: 'progress', promptTokensDone: 256, promptTokens: 1_000 },
  TOKENS,
  { type: 'tokens', position: 2, tokens: 1, tokenIds: [], text: '' },
];
const LAST: readonly Answer[] = [
  { type: 'ended', finishReason: 'length', usage: USAGE },
  { type: 'ended', finishReason: 'stop', usage: USAGE },
  { type: 'ended', finishReason: 'stop', usage: USAGE, stopIndex: LIMITS.stopSequences - 1 },
  { type: 'failed', failure: { code: 'engine-failed', message: 'gone' } },
  { type: 'refused', failure: { code: 'busy', message: 'full', param: 'model', retryAfterMs: 2_000 }, load: LOAD },
  { type: 'refused', failure: { code: 'draining', message: 'bye' }, load: undefined },
];

describe('a link', () => {
  it('carries every kind of message both ways', () => {
    for (const last of LAST) {
      const [asker, server] = [new End(), new End()];
      const channel = asker.link.open(Uint8Array.of(1, 2, 3));
      assert.ok(channel !== undefined);
      asker.link.credit(channel, 100);
      asker.link.tell({ type: 'ping', nonce: 9 });
      assert.equal(settle(asker, server), undefined);
      for (const answer of [...ANSWERS, last]) server.link.answer(channel, answer);
      server.link.tell({ type: 'draining', scope: 'node' });
      assert.equal(settle(asker, server), undefined);
      assert.deepEqual(server.said, [
        { by: 'told', message: { type: 'ping', nonce: 9 } },
        { by: 'asked', channel, message: { type: 'open', body: Uint8Array.of(1, 2, 3) } },
        { by: 'asked', channel, message: { type: 'credit', tokens: 100 } },
      ]);
      assert.deepEqual(
        asker.said.map(({ message }) => message),
        [{ type: 'draining', scope: 'node' }, ...ANSWERS, last],
      );
      assert.ok(asker.link.idle && server.link.idle);
    }
  });

  it('delivers long requests whole and in the order they were opened, wherever the bytes are cut', () => {
    const sizes = fc.array(fc.constantFrom(1, 500, 16_377, 16_378, 70_000, 300_000), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.integer({ min: 1, max: 40_000 })), (lengths, cuts) => {
        const [asker, server] = [new End(), new End()];
        const bodies = lengths.map((length, index) => new Uint8Array(length).fill(index + 1));
        const channels = bodies.map((body) => asker.link.open(body));
        assert.equal(
          settle(asker, server, () => cuts.next().value ?? 1),
          undefined,
        );
        const received = server.said.map((one) =>
          one.by === 'asked' && one.message.type === 'open' ? one : undefined,
        );
        for (const [index, body] of bodies.entries()) {
          const one = received.find((other) => other?.channel === channels[index]);
          assert.equal(Buffer.compare(one?.message.type === 'open' ? one.message.body : Buffer.of(), body), 0);
        }
        assert.equal(received.length, bodies.length);
      }),
      { numRuns: 40 },
    );
  });

  it('lets a token pass a prompt of a megabyte within one frame a turn', () => {
    const [asker, server] = [new End(), new End()];
    const served = server.link.open(Uint8Array.of(1));
    settle(asker, server);
    assert.ok(served !== undefined);
    asker.link.open(new Uint8Array(1_000_000));
    asker.link.take(INFERENCE.frameBytesMax);
    asker.link.answer(served, TOKENS);
    // The frame that was next in turn, then the token.
    let bytesBefore = 0;
    while (server.said.length === 0) {
      const bytes = asker.link.take(INFERENCE.frameBytesMax);
      assert.ok(bytes !== undefined);
      bytesBefore += bytes.length;
      server.link.receive(bytes);
      if (bytesBefore > 100_000) assert.fail('the token waits behind the prompt');
    }
    assert.ok(bytesBefore <= 2 * INFERENCE.frameBytesMax, `${bytesBefore} bytes went first`);
  });

  it('gives every busy channel a frame before any gets two', () => {
    const asker = new End();
    const channels = [1, 2, 3, 4].map(() => asker.link.open(new Uint8Array(60_000)));
    const order: number[] = [];
    for (let bytes = asker.link.take(INFERENCE.frameBytesMax); bytes !== undefined;) {
      order.push(new DataView(bytes.buffer, bytes.byteOffset).getUint32(3));
      bytes = asker.link.take(INFERENCE.frameBytesMax);
    }
    assert.ok(order.length >= 8);
    for (let index = 0; index + 4 <= 8; index += 4)
      assert.deepEqual(
        order.slice(index, index + 4).toSorted((left, right) => left - right),
        channels,
      );
  });

  it('keeps at most a window of long requests unconfirmed', () => {
    const asker = new End();
    asker.link.open(new Uint8Array(1_000_000));
    let sent = 0;
    for (let bytes = asker.link.take(WRITE); bytes !== undefined; bytes = asker.link.take(WRITE)) sent += bytes.length;
    assert.ok(
      sent > SEND_QUEUE.windowBytes - FRAME_PAYLOAD_BYTES_MAX && sent < SEND_QUEUE.windowBytes + 1_024,
      `${sent}`,
    );
    assert.equal(asker.link.ready, false);
    asker.link.tell({ type: 'heartbeat' });
    assert.equal(asker.link.take(WRITE)?.length, 7);
  });

  it('joins all that waits into one write', () => {
    const [asker, server] = [new End(), new End()];
    const channels = Array.from({ length: 200 }, () => asker.link.open(Uint8Array.of(1)) ?? 0);
    settle(asker, server);
    for (const channel of channels) server.link.answer(channel, TOKENS);
    const bytes = server.link.take(WRITE);
    assert.equal(asker.link.receive(bytes ?? Buffer.of()), undefined);
    assert.equal(asker.said.length, 200);
    assert.equal(server.link.take(WRITE), undefined);
  });

  it('says when it is full', () => {
    const asker = new End();
    for (let index = 0; index < INFERENCE.requestsPerLinkMax; index += 1)
      assert.ok(asker.link.open(Uint8Array.of(1)) !== undefined);
    assert.equal(asker.link.open(Uint8Array.of(1)), undefined);
    const other = new End();
    const body = new Uint8Array(INFERENCE.bodyBytesMax);
    for (let index = 0; index < 4; index += 1) assert.ok(other.link.open(body) !== undefined);
    assert.equal(other.link.open(body), undefined);
  });

  it('refuses what it has no memory to assemble, and stays usable', () => {
    const server = new End();
    const part = new Uint8Array(INFERENCE.frameBytesMax);
    const parts = Math.floor(INFERENCE.bodyBytesMax / FRAME_PAYLOAD_BYTES_MAX);
    // Five requests of the largest size, none of which ever ends: no honest asker has so much under way.
    const channels = Math.ceil(LINK.assemblyBytesMax / (parts * FRAME_PAYLOAD_BYTES_MAX));
    for (let channel = 1; channel <= channels; channel += 1) {
      writeFrameHeader(part, 0, { kind: 'open', more: true, channel, payloadBytes: FRAME_PAYLOAD_BYTES_MAX });
      for (let index = 0; index < parts; index += 1) assert.equal(server.link.receive(part), undefined);
    }
    const asker = new End();
    for (let channel = 1; channel <= channels; channel += 1) asker.link.open(Uint8Array.of(1));
    asker.link.take(WRITE);
    const answers = server.link.take(WRITE) ?? Buffer.of();
    const refused = answers.subarray(answers.findLastIndex((_, index) => answers[index + 2] === 18));
    assert.equal(asker.link.receive(refused), undefined);
    const [answer] = asker.said;
    assert.ok(answer?.by === 'answered' && answer.message.type === 'refused');
    assert.equal(answer.message.failure.code, 'busy');
    assert.equal(server.link.live, channels - 1);
  });
});

describe('cancelling on a link', () => {
  it('is confirmed, and what crossed it is ignored', () => {
    const [asker, server] = [new End(), new End()];
    const channel = asker.link.open(Uint8Array.of(1)) ?? 0;
    settle(asker, server);
    server.link.answer(channel, { type: 'accepted', digest: '' });
    server.link.answer(channel, TOKENS);
    asker.link.cancel(channel);
    assert.equal(asker.link.live, 1);
    assert.equal(settle(asker, server), undefined);
    assert.deepEqual(asker.said, []);
    assert.deepEqual(server.said.at(-1), { by: 'asked', channel, message: { type: 'cancel' } });
    server.link.answer(channel, { type: 'cancelled' });
    assert.equal(settle(asker, server), undefined);
    assert.equal(asker.link.live, 0);
    assert.deepEqual(asker.said, []);
  });

  it('may cross the end of the answer', () => {
    const [asker, server] = [new End(), new End()];
    const channel = asker.link.open(Uint8Array.of(1)) ?? 0;
    settle(asker, server);
    server.link.answer(channel, { type: 'ended', finishReason: 'stop', usage: USAGE });
    asker.link.credit(channel, 5);
    asker.link.cancel(channel);
    assert.equal(settle(asker, server), undefined);
    assert.ok(asker.link.idle && server.link.idle);
  });

  it('before the request left sends nothing at all', () => {
    const [asker, server] = [new End(), new End()];
    const channel = asker.link.open(Uint8Array.of(1)) ?? 0;
    asker.link.cancel(channel);
    assert.equal(asker.link.take(WRITE), undefined);
    const next = asker.link.open(Uint8Array.of(2));
    assert.equal(settle(asker, server), undefined);
    assert.deepEqual(server.opened(), [next]);
  });

  it('amid a long request ends it on both sides', () => {
    const [asker, server] = [new End(), new End()];
    const channel = asker.link.open(new Uint8Array(1_000_000)) ?? 0;
    server.link.receive(asker.link.take(WRITE) ?? Buffer.of());
    asker.link.cancel(channel);
    assert.equal(settle(asker, server), undefined);
    assert.deepEqual(server.said, []);
    assert.ok(asker.link.idle && server.link.idle);
    // The window is whole again: another long request goes through.
    const next = asker.link.open(new Uint8Array(1_000_000));
    assert.equal(settle(asker, server), undefined);
    assert.deepEqual(server.opened(), [next]);
  });

  it('does not forget a request whose credit still waits to leave', () => {
    const [asker, server] = [new End(), new End()];
    const channel = asker.link.open(Uint8Array.of(1)) ?? 0;
    settle(asker, server);
    asker.link.credit(channel, 5);
    asker.link.cancel(channel);
    settle(asker, server);
    assert.deepEqual(server.said.at(-1), { by: 'asked', channel, message: { type: 'cancel' } });
  });
});

/** What `talker` says reaches a link that has one live channel of its own (1) and one of the other side (1). */
function hear(say: (talker: Link) => void): Broken | undefined {
  const [victim, talker] = [new End(), new End()];
  victim.link.open(Uint8Array.of(1));
  talker.link.open(Uint8Array.of(1));
  settle(victim, talker);
  say(talker.link);
  return settle(victim, talker);
}

function raw(...bytes: number[]): Broken | undefined {
  const end = new End();
  end.link.open(Uint8Array.of(1));
  return end.link.receive(Uint8Array.from(bytes));
}

describe('a peer that breaks the protocol', () => {
  it('ends the link', () => {
    const table: { broken: Broken | undefined; type: Broken['type']; reason: RegExp }[] = [
      { broken: raw(0, 0, 99, 0, 0, 0, 1), type: 'garbage', reason: /unknown kind/ },
      { broken: raw(0, 0, 2, 0, 0, 0, 1), type: 'violation', reason: /malformed credit/ },
      { broken: raw(0, 1, 2, 0, 0, 0, 9, 5), type: 'violation', reason: /never opened/ },
      { broken: raw(0, 1, 17, 0, 0, 0, 2, 5), type: 'violation', reason: /does not live/ },
      { broken: raw(0, 0, 23, 0, 0, 0, 1), type: 'violation', reason: /without being asked/ },
      { broken: raw(0, 2, 21, 0, 0, 0, 1, 0, 0), type: 'violation', reason: /malformed ended/ },
      { broken: raw(0, 2, 19, 0, 0, 0, 1, 0xff, 0xff), type: 'violation', reason: /malformed progress/ },
      { broken: raw(0, 4, 20, 0, 0, 0, 1, 0, 1, 0, 0xff), type: 'violation', reason: /malformed tokens/ },
      { broken: raw(0, 3, 20, 0, 0, 0, 1, 0, 2, 1), type: 'violation', reason: /malformed tokens/ },
      { broken: raw(0, 2, 22, 0, 0, 0, 1, 123, 125), type: 'violation', reason: /malformed failed/ },
      { broken: raw(0, 1, 48, 0, 0, 0, 0, 5), type: 'violation', reason: /confirmed bytes/ },
      { broken: raw(0, 0, 1, 0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 5), type: 'violation', reason: /opened twice/ },
    ];
    for (const { broken, type, reason } of table) {
      assert.equal(broken?.type, type, String(reason));
      assert.match(broken.reason, reason);
    }
  });

  it('is told from one whose messages merely crossed ours', () => {
    assert.equal(
      hear((talker) => talker.credit(1, 5)),
      undefined,
    );
    assert.equal(
      hear((talker) => talker.answer(1, { type: 'ended', finishReason: 'stop', usage: USAGE })),
      undefined,
    );
    assert.equal(
      hear((talker) => talker.cancel(1)),
      undefined,
    );
  });

  it('makes no link throw, whatever its bytes are', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), (pieces) => {
        const end = new End();
        end.link.open(Uint8Array.of(1));
        for (const piece of pieces) end.link.receive(piece);
        end.link.take(WRITE);
      }),
    );
  });
});
