/**
 * Which machines are there, how far apart, and which messages come in? All of it follows from (nodes, load, seed), is made
 * before a run and is the same for every strategy. Machines: speed of one stream log-uniform over 8 to 160 tokens per
 * second, 1 to 8 slots. Messages: a burst process (0.6 of the mean rate, and 3 times of it for 4 s on average), half of
 * them further turns of a conversation, which bring its whole text along. Every node is an entrance, and a conversation
 * stays with its own. Source: the placement study; spreads of the lengths and times between turns are guesses.
 */
import type { NodeId } from '../../src/ids.ts';
import type { KeyedRandom, RandomStream } from '../kernel/kernel-port.ts';
import { SeededRandom } from '../kernel/keyed-random.ts';
import type { Cell, Span } from './cells.ts';
import { drawNode } from './names.ts';

export interface MachineSpec {
  readonly node: NodeId;
  /** Of one stream that is alone. */
  readonly tokensPerSecond: number;
  readonly slots: number;
}

export interface Message {
  readonly number: number;
  readonly atMs: number;
  /** Where it enters. */
  readonly ingress: number;
  readonly conversation: number;
  /** All of it, earlier turns included. */
  readonly promptTokens: number;
  readonly answerTokens: number;
}

export interface Demand {
  readonly machines: readonly MachineSpec[];
  /** Round trip of two nodes, by `from * nodes + to`. */
  readonly rttMs: Float64Array;
  /** From a beacon's making to its arrival. */
  readonly gossipMs: Float64Array;
  readonly messages: readonly Message[];
  readonly meanRatePerSecond: number;
}

/** Throughput of a machine with `busy` streams is its speed times busy to this power. Source: the placement study. */
const SHARING_POWER = 0.6;
/** Prompt tokens are this much cheaper than those of the answer. Source: the placement study. */
export const PREFILL_SPEEDUP = 15;
const SPEED = { min: 8, max: 160 } as const;
const SLOTS_MAX = 8;
const PROMPT = { median: 300, sigma: 1, max: 4_000 } as const;
const ANSWER = { median: 120, sigma: 0.8, max: 1_500 } as const;
/** Conversations end before their text gets longer. */
const CONTEXT_TOKENS_MAX = 8_192;
const FOLLOW_UPS = 0.5;
/** From one turn to the next: a fixed part, in which the answer is read, and an exponential one. */
const THINK_MS = { least: 15_000, mean: 15_000 } as const;
/** A conversation that nobody went on with for so long is over. */
const FORGOTTEN_MS = 60_000;
const RATE = { calm: 0.6, burst: 3, burstMs: 4_000, calmMs: 20_000 } as const;
const RTT_MS = { min: 10, max: 90 } as const;
const GOSSIP_MS = { min: 50, max: 250 } as const;

/** Tokens of answer per second with `busy` streams at once. */
export function throughput(machine: MachineSpec, busy: number): number {
  return busy === 0 ? 0 : machine.tokensPerSecond * Math.exp(SHARING_POWER * Math.log(busy));
}

export function makeDemand(cell: Cell, span: Span, seed: string): Demand {
  const random = new SeededRandom(`placement/${cell.nodes}/${cell.load}/${seed}`);
  const machines = makeMachines(cell.nodes, random.stream('machines'));
  const capacity = machines.reduce((sum, machine) => sum + throughput(machine, machine.slots), 0);
  const meanRatePerSecond = (cell.load * capacity) / meanWorkTokens();
  const made = { nodes: cell.nodes, ratePerMs: meanRatePerSecond / 1_000, untilMs: span.warmUpMs + span.measuredMs };
  return {
    machines,
    rttMs: makePairs(cell.nodes, RTT_MS, random.stream('rtt')),
    gossipMs: makePairs(cell.nodes, GOSSIP_MS, random.stream('gossip')),
    messages: makeMessages(made, random),
    meanRatePerSecond,
  };
}

function makeMachines(nodes: number, random: RandomStream): readonly MachineSpec[] {
  return Array.from({ length: nodes }, () => {
    const node = drawNode(random);
    const tokensPerSecond = SPEED.min * Math.exp(random.ratio() * Math.log(SPEED.max / SPEED.min));
    return { node, tokensPerSecond, slots: 1 + random.below(SLOTS_MAX) };
  }).toSorted((left, right) => (left.node < right.node ? -1 : 1));
}

