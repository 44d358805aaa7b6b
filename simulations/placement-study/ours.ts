/**
 * The code that ships, in the study's world: each node is a `RequestDesk` for what enters there and a `ServeDesk` for what
 * runs there, and a message takes the way of a real request. Its entrance places it on its own delayed view; the node asks
 * its `ServeDesk`, which lets it run, queues it or says busy with its load; `Tries` walks the list, asks for another
 * when it is used up, pauses and gives up as it does in a real session. Who is told that nobody can comes back after the
 * time that the refusal names, as a new request, and its wait counts from the first. What is not here: tokens, credit,
 * keep-alives, failures.
 */
import type { Capability, ModelLoad } from '../../src/gossip/message.ts';
import type { ModelId, NodeId, RequestId } from '../../src/ids.ts';
import { Tries } from '../../src/inference/tries.ts';
import type { MemberFacts } from '../../src/node/candidates.ts';
import type { DispatchPlan, Effect, RequestSummary } from '../../src/node/events.ts';
import { RequestDesk } from '../../src/node/request-desk.ts';
import { ServeDesk } from '../../src/node/serve-desk.ts';
import { paramsFingerprint } from '../../src/params.ts';
import { Beacons } from './beacons.ts';
import type { Message } from './demand.ts';
import { Machine, type Run } from './machine.ts';
import { modelOf, requestOf } from './names.ts';
import type { Running, Site, Strategy } from './world.ts';

export const OURS: Strategy = { name: 'skein', start: (site) => new Ours(site) };

const MODEL = modelOf('study');
const PROMPT_BYTES_PER_TOKEN = 4;
const CONTEXT_TOKENS = 131_072;
/** When a refusal names no time. */
const RETRY_AFTER_MS = 1_000;

/** A request under way at its entrance. */
interface Asked {
  readonly requestId: RequestId;
  readonly message: Message;
  readonly tries: Tries;
  /** When the current try began. */
  triedAtMs: number;
}

/** At the node that serves, by asker and request. */
interface Offered {
  readonly asked: Asked;
  readonly from: NodeId;
}

interface Host {
  readonly node: NodeId;
  readonly requests: RequestDesk;
  readonly serves: ServeDesk;
  readonly machine: Machine;
  readonly capability: Capability;
  /** What waits or runs, by message: a message is at one machine at a time. */
  readonly offered: Map<number, Offered>;
  /** Only of a lying one, which refuses nobody. */
  readonly queue: Message[];
}

class Ours implements Running {
  readonly machines: readonly Machine[];
  readonly #site: Site;
  readonly #hosts: readonly Host[];
  readonly #numbers = new Map<NodeId, number>();
  readonly #beacons: Beacons;
  #requestIds = 0;

