/**
 * The composition root: makes every part of a node and joins them by hand, in one place. The order matters: engines and
 * keys first, then the core, then the network, and the API last, so that nobody is served by half a node.
 * `startNode` returns a running node, or what is wrong and what to do; `stop` undoes all of it, in the reverse order.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { ApiServer } from '../api/server.io.ts';
import { ApiListenError } from '../api/listen.io.ts';
import type { LiveRequest } from '../api/status.ts';
import { invariant } from '../assert.ts';
import { toHex } from '../bytes.ts';
import { restorePeers, savePeers } from '../discovery/address-book.io.ts';
import type { SwarmKey } from '../discovery/swarm-key.ts';
import { shortNodeId } from '../ids.ts';
import { createDataPlane, LINK_PROTOCOL, type DataPlane } from '../inference/data-plane.io.ts';
import { overMessageStream } from '../inference/link.io.ts';
import { Prng } from '../prng.ts';
import { openApi } from './api-door.io.ts';
import { Clock } from './clock.io.ts';
import type { NodeOptions } from './config-schema.ts';
import { Driver, type DriverPorts } from './driver.io.ts';
import { openEngines, type Engines } from './engines.io.ts';
import { ExplainRecorder } from './explain-recorder.ts';
import { nextIncarnation, persistIncarnation, type Identity } from './identity.io.ts';
import { createNetwork } from './libp2p.io.ts';
import { Mesh } from './mesh.ts';
import { NetworkPort } from './network-port.io.ts';
import type { Network } from './network.ts';
import type { Paths } from './paths.ts';
import { StatusBoard } from './status-board.ts';
import type { Logger } from './telemetry.io.ts';

/** Streams of the link protocol on one connection: one, and its successor while a link moves. Source: guess. */
const LINK_STREAMS_MAX = 8;

/** How long the goodbye gets to leave the machine before its connections close. Source: guess: a LAN needs a tenth. */
const GOODBYE_MS = 150;

export interface NodeParts {
  readonly options: NodeOptions;
  readonly paths: Paths;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly identity: Identity;
  readonly swarmKey: SwarmKey;
  /** True where nobody asked for these listen addresses: then a taken port gives way to any free one. */
  readonly listenIsDefault: boolean;
  readonly apiPortIsDefault: boolean;
  readonly log: Logger;
}

export interface RunningNode {
  readonly api: string;
  readonly addresses: readonly string[];
  readonly models: () => readonly string[];
  /** No new work, running answers finish (bounded), goodbye, everything closed. Idempotent. */
  stop(): Promise<void>;
}

export type StartResult =
  | { readonly type: 'running'; readonly node: RunningNode }
  /** A port that is taken, an address that does not exist. */
  | { readonly type: 'unavailable'; readonly message: string };

export async function startNode(parts: NodeParts): Promise<StartResult> {
  const node = new Node(parts);
  try {
    await node.start();
    return { type: 'running', node };
  } catch (error) {
    await node.abandon();
    if (error instanceof UnavailableError || error instanceof ApiListenError)
      return { type: 'unavailable', message: error.message };
    throw error;
  }
}

class UnavailableError extends Error {}

