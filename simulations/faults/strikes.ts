/**
 * Carries out a plan of faults: each strikes a host or the network at its time and is undone when it ends, at the latest
 * when the world heals. Faults of one kind on one machine may overlap; what each undoes is its own doing.
 */
import type { Fault, FaultPlan } from './fault.ts';
import type { Host } from '../node/host.ts';
import type { EventQueue, KeyedRandom } from '../kernel/kernel-port.ts';
import type { NetworkFaults } from '../network/network-port.ts';

export interface StrikePorts {
  readonly queue: EventQueue;
  readonly random: KeyedRandom;
  readonly network: NetworkFaults;
  readonly nodes: number;
  host(node: number): Host | undefined;
  /** The demand is this many times the usual. */
  setDemand(factor: number): void;
  /** The paths between nodes changed. */
  pathsChanged(): void;
  began(fault: number): void;
  ended(fault: number): void;
}

type Undo = () => void;

const NOTHING: Undo = () => undefined;

export class Strikes {
  readonly #ports: StrikePorts;
  readonly #undo = new Map<number, Undo>();

  constructor(ports: StrikePorts, plan: FaultPlan) {
    this.#ports = ports;
    for (const [index, fault] of plan.entries()) ports.queue.at(fault.atMs, () => this.#begin(index, fault));
  }

  /** Ends all that still lasts, in the order in which it began. */
  heal(): void {
    for (const index of this.#undo.keys()) this.#end(index);
  }

  #begin(index: number, fault: Fault): void {
    this.#ports.began(index);
    const undo = this.#strike(fault);
    if (!('durationMs' in fault)) return this.#ports.ended(index);
    this.#undo.set(index, undo);
    this.#ports.queue.at(fault.atMs + fault.durationMs, () => this.#end(index));
  }

  #end(index: number): void {
    const undo = this.#undo.get(index);
    if (undo === undefined) return;
    this.#undo.delete(index);
    undo();
    this.#ports.ended(index);
  }

  #strike(fault: Fault): Undo {
    switch (fault.kind) {
      case 'partition':
        return this.#partition(fault);
      case 'swizzle':
        return this.#swizzle(fault);
      case 'flash-crowd':
        this.#ports.setDemand(fault.factor);
        return () => this.#ports.setDemand(1);
      default: {
        const host = this.#ports.host(fault.node);
        return host === undefined ? NOTHING : this.#strikeNode(fault, host);
      }
    }
  }

  #strikeNode(fault: Exclude<Fault, { kind: 'partition' | 'swizzle' | 'flash-crowd' }>, host: Host): Undo {
    const { network } = this.#ports;
    switch (fault.kind) {
      case 'loss':
        return network.worsen(fault.node, { loss: fault.loss });
      case 'delay':
        return network.worsen(fault.node, { addedMs: fault.addedMs });
      case 'bandwidth':
        return network.worsen(fault.node, { bytesPerSecond: fault.bytesPerSecond });
      case 'relay-loss':
        return network.dropRelaysOf(fault.node);
      case 'nat-rebinding':
        network.rebind(fault.node);
        return NOTHING;
      case 'crash':
        return host.crash('reset', fault.state);
      case 'power-loss':
        return host.crash('silent', 'kept');
      case 'leave':
        return host.leave();
      case 'pause':
        return host.pause();
      case 'suspend':
        return host.suspend(fault.clock);
      default:
        return host.suffer(fault);
    }
  }

  #partition({ groups, direction }: Extract<Fault, { kind: 'partition' }>): Undo {
    const undo: Undo[] = [];
    for (const [index, from] of groups.entries()) {
      const to = groups.flatMap((group, other) => (other === index ? [] : group));
      if (direction === 'both' || index === 0) undo.push(this.#ports.network.cut(from, to));
    }
    this.#ports.pathsChanged();
    return () => {
      for (const one of undo) one();
      this.#ports.pathsChanged();
    };
  }

  /** Cut off one by one over the first half, back one by one, in another order, over the second. */
  #swizzle(fault: Extract<Fault, { kind: 'swizzle' }>): Undo {
    const { queue, random, network, nodes } = this.#ports;
    const stream = random.stream('swizzle', fault.atMs, ...fault.nodes);
    const stepMs = fault.durationMs / 2 / Math.max(1, fault.nodes.length);
    const everybody = Array.from({ length: nodes }, (_, node) => node);
    const cuts = new Map<number, Undo>();
    const back = fault.nodes.map((node) => ({ node, key: stream.uint32() })).toSorted((a, b) => a.key - b.key);
    let over = false;
    const join = (node: number): void => {
      cuts.get(node)?.();
      cuts.delete(node);
      this.#ports.pathsChanged();
    };
    for (const [index, node] of fault.nodes.entries()) {
      const others = everybody.filter((other) => other !== node);
      queue.at(Math.round(fault.atMs + index * stepMs), () => {
        if (over) return;
        const [out, into] = [network.cut([node], others), network.cut(others, [node])];
        cuts.set(node, () => {
          out();
          into();
        });
        this.#ports.pathsChanged();
      });
    }
    for (const [index, { node }] of back.entries())
      queue.at(Math.round(fault.atMs + fault.durationMs / 2 + (index + 1) * stepMs), () => join(node));
    return () => {
      over = true;
      for (const { node } of back) join(node);
    };
  }
}
