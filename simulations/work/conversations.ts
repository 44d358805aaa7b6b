/**
 * Who asks what, and who asks again? Each request begins a conversation or is a further turn of one: then its prompt is
 * all that was said before, and it comes from the same node, for the same model and under the same session key. A
 * conversation is ripe for its next turn when somebody could have read the answer, and forgotten a minute later.
 * Texts are short heads and slices of one long string, so that a prompt has its real size and costs next to nothing.
 * Limits: `RIPENING_MAX` conversations wait for their next turn, the ripest is forgotten; answers that were never given
 * are quoted all the same, because arrivals do not wait for the mesh.
 */
import { invariant } from '../../src/assert.ts';
import type { ChatRequest } from '../../src/inference/chat.ts';
import type { ChatMessage } from '../../src/inference/engine.ts';
import { type ModelId, type RequestId, parseRequestId } from '../../src/ids.ts';
import type { KeyedRandom, RandomStream } from '../kernel/kernel-port.ts';
import { type Turn, turnText } from './numbered-text.ts';

/** From one turn to the next: the answer is read, and the rest is exponential. Source: guess. */
const THINK_MS = { least: 15_000, mean: 15_000 } as const;
/** After this a conversation is over. Source: guess. */
const FORGOTTEN_MS = 60_000;
/** Source: guess: a minute's requests of a thousand nodes. */
const RIPENING_MAX = 65_536;
/** Of one conversation's texts; a language has its own. Source: guess: English has a little over 4. */
const BYTES_PER_TOKEN = { median: 4, sigma: 0.15, min: 2.5, max: 6 } as const;

/** How a client reads: at once; at a pace; not at all after so many tokens; and one closes the window. */
export type Reader =
  | { readonly type: 'prompt' }
  | { readonly type: 'slow'; readonly tokensPerSecond: number }
  | { readonly type: 'stops'; readonly afterTokens: number }
  | { readonly type: 'leaves'; readonly afterMs: number };

/** One request as it enters the mesh. */
export interface Arrival {
  readonly node: number;
  readonly request: ChatRequest;
  /** Index in the scenario. */
  readonly model: number;
  /** Of the whole prompt. */
  readonly promptTokens: number;
  readonly answerTokens: number;
  readonly reader: Reader;
}

export interface AskedModel {
  readonly model: ModelId;
  readonly contextTokens: number;
  readonly demand: number;
  /** Of one turn. */
  readonly promptTokensMax: number;
  readonly answerTokensMax: number;
}

/** What was drawn for a request. Node and model hold where it begins a conversation. */
export interface Wish {
  readonly number: number;
  readonly isFollowUp: boolean;
  readonly node: number;
  readonly model: number;
  readonly promptTokens: number;
  readonly answerTokens: number;
}

interface Conversation {
  readonly name: string;
  readonly node: number;
  readonly model: number;
  readonly bytesPerToken: number;
  /** Answers included. */
  readonly messages: readonly ChatMessage[];
  readonly tokens: number;
  readonly ripeAtMs: number;
}

export class Conversations {
  readonly #random: KeyedRandom;
  /** Names the randomness. */
  readonly #key: number;
  readonly #models: readonly AskedModel[];
  /** Ripest first. */
  readonly #ripening: Conversation[] = [];

  constructor(random: KeyedRandom, key: number, models: readonly AskedModel[]) {
    this.#random = random;
    this.#key = key;
    this.#models = models;
  }

  ask(wish: Wish, nowMs: number): Omit<Arrival, 'reader'> {
    const draws = this.#random.stream('conversation', this.#key, wish.number);
    const requestId = requestIdOf(wish.number, draws);
    const ripeAtMs = nowMs + THINK_MS.least + draws.exponential(THINK_MS.mean);
    const former = (wish.isFollowUp ? this.#takeRipe(nowMs) : undefined) ?? this.#newOne(wish, draws);
    const { node, name, bytesPerToken } = former;
    const asked = this.#models[former.model];
    invariant(asked !== undefined, 'a conversation is with a model that there is');
    const turnTokens = Math.min(wish.promptTokens, asked.promptTokensMax);
    const answerTokens = Math.min(wish.answerTokens, asked.answerTokensMax);
    const bytes = Math.round(turnTokens * bytesPerToken);
    const turn = { name: `${this.#key}.${wish.number}`, promptTokens: turnTokens, answerTokens, bytes };
    const messages: readonly ChatMessage[] = [...former.messages, { role: 'user', content: turnText(turn) }];
    const promptTokens = former.tokens + turnTokens;
    this.#ripen({ ...former, messages, tokens: promptTokens, ripeAtMs }, { ...turn, promptTokens: answerTokens });
    const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] };
    const job = { model: asked.model, messages, sampling: { ...sampling, maxTokens: asked.answerTokensMax } };
    const request = { requestId, sessionKey: name, job };
    return { node, request, model: former.model, promptTokens, answerTokens };
  }

  #newOne({ number, node, model }: Wish, draws: RandomStream): Conversation {
    const { median, sigma, min, max } = BYTES_PER_TOKEN;
    const bytesPerToken = Math.min(max, Math.max(min, draws.lognormal(median, sigma)));
    return { name: `${this.#key}.${number}`, node, model, bytesPerToken, messages: [], tokens: 0, ripeAtMs: 0 };
  }

  /** The one that is ripe for longest. */
  #takeRipe(nowMs: number): Conversation | undefined {
    const fresh = this.#ripening.findIndex(({ ripeAtMs }) => ripeAtMs >= nowMs - FORGOTTEN_MS);
    this.#ripening.splice(0, fresh === -1 ? this.#ripening.length : fresh);
    const [first] = this.#ripening;
    return first !== undefined && first.ripeAtMs <= nowMs ? this.#ripening.shift() : undefined;
  }

  /** Another turn can come, unless it might not fit. */
  #ripen(asked: Conversation, answer: Turn): void {
    const model = this.#models[asked.model];
    const tokens = asked.tokens + answer.promptTokens;
    if (model === undefined || tokens + model.promptTokensMax + model.answerTokensMax >= model.contextTokens) return;
    const content = turnText({ ...answer, bytes: Math.round(answer.promptTokens * asked.bytesPerToken) });
    const answered = { ...asked, tokens, messages: [...asked.messages, { role: 'assistant', content } as const] };
    if (this.#ripening.length >= RIPENING_MAX) this.#ripening.shift();
    this.#ripening.splice(this.#placeOf(asked.ripeAtMs), 0, answered);
  }

  /** Behind all that are as ripe. */
  #placeOf(ripeAtMs: number): number {
    let low = 0;
    let high = this.#ripening.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ripening[middle]?.ripeAtMs ?? 0) <= ripeAtMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Random, and its end says which request it is. */
function requestIdOf(number: number, draws: RandomStream): RequestId {
  const parts = [draws.uint32(), draws.uint32(), draws.uint32(), number];
  const id = parseRequestId(parts.map((part) => part.toString(16).padStart(8, '0')).join(''));
  invariant(id !== undefined, 'four numbers of 32 bits are a request id');
  return id;
}
