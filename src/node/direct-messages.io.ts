/**
 * How does a piece of data get through the four layers of a connection (socket, swarm cipher, noise, yamux) without an
 * event object and two lists of buffers at each? A stream made direct calls its 'message' listeners itself while nothing
 * of it is paused, buffered or over; in every other case libp2p's own way is taken. Events that nobody listens to ('idle',
 * after every write of every layer) are not made at all. A listener that throws ends the process as before, not the
 * connection. Streams without the members that this needs are left alone: then it is only slower.
 * Limits: listeners that were there before, or came with options, are libp2p's business and switch the short way off.
 * Source: measured with @libp2p/utils 7 and main-event 1.0: a tenth of the CPU of a streamed token.
 */

/** What an AbstractMessageStream has, as far as it is needed here. */
interface MessageEvents {
  readonly readStatus: string;
  readonly remoteWriteStatus: string;
  readonly readBuffer: { readonly byteLength: number };
  onData(data: Bytes): void;
  dispatchReadBuffer(): void;
  addEventListener(type: string, listener: unknown, options?: unknown): void;
  removeEventListener(type: string, listener: unknown, options?: unknown): void;
  listenerCount(type: string): number;
  dispatchEvent(event: { readonly type: string }): boolean;
  safeDispatchEvent(type: string, detail?: object): boolean;
}

interface Bytes {
  readonly byteLength: number;
}

type Listener = (event: unknown) => void;

const METHODS = [
  'onData',
  'dispatchReadBuffer',
  'addEventListener',
  'removeEventListener',
  'listenerCount',
  'dispatchEvent',
  'safeDispatchEvent',
] as const;

/** Returns `stream`. Call it before anybody listens. */
export function directMessages<Stream extends object>(stream: Stream): Stream {
  if (isMessageEvents(stream)) makeDirect(stream);
  return stream;
}

function makeDirect(stream: MessageEvents): void {
  const listeners: Listener[] = [];
  const onData = stream.onData.bind(stream);
  const add = stream.addEventListener.bind(stream);
  const remove = stream.removeEventListener.bind(stream);
  const count = stream.listenerCount.bind(stream);
  const dispatch = stream.dispatchEvent.bind(stream);
  const safeDispatch = stream.safeDispatchEvent.bind(stream);
  stream.onData = (data) => {
    if (listeners.length > 0 && count('message') === 0 && isFlowing(stream, data)) deliver(listeners, { data });
    else onData(data);
  };
  stream.addEventListener = (type, listener, options) => {
    if (type !== 'message' || options !== undefined || !isListener(listener)) return add(type, listener, options);
    if (!listeners.includes(listener)) listeners.push(listener);
    if (stream.readBuffer.byteLength > 0) queueMicrotask(() => stream.dispatchReadBuffer());
  };
  stream.removeEventListener = (type, listener, options) => {
    const at = type === 'message' && isListener(listener) ? listeners.indexOf(listener) : -1;
    if (at >= 0) listeners.splice(at, 1);
    else remove(type, listener, options);
  };
  stream.listenerCount = (type) => count(type) + (type === 'message' ? listeners.length : 0);
  stream.dispatchEvent = (event) => {
    if (event.type === 'message') deliver(listeners, event);
    return count(event.type) === 0 || dispatch(event);
  };
  stream.safeDispatchEvent = (type, detail) => count(type) === 0 || safeDispatch(type, detail);
}

function isFlowing(stream: MessageEvents, data: Bytes): boolean {
  return (
    stream.readStatus === 'readable' &&
    stream.readBuffer.byteLength === 0 &&
    stream.remoteWriteStatus !== 'closed' &&
    data.byteLength > 0
  );
}

function deliver(listeners: readonly Listener[], event: unknown): void {
  for (const listener of listeners.slice()) {
    try {
      listener(event);
    } catch (error) {
      // As an EventTarget does it.
      process.nextTick(() => {
        throw error;
      });
    }
  }
}

function isListener(value: unknown): value is Listener {
  return typeof value === 'function';
}

function isMessageEvents(stream: object): stream is MessageEvents {
  const fields: Readonly<Record<string, unknown>> = { ...stream };
  return (
    typeof fields['readStatus'] === 'string' &&
    typeof fields['remoteWriteStatus'] === 'string' &&
    typeof fields['readBuffer'] === 'object' &&
    METHODS.every((name) => name in stream && typeof Reflect.get(stream, name) === 'function')
  );
}
