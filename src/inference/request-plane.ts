/**
 * The requests of one node as a whole, without a wire: those that entered here (`Asking`) and those that run here
 * (`Serving`), and the mesh's decisions about both. A request that is placed on this very node takes the same way
 * through the same sessions, its answers handed over as they come; for all others the caller brings the way to the
 * serving node. Synchronous, with the clock as a port: the data plane runs it over real links and the simulator over
 * simulated ones.
 */
import { unreachable } from '../assert.ts';
import { failure } from '../errors.ts';
import type { ModelId, NodeId } from '../ids.ts';
import type { Effect, Input } from '../node/events.ts';
import type { PlaneClock } from './alarm.ts';
import { type AskedSummary, Asking, type Opening, type ServerLine } from './asking.ts';
import type { ChatEvent, ChatRequest, ChatRun, ChatService } from './chat.ts';
import type { Engine } from './engine.ts';
import { type ServedSummary, Serving } from './serving.ts';

/** What the mesh asks of the requests of its node. */
export type RequestEffectOfMesh = Extract<
  Effect,
  { readonly type: 'dispatch' | 'refuse-request' | 'serve' | 'queue-serve' | 'refuse-serve' }
>;

export interface RequestPlanePorts {
  readonly self: NodeId;
  readonly clock: PlaneClock;
  /** For all answers of this node, each: the owner's limit. 0 = none. */
  readonly tokensPerSecondMax: number;
  /** Who serves a model here. */
  engineFor(model: ModelId): Engine | undefined;
  /** One try at another node. What cannot be had says so through the opening. */
  openRemote(opening: Opening): ServerLine;
  /** To the mesh. It may come back with effects at once. */
  report(input: Input): void;
  /** A request ended here. */
  ended(): void;
  /** For recognising prompts that begin alike (`prompt-prefixes.ts`); absent = none is recognised. */
  readonly prefixKey?: Uint8Array;
}

export class RequestPlane implements ChatService {
  readonly serving: Serving;
  readonly #ports: RequestPlanePorts;
  readonly #asking: Asking;
  #draining = false;

  constructor(ports: RequestPlanePorts) {
    this.#ports = ports;
    const { clock, tokensPerSecondMax } = ports;
    const report = (input: Input): void => ports.report(input);
    const ended = (): void => ports.ended();
    const engineFor = (model: ModelId): Engine | undefined => ports.engineFor(model);
    this.serving = new Serving({ clock, tokensPerSecondMax, engineFor, report, ended });
    const { prefixKey } = ports;
    const asking = { clock, open: (opening: Opening) => this.#open(opening), report, ended };
    this.#asking = new Asking(prefixKey === undefined ? asking : { ...asking, prefixKey });
  }

  /** Requests that live here, asked and served. */
  get live(): number {
    return this.#asking.live + this.serving.live;
  }

  requests(): { readonly asked: readonly AskedSummary[]; readonly served: readonly ServedSummary[] } {
    return { asked: this.#asking.list(), served: this.serving.list() };
  }

  start(request: ChatRequest, on: (event: ChatEvent) => void): ChatRun {
    if (!this.#draining) return this.#asking.start(request, on);
    let cancelled = false;
    const reason = failure('draining', 'this node is stopping and takes nothing new');
    this.#ports.clock.soon(() => {
      if (!cancelled) on({ type: 'failed', failure: reason });
    });
    return {
      grant: () => undefined,
      cancel: () => {
        cancelled = true;
      },
    };
  }

  carryOut(effect: RequestEffectOfMesh): void {
    switch (effect.type) {
      case 'dispatch':
        return this.#asking.dispatch(effect.requestId, effect.plan);
      case 'refuse-request':
        return this.#asking.refuse(effect.requestId, effect.failure);
      case 'serve':
        return this.serving.serve(effect.from, effect.requestId);
      case 'queue-serve':
        return this.serving.queue(effect.from, effect.requestId, effect.position);
      case 'refuse-serve':
        return this.serving.refuse(effect.from, effect.requestId, { failure: effect.failure, load: effect.load });
      default:
        return unreachable(effect);
    }
  }

  /** Takes nothing new from here on. */
  drain(): void {
    this.#draining = true;
  }

  /** Ends everything that lives here. */
  stop(): void {
    const reason = failure('draining', 'the node is stopping');
    this.#asking.stop(reason);
    this.serving.stop(reason);
  }

  #open(opening: Opening): ServerLine {
    return opening.node === this.#ports.self ? this.#openHere(opening) : this.#ports.openRemote(opening);
  }

  #openHere(opening: Opening): ServerLine {
    const { requestId, levelMs, creditTokens, resumeDigest } = opening.parts;
    const open = { requestId, levelMs, creditTokens, job: opening.job, resumeDigest };
    const served = this.serving.open(
      this.#ports.self,
      {
        answer: (answer) => opening.answered(answer),
        tokensWaiting: (waiting) => {
          const tokens = waiting.takeTokens();
          if (tokens !== undefined) opening.answered(tokens);
        },
      },
      { type: 'open', open },
    );
    return {
      credit: (tokens) => {
        if (served !== undefined) this.serving.fromAsker(served, { type: 'credit-received', tokens });
      },
      cancel: () => {
        if (served !== undefined) this.serving.fromAsker(served, { type: 'cancelled' });
      },
    };
  }
}
