/**
 * What can the commands of this machine ask of the running node about trust and keys? To show what it knows, to take records
 * that the user signed, to carry out a step of a key change, and to give out a code that works once. Whoever redeems a code
 * gets what an invite holds and, where the owner's key is on this machine, a certificate, and a place on the owner's list
 * when listed nodes only are admitted.
 */
import { signCertificate } from '../discovery/certificate.ts';
import { renewalsDue } from '../discovery/certificate-renewal.ts';
import { fromBase64Url, toBase64Url } from '../discovery/link-text.ts';
import { signNewcomer } from '../discovery/newcomer.ts';
import { decodeOnceRequest, encodeWelcome } from '../discovery/once-channel.ts';
import { ONCE_SECONDS } from '../discovery/once-codes.ts';
import { OnceDesk } from '../discovery/once-desk.io.ts';
import type { Sign } from '../discovery/signed-record.ts';
import { encodeTrust, isRevoked, trustListOf } from '../discovery/trust-state.ts';
import { fingerprintsOf } from '../discovery/key-ring.ts';
import type { NodeStatus } from '../api/status.ts';
import { parseNodeId } from '../ids.ts';
import { type ControlAnswer, type ControlRequest, ControlServer } from './control.io.ts';
import { loadOwnerKey } from './owner-key.io.ts';
import type { TrustDesk } from './trust-desk.io.ts';
import { hostsOf, reachableFirst } from './reachable.ts';

/** Between two looks at which certificates are to be signed anew. Source: guess: they have ten days left then. */
const RENEWAL_LOOK_MS = 600_000;

export interface TrustControlOptions {
  readonly desk: TrustDesk;
  readonly name: string;
  readonly configDirectory: string;
  readonly addresses: () => readonly string[];
  /** As this node sees the mesh; undefined while it starts. */
  readonly status: () => NodeStatus | undefined;
}

/** What the commands of this machine reach. */
export interface NodeControl {
  stop(): Promise<void>;
}

export async function openControl(options: TrustControlOptions): Promise<NodeControl> {
  const control = new TrustControl(options);
  const server = new ControlServer(options.desk.options.stateDirectory, control.answer);
  await control.start();
  await server.start();
  return {
    stop: async () => {
      control.stop();
      await server.stop();
    },
  };
}

class TrustControl {
  readonly #options: TrustControlOptions;
  readonly #once: OnceDesk;
  #renewals: NodeJS.Timeout | undefined;

