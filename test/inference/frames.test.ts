import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_BYTES_MAX,
  FrameDecoder,
  type FrameHeader,
  KINDS,
  PART_BYTES_MIN,
  writeFrameHeader,
} from '../../src/inference/frames.ts';

interface Frame {
  readonly header: FrameHeader;
  readonly payload: Uint8Array;
}

function bytesOf(frames: readonly Frame[]): Uint8Array {
  const parts = frames.map(({ header, payload }) => {
    const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
    writeFrameHeader(bytes, 0, header);
    bytes.set(payload, FRAME_HEADER_BYTES);
    return bytes;
  });
  return Buffer.concat(parts);
}

/** Decodes `bytes` handed over in pieces that end at `cuts`. */
function decode(bytes: Uint8Array, cuts: readonly number[]): { frames: Frame[]; problem: string } {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b);
  let start = 0;
  for (const end of [...ends, bytes.length]) {
    decoder.push(bytes.subarray(start, end));
    start = end;
    let decoded = decoder.next();
    for (; decoded === 'frame'; decoded = decoder.next()) {
      const { kind, more, channel, payload } = decoder;
      const copy = payload.slice();
      frames.push({ header: { kind, more, channel, payloadBytes: copy.length }, payload: copy });
    }
    if (decoded === 'rejected') break;
  }
  return { frames, problem: decoder.problem };
}

const frames: fc.Arbitrary<Frame[]> = fc.array(
  fc
    .record({
      kind: fc.constantFrom('open', 'tokens', 'credit', 'heartbeat', 'ended'),
      channel: fc.integer({ min: 1, max: 0xffff_ffff }),
      more: fc.boolean(),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc
          .integer({ min: PART_BYTES_MIN, max: FRAME_PAYLOAD_BYTES_MAX })
          .map((length) => new Uint8Array(length).fill(7)),
      ),
    })
    .map(({ kind, channel, more, payload }) => {
      const several = more && (kind === 'open' || kind === 'tokens') && payload.length >= PART_BYTES_MIN;
      const header: FrameHeader = {
        kind,
        more: several,
        channel: kind === 'heartbeat' ? 0 : channel,
        payloadBytes: payload.length,
      };
      return { header, payload };
    }),
  { maxLength: 8 },
);

describe('the frames of a link', () => {
  it('come out as they went in, wherever the stream is cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 12 }), (sent, cuts) => {
        const { frames: received, problem } = decode(bytesOf(sent), cuts);
        assert.equal(problem, '');
        assert.deepEqual(
          received.map(({ header, payload }) => ({ header, payload: Buffer.from(payload).toString('hex') })),
          sent.map(({ header, payload }) => ({ header, payload: Buffer.from(payload).toString('hex') })),
        );
      }),
      { numRuns: 150 },
    );
  });

  it('come out when every byte arrives alone', () => {
    const payload = Uint8Array.of(1, 2, 3);
    const sent = (['credit', 'tokens'] as const).map((kind, index) => ({
      header: { kind, more: false, channel: index + 1, payloadBytes: 3 },
      payload,
    }));
    const bytes = bytesOf(sent);
    const { frames: received } = decode(
      bytes,
      Array.from(bytes, (_, index) => index),
    );
    assert.deepEqual(
      received.map(({ header }) => header),
      sent.map(({ header }) => header),
    );
  });

  it('are refused as soon as their header is impossible', () => {
    const table: { bytes: Uint8Array; problem: string }[] = [
      { bytes: Uint8Array.from([0, 0, 15, 0, 0, 0, 1]), problem: 'unknown kind of frame' },
      { bytes: Uint8Array.from([0xff, 0xff, KINDS.open, 0, 0, 0, 1]), problem: 'frame of 65535 bytes, at most 16377' },
      { bytes: Uint8Array.from([0, 0, KINDS.open, 0, 0, 0, 0]), problem: 'open on channel 0' },
      { bytes: Uint8Array.from([0, 0, KINDS.heartbeat, 0, 0, 0, 1]), problem: 'heartbeat on channel 1' },
      { bytes: Uint8Array.from([4, 0, KINDS.credit | 0x80, 0, 0, 0, 1]), problem: 'credit in several frames' },
      { bytes: Uint8Array.from([3, 255, KINDS.open | 0x80, 0, 0, 0, 1]), problem: 'part of 1023 bytes, at least 1024' },
      { bytes: Uint8Array.from([4, 0, KINDS.open | 0x80, 0, 0, 0, 1]), problem: '' },
      { bytes: Buffer.from('GET / HTTP/1.1\r\n'), problem: 'unknown kind of frame' },
    ];
    for (const { bytes, problem } of table) {
      for (const cuts of [[], [3]]) {
        assert.equal(decode(bytes, cuts).problem, problem);
      }
    }
  });

  it('never throw on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(), { maxLength: 5 }), (bytes, cuts) => {
        decode(bytes, cuts);
      }),
    );
  });
});
