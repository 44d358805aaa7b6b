/**
 * Who was up, and what did the others hold of it? Keeps what is true of every node beside what every other node holds
 * of it, and turns the pair into strips (`node-strips.ts`), falls (`falls.ts`) and counts of verdicts that were wrong.
 * A verdict against a node is true when it is down, excused when the network would not carry a message between the two or
 * their connection carries none now (its relay sleeps), late up to 5 s after it came back, and false otherwise. A process that starts knows nothing of those that are down:
 * it has no voice about them. Limits: one byte for each pair of nodes. Source: ours.
 */
import type { Truth } from '../checker.ts';
import { type DetectionByHow, type FallRow, Falls, type How } from './falls.ts';
import { NodeStrips, type NodeStrip } from './node-strips.ts';
import { type Quantiles, rounded } from './sketch.ts';
import type { WorldEvent } from '../world-event.ts';

/** How long news of a fall that is over may still be under way: longer than a suspicion takes. Source: guess. */
const LATE_MS = 5_000;
const MS_PER_HOUR = 3_600_000;

/** What is true of the ways between nodes. */
export type PathTruth = Pick<Truth, 'canTalk' | 'isConnected' | 'isCarried'>;

type Verdict = Extract<WorldEvent, { type: 'verdict' }>;

/** What an observer holds of a target. */
const TRUSTED = 0;
const SUSPECT = 1;
const DEAD = 2;
const LEFT = 3;
const UNKNOWN = 4;
const OPINION = { alive: TRUSTED, suspect: SUSPECT, dead: DEAD, left: LEFT } as const;

export interface Wrong {
  /** Times at which a node was wrongly held so by anybody, however many agreed. */
  readonly episodes: number;
  readonly verdicts: number;
  readonly episodesPerNodeDay: number | undefined;
}

export interface MembershipSummary {
  readonly nodeHours: number;
  readonly restarts: number;
  readonly detection: readonly DetectionByHow[];
  readonly falseSuspicions: Wrong;
  readonly falseDeaths: Wrong;
  /** Verdicts about a node that the observer could not have talked to. */
  readonly excusedVerdicts: number;
  readonly lateVerdicts: number;
  readonly trustedAgainAfterMs: Quantiles | undefined;
}

export class MembershipMetrics {
  readonly #nodes: number;
  readonly #truth: PathTruth | undefined;
  /** [observer * nodes + target] */
  readonly #opinions: Uint8Array;
  /** Of the observers that are up: how many hold each opinion of a target. [opinion][target] */
  readonly #holders: readonly Uint32Array[];
  readonly #isUp: Uint8Array;
  readonly #hasFallen: Uint8Array;
  readonly #sinceMs: Float64Array;
  #upCount = 0;
  #upMs = 0;
  #starts = 0;
  #firstStarts = 0;
  readonly #hasStarted: Uint8Array;
  readonly #strips: NodeStrips;
  readonly #falls: Falls;
  readonly #suspicions: WrongTally;
  readonly #deaths: WrongTally;
  #excused = 0;
  #late = 0;

  constructor(nodes: number, truth: PathTruth | undefined) {
    this.#nodes = nodes;
    this.#truth = truth;
    this.#opinions = new Uint8Array(nodes * nodes).fill(UNKNOWN);
    this.#holders = [TRUSTED, SUSPECT, DEAD, LEFT, UNKNOWN].map(() => new Uint32Array(nodes));
    this.#isUp = new Uint8Array(nodes);
    this.#hasFallen = new Uint8Array(nodes);
    this.#hasStarted = new Uint8Array(nodes);
    this.#sinceMs = new Float64Array(nodes);
    this.#strips = new NodeStrips(nodes);
    this.#falls = new Falls(nodes);
    this.#suspicions = new WrongTally(nodes);
    this.#deaths = new WrongTally(nodes);
  }

  get falls(): readonly FallRow[] {
    return this.#falls.rows;
  }

  strips(): readonly NodeStrip[] {
    return this.#strips.all();
  }

