/**
 * How does the swarm key keep strangers from even shaking hands on TCP, without the two faults of `@libp2p/pnet`?
 * Its cipher works in one WebAssembly memory for the whole process: a single large write grows it, detaches every other
 * cipher's view, and some hundred messages later all connections of the process die; and ciphers are never given
 * back, so that a few thousand connections, which any stranger can open, end the same way. So each cipher is wrapped: it
 * works in slices of 64 kB and is released when its connection closes. On the wire nothing differs from pnet.
 * While the keys of the swarm are changed there are several; each connection finds the one that it shares with its remote.
 * Limits: relies on two fields of pnet's stream, checked on every connection; covers TCP only, hence the membership proof.
 * Source: measured with @libp2p/pnet 3.0.27 (docs/decisions).
 */
import type { ConnectionProtector, MessageStream } from '@libp2p/interface';
import { preSharedKey } from '@libp2p/pnet';
import { utf8 } from '../bytes.ts';
import { type KeyRing, ringOf } from './key-ring.ts';
import type { SwarmKey } from './swarm-key.ts';
import { type Cipher, type CipherPair, headerWatch, RingCiphers, NONCE_BYTES } from './trial-cipher.ts';

/** Largest piece the cipher sees. Source: measured: memory grows from 640 kB on. */
const SLICE_BYTES_MAX = 65_536;
/** Addresses for which the key that worked is remembered. Source: guess: all addresses of a large swarm; then the oldest goes. */
const ADDRESSES_MAX = 1_024;

/** A connection protector for `createLibp2p`, with one key for ever. */
export function swarmProtector(key: SwarmKey): () => ConnectionProtector {
  return new RingProtector(() => ringOf(key)).create();
}

/**
 * The protector of a node whose keys change. Inbound: which of the keys the dialler used shows in its first bytes, which
 * are always the same. Outbound: the primary key; an address where that found nobody is tried with the next one.
 */
export class RingProtector {
  readonly #ring: () => KeyRing;
  /** By address: which of the keys to dial with, counted from the primary one. */
  readonly #choices = new Map<string, number>();

  constructor(ring: () => KeyRing) {
    this.#ring = ring;
  }

  create(): () => ConnectionProtector {
    return () => ({
      protect: async (connection, options) => this.#protect(connection, options),
    });
  }

  /** How often a dial is worth while: once for each key. */
  get attempts(): number {
    return this.#ring().keys.length;
  }

  async #protect(connection: MessageStream, options?: { signal?: AbortSignal }): Promise<MessageStream> {
    const { keys } = this.#ring();
    const { isOutbound, address } = endOf(connection);
    const choice = isOutbound ? (this.#choices.get(address) ?? 0) % keys.length : 0;
    const [key = keys[0]] = keys.slice(choice);
    if (key === undefined) throw new Error('no swarm key');
    const start = isOutbound || keys.length === 1 ? undefined : watchStart(connection);
    const secured = withCiphers(await preSharedKey({ psk: utf8(key.fileText()) })().protect(connection, options));
    const own: CipherPair = {
      inbound: new SlicedCipher(secured.inboundXor),
      outbound: new SlicedCipher(secured.outboundXor),
    };
    let pair = own;
    if (start !== undefined) pair = this.#trial(secured.inboundXor, own, start.nonces());
    else if (isOutbound && keys.length > 1) pair = this.#learn(own, { address, choice, connection: secured });
    guardCiphers(secured, pair);
    start?.release();
    return secured;
  }

