/**
 * Which model does a client of Ollama mean? There every name has a tag, and a name without one means ":latest"; models of the mesh
 * have a tag or none. So lists show every name with a tag, and both "name" and "name:latest" find whichever of the two
 * exists; where both do, each finds itself.
 */
import { type ModelId, parseModelId } from '../ids.ts';
import type { ModelOffer } from './models.ts';

const LATEST = ':latest';

/** The model of that name, which need not exist; undefined where no model can be called that. */
export function modelNamed(name: string, offers: readonly ModelOffer[]): ModelId | undefined {
  const names = new Set<string>(offers.map(({ model }) => model));
  const other = name.endsWith(LATEST) ? name.slice(0, -LATEST.length) : name + LATEST;
  return parseModelId(!names.has(name) && names.has(other) ? other : name);
}

/** How the model is listed. `names`: of all models. */
export function taggedName(model: ModelId, names: ReadonlySet<string>): string {
  const hasTag = model.slice(model.lastIndexOf('/') + 1).includes(':');
  return hasTag || names.has(model + LATEST) ? model : model + LATEST;
}

export function isKnown(model: ModelId, offers: readonly ModelOffer[]): boolean {
  return offers.some((offer) => offer.model === model);
}
