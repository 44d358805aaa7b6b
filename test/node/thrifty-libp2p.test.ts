import assert from 'node:assert/strict';
import { thriftyStream } from '../../src/node/thrifty-libp2p.io.ts';

const ESTABLISHED = 3;

/** Counts what yamux would send. */
function yamuxStream(state: number): { state: number; recvWindow: number; recvWindowCapacity: number; sent: number } & {
  sendWindowUpdate(): void;
} {
  return {
    state,
    recvWindow: 1_000,
    recvWindowCapacity: 1_000,
    sent: 0,
    sendWindowUpdate() {
      this.sent += 1;
      this.recvWindowCapacity = this.recvWindow;
    },
  };
}

describe('a thrifty stream', () => {
  it('tells of new room once half of the window is used, not before', () => {
    const stream = thriftyStream(yamuxStream(ESTABLISHED));
    for (const [capacity, sent] of [
      [999, 0],
      [501, 0],
      [500, 1],
    ] as const) {
      stream.recvWindowCapacity = capacity;
      stream.sendWindowUpdate();
      assert.equal(stream.sent, sent, `with room for ${capacity} of 1,000`);
    }
    assert.equal(stream.recvWindowCapacity, 1_000);
  });

  it('lets an update that opens the stream leave at once', () => {
    const stream = thriftyStream(yamuxStream(ESTABLISHED - 1));
    stream.sendWindowUpdate();
    assert.equal(stream.sent, 1);
  });

  it('leaves a stream alone that has no such window', () => {
    const other = { send: (): boolean => true };
    const keys = Object.keys(other);
    assert.equal(thriftyStream(other), other);
    assert.deepEqual(Object.keys(other), keys);
  });
});
