/**
 * What libp2p pays for every record and could do without, taken out from outside and without a change on the wire:
 *   1. yamux tells the other side about new room after every data frame, a record and a write of its own each time.
 *      A stream made thrifty waits until half of its window is used, as other implementations do.
 *   2. noise finds the end of what it has read by throwing an error, whose stack is taken anew for every piece that
 *      arrives. A thrifty connection says instead that the next record is longer than what is there.
 *   3. every layer makes an event object for every piece that passes (`direct-messages.io.ts`).
 * All look for the fields that they need and leave alone what has others: then it is only slower.
 * Source: measured with @libp2p/yamux 8.0.3 and @libp2p/noise 17.0.3: a quarter of the CPU of a token.
 */
import type { ConnectionEncrypter, ConnectionProtector } from '@libp2p/interface';
import { noise, type NoiseComponents } from '@libp2p/noise';
import { directMessages } from './direct-messages.io.ts';

/** What a YamuxStream has, as far as it is needed here. */
interface WindowedStream {
  readonly state: number;
  readonly recvWindow: number;
  readonly recvWindowCapacity: number;
  sendWindowUpdate(): void;
}

/** yamux's StreamState.Established: in other states an update carries a flag that must leave at once. */
const ESTABLISHED = 3;

/** Returns `stream`. */
export function thriftyStream<Stream extends object>(stream: Stream): Stream {
  directMessages(stream);
  if (!isWindowed(stream)) return stream;
  const sendNow = stream.sendWindowUpdate.bind(stream);
  stream.sendWindowUpdate = () => {
    const isPlentiful = stream.recvWindowCapacity * 2 > stream.recvWindow;
    if (stream.state !== ESTABLISHED || !isPlentiful) sendNow();
  };
  return stream;
}

function isWindowed(stream: object): stream is WindowedStream {
  return (
    'sendWindowUpdate' in stream &&
    typeof stream.sendWindowUpdate === 'function' &&
    'state' in stream &&
    typeof stream.state === 'number' &&
    'recvWindow' in stream &&
    typeof stream.recvWindow === 'number' &&
    'recvWindowCapacity' in stream &&
    typeof stream.recvWindowCapacity === 'number'
  );
}

/** A protector whose connections, and those below it, hand on what they read directly. */
export function thriftyProtector(create: () => ConnectionProtector): () => ConnectionProtector {
  return () => {
    const inner = create();
    return {
      protect: async (connection, options) => directMessages(await inner.protect(directMessages(connection), options)),
    };
  };
}

/** noise with connections that read without an error for each piece. */
export function thriftyNoise(): (components: NoiseComponents) => ConnectionEncrypter {
  const create = noise();
  return (components) => {
    const inner = create(components);
    const [outbound, inbound] = [inner.secureOutbound.bind(inner), inner.secureInbound.bind(inner)];
    inner.secureOutbound = async (connection, options) => thriftySecured(await outbound(connection, options));
    inner.secureInbound = async (connection, options) => thriftySecured(await inbound(connection, options));
    return inner;
  };
}

/** In front of each record. Source: spec (noise in libp2p): 16 bits. */
const LENGTH_BYTES = 2;
const RECORD_BYTES_MAX = 65_535;

interface LengthDecoder {
  lengthDecoder(bytes: { readonly length: number }): number;
}

function thriftySecured<Secured extends { readonly connection: object }>(secured: Secured): Secured {
  const { connection } = secured;
  directMessages(connection);
  if (!('decoder' in connection) || !isLengthDecoder(connection.decoder)) return secured;
  const { decoder } = connection;
  const decode = decoder.lengthDecoder.bind(decoder);
  decoder.lengthDecoder = (bytes) => (bytes.length < LENGTH_BYTES ? RECORD_BYTES_MAX : decode(bytes));
  return secured;
}

function isLengthDecoder(value: unknown): value is LengthDecoder {
  return (
    typeof value === 'object' && value !== null && 'lengthDecoder' in value && typeof value.lengthDecoder === 'function'
  );
}
