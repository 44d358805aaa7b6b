/**
 * Which requests come in, where and when? Arrivals are a Poisson process, or one that switches between 0.6 of the rate and
 * 3 times the rate for bursts of 4 s. The rate is the wanted share of the most that the machines can carry: of all sets
 * of models the one decides whose holders have the least room for its work, because a fast machine without a model is no
 * help to those who ask for it. The turns before a further one are counted as cached. A flash crowd is a process of its own beside it, and a lull
 * leaves requests out, so that neither shifts what else comes in: request n of a process always asks the same, and draws
 * from nothing but its number. Arrivals do not wait for answers: a slow mesh gets as much work as a quick one.
 * Limits: everybody asks everywhere equally often. Source of the model and of all that says nothing else: the placement study.
 */
import { invariant } from '../../src/assert.ts';
import { parseModelId } from '../../src/ids.ts';
import { type AskedModel, type Arrival, Conversations, type Reader } from './conversations.ts';
import type { EventQueue, KeyedRandom, RandomStream, Timer } from '../kernel/kernel-port.ts';
import { type Machine, PREFILL_FACTOR, capacityOf, pickWeighted } from './machines.ts';
import type { ModelSpec, Scenario, WorkloadSpec } from '../scenario.ts';

const RATE = { calm: 0.6, burst: 3, burstMs: 4_000, calmMs: 20_000 } as const;
/** Spreads of the lengths. Source: guess. */
const SIGMA = { prompt: 1, answer: 0.8 } as const;
const PROMPT_TOKENS = { min: 12, max: 4_000 } as const;
/** Lengths that the mean work is computed from. */
const SAMPLES = 4_096;
/** Numbers of the processes: the usual one, and flash crowds by the ms in which they begin. */
const USUAL = -1;

/** What clients do. Source: guess: most read to the end. */
const READERS = {
  /** Read at a person's pace, which is under that of most machines. */
  slowShare: 0.03,
  slowTokensPerSecondMin: 3,
  slowTokensPerSecondMax: 12,
  /** Stop reading and keep the connection. */
  stopsShare: 0.005,
  /** Close the window. */
  leavesShare: 0.03,
  leavesMsMean: 6_000,
} as const;

export type ReaderMix = { readonly [Key in keyof typeof READERS]: number };

export interface WorkloadOptions {
  readonly queue: EventQueue;
  readonly random: KeyedRandom;
  readonly scenario: Pick<Scenario, 'models' | 'workload' | 'nodes'>;
  /** By node, and which models each holds, as indexes. */
  readonly machines: readonly Machine[];
  readonly holdings: readonly (readonly number[])[];
  readonly arrive: (arrival: Arrival) => void;
  readonly readers?: ReaderMix;
}

/** One process of arrivals. */
interface Source {
  /** Names its randomness. */
  readonly key: number;
  readonly conversations: Conversations;
  readonly random: RandomStream;
  /** Requests per ms, before bursts. */
  readonly ratePerMs: number;
  readonly hasBursts: boolean;
  number: number;
  /** In fractions of a ms: rounding would lose requests. */
  atMs: number;
  bursting: boolean;
  switchAtMs: number;
  timer: Timer | undefined;
}

export class Workload {
  readonly #options: WorkloadOptions;
  readonly #models: readonly AskedModel[];
  readonly #ingress: readonly number[];
  readonly #ratePerMs: number;
  #usual: Source | undefined;
  /** The last flash crowd, over or not. */
  #flash: Source | undefined;
  #extraPerMs = 0;
  #factor = 1;

  constructor(options: WorkloadOptions) {
    const { scenario, random } = options;
    this.#options = options;
    this.#models = scenario.models.map((model) => askedModel(model, scenario.workload));
    this.#ingress = chooseIngress(scenario, random);
    this.#ratePerMs = usualRatePerMs(options);
  }