  /** A new process: it knows nothing of what an old one held. */
  started(node: number, atMs: number): void {
    this.#starts += 1;
    if (this.#hasStarted[node] === 0) this.#firstStarts += 1;
    this.#hasStarted[node] = 1;
    const wasUp = this.#isUp[node] === 1;
    if (wasUp) this.#countOpinions(node, -1);
    for (let target = 0; target < this.#nodes; target += 1)
      this.#opinions[node * this.#nodes + target] = this.#isUp[target] === 1 ? TRUSTED : UNKNOWN;
    if (wasUp) this.#countOpinions(node, 1);
    else this.#rise(node, atMs);
    this.#judgeAll(atMs);
  }

  /** The same process goes on and holds what it held. */
  resumed(node: number, atMs: number): void {
    if (this.#isUp[node] === 1) return;
    this.#rise(node, atMs);
    this.#judgeAll(atMs);
  }

  stopped(node: number, how: How, atMs: number): void {
    this.#strips.setTruth(node, how === 'paused' ? 'paused' : how === 'suspended' ? 'asleep' : 'stopped', atMs);
    if (this.#isUp[node] !== 1) return;
    this.#isUp[node] = 0;
    this.#hasFallen[node] = 1;
    this.#upCount -= 1;
    this.#upMs += atMs - (this.#sinceMs[node] ?? 0);
    this.#sinceMs[node] = atMs;
    this.#countOpinions(node, -1);
    this.#falls.fell(node, { how, observers: this.#upCount - this.#held(UNKNOWN, node) }, atMs);
    this.#judgeAll(atMs);
  }

  verdict({ node, target, verdict }: Verdict, atMs: number): void {
    if (node === target) return;
    const opinion = OPINION[verdict];
    const index = node * this.#nodes + target;
    const before = this.#opinions[index] ?? UNKNOWN;
    if (before === opinion) return;
    this.#opinions[index] = opinion;
    if (this.#isUp[node] !== 1) return;
    this.#count(before, target, -1);
    this.#count(opinion, target, 1);
    if (opinion !== TRUSTED) this.#weigh({ observer: node, target, before, opinion }, atMs);
    this.#judge(target, atMs);
  }

  finish(atMs: number): void {
    for (let node = 0; node < this.#nodes; node += 1)
      if (this.#isUp[node] === 1) {
        this.#upMs += atMs - (this.#sinceMs[node] ?? 0);
        this.#sinceMs[node] = atMs;
      }
    this.#strips.finish(atMs);
  }

  summary(): MembershipSummary {
    const nodeHours = this.#upMs / MS_PER_HOUR;
    return {
      nodeHours: rounded(nodeHours),
      restarts: this.#starts - this.#firstStarts,
      detection: this.#falls.byHow(),
      falseSuspicions: this.#suspicions.summary(nodeHours),
      falseDeaths: this.#deaths.summary(nodeHours),
      excusedVerdicts: this.#excused,
      lateVerdicts: this.#late,
      trustedAgainAfterMs: this.#falls.trustedAgainAfterMs,
    };
  }

  /** Whoever did not know it is taken to learn of it now: when it starts it introduces itself. */
  #rise(node: number, atMs: number): void {
    this.#countOpinions(node, 1);
    this.#isUp[node] = 1;
    this.#upCount += 1;
    this.#sinceMs[node] = atMs;
    for (let observer = 0; observer < this.#nodes; observer += 1) {
      const index = observer * this.#nodes + node;
      if (this.#opinions[index] !== UNKNOWN) continue;
      this.#opinions[index] = TRUSTED;
      if (this.#isUp[observer] !== 1) continue;
      this.#count(UNKNOWN, node, -1);
      this.#count(TRUSTED, node, 1);
    }
    this.#strips.setTruth(node, 'up', atMs);
    this.#falls.rose(node, atMs);
  }

  #countOpinions(observer: number, by: 1 | -1): void {
    const from = observer * this.#nodes;
    for (let target = 0; target < this.#nodes; target += 1)
      this.#count(this.#opinions[from + target] ?? UNKNOWN, target, by);
  }

  #count(opinion: number, target: number, by: 1 | -1): void {
    const holders = this.#holders[opinion];
    if (holders !== undefined) holders[target] = (holders[target] ?? 0) + by;
  }

  #judgeAll(atMs: number): void {
    for (let target = 0; target < this.#nodes; target += 1) this.#judge(target, atMs);
  }

  /** What more than half of those that are up and know a node hold of it, and what follows from it. */
  #judge(target: number, atMs: number): void {
    const gone = this.#held(DEAD, target) + this.#held(LEFT, target);
    const doubted = gone + this.#held(SUSPECT, target);
    if (doubted === 0) {
      this.#suspicions.over(target);
      this.#deaths.over(target);
    }
    const voices = this.#upCount - (this.#isUp[target] ?? 0) - this.#held(UNKNOWN, target);
    // Nobody is left who could say anything: what was believed last stands.
    if (voices <= 0) return;
    const standing = { doubted, isNoticed: 2 * doubted > voices, isHeldDead: 2 * gone > voices };
    this.#strips.setBelief(target, standing.isHeldDead ? 'dead' : standing.isNoticed ? 'suspect' : 'trusted', atMs);
    this.#falls.follow(target, standing, atMs);
  }

  /** 1. True; 2. excused; 3. late; 4. false. */
  #weigh(
    change: { readonly observer: number; readonly target: number; readonly before: number; readonly opinion: number },
    atMs: number,
  ): void {
    const { observer, target, before, opinion } = change;
    const targetSinceMs = this.#sinceMs[target] ?? 0;
    // 1. Who woke up or started meanwhile could not have noticed earlier.
    if (this.#isUp[target] !== 1) {
      const sawAll = (this.#sinceMs[observer] ?? 0) <= targetSinceMs;
      if (before === TRUSTED && sawAll) this.#falls.observed(target, atMs);
    }
    // 2.
    else if (this.#isCutOff(observer, target)) this.#excused += 1;
    // 3.
    else if (this.#hasFallen[target] === 1 && atMs - targetSinceMs < LATE_MS) this.#late += 1;
    // 4.
    else if (opinion === SUSPECT) this.#suspicions.add(target);
    else this.#deaths.add(target);
  }

  #isCutOff(observer: number, target: number): boolean {
    const truth = this.#truth;
    if (truth === undefined) return false;
    if (!truth.canTalk(observer, target)) return true;
    return truth.isConnected(observer, target) && !truth.isCarried(observer, target);
  }

  #held(opinion: number, target: number): number {
    return this.#holders[opinion]?.[target] ?? 0;
  }
}

/** Wrong verdicts, and the times at which a node was wronged by anybody. */
class WrongTally {
  readonly #isOpen: Uint8Array;
  #episodes = 0;
  #verdicts = 0;

  constructor(nodes: number) {
    this.#isOpen = new Uint8Array(nodes);
  }

  add(target: number): void {
    this.#verdicts += 1;
    if (this.#isOpen[target] === 1) return;
    this.#isOpen[target] = 1;
    this.#episodes += 1;
  }

  over(target: number): void {
    this.#isOpen[target] = 0;
  }

  summary(nodeHours: number): Wrong {
    const perNodeDay = nodeHours === 0 ? undefined : rounded((this.#episodes * 24) / nodeHours);
    return { episodes: this.#episodes, verdicts: this.#verdicts, episodesPerNodeDay: perNodeDay };
  }
}
