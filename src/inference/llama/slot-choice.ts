/**
 * Which slot's cache should a run take over? What it finds there it need not evaluate again; what it does not need is lost,
 * and the conversation that it belongs to pays for it if it comes back. So a slot is worth the tokens that are found, less
 * the lost ones times the chance that somebody asks for them again, which halves with each conversation that was used
 * since. An empty slot is worth nothing and costs nothing: a short beginning that many prompts share does not drive out a
 * long conversation while there is one. Among equals the lowest slot, because neighbours make the best batches.
 * Limits: the chance is a guess; a found token is taken to be worth as much as a lost one. Source: ours.
 */

/** A free slot. */
export interface SlotState {
  /** Tokens in its cache. */
  readonly cachedTokens: number;
  /** Of those, from the first on, how many begin the prompt as well. */
  readonly sharedTokens: number;
  /** When it was used last; greater is later, 0 never. */
  readonly usedAt: number;
}

/** That the conversation used last comes back before its slot is needed. Source: guess. */
const RETURN_CHANCE = 0.5;

/** The index of the best slot; undefined where there is none. */
export function chooseSlot(slots: readonly SlotState[]): number | undefined {
  const latestFirst = slots
    .map(({ cachedTokens, usedAt }, index) => ({ index, cachedTokens, usedAt }))
    .filter(({ cachedTokens }) => cachedTokens > 0)
    .toSorted((left, right) => right.usedAt - left.usedAt);
  const chances = new Map<number, number>();
  let chance = 1;
  for (const { index } of latestFirst) {
    chance *= RETURN_CHANCE;
    chances.set(index, chance);
  }
  let best: { readonly index: number; readonly worth: number } | undefined;
  for (const [index, { cachedTokens, sharedTokens }] of slots.entries()) {
    const worth = sharedTokens - (cachedTokens - sharedTokens) * (chances.get(index) ?? 0);
    if (best === undefined || worth > best.worth) best = { index, worth };
  }
  return best?.index;
}
