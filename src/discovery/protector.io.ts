/**
 * How does the swarm key keep strangers from even shaking hands on TCP, without the two faults of `@libp2p/pnet`?
 * Its cipher works in one WebAssembly memory for the whole process: a single large write grows it, detaches every other
 * cipher's view, and some hundred messages later all connections of the process die; and ciphers are never given
 * back, so that a few thousand connections, which any stranger can open, end the same way. So each cipher is wrapped: it
 * works in slices of 64 kB and is released when its connection closes. On the wire nothing differs from pnet.
 * Limits: relies on two fields of pnet's stream, checked on every connection; covers TCP only, hence the membership proof.
 * Source: measured with @libp2p/pnet 3.0.27 (docs/decisions).
 */
import type { ConnectionProtector, MessageStream } from '@libp2p/interface';
import { preSharedKey } from '@libp2p/pnet';
import { utf8 } from '../bytes.ts';
import type { SwarmKey } from './swarm-key.ts';

/** Largest piece the cipher sees. Source: measured: memory grows from 640 kB on. */
const SLICE_BYTES_MAX = 65_536;

interface Cipher {
  update(input: Uint8Array, output?: Uint8Array): Uint8Array;
  finalize(): void;
}

/** A connection protector for `createLibp2p`. */
export function swarmProtector(key: SwarmKey): () => ConnectionProtector {
  return () => {
    const inner = preSharedKey({ psk: utf8(key.fileText()) })();
    return {
      async protect(connection, options) {
        const protectedConnection = await inner.protect(connection, options);
        guardCiphers(protectedConnection);
        return protectedConnection;
      },
    };
  };
}

function guardCiphers(connection: MessageStream): void {
  if (!hasCiphers(connection)) {
    const error = new Error('@libp2p/pnet changed: its connection has no inboundXor and outboundXor');
    connection.abort(error);
    throw error;
  }
  const ciphers = [new SlicedCipher(connection.inboundXor), new SlicedCipher(connection.outboundXor)] as const;
  [connection.inboundXor, connection.outboundXor] = ciphers;
  const release = (): void => {
    for (const cipher of ciphers) cipher.finalize();
  };
  if (connection.status === 'open') connection.addEventListener('close', release, { once: true });
  else release();
}

class SlicedCipher implements Cipher {
  #inner: Cipher | undefined;

  constructor(inner: Cipher) {
    this.#inner = inner;
  }

  update(input: Uint8Array): Uint8Array {
    // Bytes that arrive after the end go nowhere: the cipher's memory belongs to another connection by now.
    if (this.#inner === undefined) return new Uint8Array();
    const output = new Uint8Array(input.length);
    for (let from = 0; from < input.length; from += SLICE_BYTES_MAX) {
      const to = Math.min(from + SLICE_BYTES_MAX, input.length);
      this.#inner.update(input.subarray(from, to), output.subarray(from, to));
    }
    return output;
  }

  finalize(): void {
    this.#inner?.finalize();
    this.#inner = undefined;
  }
}

function hasCiphers(
  connection: MessageStream,
): connection is MessageStream & { inboundXor: Cipher; outboundXor: Cipher } {
  return (
    'inboundXor' in connection &&
    'outboundXor' in connection &&
    isCipher(connection.inboundXor) &&
    isCipher(connection.outboundXor)
  );
}

function isCipher(value: unknown): value is Cipher {
  return typeof value === 'object' && value !== null && 'update' in value && 'finalize' in value;
}
