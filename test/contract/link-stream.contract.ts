/**
 * What a link needs from the bytes below it, bound for every implementation: order, a pause that ends, and exactly
 * one end on both sides however it came.
 */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { ByteStream } from '../../src/inference/byte-stream.ts';

export interface StreamPair {
  readonly ends: readonly [ByteStream, ByteStream];
  dispose(): Promise<void>;
}

/** Everything that one end hears. */
class Ear extends EventEmitter {
  bytes = 0;
  readonly stream: ByteStream;
  readonly chunks: Uint8Array[] = [];
  readonly ends: string[] = [];
  drains = 0;

  constructor(stream: ByteStream) {
    super();
    this.stream = stream;
    stream.listen({
      bytes: (chunk) => {
        this.bytes += chunk.length;
        this.chunks.push(chunk.slice());
        this.emit('change');
      },
      drained: () => {
        this.drains += 1;
        this.emit('change');
      },
      closed: (reason) => {
        this.ends.push(reason);
        this.emit('change');
      },
    });
  }

  async until(condition: () => boolean): Promise<void> {
    // eslint-disable-next-line no-await-in-loop
    while (!condition()) await once(this, 'change');
  }
}

export function linkStreamContract(name: string, open: () => Promise<StreamPair>): void {
  describe(`${name} as the stream of a link`, () => {
    let pair: StreamPair | undefined;
    afterEach(async () => {
      await pair?.dispose();
      pair = undefined;
    });

    async function ears(): Promise<[Ear, Ear]> {
      pair = await open();
      return [new Ear(pair.ends[0]), new Ear(pair.ends[1])];
    }

    it('delivers bytes in order, both ways', async () => {
      const [left, right] = await ears();
      for (let index = 0; index < 100; index += 1) {
        left.stream.send(Uint8Array.of(index));
        right.stream.send(Uint8Array.of(200 - index));
      }
      await right.until(() => right.bytes === 100);
      await left.until(() => left.bytes === 100);
      assert.deepEqual(
        Array.from(Buffer.concat(right.chunks)),
        Array.from({ length: 100 }, (_, index) => index),
      );
      assert.deepEqual(
        Array.from(Buffer.concat(left.chunks)),
        Array.from({ length: 100 }, (_, index) => 200 - index),
      );
    });

    it('asks for a pause when much is sent, and says when to go on', async () => {
      const [left, right] = await ears();
      let sent = 0;
      for (let round = 0; round < 4; round += 1) {
        const before = left.drains;
        let writable = true;
        while (writable) {
          writable = left.stream.send(new Uint8Array(65_536).fill(round));
          sent += 65_536;
          assert.ok(sent < 64 * 1_048_576, 'it never asks for a pause');
        }
        // eslint-disable-next-line no-await-in-loop
        await left.until(() => left.drains > before);
      }
      await right.until(() => right.bytes === sent);
    });

    it('lets what was sent arrive when it is closed, and tells both sides once', async () => {
      const [left, right] = await ears();
      left.stream.send(new Uint8Array(100_000).fill(7));
      left.stream.close();
      await right.until(() => right.ends.length > 0);
      assert.equal(right.bytes, 100_000);
      right.stream.close();
      await left.until(() => left.ends.length > 0);
      assert.deepEqual([left.ends.length, right.ends.length], [1, 1]);
    });

    it('ends at once when it is aborted, and tells both sides once', async () => {
      const [left, right] = await ears();
      left.stream.send(Uint8Array.of(1));
      await right.until(() => right.bytes === 1);
      left.stream.abort('enough');
      await right.until(() => right.ends.length > 0);
      await left.until(() => left.ends.length > 0);
      assert.deepEqual([left.ends.length, right.ends.length], [1, 1]);
    });
  });
}
