import assert from 'node:assert/strict';
import { directMessages } from '../../src/node/direct-messages.io.ts';

type Listener = (event: Event) => void;

/** What a libp2p stream does with data: it buffers, and hands on with an event while it may. */
class FakeStream extends EventTarget {
  readStatus = 'readable';
  remoteWriteStatus = 'writable';
  readonly readBuffer = { byteLength: 0 };
  readonly events: string[] = [];
  readonly #counts = new Map<string, number>();

  onData(data: { readonly byteLength: number }): void {
    this.readBuffer.byteLength += data.byteLength;
    this.dispatchReadBuffer();
  }

  dispatchReadBuffer(): void {
    if (this.readStatus !== 'readable' || this.listenerCount('message') === 0) return;
    const data = { byteLength: this.readBuffer.byteLength };
    this.readBuffer.byteLength = 0;
    this.events.push('message');
    this.dispatchEvent(new MessageEvent('message', { data }));
  }

  listenerCount(type: string): number {
    return this.#counts.get(type) ?? 0;
  }

  override addEventListener(type: string, listener: Listener, options?: { readonly once: boolean }): void {
    this.#counts.set(type, this.listenerCount(type) + 1);
    super.addEventListener(type, listener, options);
  }

  override removeEventListener(type: string, listener: Listener): void {
    this.#counts.set(type, this.listenerCount(type) - 1);
    super.removeEventListener(type, listener);
  }

  safeDispatchEvent(type: string): boolean {
    this.events.push(type);
    return this.dispatchEvent(new Event(type));
  }
}

function listening(): { stream: FakeStream; bytes: number[]; listener: Listener } {
  const stream = directMessages(new FakeStream());
  const bytes: number[] = [];
  const listener = (event: Event): void => {
    if ('data' in event && event.data instanceof Object && 'byteLength' in event.data)
      bytes.push(Number(event.data.byteLength));
  };
  stream.addEventListener('message', listener);
  return { stream, bytes, listener };
}

describe('a stream made direct', () => {
  it('hands data to its listeners without an event', () => {
    const { stream, bytes } = listening();
    for (const byteLength of [1, 2, 3]) stream.onData({ byteLength });
    assert.deepEqual(bytes, [1, 2, 3]);
    assert.deepEqual(stream.events, []);
  });

  it('buffers while it is paused, and hands on what waited as one message', () => {
    const { stream, bytes } = listening();
    stream.readStatus = 'paused';
    for (const byteLength of [1, 2]) stream.onData({ byteLength });
    assert.deepEqual(bytes, []);
    stream.readStatus = 'readable';
    stream.onData({ byteLength: 4 });
    assert.deepEqual(bytes, [7]);
  });

  it('takes the long way once the other side has ended, or data came that is empty', () => {
    const { stream, bytes } = listening();
    stream.remoteWriteStatus = 'closed';
    stream.onData({ byteLength: 5 });
    stream.remoteWriteStatus = 'writable';
    stream.onData({ byteLength: 0 });
    assert.deepEqual(stream.events, ['message', 'message']);
    assert.deepEqual(bytes, [5, 0]);
  });

  it('tells each listener once, also beside one that listens with options', () => {
    const { stream, bytes } = listening();
    const once: string[] = [];
    stream.addEventListener('message', () => once.push('once'), { once: true });
    stream.onData({ byteLength: 6 });
    assert.deepEqual([bytes, once], [[6], ['once']]);
  });

  it('counts its listeners, and forgets those that are removed', () => {
    const { stream, bytes, listener } = listening();
    assert.equal(stream.listenerCount('message'), 1);
    stream.addEventListener('message', listener);
    assert.equal(stream.listenerCount('message'), 1);
    stream.removeEventListener('message', listener);
    assert.equal(stream.listenerCount('message'), 0);
    stream.onData({ byteLength: 8 });
    assert.deepEqual(bytes, []);
  });

  it('gives what waited to a listener that comes later', async () => {
    const stream = directMessages(new FakeStream());
    stream.onData({ byteLength: 9 });
    const data = await new Promise((resolve) => {
      stream.addEventListener('message', (event) => resolve('data' in event && event.data));
    });
    assert.deepEqual(data, { byteLength: 9 });
  });

  it('makes no event that nobody listens to', () => {
    const { stream } = listening();
    stream.safeDispatchEvent('idle');
    assert.deepEqual(stream.events, []);
    let heard = 0;
    stream.addEventListener('idle', () => {
      heard += 1;
    });
    stream.safeDispatchEvent('idle');
    assert.equal(heard, 1);
  });

  it('leaves alone what is no such stream', () => {
    const other = { onData: (): void => undefined };
    const { onData } = other;
    assert.equal(directMessages(other).onData, onData);
  });
});
