/**
 * One simulated machine: its clocks, its disk, its engine, and at most one process at a time. Faults act on it; it starts,
 * stops and resumes the process as an operating system would, and tells the trace what is true. Clients that ask here
 * die with the process, as their connections to it do. Every fault returns what undoes it.
 */
import { invariant, unreachable } from '../../src/assert.ts';
import { type ParamsFingerprint, parseParamsFingerprint } from '../../src/ids.ts';
import { paramsFingerprint } from '../../src/params.ts';
import { SimulatedClient } from '../work/client.ts';
import type { Arrival } from '../work/conversations.ts';
import { Disk } from './disk.ts';
import type { Fault, Lie } from '../faults/fault.ts';
import { Liar } from './liar.ts';
import type { Departure } from '../network/network-port.ts';
import type { NodeClock } from '../kernel/node-clock.ts';
import type { GossipItem, Payload } from './payload.ts';
import { Process } from './process.ts';
import type { ProcessWatch } from './process-watch.ts';
import type { Services } from './services.ts';
import type { SimulatedEngine } from '../work/worker.ts';

/** How long answers that run may take when the owner stops the node. Source: guess, about the command line's own limit. */
const DRAIN_MS_MAX = 10_000;
/** How long the goodbye gets to leave the machine. Source: `GOODBYE_MS` of the real node. */
const GOODBYE_MS = 150;

export interface HostOptions {
  readonly node: number;
  readonly services: Services;
  readonly clock: NodeClock;
  readonly watch: ProcessWatch;
  readonly bootstrap: readonly string[];
  /** A fresh one for each process: its cache dies with it. */
  newEngine(modelsChanged: () => void): SimulatedEngine;
  /** A process that stood still goes on: what waited for it in the kernel comes now. */
  wentOn(node: number): void;
}

export type HostState = 'off' | 'running' | 'paused' | 'suspended';

/** What a host suffers itself, without the world's help. */
type Suffered = Extract<
  Fault,
  { kind: 'duplicate' | 'clock-step' | 'clock-drift' | 'slow' | 'gray' | 'disk-full' | 'version-skew' | 'liar' }
>;

type Undo = () => void;

export class Host {
  readonly node: number;
  readonly #options: HostOptions;
  readonly #disk = new Disk();
  #state: HostState = 'off';
  #sinceMs = 0;
  #honest = true;
  #process: Process | undefined;
  #engine: SimulatedEngine | undefined;
  #clients: SimulatedClient | undefined;
  #lie: Lie | undefined;
  #liar: Liar | undefined;
  #slowFactor = 1;
  #gray: 'mute' | 'deaf' | undefined;
  #isSkewed = false;
  #copies = 1;

  constructor(options: HostOptions) {
    this.node = options.node;
    this.#options = options;
  }

  get process(): Process | undefined {
    return this.#process;
  }

  get state(): HostState {
    return this.#state;
  }

  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** It never lied and was never gray. */
  get isHonest(): boolean {
    return this.#honest;
  }

  /** How often it passes a message on. */
  get copies(): number {
    return this.#copies;
  }

  get engine(): SimulatedEngine | undefined {
    return this.#engine;
  }

  boot(): void {
    if (this.#process !== undefined) return;
    const { node, services, clock, watch, bootstrap } = this.#options;
    const nowMs = services.queue.nowMs;
    clock.restart(nowMs);
    const incarnation = this.#disk.nextIncarnation(clock.wallMs(nowMs));
    this.#engine = this.#options.newEngine(() => this.#process?.modelsChanged());
    this.#engine.setSlowFactor(this.#slowFactor);
    this.#engine.setMute(this.#gray === 'mute');
    const process = new Process({
      node,
      services,
      clock,
      engine: this.#engine,
      incarnation,
      bootstrap,
      disk: this.#disk,
      params: this.#isSkewed ? otherParams() : undefined,
      speak: (bytes) => this.#speak(bytes),
      observe: (one, happened) => {
        if (this.#liar !== undefined && happened.type === 'judge-message') this.#overhear(one, happened.messageId);
        watch.see(one, happened);
      },
      stepped: (one, input) => watch.stepped(one, input),
      passes: (payload) => this.#passes(payload),
    });
    this.#process = process;
    this.#clients = new SimulatedClient({
      node,
      queue: services.queue,
      service: process.plane,
      emit: (event) => services.emit(event),
    });
    this.#become('running');
    services.emit({ type: 'started', node, incarnation });
    this.#startLying();
    process.start();
  }

  /** The process dies, and its peers are told by the kernel or not; undone by a start. */
  crash(departure: Departure, state: 'kept' | 'lost'): Undo {
    this.#end(departure, departure === 'reset' ? 'crashed' : 'powered-off');
    if (state === 'lost') this.#disk.lose();
    return () => this.boot();
  }