  constructor(site: Site) {
    this.#site = site;
    const { agenda, demand, beaconMs, liars } = site;
    this.#hosts = demand.machines.map((_, number) => this.#makeHost(number));
    for (const [number, { node }] of this.#hosts.entries()) this.#numbers.set(node, number);
    this.machines = this.#hosts.map(({ machine }) => machine);
    this.#beacons = new Beacons({ agenda, demand, beaconMs, liars, loadOf: (number) => this.#loadOf(number) });
  }

  arrived(message: Message): void {
    this.#requestIds += 1;
    const requestId = requestOf(this.#requestIds);
    const host = this.#host(message.ingress);
    const asked = { requestId, message, tries: new Tries(), triedAtMs: 0 };
    host.serves.arrived(MODEL, this.#nowMs());
    const summary: RequestSummary = {
      model: MODEL,
      sessionKey: `conversation-${message.conversation}`,
      promptHead: '',
      promptBytes: message.promptTokens * PROMPT_BYTES_PER_TOKEN,
      answerTokens: 0,
    };
    const members = this.#membersFor(message.ingress);
    this.#placed(asked, host.requests.arrived({ requestId, summary }, members, this.#nowMs()));
  }

  #makeHost(number: number): Host {
    const { agenda, demand } = this.#site;
    const spec = demand.machines[number];
    if (spec === undefined) throw new Error(`there is no node ${number}`);
    const { node, slots } = spec;
    const params = paramsFingerprint();
    const offer = { model: MODEL, digest: '', contextTokens: CONTEXT_TOKENS, slots, loadMs: 0 };
    const serves = new ServeDesk();
    serves.setModels([{ ...offer, state: 'ready' }], 0);
    const arrivalsPerKsHere = (of: ModelId, nowMs: number): number => serves.arrivalsPerKs(of, nowMs);
    return {
      node,
      serves,
      requests: new RequestDesk({ self: node, params, arrivalsPerKsHere, mayExist: () => true }),
      machine: new Machine(spec, agenda, {
        firstToken: (run) => this.#firstToken(number, run),
        ended: (run) => this.#ended(number, run),
      }),
      capability: { name: `node ${number}`, version: '1', params, addresses: [], models: [offer] },
      offered: new Map(),
      queue: [],
    };
  }

  #placed(asked: Asked, effect: Effect | undefined): void {
    if (effect?.type === 'dispatch') this.#follow(asked, effect.plan);
    else if (effect?.type === 'refuse-request') this.#nobodyLeft(asked, effect.failure.retryAfterMs);
  }

  #follow(asked: Asked, plan: DispatchPlan): void {
    asked.tries.plan({ ...plan, madeAtMs: this.#nowMs() });
    if (!this.#openNext(asked)) this.#nobodyLeft(asked, undefined);
  }

  /** Asks the next of the plan; false when there is none. */
  #openNext(asked: Asked): boolean {
    const { tries, requestId, message } = asked;
    const { requests, node: from } = this.#host(message.ingress);
    const node = tries.next();
    if (node === undefined) return false;
    asked.triedAtMs = this.#nowMs();
    requests.tryStarted({ requestId, node }, this.#nowMs());
    const number = this.#numbers.get(node) ?? 0;
    this.#after(this.#wayMs(asked, number), () => this.#opened(number, { asked, from }));
    return true;
  }

  #replan(asked: Asked): void {
    const { tries, requestId, message } = asked;
    if (tries.exhausted) return this.#giveUp(asked, undefined);
    const members = this.#membersFor(message.ingress);
    const wish = { requestId, excluded: tries.excluded };
    this.#placed(asked, this.#host(message.ingress).requests.replan(wish, members, this.#nowMs()));
  }

  #nobodyLeft(asked: Asked, retryAfterMs: number | undefined): void {
    const pauseMs = asked.tries.pauseMs(0, false);
    if (pauseMs !== undefined) {
      this.#after(pauseMs, () => {
        asked.tries.relax();
        this.#replan(asked);
      });
      return;
    }
    this.#giveUp(asked, retryAfterMs);
  }

  /** The client hears it and comes again. */
  #giveUp(asked: Asked, retryAfterMs: number | undefined): void {
    this.#site.tally.refused(asked.message);
    this.#host(asked.message.ingress).requests.ended(asked.requestId);
    this.#after(retryAfterMs ?? RETRY_AFTER_MS, () => this.arrived(asked.message));
  }

  #opened(number: number, offered: Offered): void {
    const { serves, machine, queue, offered: known } = this.#host(number);
    const { asked, from } = offered;
    const { requestId, message, tries } = asked;
    const { levelMs } = tries;
    this.#site.tally.offered(number, this.#site.agenda.nowMs);
    known.set(message.number, offered);
    if (this.#site.liars.has(number)) {
      if (machine.busy < machine.spec.slots) machine.start(message);
      else queue.push(message);
      return;
    }
    const promptBytes = message.promptTokens * PROMPT_BYTES_PER_TOKEN;
    const effect = serves.opened({ from, requestId, open: { model: MODEL, promptBytes, levelMs } }, this.#nowMs());
    if (effect.type === 'serve') machine.start(message);
    if (effect.type !== 'refuse-serve') return;
    known.delete(message.number);
    this.#after(this.#wayMs(asked, number), () => this.#refused(number, asked, effect.load));
  }

  #refused(number: number, asked: Asked, load: ModelLoad | undefined): void {
    const { requests } = this.#host(asked.message.ingress);
    const { node } = this.#host(number);
    const { requestId } = asked;
    this.#site.tally.bounced(asked.message);
    requests.tryEnded({ requestId, node, outcome: { type: 'busy', load } }, this.#nowMs());
    asked.tries.failed(node, 'busy');
    if (!this.#openNext(asked)) this.#replan(asked);
  }

  #firstToken(number: number, run: Run): void {
    const { serves, node } = this.#host(number);
    const { message, startedAtMs, cachedTokens } = run;
    const { asked, from } = this.#offered(number, message);
    const { requestId } = asked;
    const elapsedMs = Math.round(this.#site.agenda.nowMs - startedAtMs);
    serves.firstToken(
      { from, requestId, newTokens: Math.max(1, message.promptTokens - cachedTokens), elapsedMs },
      this.#nowMs(),
    );
    this.#after(this.#wayMs(asked, number), () => {
      this.#site.tally.firstToken(message, this.#site.agenda.nowMs, cachedTokens);
      const seen = { requestId, node, elapsedMs: this.#nowMs() - asked.triedAtMs };
      this.#host(message.ingress).requests.firstTokenSeen(seen, this.#nowMs());
    });
  }

  #ended(number: number, run: Run): void {
    const { serves, machine, node, offered, queue } = this.#host(number);
    const { message, firstTokenAtMs } = run;
    const { asked, from } = this.#offered(number, message);
    const { requestId } = asked;
    offered.delete(message.number);
    this.#after(this.#wayMs(asked, number), () => {
      const { requests } = this.#host(message.ingress);
      requests.tryEnded({ requestId, node, outcome: { type: 'answered' } }, this.#nowMs());
      requests.ended(requestId);
    });
    const waiting = queue.shift();
    if (waiting !== undefined) machine.start(waiting);
    const { nowMs } = this.#site.agenda;
    const decodeElapsedMs = Math.round(nowMs - (firstTokenAtMs ?? nowMs));
    const ticket = { from, requestId, completionTokens: message.answerTokens, decodeElapsedMs };
    for (const effect of serves.ended(ticket, this.#nowMs()))
      if (effect.type === 'serve') this.#startWaiting(number, effect.requestId);
  }

  #startWaiting(number: number, requestId: RequestId): void {
    const { offered, machine } = this.#host(number);
    for (const { asked } of offered.values())
      if (asked.requestId === requestId) return void machine.start(asked.message);
    throw new Error(`request ${requestId} does not wait at node ${number}`);
  }

  /** Everybody's row as the entrance sees it. */
  #membersFor(ingress: number): readonly MemberFacts[] {
    const { rttMs } = this.#site.demand;
    return this.#hosts.map(({ node, capability }, number) => {
      const { load, madeAtMs } = this.#beacons.visible(number, ingress);
      return {
        node,
        verdict: 'alive',
        capability,
        loads: [load],
        loadsMadeAtMs: Math.floor(madeAtMs),
        rttMs: Math.round(rttMs[ingress * this.#hosts.length + number] ?? 0),
      };
    });
  }

  #loadOf(number: number): ModelLoad {
    const [load] = this.#host(number).serves.loads(this.#nowMs());
    if (load === undefined) throw new Error(`node ${number} has no load`);
    return load;
  }

  #offered(number: number, message: Message): Offered {
    const offered = this.#host(number).offered.get(message.number);
    if (offered === undefined) throw new Error(`message ${message.number} is not at node ${number}`);
    return offered;
  }

  #host(number: number): Host {
    const host = this.#hosts[number];
    if (host === undefined) throw new Error(`there is no node ${number}`);
    return host;
  }

  /** One way between a request's entrance and a node. */
  #wayMs({ message }: Asked, number: number): number {
    return (this.#site.demand.rttMs[message.ingress * this.#hosts.length + number] ?? 0) / 2;
  }

  #after(delayMs: number, call: () => void): void {
    this.#site.agenda.at(this.#site.agenda.nowMs + delayMs, call);
  }

  /** Real clocks give whole milliseconds to the core. */
  #nowMs(): number {
    return Math.floor(this.#site.agenda.nowMs);
  }
}
