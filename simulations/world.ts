/**
 * A simulated world: machines, their network, the people who ask, and what goes wrong. It is made from a scenario, a seed
 * and a plan of faults, runs on virtual time, and tells everything that happens to one observer. Two worlds made from
 * the same three are the same to the last event.
 */
import { invariant } from '../src/assert.ts';
import { type ModelId, type NodeId, parseModelId } from '../src/ids.ts';
import type { Truth } from './checker.ts';
import type { Arrival } from './work/conversations.ts';
import { createDirectory } from './node/directory.ts';
import { TimingWheel } from './kernel/event-queue.ts';
import type { FaultPlan } from './faults/fault.ts';
import { AggregatedGossip } from './gossip/gossip-aggregated.ts';
import { HopGossip } from './gossip/gossip-hop.ts';
import { Host } from './node/host.ts';
import { SeededRandom } from './kernel/keyed-random.ts';
import { Network } from './network/network.ts';
import { NodeClock } from './kernel/node-clock.ts';
import type { GossipItem, Payload } from './node/payload.ts';
import { type Inhabitant, populate } from './work/population.ts';
import { ProcessWatch } from './node/process-watch.ts';
import { sampleOf } from './node/sample.ts';
import type { Scenario } from './scenario.ts';
import type { GossipFabric, Services } from './node/services.ts';
import { Strikes } from './faults/strikes.ts';
import { SimulatedEngine, type SimulatedModel } from './work/worker.ts';
import { Workload } from './work/workload.ts';
import { SAMPLE_INTERVAL_MS, type WorldEvent } from './world-event.ts';

/** Wall time at the start of every run: 2027-01-15, on nobody's clock exactly. */
const EPOCH_MS = 1_800_000_000_000;
/** Spread of wall clocks and of oscillators. Source: guess: NTP in homes; crystals have 20 to 50 parts per million. */
const WALL_OFFSET_MS = 500;
const DRIFT_PARTS_PER_MILLION = 50;

export interface WorldOptions {
  readonly scenario: Scenario;
  readonly seed: string;
  readonly plan: FaultPlan;
  /** Sees everything, in order; changes nothing. */
  watch(event: WorldEvent, atMs: number): void;
}

export class World {
  readonly inhabitants: readonly Inhabitant[];
  readonly #options: WorldOptions;
  readonly #queue = new TimingWheel();
  readonly #random: SeededRandom;
  readonly #network: Network<Payload>;
  readonly #services: Services;
  readonly #hosts: readonly Host[];
  readonly #models: readonly SimulatedModel[];
  readonly #aggregated: AggregatedGossip | undefined;
  readonly #workload: Workload;
  readonly #strikes: Strikes;
  #items = 0;
  readonly #itemsByBytes = new WeakMap<Uint8Array, GossipItem>();

