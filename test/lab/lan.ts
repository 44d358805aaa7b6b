/**
 * A LAN of its own for tests: a switch and some hosts, as in a home. Hosts have the addresses 10.77.0.1 and so on.
 */
import { Host } from './host.ts';
import { Namespace, nextLaboratory, removeLeftovers } from './namespace.ts';

export async function createLan(hosts: number): Promise<Lan> {
  await removeLeftovers();
  const lan = new Lan(nextLaboratory(), hosts);
  try {
    await lan.create();
  } catch (error) {
    await lan.remove();
    throw error;
  }
  return lan;
}

/** For `Host.moveTo`. */
export function lanAddress(number: number): string {
  return `10.77.0.${number}/24`;
}

export class Lan {
  readonly hosts: readonly Host[];
  readonly #switch: Namespace;

  constructor(laboratory: string, hosts: number) {
    this.#switch = new Namespace(laboratory, 'switch');
    this.hosts = Array.from({ length: hosts }, (_, index) => {
      const number = index + 1;
      const cabling = { switch: this.#switch, port: `port${number}`, address: lanAddress(number) };
      return new Host(new Namespace(laboratory, `host${number}`), cabling);
    });
  }

  async create(): Promise<void> {
    await this.#switch.create();
    await addBridge(this.#switch);
    await Promise.all(
      this.hosts.map(async (host, index) => {
        await host.create();
        await this.#switch.ip('link', 'set', `port${index + 1}`, 'master', 'bridge');
      }),
    );
  }

  async remove(): Promise<void> {
    await Promise.all(this.hosts.map(async (host) => host.remove()));
    await this.#switch.remove();
  }
}

/** Without snooping every multicast reaches every port, as in the plain switches that homes have. */
export async function addBridge(namespace: Namespace): Promise<void> {
  await namespace.ip('link', 'add', 'bridge', 'type', 'bridge', 'mcast_snooping', '0');
  await namespace.ip('link', 'set', 'bridge', 'up');
}