  constructor(options: TrustControlOptions) {
    this.#options = options;
    const { log, stateDirectory } = options.desk.options;
    this.#once = new OnceDesk({
      stateDirectory,
      welcome: async (request) => this.#welcome(request),
      onEvent: (event) => log.info(event),
      onProblem: (where, error) => log.info({ where, reason: reasonOf(error) }, 'one-time code'),
    });
  }

  async start(): Promise<void> {
    await this.#once.resume();
    this.#renewals = setInterval(() => {
      this.#renew().catch((error: unknown) =>
        this.#options.desk.options.log.warn(`cannot renew certificates: ${reasonOf(error)}`),
      );
    }, RENEWAL_LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#renewals);
    this.#once.close();
  }

  readonly answer = async (request: ControlRequest): Promise<ControlAnswer> => {
    switch (request['command']) {
      case 'status': {
        // The owner of this machine needs no API key to see it.
        const status = this.#options.status();
        return status === undefined ? { problem: 'the node is starting: try again in a moment' } : { status };
      }
      case 'trust':
        return this.#show();
      case 'offer':
        return this.#offer(request);
      case 'order':
        return this.#order(request);
      case 'once':
        return this.#openCode(request);
      default:
        return { problem: 'the running node is of another version: restart it' };
    }
  };

  #show(): ControlAnswer {
    const { desk, status } = this.#options;
    const { order, trust, options } = desk;
    const ring = desk.ring();
    return {
      state: toBase64Url(encodeTrust(trust)),
      mode: options.mode,
      swarm: ring.anchor.fingerprint,
      keys: fingerprintsOf(ring),
      order:
        order === undefined
          ? null
          : { round: order.order.round, step: order.order.step, key: order.order.key.fingerprint },
      nodes: (status()?.nodes ?? []).map(({ node, name, verdict, connected }) => ({
        node,
        name,
        verdict,
        connected,
        keys: desk.keysOf(node) ?? null,
      })),
    };
  }

  async #offer(request: ControlRequest): Promise<ControlAnswer> {
    const bundle = { lists: bytesOf(request['lists']), certificates: bytesOf(request['certificates']) };
    const result = await this.#options.desk.offer(bundle, parseNodeId(request['owner']));
    return result.type === 'refused' ? { problem: result.message } : { changed: result.changed };
  }

  async #order(request: ControlRequest): Promise<ControlAnswer> {
    const [order] = bytesOf([request['order']]);
    if (order === undefined) return { problem: 'expected an order' };
    const result = await this.#options.desk.carryOut(order);
    return result.type === 'refused' ? { problem: result.message } : { changed: result.changed };
  }

  async #openCode(request: ControlRequest): Promise<ControlAnswer> {
    const { desk, configDirectory, addresses } = this.#options;
    const { options, trust } = desk;
    const owner = await loadOwnerKey(configDirectory);
    if (owner?.type === 'refused') return { problem: owner.message };
    const modes = [options.mode, trustListOf(trust).mode];
    if (modes.some((mode) => mode !== 'open') && owner === undefined)
      return {
        problem: `new nodes need the owner (admission is ${modes.join(' and ')}), whose key is not on this machine: run this on the owner's machine`,
      };
    const { seconds, port } = request;
    const opened = await this.#once.open({
      seconds: typeof seconds === 'number' ? Math.min(ONCE_SECONDS, Math.max(1, seconds)) : ONCE_SECONDS,
      hosts: hostsOf(reachableFirst(addresses())),
      port: typeof port === 'number' ? port : 0,
    });
    return opened.type === 'refused' ? { problem: opened.message } : { ...opened };
  }

  /** Where the owner's key is on this machine. It is read for this and not kept. */
  async #ownerSign(): Promise<Sign | undefined> {
    const { desk, configDirectory } = this.#options;
    const owner = await loadOwnerKey(configDirectory);
    if (owner?.type !== 'loaded' || owner.identity.node !== desk.trust.owner) return undefined;
    return owner.identity.sign.bind(owner.identity);
  }

  async #renew(): Promise<void> {
    const { desk, status } = this.#options;
    const others = (status()?.nodes ?? []).filter(({ connected, self }) => connected && !self);
    const { identity, log } = desk.options;
    const due = renewalsDue(desk.trust, { self: identity.node, others }, nowSeconds());
    const sign = due.length === 0 ? undefined : await this.#ownerSign();
    if (sign === undefined) return;
    await desk.offer({ lists: [], certificates: due.map((one) => signCertificate(one, sign)) }, undefined);
    for (const { node, label } of due) log.info({ node, label }, 'its certificate was renewed for 30 days');
  }

  async #welcome(line: string): Promise<string> {
    const request = decodeOnceRequest(line);
    if (request === undefined) return 'refused not-understood';
    const { desk, addresses, name } = this.#options;
    const sign = await this.#ownerSign();
    const now = nowSeconds();
    let certificate: Uint8Array | undefined;
    if (sign !== undefined) {
      const newcomer = signNewcomer(desk.trust, request, { sign, wallSeconds: now });
      if (newcomer.type === 'refused') return `refused ${newcomer.reason}`;
      certificate = newcomer.certificate;
      await desk.offer(newcomer.bundle, undefined);
    } else if (isRevoked(desk.trust, request.node)) return 'refused revoked';
    const invite = {
      ...desk.invitation(),
      name,
      addresses: reachableFirst(addresses()),
      expiresAt: now + ONCE_SECONDS,
    };
    return encodeWelcome({ invite, certificate });
  }
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function bytesOf(value: unknown): readonly Uint8Array[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  return items.flatMap((item) => (typeof item === 'string' ? (fromBase64Url(item) ?? []) : []));
}
