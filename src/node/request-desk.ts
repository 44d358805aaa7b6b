/**
 * The requests that entered the mesh at this node: where does each go first, where next, and what do its outcomes teach?
 * A request is placed when it arrives, and again when its list is used up or its answer must go on elsewhere; every
 * placement comes with the record that explains it. The answer itself is the business of its session.
 * Bounds: `REQUESTS_MAX` requests at once, refused with 503 beyond that; `FAILURES_MAX` failures remembered of each.
 */
import { failure, type Failure, isDefinite } from '../errors.ts';
import type { ModelId, NodeId, ParamsFingerprint, RequestId } from '../ids.ts';
import { PLACEMENT } from '../params.ts';
import { explain } from '../placement/explain.ts';
import { Observations } from '../placement/observations.ts';
import { place, prepare, type PreparedModel } from '../placement/place.ts';
import type { Candidate, Placement, PlacementRequest, PrefixHolder } from '../placement/placement.ts';
import { PrefixMemory } from '../placement/prefix-memory.ts';
import { requestKey } from '../placement/request-key.ts';
import { arrivalsPerKs, candidatesFor, type MemberFacts, modelsOffered } from './candidates.ts';
import type { Effect, Input, RequestSummary, TryOutcome } from './events.ts';
import { BLOCK_BYTES } from '../inference/prompt-prefixes.ts';
import { refusalFailure } from './refusals.ts';

/** Source: ours: twice what one link may carry. */
export const REQUESTS_MAX = 4_096;
const FAILURES_MAX = 16;

/** Bytes of prompt per token in the estimate that costs are computed from. Source: measured on English text by many; a guess elsewhere. */
const PROMPT_BYTES_PER_TOKEN = 4;

/** Bytes per token of the densest prompts: what does not fit even then is refused without asking. Source: guess (runs of white space and code). */
const PROMPT_BYTES_PER_TOKEN_MAX = 16;

/** One way of a message through the mesh, added to the age of the load figures. Source: the placement study (T/2 + 0.15 s). */
const GOSSIP_DELAY_MS = 150;

/** Sessions whose last node is remembered, the one unused longest makes room. Source: guess. */
const SESSIONS_MAX = 4_096;

interface Entry {
  readonly summary: RequestSummary;
  /** What placement expected of each node, for the lesson of the outcome. */
  readonly expectedMs: Map<NodeId, number>;
  readonly failures: { readonly node: NodeId; readonly failure: Failure }[];
}

/** Which node answered a session last. */
interface Session {
  readonly node: NodeId;
  /** How long its prompt was. */
  readonly promptTokens: number;
  /** What it read is known by its hashes too. */
  readonly isHashed: boolean;
}

interface Wish {
  readonly requestId: RequestId;
  readonly entry: Entry;
  readonly excluded: readonly NodeId[];
}

/** What concerns requests, those that entered here and those that are served here. */
export type RequestInput = Extract<
  Input,
  {
    type:
      | 'request-arrived'
      | 'replan-wanted'
      | 'try-started'
      | 'first-token-seen'
      | 'try-ended'
      | 'request-ended'
      | 'open-received'
      | 'serve-first-token'
      | 'serve-ended';
  }
>;

export interface RequestDeskOptions {
  readonly self: NodeId;
  readonly params: ParamsFingerprint;
  /** Requests for a model that enter here, per 1000 s: nobody's beacon shows those for models that we do not offer. */
  readonly arrivalsPerKsHere: (model: ModelId, nowMs: number) => number;
  /** Some member offered it, now or not long ago, or nobody was heard yet who could tell. */
  readonly mayExist: (model: ModelId, nowMs: number) => boolean;
}

export class RequestDesk {
  readonly #options: RequestDeskOptions;
  readonly #observations = new Observations(PLACEMENT);
  readonly #requests = new Map<RequestId, Entry>();
  readonly #sessions = new Map<string, Session>();
  readonly #prefixes = new PrefixMemory();
  /** Of the last placement: most nodes are in the next one too, and need not be hashed again. */
  #prepared: PreparedModel | undefined;

  constructor(options: RequestDeskOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#requests.size;
  }

