/**
 * A small world of data planes on memory streams: every node has a scripted engine and a mesh that dispatches along a
 * fixed list and admits everything, so that only the data plane is under test. Nothing here sleeps: `until` yields
 * turns of the event loop until a condition holds.
 */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { failure } from '../../src/errors.ts';
import { type ModelId, type NodeId, parseModelId, parseNodeId, parseRequestId } from '../../src/ids.ts';
import type { PlaneClock } from '../../src/inference/alarm.ts';
import type { ChatEvent, ChatRun } from '../../src/inference/chat.ts';
import { type DataPlane, createDataPlane } from '../../src/inference/data-plane.io.ts';
import type { Job, Engine } from '../../src/inference/engine.ts';
import { ScriptedEngine } from '../../src/inference/scripted.ts';
import type { Input } from '../../src/node/events.ts';
import { type MemoryOptions, type MemoryPair, memoryPair } from './memory-stream.ts';

const MODEL: ModelId = modelId('flock-7b');

function modelId(text: string): ModelId {
  const model = parseModelId(text);
  assert.ok(model !== undefined);
  return model;
}

/** Length of every answer. */
export const TOKENS = 120;

export function engine(pacing: 'granted' | 'manual' = 'granted', slots = 64): ScriptedEngine {
  return new ScriptedEngine({ models: [MODEL], slots, tokensPerReply: TOKENS, pacing });
}

/** What an undisturbed engine answers. */
export function undisturbed(content: string): string {
  let text = '';
  const run = engine().start(jobOf(content), (event) => {
    if (event.type === 'tokens') text += event.text;
  });
  run.grant(100_000);
  return text;
}

/** Ids in the order of their digits: 1 is the smallest. */
export function nodeId(digit: number): NodeId {
  const node = parseNodeId(`12D3KooW${`${digit}`.repeat(44)}`);
  assert.ok(node !== undefined);
  return node;
}

export function jobOf(content: string, maxTokens?: number): Job {
  return {
    model: MODEL,
    messages: [{ role: 'user', content }],
    sampling: {
      temperature: 0,
      topP: 1,
      frequencyPenalty: 0,
      presencePenalty: 0,
      stop: [],
      ...(maxTokens === undefined ? {} : { maxTokens }),
    },
  };
}

/** A clock that stands until it is moved. */
class HandClock implements PlaneClock {
  #nowMs = 1_000;
  readonly #timers = new Set<{ atMs: number; call: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, call: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, call };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  soon(call: () => void): void {
    queueMicrotask(call);
  }

  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const due = [...this.#timers]
        .filter(({ atMs }) => atMs <= untilMs)
        .toSorted((left, right) => left.atMs - right.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.call();
    }
    this.#nowMs = untilMs;
  }
}

export interface WorldNode {
  readonly id: NodeId;
  readonly plane: DataPlane;
  readonly inputs: Input[];
  /** Whom this node's mesh ranks, best first. */
  ranked: readonly NodeId[];
  /** What its mesh expects of them. */
  levelMs: number;
  /** What its mesh does with a request that is to be served here. */
  onOpen: (input: Extract<Input, { type: 'open-received' }>) => void;
  /** Makes another connection to a member; nobody tries unless a test says how. */
  redial: (node: NodeId) => Promise<boolean>;
}

export class World {
  readonly clock = new HandClock();
  readonly nodes = new Map<NodeId, WorldNode>();
  readonly pairs: { readonly from: NodeId; readonly to: NodeId; readonly pair: MemoryPair }[] = [];
  readonly down = new Set<NodeId>();
  readonly #streams: MemoryOptions;

  constructor(streams: MemoryOptions = {}) {
    this.#streams = streams;
  }

  node(digit: number, serving: Engine | undefined, tokensPerSecondMax = 0): WorldNode {
    const id = nodeId(digit);
    const inputs: Input[] = [];
    const plane = createDataPlane({
      self: id,
      clock: this.clock,
      tokensPerSecondMax,
      engineFor: (model) =>
        serving?.models().some((offered) => offered.model === model) === true ? serving : undefined,
      openLink: async (to) => this.#openLink(id, to),
      redial: async (to) => node.redial(to),
      report: (input) => {
        inputs.push(input);
        this.#mesh(node, input);
      },
    });
    const node: WorldNode = {
      id,
      plane,
      inputs,
      ranked: [],
      levelMs: 0,
      redial: async () => Promise.resolve(false),
      onOpen: ({ from, requestId }) => plane.carryOut({ type: 'serve', from, requestId }),
    };
    this.nodes.set(id, node);
    return node;
  }

