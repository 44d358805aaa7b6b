/**
 * Which models can be asked for here? `GET /v1/models` lists each model of the whole mesh once, however many nodes have
 * it, in an order that does not change between calls, in the shape that model pickers and typed SDKs expect; where it can
 * be served and whether it is ready is in the extra field `skein`. Answered from what the node knows, never by asking
 * around, because pickers give up after a second.
 */
import { type Failure, failure } from '../errors.ts';
import { compareIds, type ModelId, type NodeId } from '../ids.ts';
import type { ModelState } from '../inference/engine.ts';

/** One model as one node offers it. */
export interface ModelOffer {
  readonly model: ModelId;
  readonly node: NodeId;
  readonly state: ModelState;
  /** Longest prompt + answer there; 0 = unknown. */
  readonly contextTokens: number;
}

export interface ModelBody {
  readonly id: string;
  readonly object: 'model';
  readonly created: number;
  readonly owned_by: string;
  readonly skein: {
    readonly nodes: readonly string[];
    /** The longest any of them takes; 0 = unknown. */
    readonly context_tokens: number;
    /** The best state any of them is in. */
    readonly state: ModelState;
  };
}

export interface ModelListBody {
  readonly object: 'list';
  readonly data: readonly ModelBody[];
}

/** Best first. */
const STATES: readonly ModelState[] = ['ready', 'loading', 'on-disk', 'failed'];
/** Names told to somebody who asked for a model that does not exist. Source: guess: one screen. */
const NAMES_TOLD_MAX = 20;

/** `createdS`: Unix seconds; weights have no birthday that nodes agree on, so the node's start stands in. */
export function modelList(offers: readonly ModelOffer[], createdS: number): ModelListBody {
  const byModel = Map.groupBy(offers, ({ model }) => model);
  const models = [...byModel.keys()].toSorted(compareIds);
  return {
    object: 'list',
    data: models.map((model) => modelBody(model, byModel.get(model) ?? [], createdS)),
  };
}

export type ModelAnswer =
  { readonly type: 'model'; readonly body: ModelBody } | { readonly type: 'refused'; readonly failure: Failure };

export function oneModel(offers: readonly ModelOffer[], id: string, createdS: number): ModelAnswer {
  const list = modelList(offers, createdS);
  const body = list.data.find((model) => model.id === id);
  return body === undefined ? { type: 'refused', failure: noSuchModel(offers) } : { type: 'model', body };
}

/** Says which models exist instead, so that nobody has to look them up. */
export function noSuchModel(offers: readonly ModelOffer[]): Failure {
  const names = [...new Set(offers.map(({ model }) => model))].toSorted(compareIds);
  const listed = names.slice(0, NAMES_TOLD_MAX).join(', ') + (names.length > NAMES_TOLD_MAX ? ', ...' : '');
  const known = names.length === 0 ? 'there is none yet' : `there is ${listed}`;
  return failure('model-not-found', `no such model: ${known}`, { param: 'model' });
}

function modelBody(model: ModelId, offers: readonly ModelOffer[], createdS: number): ModelBody {
  return {
    id: model,
    object: 'model',
    created: createdS,
    owned_by: 'skein',
    skein: {
      nodes: [...new Set(offers.map(({ node }) => node))].toSorted(compareIds),
      context_tokens: Math.max(0, ...offers.map(({ contextTokens }) => contextTokens)),
      state: STATES.find((state) => offers.some((offer) => offer.state === state)) ?? 'failed',
    },
  };
}