/** Both directions alike; 0 from a node to itself. */
function makePairs(
  nodes: number,
  range: { readonly min: number; readonly max: number },
  random: RandomStream,
): Float64Array {
  const pairs = new Float64Array(nodes * nodes);
  for (let left = 0; left < nodes; left += 1)
    for (let right = 0; right < left; right += 1) {
      const ms = range.min + random.ratio() * (range.max - range.min);
      pairs[left * nodes + right] = ms;
      pairs[right * nodes + left] = ms;
    }
  return pairs;
}

interface Stream {
  readonly nodes: number;
  readonly ratePerMs: number;
  readonly untilMs: number;
}

interface Turn {
  readonly conversation: number;
  readonly ingress: number;
  readonly ripeAtMs: number;
  readonly prefixTokens: number;
}

function makeMessages({ nodes, ratePerMs, untilMs }: Stream, random: KeyedRandom): readonly Message[] {
  const arrivals = random.stream('arrivals');
  const shapes = random.stream('shapes');
  const messages: Message[] = [];
  const ripening: Turn[] = [];
  let conversations = 0;
  for (const atMs of arrivalTimes(ratePerMs, untilMs, arrivals)) {
    const asksFurther = shapes.ratio() < FOLLOW_UPS;
    const before = asksFurther ? takeRipe(ripening, atMs) : undefined;
    const ingress = before?.ingress ?? shapes.below(nodes);
    const prefixTokens = before?.prefixTokens ?? 0;
    const conversation = before?.conversation ?? conversations;
    if (before === undefined) conversations += 1;
    const promptTokens = prefixTokens + lengthOf(PROMPT, shapes);
    const answerTokens = lengthOf(ANSWER, shapes);
    messages.push({ number: messages.length, atMs, ingress, conversation, promptTokens, answerTokens });
    const ripeAtMs = atMs + THINK_MS.least + shapes.exponential(THINK_MS.mean);
    if (promptTokens + answerTokens <= CONTEXT_TOKENS_MAX - PROMPT.max)
      ripening.push({ conversation, ingress, ripeAtMs, prefixTokens: promptTokens + answerTokens });
  }
  return messages;
}

/** The turn that is ripe for longest. */
function takeRipe(ripening: Turn[], atMs: number): Turn | undefined {
  for (let place = 0; place < ripening.length; place += 1) {
    const turn = ripening[place];
    if (turn === undefined || turn.ripeAtMs > atMs) continue;
    ripening.splice(place, 1);
    if (turn.ripeAtMs >= atMs - FORGOTTEN_MS) return turn;
    place -= 1;
  }
  return undefined;
}

function arrivalTimes(ratePerMs: number, untilMs: number, random: RandomStream): readonly number[] {
  const times: number[] = [];
  let bursting = false;
  let turnsAtMs = random.exponential(RATE.calmMs);
  let nowMs = 0;
  while (nowMs < untilMs) {
    const nextMs = nowMs + random.exponential(1 / (ratePerMs * (bursting ? RATE.burst : RATE.calm)));
    // Arrivals have no memory: what would come after the change of the rate is drawn anew.
    if (nextMs >= turnsAtMs) {
      nowMs = turnsAtMs;
      bursting = !bursting;
      turnsAtMs = nowMs + random.exponential(bursting ? RATE.burstMs : RATE.calmMs);
      continue;
    }
    nowMs = nextMs;
    if (nowMs < untilMs) times.push(nowMs);
  }
  return times;
}

/** Work of a message in tokens of answer, when all of its prompt is new. */
export function workTokens(promptTokens: number, answerTokens: number): number {
  return promptTokens / PREFILL_SPEEDUP + answerTokens;
}

/** Of a long stream of its own, so that the offered load does not depend on the luck of a run. */
function meanWorkTokens(): number {
  const sample = makeMessages(
    { nodes: 10, ratePerMs: 0.05, untilMs: 200_000 },
    new SeededRandom('placement/mean-work'),
  );
  return (
    sample.reduce((sum, message) => sum + workTokens(message.promptTokens, message.answerTokens), 0) / sample.length
  );
}

function lengthOf(
  range: { readonly median: number; readonly sigma: number; readonly max: number },
  random: RandomStream,
): number {
  return Math.max(1, Math.min(range.max, Math.round(random.lognormal(range.median, range.sigma))));
}