  /** All nodes see each other. */
  connect(): void {
    for (const { plane, id } of this.nodes.values())
      for (const other of this.nodes.keys()) if (other !== id) plane.connectionOpened(other);
  }

  /** The wires between two nodes, newest last. */
  wires(one: NodeId, other: NodeId): MemoryPair[] {
    return this.pairs
      .filter(({ from, to }) => (from === one && to === other) || (from === other && to === one))
      .map(({ pair }) => pair);
  }

  /** The node is gone: all of its wires break and it cannot be reached. */
  kill(id: NodeId): void {
    this.down.add(id);
    for (const { from, to, pair } of this.pairs) if (from === id || to === id) pair.kill();
    for (const node of this.nodes.values()) node.plane.connectionLost(id);
  }

  close(): void {
    for (const { plane } of this.nodes.values()) plane.close();
  }

  async #openLink(from: NodeId, to: NodeId): Promise<ReturnType<typeof memoryPair>['ends'][0]> {
    await turn();
    const other = this.nodes.get(to);
    if (other === undefined || this.down.has(to) || this.down.has(from)) throw new Error('no connection');
    const pair = memoryPair(this.#streams);
    this.pairs.push({ from, to, pair });
    other.plane.acceptLink(from, pair.ends[1]);
    return pair.ends[0];
  }

  #mesh(node: WorldNode, input: Input): void {
    if (input.type === 'open-received') node.onOpen(input);
    if (input.type !== 'request-arrived' && input.type !== 'replan-wanted') return;
    const excluded = input.type === 'replan-wanted' ? input.excluded : [];
    const ranked = node.ranked.filter((one) => !excluded.includes(one));
    const { requestId } = input;
    const plan = { ranked, levelMs: node.levelMs, explain: undefined };
    // The record that explains a plan is nothing to the data plane.
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    const effect = { type: 'dispatch', requestId, plan } as unknown as Parameters<DataPlane['carryOut']>[0];
    if (ranked.length > 0) node.plane.carryOut(effect);
    else {
      const why = failure('no-node-available', 'nobody is left');
      // eslint-disable-next-line typescript/no-unsafe-type-assertion
      node.plane.carryOut({ type: 'refuse-request', requestId, failure: why, plan } as unknown as typeof effect);
    }
  }
}

/** A client that reads everything at once, or as far as it granted. */
export class Client {
  readonly events: ChatEvent[] = [];
  readonly run: ChatRun;
  granted = 0;
  shown = 0;
  onEvent: ((event: ChatEvent) => void) | undefined;
  static #count = 0;

  constructor(node: WorldNode, job: Job, grant = 100_000) {
    Client.#count += 1;
    const requestId = parseRequestId(Client.#count.toString(16).padStart(32, '0'));
    assert.ok(requestId !== undefined);
    this.run = node.plane.start({ requestId, sessionKey: '', job }, (event) => {
      this.events.push(event);
      if (event.type === 'text') this.shown += event.tokens;
      assert.ok(this.shown <= this.granted, 'never more than the client granted');
      this.onEvent?.(event);
    });
    this.grant(grant);
  }

  grant(tokens: number): void {
    this.granted += tokens;
    this.run.grant(tokens);
  }

  get text(): string {
    return this.events.map((event) => (event.type === 'text' ? event.text : '')).join('');
  }

  get end(): ChatEvent | undefined {
    const ends = this.events.filter(({ type }) => type === 'ended' || type === 'failed');
    assert.ok(ends.length <= 1, 'one end');
    assert.ok(ends.length === 0 || ends[0] === this.events.at(-1), 'nothing after the end');
    return ends[0];
  }

  get servedBy(): NodeId[] {
    return this.events.flatMap((event) => (event.type === 'serving' ? [event.node] : []));
  }
}

/** Yields turns of the event loop until `condition` holds. */
export async function until(what: string, condition: () => boolean, turnsMax = 5_000): Promise<void> {
  for (let count = 0; count < turnsMax; count += 1) {
    if (condition()) return;
    // eslint-disable-next-line no-await-in-loop
    await turn();
  }
  assert.fail(`gave up waiting until ${what}`);
}

export async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    // eslint-disable-next-line no-await-in-loop
    await turn();
  }
}
