/**
 * The composition root: makes every part of a node and joins them by hand, in one place. The order matters: engines and
 * keys first, then the core, then the network, and the API last, so that nobody is served by half a node.
 * `startNode` returns a running node, or what is wrong and what to do; `stop` undoes all of it, in the reverse order.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { ApiServer } from '../api/server.io.ts';
import { ApiListenError } from '../api/listen.io.ts';
import { invariant } from '../assert.ts';
import { toHex } from '../bytes.ts';
import { restorePeers, savePeers } from '../discovery/address-book.io.ts';
import { primaryOf } from '../discovery/key-ring.ts';
import { reasonOf } from '../errors.ts';
import { shortNodeId } from '../ids.ts';
import { WorkshopGrammars } from '../inference/grammar-workshop.io.ts';
import { createDataPlane, LINK_PROTOCOL, type DataPlane } from '../inference/data-plane.io.ts';
import { overMessageStream } from '../inference/link.io.ts';
import { Prng } from '../prng.ts';
import { openApi } from './api-door.io.ts';
import { boardOf } from './board.io.ts';
import { Clock, timersOf, withLimit } from './clock.io.ts';
import type { NodeOptions } from './node-options.ts';
import { Driver, type DriverPorts } from './driver.io.ts';
import { openEngines, type Engines } from './engines.io.ts';
import { ExplainRecorder } from './explain-recorder.ts';
import { nextIncarnation, persistIncarnation, type Identity } from './identity.io.ts';
import { createNetwork } from './libp2p.io.ts';
import { Mesh } from './mesh.ts';
import { LinkPaths } from './link-paths.io.ts';
import { heardFrom, NetworkPort } from './network-port.io.ts';
import type { Network } from './network.ts';
import type { Paths } from './paths.ts';
import type { StatusBoard } from './status-board.ts';
import type { Logger } from './telemetry.io.ts';
import { type NodeControl, openControl } from './trust-control.io.ts';
import type { TrustDesk } from './trust-desk.io.ts';

/** How long the goodbye gets to leave the machine before its connections close. Source: guess: a LAN needs a tenth. */
const GOODBYE_MS = 150;