  /** Of the usual arrivals, without bursts and flash crowds. */
  get requestsPerSecond(): number {
    return this.#ratePerMs * 1_000;
  }

  start(): void {
    if (this.#ratePerMs === 0 || this.#usual !== undefined) return;
    this.#usual = this.#begin(USUAL, this.#ratePerMs, this.#options.scenario.workload.arrivals === 'bursts');
    this.setFactor(this.#factor);
  }

  /** No request comes after this. */
  stop(): void {
    this.#cancel(this.#usual);
    this.#cancel(this.#flash);
    this.#usual = undefined;
    this.#extraPerMs = 0;
  }

  /** Requests come `factor` times as often from now on; 1 = as usual. */
  setFactor(factor: number): void {
    this.#factor = factor;
    if (this.#usual === undefined) return;
    const extraPerMs = this.#ratePerMs * Math.max(0, factor - 1);
    if (this.#extraPerMs === extraPerMs) return;
    this.#cancel(this.#flash);
    this.#extraPerMs = extraPerMs;
    if (extraPerMs > 0) this.#flash = this.#begin(this.#options.queue.nowMs, extraPerMs, false);
  }

  #begin(key: number, ratePerMs: number, hasBursts: boolean): Source {
    const { queue, random } = this.#options;
    const source: Source = {
      key,
      conversations: new Conversations(random, key, this.#models),
      random: random.stream('arrivals', key),
      ratePerMs,
      hasBursts,
      // Two crowds that begin in the same ms share their numbers.
      number: this.#flash?.key === key ? this.#flash.number : 0,
      atMs: queue.nowMs,
      bursting: false,
      switchAtMs: Number.POSITIVE_INFINITY,
      timer: undefined,
    };
    if (hasBursts) source.switchAtMs = source.atMs + source.random.exponential(RATE.calmMs);
    this.#scheduleNext(source);
    return source;
  }

  #scheduleNext(source: Source): void {
    const { random } = source;
    let work = random.exponential(1);
    for (;;) {
      const rate = source.ratePerMs * (source.hasBursts ? (source.bursting ? RATE.burst : RATE.calm) : 1);
      const atMs = source.atMs + work / rate;
      if (atMs < source.switchAtMs) {
        source.atMs = atMs;
        source.timer = this.#options.queue.at(atMs, () => this.#arrived(source));
        return;
      }
      work -= (source.switchAtMs - source.atMs) * rate;
      source.atMs = source.switchAtMs;
      source.bursting = !source.bursting;
      source.switchAtMs += random.exponential(source.bursting ? RATE.burstMs : RATE.calmMs);
    }
  }

  #arrived(source: Source): void {
    const { scenario, random, queue, readers = READERS } = this.#options;
    const draws = random.stream('request', source.key, source.number);
    const isLeftOut = draws.ratio() >= this.#factor;
    const reader = drawReader(draws, readers);
    const { followUps } = scenario.workload;
    const isFollowUp = draws.ratio() < followUps;
    const node = this.#ingress[draws.below(this.#ingress.length)] ?? 0;
    const model = pickWeighted(
      this.#models.map(({ demand }) => demand),
      draws.ratio(),
    );
    const lengths = drawLengths(draws, scenario.workload);
    const wish = { number: source.number, isFollowUp, node, model, ...lengths };
    const arrival = source.conversations.ask(wish, queue.nowMs);
    source.number += 1;
    this.#scheduleNext(source);
    if (source.key !== USUAL || !isLeftOut) this.#options.arrive({ ...arrival, reader });
  }

  #cancel(source: Source | undefined): void {
    if (source?.timer !== undefined) this.#options.queue.cancel(source.timer);
  }
}

function askedModel(spec: ModelSpec, workload: WorkloadSpec): AskedModel {
  const model = parseModelId(spec.name);
  invariant(model !== undefined, `a model is named as clients may name it, not ${spec.name}`);
  const { contextTokens, demand } = spec;
  return {
    model,
    contextTokens,
    demand,
    promptTokensMax: Math.min(PROMPT_TOKENS.max, Math.floor(contextTokens / 2)),
    answerTokensMax: Math.max(1, Math.min(workload.answerTokensMax, Math.floor(contextTokens / 4))),
  };
}

function chooseIngress({ nodes, workload }: Pick<Scenario, 'nodes' | 'workload'>, random: KeyedRandom): number[] {
  const numbers = Array.from({ length: nodes }, (_, node) => node);
  if (workload.ingressNodes === undefined) return numbers;
  const lots = numbers.map((node) => random.stream('ingress', node).uint32());
  const drawn = numbers.toSorted((left, right) => (lots[left] ?? 0) - (lots[right] ?? 0) || left - right);
  return drawn.slice(0, workload.ingressNodes).toSorted((left, right) => left - right);
}

/** The wanted share of the most requests that can be carried. */
function usualRatePerMs({ scenario, machines, holdings, random }: WorkloadOptions): number {
  const { workload, models } = scenario;
  if (workload.arrivals === 'none' || models.length === 0) return 0;
  const draws = random.stream('lengths');
  let work = 0;
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const { promptTokens, answerTokens } = drawLengths(draws, workload);
    work += promptTokens / PREFILL_FACTOR + answerTokens;
  }
  return (workload.load * mostWork({ models, machines, holdings })) / (work / SAMPLES) / 1_000;
}