class Node implements RunningNode {
  readonly #parts: NodeParts;
  readonly #clock = new Clock();
  readonly #recorder = new ExplainRecorder();
  readonly #networkPort: NetworkPort;
  readonly #dataPlane: DataPlane;
  #engines: Engines | undefined;
  #driver: Driver | undefined;
  #network: Network | undefined;
  #api: ApiServer | undefined;
  #board: StatusBoard | undefined;
  #apiUrl = '';
  #stopping: Promise<void> | undefined;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    const { log } = parts;
    this.#networkPort = new NetworkPort({
      accept: (input) => {
        this.#driver?.accept(input);
        if (input.type === 'connection-opened') this.#dataPlane.connectionOpened(input.node);
        if (input.type === 'connection-lost') this.#dataPlane.connectionLost(input.node);
      },
      onProblem: (where, error) => log.debug({ where, reason: reasonOf(error) }, 'network problem'),
    });
    this.#dataPlane = createDataPlane({
      self: parts.identity.node,
      engineFor: (model) => this.#engines?.set.engineFor(model),
      openLink: async (node, signal) => {
        if (this.#network === undefined) throw new Error('the network is not up');
        return overMessageStream(await this.#network.openStream(node, LINK_PROTOCOL, signal));
      },
      report: (input) => this.#driver?.accept(input),
      tokensPerSecondMax: parts.options.tokensPerSecondMax,
    });
  }

  get api(): string {
    return this.#apiUrl;
  }

  get addresses(): readonly string[] {
    return this.#network?.addresses() ?? [];
  }

  models(): readonly string[] {
    return (this.#engines?.set.models() ?? []).filter(({ state }) => state !== 'failed').map(({ model }) => model);
  }

  async start(): Promise<void> {
    this.#engines = await this.#openEngines();
    const mesh = await this.#createMesh();
    this.#board = this.#createBoard(mesh);
    this.#driver = new Driver({ mesh, clock: this.#clock, ports: this.#ports() });
    const network = await this.#listen();
    this.#network = network;
    await this.#networkPort.attach(network);
    await network.handle(LINK_PROTOCOL, (stream, from) => this.#dataPlane.acceptLink(from, overMessageStream(stream)), {
      maxInboundStreams: LINK_STREAMS_MAX,
      maxOutboundStreams: LINK_STREAMS_MAX,
    });
    await this.#serveApi();
    this.#driver.accept({ type: 'models-changed', models: this.#engines.set.models() });
    this.#driver.accept({ type: 'listening', addresses: network.addresses() });
  }

  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** After a start that failed half-way. */
  async abandon(): Promise<void> {
    this.#driver?.stop();
    this.#networkPort.detach();
    this.#dataPlane.close();
    await Promise.allSettled([this.#api?.close(), this.#network?.stop(), this.#engines?.close()]);
  }

  async #stop(): Promise<void> {
    const { options } = this.#parts;
    this.#driver?.accept({ type: 'drain-requested' });
    await Promise.all([
      withLimit(this.#api?.drain(), options.drainTimeoutMs),
      this.#dataPlane.drain(options.drainTimeoutMs),
    ]);
    this.#driver?.accept({ type: 'stop-requested' });
    await new Promise((resolve) => {
      setTimeout(resolve, GOODBYE_MS);
    });
    await this.abandon();
  }

  async #openEngines(): Promise<Engines> {
    const { options, paths, environment, log } = this.#parts;
    return openEngines({
      options,
      paths,
      environment,
      onModelsChanged: () => this.#modelsChanged(),
      onMessage: (level, message) => log[level](message),
    });
  }

  async #createMesh(): Promise<Mesh> {
    const { options, paths, version, identity, swarmKey, log } = this.#parts;
    const { peers, warning } = await restorePeers(this.#peersPath());
    if (warning !== undefined) log.warn(warning);
    return new Mesh(
      {
        self: identity.node,
        swarm: swarmKey.fingerprint,
        incarnation: await nextIncarnation(paths.state, Date.now() / 1_000),
        sign: (bytes) => identity.sign(bytes),
        verify: (node, bytes, signature) => identity.verify(node, bytes, signature),
        prng: new Prng(toHex(randomBytes(16))),
        name: options.name,
        version,
        bootstrap: options.bootstrap,
        knownPeers: peers,
      },
      this.#clock.nowMs(),
    );
  }

  #createBoard(mesh: Mesh): StatusBoard {
    const { options, version, identity, swarmKey } = this.#parts;
    return new StatusBoard({
      self: identity.node,
      name: options.name,
      version,
      swarm: swarmKey.fingerprint,
      mesh,
      engineModels: () => this.#engines?.set.models() ?? [],
      requests: () => this.#liveRequests(),
      counters: () => ({ ...this.#network?.counters(), ...this.#dataPlane.counters() }),
    });
  }

  async #listen(): Promise<Network> {
    const { options, listenIsDefault, log } = this.#parts;
    try {
      return await this.#createNetwork(options.listen);
    } catch (error) {
      if (!listenIsDefault)
        throw new UnavailableError(`${reasonOf(error)}: free the port, or choose another with --listen`);
      log.warn(`${reasonOf(error)}: listening on any free port instead (--listen chooses one)`);
      return this.#createNetwork(options.listen.map((address) => address.replace(/\/tcp\/\d+/, '/tcp/0')));
    }
  }

  async #createNetwork(listen: readonly string[]): Promise<Network> {
    const { options, identity, swarmKey } = this.#parts;
    const mdns = options.mdns ? { loopback: false } : false;
    return createNetwork({ identity, swarmKey, listen, mdns, events: this.#networkPort.events() });
  }

  async #serveApi(): Promise<void> {
    const { options, version, apiPortIsDefault, log } = this.#parts;
    const board = this.#board;
    invariant(board !== undefined, 'the status board is made before the API');
    const { api, url } = await openApi({
      options,
      version,
      portIsDefault: apiPortIsDefault,
      chat: this.#dataPlane,
      status: {
        models: () => board.models(this.#clock.nowMs()),
        status: () => board.status(this.#clock.nowMs()),
        request: (requestId) => this.#recorder.get(requestId),
        readiness: () => board.readiness(),
      },
      log,
    });
    this.#api = api;
    this.#apiUrl = url;
  }

  #ports(): DriverPorts {
    const { paths, log } = this.#parts;
    const keep = (what: string, work: Promise<void>): void => {
      work.catch((error: unknown) => log.warn(`cannot keep ${what}: ${reasonOf(error)}`));
    };
    return {
      network: (effect) => this.#networkPort.carryOut(effect),
      dataPlane: (effect) => this.#dataPlane.carryOut(effect),
      disk: (effect) => {
        if (effect.type === 'persist-incarnation')
          keep('the incarnation', persistIncarnation(paths.state, effect.incarnation));
        else keep('the known peers', savePeers(this.#peersPath(), effect.peers));
      },
      memberChanged: ({ node, verdict, reason }) => log.info({ node: shortNodeId(node), verdict, reason }, 'member'),
      drained: () => log.debug('drained'),
      observe: (event) => {
        if (event.type === 'input') return this.#recorder.input(event.input, event.nowMs, Date.now());
        this.#recorder.effect(event.effect);
        this.#board?.effect(event.effect, this.#clock.nowMs());
      },
    };
  }

  #liveRequests(): readonly LiveRequest[] {
    const { asked, served } = this.#dataPlane.requests();
    const rows: LiveRequest[] = asked.map(({ requestId, model, node, ageMs, tokens }) => ({
      requestId,
      model,
      side: 'entered',
      ageMs: Math.round(ageMs),
      tokens,
      ...(node === undefined ? {} : { node }),
    }));
    for (const { requestId, model, tokens } of served)
      rows.push({ requestId, model, side: 'served', node: this.#parts.identity.node, tokens });
    return rows;
  }

  #modelsChanged(): void {
    const models = this.#engines?.set.models();
    if (models !== undefined) this.#driver?.accept({ type: 'models-changed', models });
  }

  #peersPath(): string {
    return join(this.#parts.paths.state, 'peers.json');
  }
}

async function withLimit(work: Promise<void> | undefined, limitMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  await Promise.race([work, promise]);
  clearTimeout(timer);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
