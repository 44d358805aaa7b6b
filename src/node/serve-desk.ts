/**
 * The requests that other nodes, and this one, want served here: admission per model, and the load figures that follow
 * from what was measured. A model that goes away keeps its running requests and takes no new ones.
 * Bounds: admission bounds running and waiting per model; the number of models is bounded by the engines' list.
 */
import { unreachable } from '../assert.ts';
import { failure } from '../errors.ts';
import type { ModelCapability, ModelLoad } from '../gossip/message.ts';
import { compareIds, type ModelId, type NodeId, type RequestId } from '../ids.ts';
import { Admission, type Rates, type Ticket } from '../inference/admission.ts';
import type { EngineModel } from '../inference/engine.ts';
import { LoadMeter } from '../inference/load-meter.ts';
import { GOSSIP, PLACEMENT } from '../params.ts';
import type { Effect, OpenSummary } from './events.ts';

interface Desk {
  offer: EngineModel;
  readonly admission: Admission;
}

interface Served {
  readonly model: ModelId;
  /** When it got its slot; undefined while it waits. */
  startedAtMs: number | undefined;
}

export class ServeDesk {
  readonly #desks = new Map<ModelId, Desk>();
  readonly #served = new Map<string, Served>();
  readonly #meter = new LoadMeter();
  /** In the order of names; undefined = to be sorted anew. */
  #inOrder: readonly Desk[] | undefined;
  #draining = false;

  /** What the engines offer now. Returns who may start because there are more slots. */
  setModels(models: readonly EngineModel[], nowMs: number): readonly Effect[] {
    const offered = new Map(models.filter(({ state }) => state !== 'failed').map((one) => [one.model, one]));
    for (const model of this.#desks.keys()) if (!offered.has(model)) this.#desks.delete(model);
    this.#inOrder = undefined;
    const effects: Effect[] = [];
    for (const offer of [...offered.values()].slice(0, GOSSIP.modelsPerNodeMax)) {
      const desk = this.#desks.get(offer.model);
      if (desk === undefined) this.#desks.set(offer.model, { offer, admission: new Admission(offer.slots, PLACEMENT) });
      else {
        desk.offer = offer;
        effects.push(...this.#startAll(desk.admission.setSlots(offer.slots), nowMs));
      }
    }
    return effects;
  }

  /** A request that entered the mesh here, for the arrival rate that our beacons tell. */
  arrived(model: ModelId, nowMs: number): void {
    this.#meter.arrived(model, nowMs);
  }

  /** How often requests for a model enter the mesh here, whether we offer it or not. */
  arrivalsPerKs(model: ModelId, nowMs: number): number {
    return this.#rates(model, nowMs).arrivalsPerKs;
  }

  opened(
    open: { readonly from: NodeId; readonly requestId: RequestId; readonly open: OpenSummary },
    nowMs: number,
  ): Effect {
    const { from, requestId } = open;
    const { model, levelMs } = open.open;
    const refuse = (code: 'draining' | 'model-not-ready', text: string): Effect => ({
      type: 'refuse-serve',
      from,
      requestId,
      failure: failure(code, text),
      load: undefined,
    });
    if (this.#draining) return refuse('draining', 'this node is shutting down and takes no new work');
    const desk = this.#desks.get(model);
    if (desk === undefined) return refuse('model-not-ready', `this node does not offer the model '${model}' now`);
    const rates = this.#rates(model, nowMs);
    const decision = desk.admission.offer({ from, requestId, levelMs }, rates);
    switch (decision.type) {
      case 'accepted':
        this.#served.set(keyOf(open), { model, startedAtMs: nowMs });
        return { type: 'serve', from, requestId };
      case 'queued':
        this.#served.set(keyOf(open), { model, startedAtMs: undefined });
        return { type: 'queue-serve', from, requestId, position: decision.position };
      case 'busy': {
        const { load, retryAfterMs } = decision;
        const text = `every slot for '${model}' is taken and the queue is too long`;
        return { type: 'refuse-serve', from, requestId, failure: failure('busy', text, { retryAfterMs }), load };
      }
      case 'refused':
        return { type: 'refuse-serve', from, requestId, failure: decision.failure, load: undefined };
      default:
        return unreachable(decision);
    }
  }

  firstToken(ticket: Ticket & { readonly newTokens: number; readonly elapsedMs: number }, nowMs: number): void {
    const model = this.#served.get(keyOf(ticket))?.model;
    if (model === undefined) return;
    const { newTokens, elapsedMs } = ticket;
    const busy = this.#desks.get(model)?.admission.busy ?? 1;
    this.#meter.firstToken(model, { newTokens, elapsedMs, busy }, nowMs);
  }

  /** A request ended, failed or was cancelled, running or waiting. Returns who starts now. */
  ended(
    ticket: Ticket & { readonly completionTokens: number; readonly decodeElapsedMs: number },
    nowMs: number,
  ): readonly Effect[] {
    const served = this.#served.get(keyOf(ticket));
    if (served === undefined) return [];
    this.#served.delete(keyOf(ticket));
    const { startedAtMs, model } = served;
    // Only an answer that ran teaches how long answers take; a waiting one that was cancelled does not.
    if (startedAtMs !== undefined && ticket.completionTokens > 0) {
      const { completionTokens, decodeElapsedMs } = ticket;
      this.#meter.ended(model, { serviceMs: nowMs - startedAtMs, decodeMs: decodeElapsedMs, completionTokens }, nowMs);
    }
    return this.#startAll(this.#desks.get(model)?.admission.release(ticket) ?? [], nowMs);
  }

  /** No new work; who waits goes elsewhere, who runs finishes. */
  drain(): readonly Effect[] {
    this.#draining = true;
    const reason = failure('draining', 'this node is shutting down and takes no new work');
    return [...this.#desks.values()].flatMap(({ admission }) =>
      admission.drain().map(({ from, requestId }): Effect => {
        this.#served.delete(keyOf({ from, requestId }));
        return { type: 'refuse-serve', from, requestId, failure: reason, load: undefined };
      }),
    );
  }

  /** Requests that run or wait here. */
  get size(): number {
    return this.#served.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** What our capability message says, in the order of names. */
  capabilities(): readonly ModelCapability[] {
    if (this.#draining) return [];
    return this.#sorted().map(({ offer: { model, digest, contextTokens, slots, loadMs } }) => ({
      model,
      digest,
      contextTokens,
      slots,
      loadMs,
    }));
  }

  /** In the order of `capabilities()`. */
  loads(nowMs: number): readonly ModelLoad[] {
    if (this.#draining) return [];
    return this.#sorted().map(({ offer, admission }) => this.#meter.load(offer.model, admission, nowMs));
  }

  #rates(model: ModelId, nowMs: number): Rates {
    return this.#meter.load(model, this.#desks.get(model)?.admission ?? { busy: 0, queued: 0, slots: 1 }, nowMs);
  }

  #sorted(): readonly Desk[] {
    this.#inOrder ??= [...this.#desks.values()].toSorted((left, right) =>
      compareIds(left.offer.model, right.offer.model),
    );
    return this.#inOrder;
  }

  #startAll(tickets: readonly Ticket[], nowMs: number): readonly Effect[] {
    return tickets.map(({ from, requestId }): Effect => {
      const served = this.#served.get(keyOf({ from, requestId }));
      if (served !== undefined) served.startedAtMs = nowMs;
      return { type: 'serve', from, requestId };
    });
  }
}

function keyOf({ from, requestId }: Ticket): string {
  return `${from} ${requestId}`;
}