/**
 * The most of the mean request's work that all machines can do in a second, in tokens at a model's speed of 1: no set of
 * models may need more than its holders have (Hall's condition). Limits: sets of one, of two and of all.
 */
function mostWork({
  models,
  machines,
  holdings,
}: Pick<WorkloadOptions, 'machines' | 'holdings'> & Pick<Scenario, 'models'>): number {
  const indexes = models.map((_, index) => index);
  const demand = models.reduce((sum, model) => sum + model.demand, 0);
  const costs = models.map((model) => model.demand / demand / model.speed);
  const pairs = indexes.flatMap((one) => indexes.filter((other) => other >= one).map((other) => [one, other]));
  const most = [indexes, ...pairs].map((set) => {
    const cost = [...new Set(set)].reduce((sum, index) => sum + (costs[index] ?? 0), 0);
    const holders = machines.filter((_, node) => holdings[node]?.some((index) => set.includes(index)));
    const room = holders.reduce((sum, machine) => sum + capacityOf(machine), 0);
    return cost > 0 ? room / cost : Number.POSITIVE_INFINITY;
  });
  return Math.min(...most);
}

function drawLengths(random: RandomStream, workload: WorkloadSpec): { promptTokens: number; answerTokens: number } {
  const prompt = Math.round(random.lognormal(workload.promptTokens, SIGMA.prompt));
  const answer = Math.round(random.lognormal(workload.answerTokens, SIGMA.answer));
  return {
    promptTokens: Math.min(PROMPT_TOKENS.max, Math.max(PROMPT_TOKENS.min, prompt)),
    answerTokens: Math.min(workload.answerTokensMax, Math.max(1, answer)),
  };
}

function drawReader(random: RandomStream, mix: ReaderMix): Reader {
  const kind = random.ratio();
  const spread = random.ratio();
  if (kind < mix.slowShare) {
    const range = mix.slowTokensPerSecondMax - mix.slowTokensPerSecondMin;
    return { type: 'slow', tokensPerSecond: mix.slowTokensPerSecondMin + spread * range };
  }
  if (kind < mix.slowShare + mix.stopsShare) return { type: 'stops', afterTokens: Math.floor(spread * 200) };
  if (kind < mix.slowShare + mix.stopsShare + mix.leavesShare) {
    return { type: 'leaves', afterMs: Math.ceil(-mix.leavesMsMean * Math.log(1 - spread)) };
  }
  return { type: 'prompt' };
}
