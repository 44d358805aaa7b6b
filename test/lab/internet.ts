/**
 * The internet in small: two homes, each behind a router with a NAT of its own, and two public machines.
 *
 *   home a 192.168.1.2 - router 11.0.0.1 -+- 11.0.0.10 relay
 *   home b 192.168.2.2 - router 11.0.0.2 -+- 11.0.0.11 second relay
 *
 * Home b's line to the provider can be a bad one (`impairable`).
 */
import { Host } from './host.ts';
import { addBridge } from './lan.ts';
import { Namespace, nextLaboratory, removeLeftovers } from './namespace.ts';
import { LAN, type NatRules, Router, WAN } from './router.ts';
import { Wire } from './wire.ts';

export interface Home {
  readonly router: Router;
  readonly host: Host;
}

export interface InternetOptions {
  readonly impairable?: boolean;
}

export async function createInternet(options: InternetOptions = {}): Promise<Internet> {
  await removeLeftovers();
  const internet = new Internet(nextLaboratory(), options);
  try {
    await internet.create();
  } catch (error) {
    await internet.remove();
    throw error;
  }
  return internet;
}

export class Internet {
  readonly a: Home;
  readonly b: Home;
  readonly relay: Host;
  readonly relay2: Host;
  /** Home b's line; absent unless asked for. */
  readonly wire: Wire | undefined;
  readonly #exchange: Namespace;

  constructor(laboratory: string, { impairable = false }: InternetOptions) {
    this.#exchange = new Namespace(laboratory, 'inet');
    const publicHost = (role: string, port: string, address: string): Host =>
      new Host(new Namespace(laboratory, role), { switch: this.#exchange, port, address });
    const home = (role: string, number: number): Home => {
      const router = new Router(new Namespace(laboratory, `n${role}`), `11.0.0.${number}`);
      const network = `192.168.${number}`;
      const cabling = {
        switch: router.namespace,
        port: LAN,
        address: `${network}.2/24`,
        gateway: `${network}.1`,
      };
      return { router, host: new Host(new Namespace(laboratory, role), cabling) };
    };
    this.a = home('a', 1);
    this.b = home('b', 2);
    this.relay = publicHost('r', 'r', '11.0.0.10/24');
    this.relay2 = publicHost('r2', 'r2', '11.0.0.11/24');
    this.wire = impairable ? new Wire(laboratory) : undefined;
  }

  async create(): Promise<void> {
    await this.#exchange.create();
    await addBridge(this.#exchange);
    for (const [port, host] of [
      ['r', this.relay],
      ['r2', this.relay2],
    ] as const) {
      // One after the other, each a few commands.
      // eslint-disable-next-line no-await-in-loop
      await host.create();
      // eslint-disable-next-line no-await-in-loop
      await this.#exchange.ip('link', 'set', port, 'master', 'bridge');
    }
    await this.#createHome(this.a, { port: 'na', gateway: '192.168.1.1/24' });
    await this.#createHome(this.b, { port: 'nb', gateway: '192.168.2.1/24', wire: this.wire });
  }

  async setNats(a: NatRules, b: NatRules): Promise<void> {
    await Promise.all([this.a.router.setRules(a), this.b.router.setRules(b)]);
  }

  async remove(): Promise<void> {
    const hosts = [this.a.host, this.b.host, this.relay, this.relay2];
    await Promise.all(hosts.map(async (host) => host.remove()));
    await this.wire?.remove();
    await Promise.all([this.a, this.b].map(async ({ router }) => router.namespace.remove()));
    await this.#exchange.remove();
  }

  async #createHome(
    { router, host }: Home,
    { port, gateway, wire }: { readonly port: string; readonly gateway: string; readonly wire?: Wire | undefined },
  ): Promise<void> {
    await router.namespace.create();
    const far = { namespace: router.namespace, device: WAN };
    if (wire === undefined) await this.#exchange.cable(port, far);
    else await wire.create({ namespace: this.#exchange, device: port }, far);
    await this.#exchange.ip('link', 'set', port, 'master', 'bridge');
    await host.create();
    await router.create(gateway);
  }
}
