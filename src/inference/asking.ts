/**
 * The requests that entered at this node: the `ChatService` behind the API. It carries out what each `RequestSession`
 * asks for, joins it to the mesh (which plans) and to the lines to serving nodes. No event comes before `start` has
 * returned and none after `cancel`; effects of one session are carried out strictly one after the other, also when one
 * of them (an event that makes the client cancel) causes the next.
 */
import { invariant, unreachable } from '../assert.ts';
import type { Failure } from '../errors.ts';
import type { NodeId, RequestId } from '../ids.ts';
import type { DispatchPlan, Input } from '../node/events.ts';
import { Alarm, type PlaneClock } from './alarm.ts';
import type { ChatEvent, ChatRequest, ChatRun, ChatService } from './chat.ts';
import type { Job } from './engine.ts';
import { appendAnswer, type PromptPrefixes, promptPrefixes } from './prompt-prefixes.ts';
import { type OpenParts, encodeJob, promptBytesOf, promptHeadOf } from './job-codec.ts';
import type { Answer } from './messages.ts';
import type { RequestEffect, RequestInput, RequestReport } from './request-events.ts';
import { RequestSession } from './request-session.ts';

/** Source: measured: 3.5 to 4.5 in English prose. */
const PROMPT_BYTES_PER_TOKEN = 4;

type RankedNodes = Pick<DispatchPlan, 'ranked' | 'levelMs'>;

/** The way to a node that serves one try. */
export interface ServerLine {
  credit(tokens: number): void;
  cancel(): void;
}

/** One try at one node. */
export interface Opening {
  readonly node: NodeId;
  readonly parts: OpenParts;
  readonly job: Job;
  answered(answer: Answer): void;
  /** Nothing more comes. */
  lost(reason: string): void;
}

export interface AskingPorts {
  readonly clock: PlaneClock;
  /** Answers come later or at once; a line that cannot be had says `lost`. */
  open(opening: Opening): ServerLine;
  report(input: Input): void;
  /** A request ended. */
  ended(): void;
  /** Of this process alone, for recognising prompts that begin alike; absent = none is recognised. */
  readonly prefixKey?: Uint8Array;
}

/** For lists that people read. */
export interface AskedSummary {
  readonly requestId: RequestId;
  readonly model: string;
  readonly phase: string;
  readonly node: NodeId | undefined;
  readonly tokens: number;
  readonly tries: number;
  readonly ageMs: number;
}

class Asked {
  readonly request: ChatRequest;
  readonly session: RequestSession;
  readonly promptBytes: number;
  readonly arrivedAtMs: number;
  readonly #clock: PlaneClock;
  readonly #carryOut: (asked: Asked, effect: RequestEffect) => void;
  readonly #effects: RequestEffect[] = [];
  #busy = false;
  /** The line of the current try. */
  line: { readonly attempt: number; readonly to: ServerLine } | undefined;
  clientGone = false;
  #jobText: string | undefined;
  /** The mesh knows of it. */
  arrived = false;
  /** Of the prompt, and at the end of the answer too. */
  prefixes: PromptPrefixes | undefined;

  constructor(request: ChatRequest, clock: PlaneClock, carryOut: (asked: Asked, effect: RequestEffect) => void) {
    this.request = request;
    this.promptBytes = promptBytesOf(request.job);
    this.arrivedAtMs = clock.nowMs();
    this.#clock = clock;
    this.#carryOut = carryOut;
    const promptTokens = Math.ceil(this.promptBytes / PROMPT_BYTES_PER_TOKEN);
    this.session = new RequestSession({ maxTokens: request.job.sampling.maxTokens, promptTokens }, this.arrivedAtMs);
  }

  /** Made for the first try: a request that nobody can serve has none, and may be megabytes long. */
  get jobText(): string {
    this.#jobText ??= encodeJob(this.request.job);
    return this.#jobText;
  }

  get wakeAtMs(): number {
    return this.session.wakeAtMs;
  }

  wake(): void {
    this.step({ type: 'woke' });
  }

  step(input: RequestInput): void {
    for (const effect of this.session.step(input, this.#clock.nowMs())) this.#effects.push(effect);
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#effects.shift(); next !== undefined; next = this.#effects.shift()) this.#carryOut(this, next);
    this.#busy = false;
  }
}

export class Asking implements ChatService {
  readonly #ports: AskingPorts;
  readonly #asked = new Map<RequestId, Asked>();
  readonly #listeners = new Map<Asked, (event: ChatEvent) => void>();
  readonly #alarm: Alarm;

  constructor(ports: AskingPorts) {
    this.#ports = ports;
    this.#alarm = new Alarm(ports.clock, () => this.#asked.values());
  }

  get live(): number {
    return this.#asked.size;
  }

  list(): AskedSummary[] {
    const nowMs = this.#ports.clock.nowMs();
    return [...this.#asked.values()].map(({ request, session, arrivedAtMs }) => ({
      requestId: request.requestId,
      model: request.job.model,
      phase: session.phase,
      node: session.node,
      tokens: session.answer.tokens,
      tries: session.asked,
      ageMs: Math.round(nowMs - arrivedAtMs),
    }));
  }