  constructor(options: WorldOptions) {
    const { scenario, seed, plan } = options;
    this.#options = options;
    this.#random = new SeededRandom(seed);
    const random = this.#random;
    this.inhabitants = populate(scenario, random);
    this.#network = new Network<Payload>({
      queue: this.#queue,
      random,
      nodes: scenario.nodes,
      spec: scenario.network,
      natOf: (node) => this.inhabitants[node]?.nat ?? 'public',
    });
    this.#aggregated = scenario.gossip === 'aggregated' ? this.#aggregatedGossip() : undefined;
    const gossip: GossipFabric = this.#aggregated ?? this.#hopGossip();
    this.#services = {
      queue: this.#queue,
      random,
      network: this.#network,
      directory: createDirectory(scenario.nodes, random),
      gossip,
      newItem: (made) => this.#newItem(made),
      itemOf: (bytes) => this.#itemsByBytes.get(bytes),
      emit: (event) => options.watch(event, this.#queue.nowMs),
    };
    this.#models = scenario.models.map((model) => ({ ...model, model: modelId(model.name) }));
    const watch = new ProcessWatch(this.#services);
    this.#hosts = this.inhabitants.map((_, node) => this.#createHost(node, watch));
    this.#workload = this.#createWorkload();
    this.#strikes = this.#createStrikes(plan);
    this.#schedule();
  }

  get nowMs(): number {
    return this.#queue.nowMs;
  }

  /** Events of the queue so far: the measure of how much there was to do. */
  get ran(): number {
    return this.#queue.ran;
  }

  /** -1 for an id of nobody. */
  nodeOf(id: NodeId): number {
    return this.#services.directory.nodeOf(id);
  }

  run(untilMs: number): void {
    this.#queue.run(untilMs);
  }

  get truth(): Truth {
    const host = (node: number): Host | undefined => this.#hosts[node];
    return {
      nodes: this.#hosts.length,
      isUp: (node) => host(node)?.state === 'running',
      sinceMs: (node) => host(node)?.sinceMs ?? 0,
      canTalk: (left, right) => this.#network.canTalk(left, right),
      isConnected: (left, right) => this.#network.isConnected(left, right),
      isCarried: (left, right) => this.#network.isCarried(left, right),
      relaysOf: (left, right) => this.#network.relaysOf(left, right),
      isHonest: (node) => host(node)?.isHonest ?? false,
    };
  }

  #schedule(): void {
    const { scenario } = this.#options;
    const { startWithinMs, healAtMs, durationMs, drainMs } = scenario;
    for (const [node, host] of this.#hosts.entries()) {
      const startMs = this.#random.stream('start', node).below(startWithinMs + 1);
      this.#queue.at(startMs, () => host.boot());
      // Nodes are looked at one after the other, not all at once.
      const firstLookMs = startMs + this.#random.stream('look', node).below(SAMPLE_INTERVAL_MS);
      this.#queue.at(firstLookMs, () => this.#look(host));
    }
    this.#queue.at(healAtMs, () => {
      this.#strikes.heal();
      this.#services.emit({ type: 'healed' });
    });
    this.#queue.at(startWithinMs, () => this.#workload.start());
    this.#queue.at(durationMs - drainMs, () => this.#workload.stop());
  }

  #createHost(node: number, watch: ProcessWatch): Host {
    const { scenario } = this.#options;
    const { directory } = this.#services;
    const clock = this.#random.stream('clock', node);
    const inhabitant = this.inhabitants[node];
    invariant(inhabitant !== undefined, 'every node has an inhabitant');
    const models = inhabitant.models.flatMap((model) => this.#models[model] ?? []);
    return new Host({
      node,
      services: this.#services,
      watch,
      clock: new NodeClock({
        startMs: 0,
        partsPerMillion: (clock.ratio() * 2 - 1) * DRIFT_PARTS_PER_MILLION,
        wallOffsetMs: EPOCH_MS + (clock.ratio() * 2 - 1) * WALL_OFFSET_MS,
      }),
      bootstrap: Array.from({ length: scenario.bootstraps }, (_, other) => other)
        .filter((other) => other !== node)
        .map((other) => directory.addressOf(other).replace(/\/p2p\/.*$/, '')),
      newEngine: (modelsChanged) =>
        new SimulatedEngine({ queue: this.#queue, machine: inhabitant.machine, models, modelsChanged }),
      wentOn: (one) => this.#aggregated?.wentOn(one),
    });
  }

  #createWorkload(): Workload {
    const { scenario } = this.#options;
    return new Workload({
      queue: this.#queue,
      random: this.#random,
      scenario,
      machines: this.inhabitants.map(({ machine }) => machine),
      holdings: this.inhabitants.map(({ models }) => models),
      arrive: (arrival) => this.#arrive(arrival),
    });
  }

  #createStrikes(plan: FaultPlan): Strikes {
    const services = this.#services;
    const ports = {
      queue: this.#queue,
      random: this.#random,
      network: this.#network,
      nodes: this.#hosts.length,
      host: (node: number) => this.#hosts[node],
      setDemand: (factor: number) => this.#workload.setFactor(factor),
      pathsChanged: () => this.#aggregated?.pathsChanged(),
      began: (fault: number) => services.emit({ type: 'fault-began', fault }),
      ended: (fault: number) => services.emit({ type: 'fault-ended', fault }),
    };
    return new Strikes(ports, plan);
  }

  #hopGossip(): HopGossip {
    return new HopGossip({
      random: (node) => this.#random.stream('gossip', node),
      copies: (node) => this.#hosts[node]?.copies ?? 1,
    });
  }

  #aggregatedGossip(): AggregatedGossip {
    const { delayMsMin, delayMsMax } = this.#options.scenario.network;
    return new AggregatedGossip({
      queue: this.#queue,
      delayMs: (delayMsMin + delayMsMax) / 2,
      hearing: (node) => HEARING[this.#hosts[node]?.state ?? 'off'],
      canTalk: (left, right) => this.#network.canTalk(left, right),
    });
  }

  #newItem(made: { readonly bytes: Uint8Array; readonly author: number; readonly forged: boolean }): GossipItem {
    this.#items += 1;
    const item = { id: this.#items, ...made, madeAtMs: this.#queue.nowMs };
    // What is said again was made when it was said first.
    if (!this.#itemsByBytes.has(made.bytes)) this.#itemsByBytes.set(made.bytes, item);
    return item;
  }

  #look(host: Host): void {
    this.#queue.at(this.#queue.nowMs + SAMPLE_INTERVAL_MS, () => this.#look(host));
    const { node, process } = host;
    if (process === undefined || host.state !== 'running') return;
    const slots = (host.engine?.models() ?? []).reduce((sum, model) => sum + model.slots, 0);
    const sample = sampleOf({ process, slots, bufferedBytes: this.#network.bufferedBytes(node) });
    this.#services.emit({ type: 'sampled', node, sample });
  }

  #arrive(arrival: Arrival): void {
    const { node, model, promptTokens, answerTokens, request } = arrival;
    const host = this.#hosts[node];
    // Nobody asks at a machine that is off or asleep.
    if (host?.process === undefined || host.state === 'suspended') return;
    const feasible = this.inhabitants.filter(
      ({ models }, other) =>
        models.includes(model) &&
        this.#hosts[other]?.state === 'running' &&
        (other === node || this.#network.canTalk(node, other)),
    ).length;
    const { requestId } = request;
    this.#services.emit({ type: 'request-arrived', node, requestId, model, promptTokens, answerTokens, feasible });
    host.ask(arrival);
  }
}

const HEARING = { running: 'now', paused: 'later', suspended: 'never', off: 'never' } as const;

function modelId(name: string): ModelId {
  const model = parseModelId(name);
  invariant(model !== undefined, 'the scenario was checked');
  return model;
}
