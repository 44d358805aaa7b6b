/**
 * The requests that run here, for other nodes and for this one: it carries out what each `ServeSession` asks for, joins
 * it to its engine and to the asker's line, and to the mesh, which decides who may run. A request is known by (asker,
 * request id); a newer one of that name replaces the older, whose line must be gone. When its line ends it may be taken up
 * again on another (`reattach`) by the same asker, who names how far it came; nobody else can name it. Effects of one session
 * are carried out strictly one after the other, also when one of them causes the next.
 * Limits: live requests are bounded by the links' channels and the mesh's admission, ended ones by `lingering.ts`.
 */
import { unreachable } from '../assert.ts';
import { type Failure, failure } from '../errors.ts';
import type { ModelLoad } from '../gossip/message.ts';
import type { ModelId, NodeId, RequestId } from '../ids.ts';
import type { Input } from '../node/events.ts';
import { Alarm, type PlaneClock, type Sleeper } from './alarm.ts';
import type { Job, Engine, EngineRun } from './engine.ts';
import { type DecodedOpen, type OpenBody, promptBytesOf } from './job-codec.ts';
import { Lingering } from './lingering.ts';
import type { Answer, Reattach, TokensAnswer } from './messages.ts';
import { type ServeEffect, type ServeInput, ServeSession } from './serve-session.ts';

/** The way back to whoever asked. */
export interface AskerLine {
  answer(answer: Answer): void;
  /** Call `served.takeTokens()` when there is room for it. */
  tokensWaiting(served: Served): void;
  /** The request goes on over another line. Absent where the asker is this node: that line does not end. */
  moved?(served: Served): void;
}

/** Nobody listens: the link ended, and the asker may come back. */
const NOWHERE: AskerLine = { answer: () => undefined, tokensWaiting: () => undefined, moved: () => undefined };

export interface ServingPorts {
  readonly clock: PlaneClock;
  readonly tokensPerSecondMax: number;
  engineFor(model: ModelId): Engine | undefined;
  report(input: Input): void;
  /** A request ended here. */
  ended(): void;
}

const LOST: Answer = {
  type: 'refused',
  failure: failure('stream-lost', 'this request does not live here any more'),
  load: undefined,
};

/** For lists that people read. */
export interface ServedSummary {
  readonly from: NodeId;
  readonly requestId: RequestId;
  readonly model: ModelId;
  readonly phase: string;
  readonly tokens: number;
}

/** One request that is served here. */
export class Served {
  readonly from: NodeId;
  readonly open: OpenBody;
  readonly session: ServeSession;
  line: AskerLine;
  readonly #clock: PlaneClock;
  readonly #carryOut: (served: Served, effect: ServeEffect) => void;
  readonly #effects: ServeEffect[] = [];
  #busy = false;
  run: EngineRun | undefined;

  constructor(options: {
    readonly from: NodeId;
    readonly open: OpenBody;
    readonly line: AskerLine;
    readonly clock: PlaneClock;
    readonly tokensPerSecondMax: number;
    readonly carryOut: (served: Served, effect: ServeEffect) => void;
  }) {
    const { from, open, line, clock, tokensPerSecondMax } = options;
    this.from = from;
    this.open = open;
    this.line = line;
    this.#clock = clock;
    this.#carryOut = options.carryOut;
    const promptTokensEstimate = Math.ceil(promptBytesOf(open.job) / 4);
    const setup = { creditTokens: open.creditTokens, promptTokensEstimate, tokensPerSecondMax };
    this.session = new ServeSession(setup, clock.nowMs());
  }

  get over(): boolean {
    return this.session.phase === 'over';
  }

  get wakeAtMs(): number {
    return this.session.wakeAtMs;
  }

  wake(): void {
    this.step({ type: 'woke' });
  }