  start(request: ChatRequest, on: (event: ChatEvent) => void): ChatRun {
    const { requestId } = request;
    invariant(!this.#asked.has(requestId), 'a request id is used once');
    const asked = new Asked(request, this.#ports.clock, (one, effect) => this.#carryOut(one, effect));
    this.#asked.set(requestId, asked);
    this.#listeners.set(asked, on);
    // Later in this turn: the caller has its run by then, and what it granted goes out with the request.
    this.#ports.clock.soon(() => this.#arrived(asked));
    return {
      grant: (tokens) => this.#step(asked, { type: 'client-granted', tokens }),
      cancel: () => {
        asked.clientGone = true;
        this.#step(asked, { type: 'client-cancelled' });
      },
    };
  }

  /** The mesh has a plan. */
  dispatch(requestId: RequestId, { ranked, levelMs, explain }: Partial<DispatchPlan> & RankedNodes): void {
    const asked = this.#asked.get(requestId);
    if (asked === undefined) return;
    const first = explain?.considered.find(({ rank }) => rank === 1);
    const expected = first === undefined ? {} : { expectedMs: first.expectedMs };
    this.#step(asked, { type: 'dispatched', ranked, levelMs, ...expected });
  }

  /** The mesh knows nobody. */
  refuse(requestId: RequestId, failure: Failure): void {
    const asked = this.#asked.get(requestId);
    if (asked !== undefined) this.#step(asked, { type: 'refused-by-mesh', failure });
  }

  /** Ends everything that was asked here. */
  stop(failure: Failure): void {
    for (const asked of this.#asked.values()) this.#step(asked, { type: 'stopped', failure });
    this.#alarm.stop();
  }

  #arrived(asked: Asked): void {
    if (asked.session.phase === 'over') return;
    asked.arrived = true;
    const { requestId, sessionKey, job } = asked.request;
    const { prefixKey } = this.#ports;
    if (prefixKey !== undefined) asked.prefixes = promptPrefixes(job, prefixKey);
    this.#ports.report({
      type: 'request-arrived',
      requestId,
      request: {
        model: job.model,
        sessionKey,
        promptHead: promptHeadOf(job),
        promptBytes: asked.promptBytes,
        answerTokens: job.sampling.maxTokens ?? 0,
        ...(asked.prefixes !== undefined && { prefixes: asked.prefixes.hashes }),
      },
    });
    this.#alarm.by(asked.wakeAtMs);
  }

  #step(asked: Asked, input: RequestInput): void {
    asked.step(input);
    this.#alarm.by(asked.wakeAtMs);
  }

  #carryOut(asked: Asked, effect: RequestEffect): void {
    switch (effect.type) {
      case 'open':
        this.#open(asked, effect);
        return;
      case 'cancel':
        if (asked.line?.attempt === effect.attempt) asked.line.to.cancel();
        return;
      case 'credit':
        if (asked.line?.attempt === effect.attempt) asked.line.to.credit(effect.tokens);
        return;
      case 'emit':
        if (!asked.clientGone) this.#listeners.get(asked)?.(effect.event);
        return;
      case 'report':
        this.#report(asked, effect.report);
        return;
      default:
        unreachable(effect);
    }
  }

  #open(asked: Asked, effect: RequestEffect & { readonly type: 'open' }): void {
    const { attempt, node, levelMs, creditTokens, resume, resumeDigest } = effect;
    const { requestId, job } = asked.request;
    const to = this.#ports.open({
      node,
      parts: { requestId, levelMs, creditTokens, jobText: asked.jobText, resume, resumeDigest },
      job: resume === undefined ? job : { ...job, resume },
      answered: (answer) => this.#step(asked, { type: 'answered', attempt, answer }),
      lost: (reason) => this.#step(asked, { type: 'link-lost', attempt, reason }),
    });
    asked.line = { attempt, to };
  }

  #report(asked: Asked, report: RequestReport): void {
    if (report.type === 'request-ended') this.#forget(asked);
    // One that was cancelled before the mesh heard of it needs no end either.
    if (!asked.arrived) return;
    const { requestId, job } = asked.request;
    const { prefixes } = asked;
    if (report.type !== 'try-ended' || prefixes === undefined || !hasRead(report))
      return this.#ports.report({ ...report, requestId });
    appendAnswer(prefixes, job, asked.session.answer.text);
    // It ends the request, or the client left: no other try adds its answer again.
    asked.prefixes = undefined;
    this.#ports.report({ ...report, requestId, prefixes: prefixes.hashes });
  }

  #forget(asked: Asked): void {
    this.#asked.delete(asked.request.requestId);
    this.#listeners.delete(asked);
    this.#ports.ended();
  }
}

/** Its cache holds the prompt, and what it wrote. */
function hasRead({ outcome, tokens }: Extract<RequestReport, { readonly type: 'try-ended' }>): boolean {
  return outcome.type === 'answered' || (outcome.type === 'cancelled' && tokens > 0);
}