  /** Drains, says goodbye and ends; undone by a start. */
  leave(): Undo {
    const process = this.#process;
    let undone = false;
    if (process !== undefined && this.#state === 'running') {
      process.plane.drain();
      process.accept({ type: 'drain-requested' });
      const startedAtMs = this.#options.services.queue.nowMs;
      const look = (): void => {
        if (this.#process !== process) return;
        const waitedMs = this.#options.services.queue.nowMs - startedAtMs;
        if (process.plane.live > 0 && waitedMs < DRAIN_MS_MAX) process.after(100, look);
        else this.#goodbye(process, () => undone);
      };
      look();
    }
    return () => {
      undone = true;
      this.boot();
    };
  }

  pause(): Undo {
    if (this.#state !== 'running') return () => undefined;
    this.#stand('paused');
    this.#options.services.network.pause(this.node);
    return () => this.#goOn('paused');
  }

  suspend(clock: 'counts' | 'halts'): Undo {
    if (this.#state !== 'running') return () => undefined;
    this.#stand('suspended');
    this.#options.clock.suspend(clock, this.#options.services.queue.nowMs);
    this.#options.services.network.suspend(this.node);
    return () => this.#goOn('suspended');
  }

  suffer(fault: Suffered): Undo {
    const { clock, services } = this.#options;
    switch (fault.kind) {
      case 'duplicate':
        this.#copies = 2;
        return () => void (this.#copies = 1);
      case 'clock-step':
        clock.stepWall(fault.byMs, services.queue.nowMs);
        return () => undefined;
      case 'clock-drift':
        this.#drift(fault.partsPerMillion);
        return () => this.#drift(0);
      case 'slow':
        this.#slow(fault.factor);
        return () => this.#slow(1);
      case 'gray':
        return this.#turnGray(fault.how);
      case 'disk-full':
        this.#disk.isFull = true;
        return () => void (this.#disk.isFull = false);
      case 'version-skew':
        return this.#skew();
      case 'liar':
        return this.#lieFor(fault.lie);
      default:
        return unreachable(fault);
    }
  }

  /** Somebody asks at this machine. */
  ask(arrival: Arrival): void {
    this.#clients?.ask(arrival);
  }

  #goodbye(process: Process, undone: () => boolean): void {
    const { services, watch } = this.#options;
    process.plane.stop();
    process.accept({ type: 'stop-requested' });
    services.emit({ type: 'stopped', node: this.node, how: 'left' });
    watch.forget(process);
    this.#become('off');
    services.queue.at(services.queue.nowMs + GOODBYE_MS, () => {
      if (this.#process !== process) return;
      this.#remove('reset');
      // The owner started it again while it was still saying goodbye.
      if (undone()) this.boot();
    });
  }

  #end(departure: Departure, how: 'crashed' | 'powered-off'): void {
    const process = this.#process;
    if (process === undefined) return;
    this.#options.watch.forget(process);
    this.#remove(departure);
    this.#become('off');
    this.#options.services.emit({ type: 'stopped', node: this.node, how });
  }

  #remove(departure: Departure): void {
    this.#liar?.stop();
    this.#liar = undefined;
    this.#engine?.stop();
    this.#process?.end();
    this.#process = undefined;
    this.#clients?.nodeLost();
    this.#clients = undefined;
    this.#options.services.network.detach(this.node, departure);
  }

  #stand(how: 'paused' | 'suspended'): void {
    this.#process?.halt();
    this.#engine?.pause();
    this.#clients?.pause();
    this.#become(how);
    this.#options.services.emit({ type: 'stopped', node: this.node, how });
  }

  #goOn(from: 'paused' | 'suspended'): void {
    // It may have been killed, or lost its power, meanwhile.
    if (this.#state !== from) return;
    const { services, clock } = this.#options;
    if (from === 'suspended') clock.resume(services.queue.nowMs);
    this.#become('running');
    services.emit({ type: 'resumed', node: this.node });
    this.#process?.goOn();
    this.#engine?.resume();
    services.network.resume(this.node);
    this.#options.wentOn(this.node);
    this.#clients?.resume();
  }

  #become(state: HostState): void {
    this.#state = state;
    this.#sinceMs = this.#options.services.queue.nowMs;
  }

  #drift(partsPerMillion: number): void {
    this.#options.clock.setRate(partsPerMillion, this.#options.services.queue.nowMs);
    if (this.#state === 'running') this.#process?.goOn();
  }

  #slow(factor: number): void {
    this.#slowFactor = factor;
    this.#engine?.setSlowFactor(factor);
  }

  #turnGray(how: 'mute' | 'deaf'): Undo {
    this.#honest = false;
    this.#gray = how;
    this.#engine?.setMute(how === 'mute');
    return () => {
      this.#gray = undefined;
      this.#engine?.setMute(false);
    };
  }

  /** From its next start on: what runs was built with the parameters that it has. */
  #skew(): Undo {
    this.#isSkewed = true;
    if (this.#state === 'running') {
      this.#end('reset', 'crashed');
      this.boot();
    }
    return () => {
      this.#isSkewed = false;
      if (this.#state !== 'running') return;
      this.#end('reset', 'crashed');
      this.boot();
    };
  }

  #lieFor(lie: Lie): Undo {
    this.#honest = false;
    this.#lie = lie;
    this.#startLying();
    return () => {
      this.#lie = undefined;
      this.#liar?.stop();
      this.#liar = undefined;
    };
  }

  #startLying(): void {
    const { services, node } = this.#options;
    if (this.#lie === undefined || this.#process === undefined) return;
    const random = services.random.stream('liar', node);
    this.#liar = new Liar({ lie: this.#lie, process: this.#process, services, random });
  }

  #speak(bytes: Uint8Array): readonly GossipItem[] {
    const { services, node } = this.#options;
    return this.#liar?.speak(bytes) ?? [services.newItem({ bytes, author: node, forged: false })];
  }

  #overhear(process: Process, messageId: number): void {
    const item = process.itemOf(messageId);
    if (item !== undefined && item.author !== this.node) this.#liar?.hear(item);
  }

  #passes(payload: Payload): boolean {
    if (this.#gray !== 'deaf') return true;
    return (
      payload.type !== 'open' && payload.type !== 'answer' && payload.type !== 'credit' && payload.type !== 'cancel'
    );
  }
}

function otherParams(): ParamsFingerprint {
  const ours = paramsFingerprint();
  const other = parseParamsFingerprint(`${ours.startsWith('0') ? '1' : '0'}${ours.slice(1)}`);
  invariant(other !== undefined, 'another digit makes another fingerprint');
  return other;
}