  takeTokens(): TokensAnswer | undefined {
    return this.session.takeTokens(this.#clock.nowMs());
  }

  step(input: ServeInput): void {
    for (const effect of this.session.step(input, this.#clock.nowMs())) this.#effects.push(effect);
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#effects.shift(); next !== undefined; next = this.#effects.shift()) this.#carryOut(this, next);
    this.#busy = false;
  }
}

export class Serving {
  readonly #ports: ServingPorts;
  readonly #served = new Map<string, Served>();
  readonly #lingering = new Lingering();
  readonly #alarm: Alarm;

  constructor(ports: ServingPorts) {
    this.#ports = ports;
    this.#alarm = new Alarm(ports.clock, () => this.#sleepers());
  }

  get live(): number {
    return this.#served.size;
  }

  list(): ServedSummary[] {
    return [...this.#served.values()].map(({ from, open, session }) => ({
      from,
      requestId: open.requestId,
      model: open.job.model,
      phase: session.phase,
      tokens: session.tokensProduced,
    }));
  }

  /** Tokens of the answer that were said elsewhere before it came here; undefined for what is not here any more. */
  resumedAt(from: NodeId, requestId: RequestId): number | undefined {
    const served = this.#served.get(keyOf(from, requestId));
    return served === undefined ? undefined : (served.open.job.resume?.tokens ?? 0);
  }

  /** Takes a request in, or answers at once why not. */
  open(from: NodeId, line: AskerLine, decoded: DecodedOpen): Served | undefined {
    if (decoded.type === 'rejected') {
      line.answer({ type: 'refused', failure: decoded.failure, load: undefined });
      return undefined;
    }
    const { open } = decoded;
    const key = keyOf(from, open.requestId);
    // Its line broke without our noticing yet: the asker is back already.
    const replaced = failure('stream-lost', 'the request was opened again on another line');
    this.#served.get(key)?.step({ type: 'stopped', failure: replaced });
    const { clock, tokensPerSecondMax } = this.#ports;
    const carryOut = (served: Served, effect: ServeEffect): void => this.#carryOut(served, effect);
    this.#lingering.forget(key);
    const served = new Served({ from, open, line, clock, tokensPerSecondMax, carryOut });
    this.#served.set(key, served);
    this.#alarm.by(served.wakeAtMs);
    const { model } = open.job;
    this.#ports.report({
      type: 'open-received',
      from,
      requestId: open.requestId,
      open: { model, promptBytes: promptBytesOf(open.job), levelMs: open.levelMs },
    });
    return served;
  }

  /**
   * The asker is back on another line, or says on it that it went elsewhere. Returns what lives on that line from now on;
   * where nothing does, the line has heard why.
   */
  reattach(from: NodeId, line: AskerLine, ask: Reattach): Served | undefined {
    const key = keyOf(from, ask.requestId);
    const served = this.#served.get(key);
    // 1. It lives here.
    if (served !== undefined && isSameTry(startOf(served.open), ask)) return this.#takenUp(served, line, ask);
    const ended = this.#lingering.get(key);
    // 2. It ended, and the asker has not heard all of it.
    const isMissed = ended !== undefined && isSameTry(ended, ask) && ended.session.reaches(ask);
    if (ask.wanted && isMissed) {
      for (const effect of ended.session.step({ ...ask, type: 'reattached' }, this.#ports.clock.nowMs()))
        if (effect.type === 'answer') line.answer(effect.answer);
    }
    // 3. It was never here, or not for that long: this node started anew, or nobody came back in time.
    else line.answer(ask.wanted ? LOST : { type: 'cancelled' });
    return undefined;
  }

  /** Something came from the asker, or its line is gone. */
  fromAsker(
    served: Served,
    input: ServeInput & { readonly type: 'credit-received' | 'cancelled' | 'link-lost' },
  ): void {
    if (input.type === 'link-lost') served.line = NOWHERE;
    served.step(input);
    this.#alarm.by(served.wakeAtMs);
  }

  /** The mesh lets it run. */
  serve(from: NodeId, requestId: RequestId): void {
    const served = this.#served.get(keyOf(from, requestId));
    if (served === undefined) return;
    const { model } = served.open.job;
    const engine = this.#ports.engineFor(model);
    const offered = engine?.models().find((candidate) => candidate.model === model);
    if (engine === undefined || offered === undefined) {
      const problem = failure('model-not-ready', `no engine here offers ${model} any more`);
      served.step({ type: 'stopped', failure: problem });
      return;
    }
    served.step({ type: 'admitted', digest: offered.digest });
    this.#alarm.by(served.wakeAtMs);
  }

  queue(from: NodeId, requestId: RequestId, position: number): void {
    this.#served.get(keyOf(from, requestId))?.step({ type: 'queued', position });
  }

  refuse(
    from: NodeId,
    requestId: RequestId,
    why: { readonly failure: Failure; readonly load: ModelLoad | undefined },
  ): void {
    const served = this.#served.get(keyOf(from, requestId));
    if (served === undefined) return;
    served.step({ type: 'refused', ...why });
    this.#forget(served);
  }

  /** Ends everything that runs here. */
  stop(reason: Failure): void {
    for (const served of this.#served.values()) served.step({ type: 'stopped', failure: reason });
    this.#alarm.stop();
  }

  #takenUp(served: Served, line: AskerLine, ask: Reattach): Served | undefined {
    // The line that it lived on may not know yet that it ended.
    served.line.moved?.(served);
    served.line = line;
    const goesOn = ask.wanted && served.session.reaches(ask);
    if (ask.wanted && !goesOn) line.answer(LOST);
    served.step(goesOn ? { ...ask, type: 'reattached' } : { type: 'cancelled' });
    this.#alarm.by(served.wakeAtMs);
    return served.over ? undefined : served;
  }

  #carryOut(served: Served, effect: ServeEffect): void {
    const { from, open } = served;
    const { requestId } = open;
    switch (effect.type) {
      case 'answer':
        served.line.answer(effect.answer);
        return;
      case 'tokens-waiting':
        served.line.tokensWaiting(served);
        return;
      case 'start-engine':
        this.#start(served);
        return;
      case 'grant':
        served.run?.grant(effect.tokens);
        return;
      case 'cancel-engine':
        served.run?.cancel();
        return;
      case 'report-first-token': {
        const { newTokens, elapsedMs } = effect;
        this.#ports.report({ type: 'serve-first-token', from, requestId, newTokens, elapsedMs });
        return;
      }
      case 'report-ended': {
        const { completionTokens, decodeElapsedMs } = effect;
        this.#forget(served);
        this.#ports.report({ type: 'serve-ended', from, requestId, completionTokens, decodeElapsedMs });
        return;
      }
      default:
        unreachable(effect);
    }
  }

  #start(served: Served): void {
    const { job, resumeDigest } = served.open;
    const engine = this.#ports.engineFor(job.model);
    const digest = engine?.models().find((candidate) => candidate.model === job.model)?.digest ?? '';
    if (engine === undefined) {
      served.step({ type: 'stopped', failure: failure('model-not-ready', `no engine here offers ${job.model}`) });
      return;
    }
    const run = engine.start(withUsableIds(job, resumeDigest, digest), (event) => {
      served.step({ type: 'engine-event', event });
      this.#alarm.by(served.wakeAtMs);
    });
    served.run = run;
  }

  *#sleepers(): Iterable<Sleeper> {
    yield* this.#served.values();
    yield this.#lingering;
  }

  #forget(served: Served): void {
    const { from, open, line, session } = served;
    const key = keyOf(from, open.requestId);
    if (this.#served.get(key) === served) {
      this.#served.delete(key);
      if (session.lingers && line.moved !== undefined) {
        this.#lingering.put(key, { session, ...startOf(open) }, this.#ports.clock.nowMs());
        this.#alarm.by(this.#lingering.wakeAtMs);
      }
    }
    this.#ports.ended();
  }
}

/** Token ids mean something only to the very same weights; the text always does. */
function withUsableIds(job: Job, theirs: string, ours: string): Job {
  if (job.resume === undefined || (ours !== '' && ours === theirs)) return job;
  return { ...job, resume: { ...job.resume, tokenIds: [] } };
}

interface TryStart {
  readonly startTokens: number;
  readonly startCharacters: number;
}

/** What an answer had when this try of it was opened. */
function startOf({ job }: OpenBody): TryStart {
  return { startTokens: job.resume?.tokens ?? 0, startCharacters: job.resume?.text.length ?? 0 };
}

/** An answer only grows: two tries of a request that began equally far began with the same text. */
function isSameTry(one: TryStart, other: TryStart): boolean {
  return one.startTokens === other.startTokens && one.startCharacters === other.startCharacters;
}

function keyOf(from: NodeId, requestId: RequestId): string {
  return `${requestId}/${from}`;
}
