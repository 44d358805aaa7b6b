/**
 * A home router: it gives one public address to the machines behind it, lets nobody in who was not asked, and counts with
 * whom they talk. Two kinds of NAT: `endpoint-independent` keeps the port of a socket whoever it talks to, which hole
 * punching needs; `symmetric` takes another port for every destination, which defeats it. Both let in only what answers.
 */
import type { Namespace, Traffic } from './namespace.ts';

export type NatKind = 'endpoint-independent' | 'symmetric';

export interface NatRules {
  readonly nat: NatKind;
  /** False = as in some offices: UDP goes nowhere. Default true. */
  readonly udp?: boolean;
}

const MASQUERADE: Readonly<Record<NatKind, string>> = {
  'endpoint-independent': 'masquerade',
  symmetric: 'masquerade random,fully-random',
};

export const WAN = 'wan';
export const LAN = 'lan';
/** How many public addresses are told apart. */
const ADDRESSES_MAX = 64;

export class Router {
  readonly namespace: Namespace;
  #address: string;

  constructor(namespace: Namespace, address: string) {
    this.namespace = namespace;
    this.#address = address;
  }

  /** The public one. */
  get address(): string {
    return this.#address;
  }

  /** When both devices exist. */
  async create(lanAddress: string): Promise<void> {
    await this.namespace.run('sysctl', '-qw', 'net.ipv4.ip_forward=1');
    await this.namespace.ip('address', 'add', lanAddress, 'dev', LAN);
    await this.namespace.ip('address', 'add', `${this.#address}/24`, 'dev', WAN);
    await this.setRules({ nat: 'endpoint-independent' });
  }

  /** Connections that stand are forgotten: a NAT that is another one knows none. Counters start again. */
  async setRules({ nat, udp = true }: NatRules): Promise<void> {
    await this.namespace.nft(`
      flush ruleset
      table ip home {
        set sent { type ipv4_addr; size ${ADDRESSES_MAX}; flags dynamic; }
        set received { type ipv4_addr; size ${ADDRESSES_MAX}; flags dynamic; }
        chain nat { type nat hook postrouting priority srcnat; oifname "${WAN}" ${MASQUERADE[nat]}; }
        chain firewall {
          type filter hook forward priority filter; policy drop;
          ${udp ? '' : 'meta l4proto udp drop'}
          iifname "${LAN}" accept
          ct state established,related accept
        }
        chain input { type filter hook input priority filter; iifname "${WAN}" ct state new drop; }
        chain count {
          type filter hook forward priority filter + 10;
          oifname "${WAN}" update @sent { ip daddr counter }
          iifname "${WAN}" update @received { ip saddr counter }
        }
      }`);
    await this.forget();
  }

  /** Of what comes in and goes out, each packet on its own. For where no `Wire` can be had; gone with the next rules. */
  async lose(ratio: number): Promise<void> {
    const some = `numgen random mod 1000 < ${Math.round(ratio * 1_000)} drop`;
    await this.namespace.nft(`
      add chain ip home lossIn { type filter hook prerouting priority raw; }
      add chain ip home lossOut { type filter hook postrouting priority srcnat + 10; }
      flush chain ip home lossIn
      flush chain ip home lossOut
      add rule ip home lossIn iifname "${WAN}" ${some}
      add rule ip home lossOut oifname "${WAN}" ${some}`);
  }

  /** What a restart does: no connection is known any more. Masquerading forgets those of a device that goes down. */
  async forget(): Promise<void> {
    await this.namespace.ip('link', 'set', WAN, 'down');
    await this.namespace.ip('link', 'set', WAN, 'up');
  }

  /** Another public address, as after the provider's nightly cut. */
  async moveTo(address: string): Promise<void> {
    await this.namespace.ip('address', 'del', `${this.#address}/24`, 'dev', WAN);
    this.#address = address;
    await this.namespace.ip('address', 'add', `${address}/24`, 'dev', WAN);
  }

  /** What passed between this home and a public address since the rules were set. */
  async trafficWith(address: string): Promise<Traffic> {
    const [sent, received] = await Promise.all(['sent', 'received'].map(async (set) => this.#counted(set, address)));
    return {
      packets: (sent?.packets ?? 0) + (received?.packets ?? 0),
      bytes: (sent?.bytes ?? 0) + (received?.bytes ?? 0),
    };
  }

  async #counted(set: string, address: string): Promise<Traffic> {
    const text = await this.namespace.run('nft', '--json', 'list', 'set', 'ip', 'home', set);
    const { nftables } = JSON.parse(text) as { readonly nftables: readonly { readonly set?: CountedSet }[] };
    const rows = nftables.flatMap((entry) => entry.set?.elem ?? []);
    return rows.find(({ elem }) => elem.val === address)?.elem.counter ?? { packets: 0, bytes: 0 };
  }
}

interface CountedSet {
  readonly elem?: readonly { readonly elem: { readonly val: string; readonly counter: Traffic } }[];
}
