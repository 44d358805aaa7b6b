/**
 * V5, second half: an interrupted answer goes on elsewhere within 3 s plus the time in which the taker reads prompt and
 * answer. That time is known exactly from the trace: it runs from the moment at which the taker starts the run. So the last
 * token before and the start of the run at the node that goes on may be 3 s apart, plus the usual time between two tokens of
 * this answer. Where a scenario loses no packets each one counts; elsewhere a lost packet on the way to the taker costs
 * `RETRANSMIT_MS`, and 1 % may be late (`late-share.ts`). An engine that hangs, or hears of no more credit, while its node gives signs
 * of life is known by the tokens that are missing, which takes longer the slower it was (`try-watch.ts`).
 * Judged where a feasible node existed: one that ran this model before, settled, calm and not slowed down, reachable, with
 * a free slot for it (`free-slots.ts`). Where the
 * taker queues it and its placement expected the text no sooner from the free node, the asking has to be in time. Not
 * covered: a second failure before the answer went on, entry nodes and takers that were struck. What the client reads is
 * reported up to half a second late, so a gap is seen that much shorter at most.
 */
import { WATCH } from '../../src/inference/try-watch.ts';
import { INFERENCE } from '../../src/params.ts';
import type { DispatchPlan } from '../../src/node/events.ts';
import type { CheckContext } from '../checker.ts';
import type { WorldEvent } from '../world-event.ts';
import { Breaches } from './breaches.ts';
import { Calm, endMs } from './calm.ts';
import { FirstTries } from './first-tries.ts';
import { FreeSlots } from './free-slots.ts';
import { LateShare } from './late-share.ts';
import { Presence } from './presence.ts';

/** Source: the promise. */
export const GAP_MS_MAX = 3_000;
/** Where packets are lost. Source: computed: a first retransmission (200 ms and more), and another. */
const RETRANSMIT_MS = 500;
/** Up for so long a node is known to the others. Source: as in `v1-detection.ts`. */
const SETTLED_MS = 15_000;

type RunEvent = Extract<WorldEvent, { type: 'run-started' | 'run-ended' }>;
type Of<Type extends WorldEvent['type']> = Extract<WorldEvent, { type: Type }>;

interface Gap {
  readonly lastAtMs: number;
  readonly failedServer: number;
  /** Usual time between two tokens, as it was before. */
  readonly spacingMs: number;
  /** A node that could have gone on. */
  readonly spare: number | undefined;
  failures: number;
  taker: number | undefined;
  resumedAt: number;
  /** The taker was asked, and put it into its queue. */
  triedAtMs: number;
  isQueued: boolean;
  /** What the placement that named the taker expected of each node. */
  plan: DispatchPlan | undefined;
  latest: DispatchPlan | undefined;
  runAtMs: number | undefined;
}

interface Answer {
  readonly node: number;
  readonly model: number;
  tokens: number;
  firstAtMs: number;
  lastAtMs: number;
  gap: Gap | undefined;
}

/** `onAtMs`: when the taker began; Infinity = nobody did. */
interface Found {
  readonly answer: Answer;
  readonly gap: Gap;
  readonly onAtMs: number;
}

export class Failovers {
  readonly #context: CheckContext;
  readonly #breaches: Breaches;
  readonly #calm: Calm;
  /** Slowness strikes a spare: nobody can know yet that it is quick again, and to wait elsewhere may be right. */
  readonly #quick: Calm;
  readonly #presence: Presence;
  readonly #answers = new Map<string, Answer>();
  readonly #slots: FreeSlots;
  /** For the names of nodes. */
  readonly #firstTries = new FirstTries();
  readonly #late = new LateShare();
  #worst: { readonly overMs: number; readonly detail: string; readonly nodes: readonly number[] } | undefined;

  constructor(context: CheckContext) {
    this.#context = context;
    this.#breaches = new Breaches(context);
    this.#calm = new Calm(context.plan, context.scenario.nodes);
    this.#quick = new Calm(context.plan, context.scenario.nodes, ['slow']);
    this.#presence = new Presence(context.scenario.nodes);
    this.#slots = new FreeSlots(context.scenario.nodes);
  }

