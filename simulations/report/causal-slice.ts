/**
 * What led to a violation? Remembers the last events of every node and gives those of the seconds before a violation
 * that concern its nodes or its request, as lines. Each node has its own small rings, and text and gossip, which come
 * by the thousand, have rings of their own, so that nobody's noise pushes out what matters. What last happened to the
 * process of a node is told however long ago it was. Limits: 180 events a node, 60 lines a slice, 50 slices a run.
 * Must see each event before the checkers do. Source: ours.
 */
import type { Violation } from '../checker.ts';
import { describeEvent, nodesOfEvent } from './describe-event.ts';
import { faultNodes } from '../faults/fault-nodes.ts';
import type { FaultPlan } from '../faults/fault.ts';
import type { WorldEvent } from '../world-event.ts';

const STEPS_MAX = 96;
const TEXTS_MAX = 48;
const GOSSIP_MAX = 24;
const FAULTS_MAX = 64;
const SLICE_MS = 10_000;
const LINES_MAX = 60;
const SLICES_MAX = 50;

export interface SliceLine {
  readonly atMs: number;
  readonly text: string;
}

export interface CausalSlice {
  readonly lines: readonly SliceLine[];
  /** Older events of the same seconds that found no room. */
  readonly leftOut: number;
}

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly event: WorldEvent;
}

interface NodeMemory {
  readonly steps: Ring;
  readonly texts: Ring;
  readonly gossip: Ring;
  /** The last start, stop or resumption. */
  process: Entry | undefined;
}

export class CausalMemory {
  readonly #plan: FaultPlan;
  readonly #nodes: readonly NodeMemory[];
  readonly #faults = new Ring(FAULTS_MAX);
  #order = 0;
  #slices = 0;

  constructor(nodes: number, plan: FaultPlan) {
    this.#plan = plan;
    this.#nodes = Array.from({ length: nodes }, () => ({
      steps: new Ring(STEPS_MAX),
      texts: new Ring(TEXTS_MAX),
      gossip: new Ring(GOSSIP_MAX),
      process: undefined,
    }));
  }

  observe(event: WorldEvent, atMs: number): void {
    if (event.type === 'sampled') return;
    this.#order += 1;
    const entry = { atMs, order: this.#order, event };
    switch (event.type) {
      case 'fault-began':
      case 'fault-ended':
      case 'healed':
        this.#faults.push(entry);
        return;
      case 'text':
        this.#nodes[event.node]?.texts.push(entry);
        return;
      case 'judged':
        // Only at the node that judged: an author is named in everybody's.
        this.#nodes[event.node]?.gossip.push(entry);
        return;
      default:
        for (const node of nodesOfEvent(event)) this.#nodes[node]?.steps.push(entry);
    }
    if (event.type === 'started' || event.type === 'stopped' || event.type === 'resumed') {
      const memory = this.#nodes[event.node];
      if (memory !== undefined) memory.process = entry;
    }
  }

  /** Undefined when the run has its slices already. */
  slice(violation: Omit<Violation, 'id'>): CausalSlice | undefined {
    if (this.#slices >= SLICES_MAX) return undefined;
    this.#slices += 1;
    const entries = [...this.#about(violation)].toSorted((left, right) => left.order - right.order);
    const shown = entries.slice(-LINES_MAX);
    const lines = shown.map(({ atMs, event }) => ({ atMs, text: describeEvent(event, this.#plan) }));
    return { lines, leftOut: entries.length - shown.length };
  }

  #about({ atMs, nodes, requestId }: Omit<Violation, 'id'>): ReadonlySet<Entry> {
    const steps = requestId === undefined ? [] : this.#ofRequest(requestId);
    // Whoever served the request belongs to its story, whether the checker names it or not.
    const involved = new Set([...nodes, ...steps.flatMap(({ event }) => nodesOfEvent(event))]);
    const found = [...involved].flatMap((node) => this.#ofNode(node, requestId === undefined ? undefined : involved));
    const faults = this.#faults.entries().filter(({ event }) => this.#strikes(event, involved));
    const isRecent = (entry: Entry): boolean => entry.atMs >= atMs - SLICE_MS && entry.atMs <= atMs;
    return new Set([...this.#lastProcess(involved), ...[...found, ...steps, ...faults].filter(isRecent)]);
  }

  #lastProcess(nodes: ReadonlySet<number>): readonly Entry[] {
    return [...nodes].flatMap((node) => this.#nodes[node]?.process ?? []);
  }

  /** For the story of a request: only what happened between those involved, no gossip and no other request. */
  #ofNode(node: number, involved: ReadonlySet<number> | undefined): readonly Entry[] {
    const memory = this.#nodes[node];
    if (memory === undefined) return [];
    if (involved === undefined) return [...memory.steps.entries(), ...memory.gossip.entries()];
    return memory.steps
      .entries()
      .filter(({ event }) => !('requestId' in event) && nodesOfEvent(event).every((one) => involved.has(one)));
  }

  /** The steps of a request and its text, wherever they were taken. */
  #ofRequest(requestId: string): readonly Entry[] {
    return this.#nodes.flatMap(({ steps, texts }) =>
      [...steps.entries(), ...texts.entries()].filter(
        ({ event }) => 'requestId' in event && event.requestId === requestId,
      ),
    );
  }

  /** Faults of one of these nodes or of everybody. */
  #strikes(event: WorldEvent, nodes: ReadonlySet<number>): boolean {
    if (event.type !== 'fault-began' && event.type !== 'fault-ended') return true;
    const fault = this.#plan[event.fault];
    const struck = fault === undefined ? [] : faultNodes(fault);
    return struck.length === 0 || struck.some((node) => nodes.has(node));
  }
}

/** The last ones, oldest first. */
class Ring {
  readonly #max: number;
  readonly #entries: Entry[] = [];
  #next = 0;

  constructor(max: number) {
    this.#max = max;
  }

  push(entry: Entry): void {
    this.#entries[this.#next] = entry;
    this.#next = (this.#next + 1) % this.#max;
  }

  entries(): readonly Entry[] {
    return [...this.#entries.slice(this.#next), ...this.#entries.slice(0, this.#next)];
  }
}
