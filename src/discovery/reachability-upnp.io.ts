/**
 * Does the home router forward our port when it is asked? Many do, by UPnP, and then a node at home is as good as a public
 * one. The library is loaded and asks some time after the start, and only where there is a private address; what comes
 * of it is read from libp2p's list of addresses. A router that does not answer costs a few datagrams a minute.
 * Limits: TCP only; nothing waits for it and nothing fails with it.
 * Source: @libp2p/upnp-nat 4; docs/decisions.
 */
import { start, stop } from '@libp2p/interface';
import type { UPnPNATComponents } from '@libp2p/upnp-nat';
import { hostOf, scopeOf } from './transports.ts';

/** After the start. Source: guess: by then a node on a network without a router's help is at work. */
const ASK_AFTER_MS = 3_000;

export class PortMapping {
  readonly #components: UPnPNATComponents;
  readonly #onProblem: (where: string, error: unknown) => void;
  #service: object | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(components: UPnPNATComponents, onProblem: (where: string, error: unknown) => void) {
    this.#components = components;
    this.#onProblem = onProblem;
  }

  /** Asks a little later, if one of these addresses may be behind a router. */
  start(addresses: readonly string[]): void {
    if (!addresses.some((address) => scopeOf(hostOf(address) ?? '') === 'private')) return;
    this.#timer = setTimeout(() => {
      this.#ask().catch((error: unknown) => this.#onProblem('asking the router for a port', error));
    }, ASK_AFTER_MS).unref();
  }

  /** What the router forwards to us, as multiaddrs. */
  mapped(): readonly string[] {
    if (this.#service === undefined) return [];
    return this.#components.addressManager
      .getAddressesWithMetadata()
      .filter(({ type }) => type === 'ip-mapping')
      .map(({ multiaddr }) => multiaddr.toString());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    // Takes its ports back from the router.
    await stop(this.#service);
  }

  async #ask(): Promise<void> {
    const { uPnPNAT } = await import('@libp2p/upnp-nat');
    if (this.#stopped) return;
    const service = uPnPNAT({ autoConfirmAddress: true, portMappingDescription: 'skein' })(this.#components);
    this.#service = service;
    await start(service);
  }
}