  /** Ciphers that find out which key the dialler used. */
  #trial(like: Cipher, own: CipherPair, { local, remote }: Nonces): CipherPair {
    const others = this.#ring().keys.slice(1);
    const pairs = others.map((key): CipherPair => {
      const bytes = key.secretBytes();
      return {
        inbound: new SlicedCipher(cipherLike(like, remote, bytes)),
        outbound: new SlicedCipher(cipherLike(like, local, bytes)),
      };
    });
    return new RingCiphers([own, ...pairs]);
  }

  /** Remembers whether this key is understood at this address; the next dial there goes on from it. */
  #learn(
    own: CipherPair,
    { address, choice, connection }: { address: string; choice: number; connection: MessageStream },
  ): CipherPair {
    const watch = headerWatch(own.inbound);
    connection.addEventListener('close', () => this.#remember(address, watch.isRight() ? choice : choice + 1), {
      once: true,
    });
    return { inbound: watch.cipher, outbound: own.outbound };
  }

  #remember(address: string, choice: number): void {
    this.#choices.delete(address);
    if (choice !== 0) this.#choices.set(address, choice);
    const oldest = this.#choices.size > ADDRESSES_MAX ? this.#choices.keys().next() : undefined;
    if (oldest?.value !== undefined) this.#choices.delete(oldest.value);
  }
}

function endOf(connection: MessageStream): { readonly isOutbound: boolean; readonly address: string } {
  return {
    isOutbound: 'direction' in connection && connection.direction === 'outbound',
    address: 'remoteAddr' in connection ? String(connection.remoteAddr) : '',
  };
}

interface Nonces {
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
}

/**
 * What pnet sends and receives first; it keeps both to itself. What came right behind the nonce is held back until
 * `release`: pnet would hand it on, read with the first key, before the other keys are in place.
 */
function watchStart(connection: MessageStream): { readonly nonces: () => Nonces; readonly release: () => void } {
  const send = connection.send.bind(connection);
  const unshift = connection.unshift.bind(connection);
  const held: Parameters<MessageStream['unshift']>[0][] = [];
  let local: Uint8Array = new Uint8Array();
  let remote: Uint8Array = new Uint8Array();
  const onMessage = ({ data }: { data: { subarray(): Uint8Array } }): void => {
    if (remote.length < NONCE_BYTES) remote = join(remote, data.subarray()).slice(0, NONCE_BYTES);
  };
  connection.send = (data) => {
    if (local.length < NONCE_BYTES) local = join(local, data.subarray()).slice(0, NONCE_BYTES);
    return send(data);
  };
  connection.unshift = (data) => void held.push(data);
  connection.addEventListener('message', onMessage);
  const nonces = (): Nonces => {
    connection.removeEventListener('message', onMessage);
    connection.send = send;
    if (local.length !== NONCE_BYTES || remote.length !== NONCE_BYTES)
      throw new Error('@libp2p/pnet changed: it does not begin with a nonce of 24 bytes');
    return { local, remote };
  };
  const release = (): void => {
    connection.unshift = unshift;
    for (const data of held) unshift(data);
  };
  return { nonces, release };
}

function join(left: Uint8Array, right: Uint8Array): Uint8Array {
  const whole = new Uint8Array(left.length + right.length);
  whole.set(left);
  whole.set(right, left.length);
  return whole;
}

/** Another cipher of the kind that pnet uses. */
function cipherLike(like: Cipher, nonce: Uint8Array, key: Uint8Array): Cipher {
  const made: unknown = Reflect.construct(like.constructor, [nonce, key]);
  if (!isCipher(made)) throw new Error('@libp2p/pnet changed: its ciphers cannot be made');
  return made;
}

function guardCiphers(connection: MessageStream & { inboundXor: Cipher; outboundXor: Cipher }, pair: CipherPair): void {
  connection.inboundXor = pair.inbound;
  connection.outboundXor = pair.outbound;
  const release = (): void => {
    pair.inbound.finalize();
    pair.outbound.finalize();
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

function withCiphers(connection: MessageStream): MessageStream & { inboundXor: Cipher; outboundXor: Cipher } {
  if (hasCiphers(connection)) return connection;
  const error = new Error('@libp2p/pnet changed: its connection has no inboundXor and outboundXor');
  connection.abort(error);
  throw error;
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