  arrived(
    arrival: { readonly requestId: RequestId; readonly summary: RequestSummary },
    members: readonly MemberFacts[],
    nowMs: number,
  ): Effect {
    const { requestId, summary } = arrival;
    const entry: Entry = { summary, expectedMs: new Map(), failures: [] };
    if (this.#requests.size < REQUESTS_MAX) this.#requests.set(requestId, entry);
    return this.#place({ requestId, entry, excluded: [] }, members, nowMs);
  }

  replan(
    wish: { readonly requestId: RequestId; readonly excluded: readonly NodeId[] },
    members: readonly MemberFacts[],
    nowMs: number,
  ): Effect | undefined {
    const entry = this.#requests.get(wish.requestId);
    return entry === undefined ? undefined : this.#place({ ...wish, entry }, members, nowMs);
  }

  tryStarted(attempt: { readonly requestId: RequestId; readonly node: NodeId }, nowMs: number): void {
    const entry = this.#requests.get(attempt.requestId);
    if (entry === undefined) return;
    this.#observations.dispatched(
      { ...attempt, model: entry.summary.model, expectedMs: entry.expectedMs.get(attempt.node) ?? 1 },
      nowMs,
    );
  }

  firstTokenSeen(
    attempt: { readonly requestId: RequestId; readonly node: NodeId; readonly elapsedMs: number },
    nowMs: number,
  ): void {
    this.#observations.firstToken(attempt, attempt.elapsedMs, nowMs);
  }

  tryEnded(
    attempt: {
      readonly requestId: RequestId;
      readonly node: NodeId;
      readonly outcome: TryOutcome;
      readonly prefixes?: readonly string[];
    },
    nowMs: number,
  ): void {
    const { requestId, node, outcome, prefixes = [] } = attempt;
    const entry = this.#requests.get(requestId);
    this.#observations.ended(attempt, lessonOf(outcome), nowMs);
    if (entry === undefined) return;
    const { model, sessionKey, promptBytes } = entry.summary;
    if (outcome.type === 'busy' && outcome.load !== undefined)
      this.#observations.loadAnswered(node, { model, load: outcome.load }, nowMs);
    if (outcome.type === 'failed' && entry.failures.length < FAILURES_MAX)
      entry.failures.push({ node, failure: outcome.failure });
    this.#prefixes.remember({ node, model, hashes: prefixes }, nowMs);
    const promptTokens = Math.ceil(promptBytes / PROMPT_BYTES_PER_TOKEN);
    if (outcome.type === 'answered' && sessionKey !== '')
      this.#rememberSession(sessionOf(entry), { node, promptTokens, isHashed: prefixes.length > 0 });
  }

  ended(requestId: RequestId): void {
    this.#requests.delete(requestId);
  }

  #place(wish: Wish, members: readonly MemberFacts[], nowMs: number): Effect {
    const { requestId, entry } = wish;
    const { summary } = entry;
    const candidates = candidatesFor(summary.model, members, {
      ...this.#options,
      observations: this.#observations,
      nowMs,
    });
    const viewAgeMs = meanOf(candidates.map(({ ageMs }) => ageMs)) + GOSSIP_DELAY_MS;
    const prepared = prepare(candidates, {
      arrivalsPerKs: this.#arrivalsPerKs(summary.model, members, nowMs),
      viewAgeMs,
      ...(this.#prepared === undefined ? {} : { previous: this.#prepared }),
    });
    this.#prepared = prepared;
    // An estimate must not refuse what might fit: where nobody's context seems long enough, the densest prompt that
    // has so many bytes decides, and the engine counts exactly.
    const holders = this.#holders(entry, candidates, nowMs);
    const likely = placementRequest(wish, holders, PROMPT_BYTES_PER_TOKEN);
    const first = place(likely, prepared, PLACEMENT);
    const request = first.type === 'placed' ? likely : placementRequest(wish, holders, PROMPT_BYTES_PER_TOKEN_MAX);
    const placement = first.type === 'placed' ? first : place(request, prepared, PLACEMENT);
    const record = explain({ request, placement, candidates: candidates.length });
    if (placement.type === 'impossible' || !this.#requests.has(requestId)) {
      const reason = this.#requests.has(requestId)
        ? this.#refusal(entry, { placement, members }, nowMs)
        : tooManyRequests();
      return { type: 'refuse-request', requestId, failure: reason, plan: { ranked: [], levelMs: 0, explain: record } };
    }
    for (const { node, expectedMs } of placement.considered) entry.expectedMs.set(node, expectedMs);
    return {
      type: 'dispatch',
      requestId,
      plan: { ranked: placement.ranked, levelMs: placement.levelMs, explain: record },
    };
  }