  observe(event: WorldEvent, atMs: number): void {
    this.#presence.observe(event, atMs);
    this.#firstTries.observe(event);
    switch (event.type) {
      case 'sampled':
        return this.#slots.sampled(event);
      case 'started':
        return this.#slots.restarted(event.node);
      case 'request-arrived': {
        const { node, model } = event;
        const answer = { node, model, tokens: 0, firstAtMs: atMs, lastAtMs: atMs, gap: undefined };
        this.#answers.set(event.requestId, answer);
        return;
      }
      case 'placed':
        return this.#placed(event);
      case 'offered':
        return this.#offered(event);
      case 'try-started':
        return this.#tryStarted(event, atMs);
      case 'try-ended':
        return this.#tryEnded(event, atMs);
      case 'run-started':
        return this.#runStarted(event, atMs);
      case 'run-ended':
        return this.#slots.ended(event);
      case 'text':
        return this.#text(event, atMs);
      case 'request-ended':
        return this.#ended(event, atMs);
      default:
    }
  }

  finish(atMs: number): void {
    if (!this.#late.isExceeded || this.#worst === undefined) return;
    const detail = `answers that did not go on elsewhere within ${GAP_MS_MAX} ms: ${this.#late.text}; the worst: ${this.#worst.detail}`;
    this.#breaches.add('gaps', { atMs, nodes: this.#worst.nodes, detail });
  }

  #placed({ requestId, plan }: Of<'placed'>): void {
    const gap = this.#answers.get(requestId)?.gap;
    if (gap !== undefined) gap.latest = plan;
  }

