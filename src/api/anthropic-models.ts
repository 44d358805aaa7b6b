/**
 * How do the models of the mesh look to Anthropic's clients? They ask at the same paths as OpenAI's, and say who they are with a
 * header. All models come on one page. Weights have no birthday that nodes agree on, so the node's start stands in; what
 * the mesh does not know of a model (what it can take besides text, how long it will be there) is null.
 * Source: spec (Anthropic API, Models).
 */
import { compareIds, type ModelId } from '../ids.ts';
import { isoTime } from './iso-time.ts';
import type { ModelOffer } from './models.ts';

export interface AnthropicModel {
  readonly type: 'model';
  readonly id: string;
  readonly display_name: string;
  readonly created_at: string;
  /** The longest prompt and answer that any node takes; null = unknown. */
  readonly max_input_tokens: number | null;
  readonly max_tokens: number | null;
  readonly capabilities: null;
  readonly deprecated_at: null;
  readonly retires_at: null;
  readonly lifecycle: 'active';
  readonly line: null;
}

export interface AnthropicModelPage {
  readonly data: readonly AnthropicModel[];
  readonly has_more: false;
  readonly first_id: string | null;
  readonly last_id: string | null;
}

/** `createdS`: Unix seconds. */
export function anthropicModels(offers: readonly ModelOffer[], createdS: number): AnthropicModelPage {
  const models = [...new Set(offers.map(({ model }) => model))].toSorted(compareIds);
  return {
    data: models.map((model) => anthropicModel(model, offers, createdS)),
    has_more: false,
    first_id: models.at(0) ?? null,
    last_id: models.at(-1) ?? null,
  };
}

/** Undefined where nobody offers it. */
export function oneAnthropicModel(
  id: string,
  offers: readonly ModelOffer[],
  createdS: number,
): AnthropicModel | undefined {
  return anthropicModels(offers, createdS).data.find((model) => model.id === id);
}

function anthropicModel(model: ModelId, offers: readonly ModelOffer[], createdS: number): AnthropicModel {
  const longest = Math.max(0, ...offers.filter((offer) => offer.model === model).map((offer) => offer.contextTokens));
  const contextTokens = longest === 0 ? null : longest;
  return {
    type: 'model',
    id: model,
    display_name: model,
    created_at: isoTime(createdS * 1_000),
    max_input_tokens: contextTokens,
    max_tokens: contextTokens,
    capabilities: null,
    deprecated_at: null,
    retires_at: null,
    lifecycle: 'active',
    line: null,
  };
}