export interface NodeParts {
  readonly options: NodeOptions;
  readonly paths: Paths;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly identity: Identity;
  /** The swarm keys, and who is admitted. */
  readonly trust: TrustDesk;
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
  /** One for API and engines: a schema costs the event loop some ten milliseconds. */
  readonly #grammars = new WorkshopGrammars();
  readonly #networkPort: NetworkPort;
  readonly #dataPlane: DataPlane;
  readonly #linkPaths: LinkPaths;
  #engines: Engines | undefined;
  #mesh: Mesh | undefined;
  #driver: Driver | undefined;
  #network: Network | undefined;
  #api: ApiServer | undefined;
  #forgetKeys: (() => void) | undefined;
  #board: StatusBoard | undefined;
  #apiUrl = '';
  #control: NodeControl | undefined;
  #stopping: Promise<void> | undefined;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.#networkPort = new NetworkPort({
      accept: (input) => {
        const isRefused = input.type === 'connection-lost' && parts.trust.isRefusedBy(input.node);
        this.#driver?.accept(isRefused ? { ...input, isRefused } : input);
        if (input.type === 'connection-opened') this.#dataPlane.connectionOpened(input.node);
        if (input.type === 'connection-lost') this.#dataPlane.connectionLost(input.node);
        if (input.type === 'listening') this.#linkPaths.keeper.networkChanged(input.addresses);
        if (input.type === 'connection-opened') parts.trust.connected(input.node);
        if (input.type === 'connection-lost') parts.trust.lost(input.node);
      },
      onProblem: (where, error) => parts.log.debug({ where, reason: reasonOf(error) }, 'network problem'),
    });
    this.#dataPlane = createDataPlane({
      self: parts.identity.node,
      engineFor: (model) => this.#engines?.set.engineFor(model),
      openLink: async (node, signal) => this.#linkPaths.openLink(node, signal),
      redial: async (node) => this.#linkPaths.redial(node),
      report: (input) => this.#driver?.accept(input),
      tokensPerSecondMax: parts.options.tokensPerSecondMax,
      // Never kept and never told: what was asked here cannot be guessed from it elsewhere.
      prefixKey: randomBytes(32),
    });
    this.#linkPaths = this.#createLinkPaths();
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
    this.#mesh = mesh;
    this.#board = boardOf(this.#parts, {
      mesh,
      engines: () => this.#engines,
      network: () => this.#network,
      keeper: this.#linkPaths.keeper,
      dataPlane: this.#dataPlane,
    });
    this.#driver = new Driver({ mesh, clock: this.#clock, ports: this.#ports() });
    const network = await this.#listen();
    this.#network = network;
    await this.#networkPort.attach(network);
    await this.#parts.trust.attach(network, (node) => mesh.addressesOf(node));
    await this.#linkPaths.attach(network);
    await this.#serveApi();
    this.#control = await this.#openControl();
    this.#driver.accept({ type: 'models-changed', models: this.#engines.set.models() });
    this.#driver.accept(heardFrom(network));
  }

  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** After a start that failed half-way. */
  async abandon(): Promise<void> {
    this.#forgetKeys?.();
    this.#driver?.stop();
    this.#networkPort.detach();
    this.#linkPaths.stop();
    this.#dataPlane.close();
    await Promise.allSettled([
      this.#control?.stop(),
      this.#parts.trust.stop(),
      this.#api?.close(),
      this.#network?.stop(),
      this.#engines?.close(),
      this.#grammars.close(),
    ]);
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
      grammars: this.#grammars,
      onModelsChanged: () => this.#modelsChanged(),
      onMessage: (level, message) => log[level](message),
    });
  }

  async #createMesh(): Promise<Mesh> {
    const { options, paths, version, identity, trust, log } = this.#parts;
    const { peers, warning } = await restorePeers(this.#peersPath());
    if (warning !== undefined) log.warn(warning);
    return new Mesh(
      {
        self: identity.node,
        swarm: trust.ring().anchor.fingerprint,
        incarnation: await nextIncarnation(paths.state, (Date.now() - this.#clock.nowMs()) / 1_000),
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
    const { options, identity, trust } = this.#parts;
    const swarmKey = primaryOf(trust.ring());
    const mdns = options.mdns ? { loopback: false } : false;
    const { announce, webrtc, upnp } = options;
    const reach = { relay: options.relay ? 'auto' : 'off', webrtc, upnp } as const;
    const events = { ...this.#networkPort.events(), ...this.#linkPaths.events() };
    return createNetwork({ identity, swarmKey, trust, listen, announce, mdns, reach, events });
  }

  #createLinkPaths(): LinkPaths {
    const { identity, log } = this.#parts;
    return new LinkPaths({
      self: identity.node,
      clock: timersOf(this.#clock),
      prng: new Prng(toHex(randomBytes(16))),
      protocol: LINK_PROTOCOL,
      over: overMessageStream,
      addressesOf: (node) => this.#mesh?.addressesOf(node) ?? [],
      plane: () => this.#dataPlane,
      heard: (node) => this.#driver?.accept({ type: 'heard', node }),
      onProblem: (where, error) => log.debug({ where, reason: reasonOf(error) }, 'path problem'),
    });
  }

  async #openControl(): Promise<NodeControl> {
    const { options, paths, trust } = this.#parts;
    return openControl({
      desk: trust,
      name: options.name,
      configDirectory: paths.config,
      addresses: () => this.addresses,
      status: () => this.#board?.status(this.#clock.nowMs()),
    });
  }

  async #serveApi(): Promise<void> {
    const { options, version, apiPortIsDefault, log } = this.#parts;
    const board = this.#board;
    invariant(board !== undefined, 'the status board is made before the API');
    const { api, url, forgetKeys } = await openApi({
      options,
      version,
      portIsDefault: apiPortIsDefault,
      chat: this.#dataPlane,
      grammars: this.#grammars,
      status: {
        models: () => board.models(this.#clock.nowMs()),
        status: () => board.status(this.#clock.nowMs()),
        request: (requestId) => this.#recorder.get(requestId),
        readiness: () => board.readiness(),
      },
      stateDirectory: this.#parts.paths.state,
      log,
    });
    this.#api = api;
    this.#forgetKeys = forgetKeys;
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

  #modelsChanged(): void {
    const models = this.#engines?.set.models();
    if (models !== undefined) this.#driver?.accept({ type: 'models-changed', models });
  }

  #peersPath(): string {
    return join(this.#parts.paths.state, 'peers.json');
  }
}