  #offered({ node: server, from, requestId, answer: said }: Of<'offered'>): void {
    const answer = this.#answers.get(requestId);
    if (answer?.gap?.taker === server && answer.node === from && said === 'queued') answer.gap.isQueued = true;
  }

  #tryStarted({ requestId, server, resumedAt }: Of<'try-started'>, atMs: number): void {
    const gap = this.#answers.get(requestId)?.gap;
    if (gap === undefined) return;
    // It may move from queue to queue; when it was first asked for counts.
    if (gap.taker === undefined) gap.triedAtMs = atMs;
    gap.plan = gap.latest;
    gap.isQueued = false;
    gap.taker = server;
    gap.resumedAt = resumedAt;
    gap.runAtMs = undefined;
  }

  #tryEnded({ requestId, server, outcome }: Of<'try-ended'>, atMs: number): void {
    const answer = this.#answers.get(requestId);
    if (answer === undefined || outcome !== 'failed' || answer.tokens === 0) return;
    if (answer.gap !== undefined) {
      answer.gap.failures += 1;
      return;
    }
    const lastAtMs = Math.min(answer.lastAtMs, atMs);
    const spare = this.#spareFor(answer, server, atMs);
    const tried = { triedAtMs: atMs, isQueued: false, plan: undefined, latest: undefined };
    const begun = { failures: 0, taker: undefined, resumedAt: answer.tokens, runAtMs: undefined, ...tried };
    answer.gap = { lastAtMs, failedServer: server, spacingMs: usualSpacingMs(answer), spare, ...begun };
  }

  #runStarted(event: RunEvent, atMs: number): void {
    const { node: server, from, requestId } = event;
    const answer = this.#answers.get(requestId);
    if (answer === undefined || answer.node !== from) return;
    this.#slots.started(event, answer.model);
    if (answer.gap?.taker === server) answer.gap.runAtMs ??= atMs;
  }

  #text({ requestId, position, tokens }: Of<'text'>, atMs: number): void {
    const answer = this.#answers.get(requestId);
    if (answer === undefined) return;
    const { gap } = answer;
    if (answer.tokens === 0) answer.firstAtMs = atMs;
    // What was read before the interruption may be reported after it.
    if (gap?.taker !== undefined && position + tokens > gap.resumedAt) {
      this.#judge(requestId, { answer, gap, onAtMs: this.#onAtMs(gap, atMs) }, atMs);
      answer.gap = undefined;
    }
    answer.tokens += tokens;
    answer.lastAtMs = atMs;
  }

  #ended({ requestId, result, failure }: Of<'request-ended'>, atMs: number): void {
    const answer = this.#answers.get(requestId);
    this.#answers.delete(requestId);
    if (answer?.gap === undefined || result !== 'failed') return;
    // The longer prompt of an answer that goes on may fit no context.
    if (failure?.code !== 'context-length-exceeded')
      this.#judge(requestId, { answer, gap: answer.gap, onAtMs: Infinity }, atMs);
  }

  /** To wait for a quick node may bring the next token sooner than to begin at once at a slow one: then its asking counts. */
  #onAtMs({ triedAtMs, runAtMs, isQueued, plan, taker, spare }: Gap, atMs: number): number {
    const expectedMs = (node: number | undefined): number | undefined => {
      const name = node === undefined ? undefined : this.#firstTries.nameOf(node);
      return plan?.explain.considered.find((row) => row.node === name)?.expectedMs;
    };
    const [there, elsewhere] = [expectedMs(taker), expectedMs(spare)];
    const isQuicker = there !== undefined && elsewhere !== undefined && there <= elsewhere;
    return isQueued && isQuicker ? triedAtMs : (runAtMs ?? atMs);
  }

  #judge(requestId: string, found: Found, atMs: number): void {
    const { gap, onAtMs } = found;
    if (!this.#isCovered(found, atMs)) return;
    const limitMs = this.#limitMs(gap);
    const gapMs = onAtMs - gap.lastAtMs;
    const isLate = gapMs > limitMs;
    this.#late.add(isLate ? 1 : 0);
    if (isLate) this.#tooLate(requestId, { ...found, limitMs, gapMs }, atMs);
  }

  #limitMs({ failedServer, lastAtMs, spacingMs }: Gap): number {
    const { plan, scenario } = this.#context;
    const hung = plan.some(
      (fault) =>
        fault.kind === 'gray' &&
        fault.node === failedServer &&
        fault.atMs <= lastAtMs + GAP_MS_MAX &&
        endMs(fault) >= lastAtMs,
    );
    // It is left later by what is missing of its tokens than by its silence; nobody knows the pace of a single token.
    const missedMs = spacingMs > 0 ? WATCH.tokensMissedMax * spacingMs : WATCH.stuckAfterMs;
    const laterMs = hung ? Math.max(0, Math.min(WATCH.stuckAfterMs, missedMs) - INFERENCE.stallAfterMs) : 0;
    return GAP_MS_MAX + laterMs + spacingMs + (scenario.network.loss > 0 ? RETRANSMIT_MS : 0);
  }

  /** Somebody could have gone on, nothing else failed, and neither the entry node nor the taker was struck. */
  #isCovered({ answer, gap }: Found, atMs: number): boolean {
    const { lastAtMs, spare, failures, taker = answer.node } = gap;
    if (spare === undefined || failures > 0) return false;
    return [answer.node, taker].every(
      (node) => this.#presence.isUpSince(node, lastAtMs) && this.#calm.isCalm(node, lastAtMs, atMs),
    );
  }

  #tooLate(requestId: string, found: Found & { readonly limitMs: number; readonly gapMs: number }, atMs: number): void {
    const { answer, gap, limitMs, gapMs } = found;
    const { failedServer, spare = answer.node, taker = spare } = gap;
    const went = gapMs === Infinity ? 'it never went on' : `it went on at n${taker} after ${gapMs} ms`;
    const detail = `n${failedServer} failed after token ${answer.tokens} and ${went}, promised within ${limitMs} ms (n${spare} was free)`;
    const nodes = [answer.node, failedServer, taker];
    const overMs = gapMs - limitMs;
    if (this.#context.scenario.network.loss === 0) this.#breaches.add('gap', { atMs, nodes, requestId, detail });
    else if (overMs >= (this.#worst?.overMs ?? 0)) this.#worst = { overMs, detail, nodes };
  }

  #spareFor({ node, model }: Answer, failedServer: number, atMs: number): number | undefined {
    for (const holder of this.#slots.holdersOf(model)) {
      if (holder === failedServer || !this.#slots.isFree(holder, model)) continue;
      if (!this.#presence.isUpSince(holder, atMs - SETTLED_MS) || !this.#quick.isCalm(holder, atMs, atMs)) continue;
      if (holder === node || this.#context.truth.canTalk(node, holder)) return holder;
    }
    return undefined;
  }
}

/** Mean time between two tokens that were read before the interruption. */
function usualSpacingMs({ tokens, firstAtMs, lastAtMs }: Answer): number {
  return tokens < 2 ? 0 : Math.ceil((lastAtMs - firstAtMs) / (tokens - 1));
}
