/**
 * Carries out what the core wants of the network, and turns what the network says into inputs of the core: dials,
 * gossip with its verdicts, snapshot exchanges, and our own addresses as they change. Slow work reports back as an input;
 * nothing here decides.
 * Bounds: verdicts and exchanges that the core has not answered yet are counted, and refused beyond `PENDING_MAX`.
 */
import { requestSnapshot, serveSnapshot } from '../gossip/snapshot.io.ts';
import { SNAPSHOT_PROTOCOL } from '../gossip/snapshot-frames.ts';
import type { NodeId } from '../ids.ts';
import type { Effect, Input, Listening } from './events.ts';
import type { Network, NetworkEvents, Verdict } from './network.ts';

/** Source: guess: the core answers in the same turn, so that only mistakes can pile up. */
const PENDING_MAX = 1_024;

/** Between two looks at our own addresses. Source: guess: connections of an address that is gone are to be renewed within seconds,
 *  and a look takes a tenth of a millisecond. */
const ADDRESS_CHECK_MS = 1_000;

type NetworkEffect = Extract<
  Effect,
  { type: 'dial' | 'close-connection' | 'publish' | 'judge-message' | 'request-snapshot' | 'answer-snapshot' }
>;

export interface NetworkPortOptions {
  readonly accept: (input: Input) => void;
  readonly onProblem: (where: string, error: unknown) => void;
}

/** How others reach us right now, as the core hears it. */
export function heardFrom(network: Pick<Network, 'addresses' | 'reach'>): Listening & { readonly type: 'listening' } {
  return { type: 'listening', addresses: network.addresses(), ...(network.reach().isRelay ? { relays: true } : {}) };
}

export class NetworkPort {
  readonly #options: NetworkPortOptions;
  readonly #judges = new Map<number, (verdict: Verdict) => void>();
  readonly #answers = new Map<number, (messages: readonly Uint8Array[]) => void>();
  #network: Network | undefined;
  #lastId = 0;
  #told = '';
  #addressCheck: NodeJS.Timeout | undefined;

  constructor(options: NetworkPortOptions) {
    this.#options = options;
  }

  /** What the network calls; given to it before it exists here. */
  events(): NetworkEvents {
    const { accept, onProblem } = this.#options;
    return {
      onMember: (node, address) => accept({ type: 'connection-opened', node, address }),
      onMemberLost: (node) => accept({ type: 'connection-lost', node }),
      onOwnAddresses: () => this.checkAddresses(),
      onAddresses: (node, addresses, source) => accept({ type: 'addresses-found', node, addresses, source }),
      onMessage: (bytes, from, judge) => {
        if (this.#judges.size >= PENDING_MAX) return judge('ignore');
        const messageId = this.#nextId();
        this.#judges.set(messageId, judge);
        accept({ type: 'message-received', messageId, from, bytes });
      },
      onProblem,
    };
  }

  async attach(network: Network): Promise<void> {
    this.#network = network;
    this.#told = JSON.stringify(heardFrom(network));
    // Interfaces come and go, and no event says so: a new lease, another Wi-Fi, a cable.
    this.#addressCheck = setInterval(() => this.checkAddresses(), ADDRESS_CHECK_MS).unref();
    await network.handle(SNAPSHOT_PROTOCOL, async (stream, from) => {
      const problem = await serveSnapshot({ stream, from, answer: async (digest) => this.#answer(digest, from) });
      if (problem !== undefined) this.#options.onProblem(`the view for ${from}`, problem);
    });
  }

  detach(): void {
    clearInterval(this.#addressCheck);
    this.#network = undefined;
  }

  /** Tells the core when this machine's addresses changed, so that it tells the mesh. */
  checkAddresses(): void {
    if (this.#network === undefined) return;
    const input = heardFrom(this.#network);
    const text = JSON.stringify(input);
    if (input.addresses.length === 0 || text === this.#told) return;
    this.#told = text;
    this.#options.accept(input);
  }

  carryOut(effect: NetworkEffect): void {
    const network = this.#network;
    switch (effect.type) {
      case 'judge-message':
        this.#judges.get(effect.messageId)?.(effect.verdict);
        this.#judges.delete(effect.messageId);
        return;
      case 'answer-snapshot':
        this.#answers.get(effect.exchangeId)?.(effect.messages);
        this.#answers.delete(effect.exchangeId);
        return;
      case 'publish':
        return network?.publish(effect.bytes);
      case 'close-connection':
        return network?.close(effect.node, effect.reason);
      case 'dial':
        return this.#dial(effect);
      case 'request-snapshot':
        return this.#requestSnapshot(effect);
    }
  }

  #dial({ node, addresses }: Extract<Effect, { type: 'dial' }>): void {
    const { accept, onProblem } = this.#options;
    void this.#network?.dial(node, addresses).then(
      (result) => {
        if (result.type === 'failed')
          for (const address of addresses)
            accept({ type: 'dial-failed', address, reason: result.reasons?.get(address) ?? result.reason });
        // The membership service has told about the first connection of that node. Was there one already, then nobody
        // said that this address is the same node's, and it would be dialled again and again.
        else if (node === undefined) accept({ type: 'connection-opened', node: result.node, address: result.address });
      },
      (error: unknown) => onProblem('dial', error),
    );
  }

  #requestSnapshot({ from, digest }: Extract<Effect, { type: 'request-snapshot' }>): void {
    const { accept, onProblem } = this.#options;
    const network = this.#network;
    if (network === undefined) return;
    void requestSnapshot((signal) => network.openStream(from, SNAPSHOT_PROTOCOL, signal), digest).then(
      (result) => {
        if (result.type === 'received') accept({ type: 'snapshot-received', from, messages: result.messages });
        else accept({ type: 'snapshot-failed', from, reason: result.reason });
      },
      (error: unknown) => onProblem('snapshot', error),
    );
  }

  async #answer(digest: Uint8Array, from: NodeId): Promise<readonly Uint8Array[]> {
    if (this.#answers.size >= PENDING_MAX) throw new Error('too many exchanges at once');
    const { promise, resolve } = Promise.withResolvers<readonly Uint8Array[]>();
    const exchangeId = this.#nextId();
    this.#answers.set(exchangeId, resolve);
    this.#options.accept({ type: 'snapshot-requested', exchangeId, from, digest });
    return promise;
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}