  #arrivalsPerKs(model: ModelId, members: readonly MemberFacts[], nowMs: number): number {
    const { self, arrivalsPerKsHere } = this.#options;
    const others = members.filter(({ node }) => node !== self);
    return arrivalsPerKs(model, others) + arrivalsPerKsHere(model, nowMs);
  }

  /** What the prompt itself tells is exact; a session's key is believed where there is nothing to compare. */
  #holders(entry: Entry, candidates: readonly Candidate[], nowMs: number): readonly PrefixHolder[] {
    const { model, prefixes: hashes = [] } = entry.summary;
    if (hashes.length > 0) {
      const slots = new Map(candidates.map((candidate) => [candidate.node, candidate.slots]));
      const held = this.#prefixes.holders({ model, hashes, slots }, nowMs);
      if (held.length > 0) return held.map(({ node, blocks }) => heldBy(node, blocks));
    }
    const session = this.#sessions.get(sessionOf(entry));
    // One key for many conversations (a client's name, say): this one is another than the last.
    if (session === undefined || (session.isHashed && hashes.length > 0)) return [];
    return [{ node: session.node, cachedTokens: session.promptTokens, knownBy: 'session' }];
  }

  #refusal(
    entry: Entry,
    { placement, members }: { readonly placement: Placement; readonly members: readonly MemberFacts[] },
    nowMs: number,
  ): Failure {
    const { model } = entry.summary;
    const known = modelsOffered(members);
    // A model of members that are gone for the moment exists: that is 503, not 404.
    const exists = placement.refused.size > 0 || entry.failures.length > 0 || this.#options.mayExist(model, nowMs);
    return refusalFailure({
      model,
      known: exists ? new Set([...known, model]) : known,
      refused: placement.refused,
      failures: entry.failures,
    });
  }

  #rememberSession(key: string, session: Session): void {
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    if (this.#sessions.size <= SESSIONS_MAX) return;
    const [oldest] = this.#sessions.keys();
    if (oldest !== undefined) this.#sessions.delete(oldest);
  }
}

/** The same key may name a conversation with another model, which has nothing in common with it. */
function sessionOf({ summary }: Entry): string {
  return summary.sessionKey === '' ? '' : `${summary.model}/${summary.sessionKey}`;
}

function heldBy(node: NodeId, blocks: number): PrefixHolder {
  const cachedTokens = Math.floor((blocks * BLOCK_BYTES) / PROMPT_BYTES_PER_TOKEN);
  return { node, cachedTokens, knownBy: 'prompt' };
}

function placementRequest(
  { requestId, entry, excluded }: Wish,
  holders: readonly PrefixHolder[],
  bytesPerToken: number,
): PlacementRequest {
  const { sessionKey, promptHead, promptBytes, model } = entry.summary;
  return {
    keyHash: requestKey({ sessionKey, requestId, promptHead }),
    model,
    promptTokens: Math.ceil(promptBytes / bytesPerToken),
    answerTokens: 1,
    holders,
    excluded: new Set(excluded),
  };
}

/**
 * What an outcome says about a node's reliability. A node that refused at once, before any work, is honest about its
 * state, and its next beacon tells the same; one whose upstream is down will refuse again and again until its list shows it.
 */
function lessonOf(outcome: TryOutcome): TryOutcome['type'] {
  if (outcome.type !== 'failed') return outcome.type;
  const { code } = outcome.failure;
  return isDefinite(code) && code !== 'upstream-unreachable' ? 'busy' : 'failed';
}

function meanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : Math.floor(values.reduce((sum, value) => sum + value, 0) / values.length);
}

function tooManyRequests(): Failure {
  return failure(
    'no-node-available',
    `This node already has ${REQUESTS_MAX} requests under way: try again, or ask another node.`,
    { retryAfterMs: 1_000 },
  );
}
