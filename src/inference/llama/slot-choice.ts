/**
 * Which slot's cache should a run take over? What it finds there it need not evaluate again; what it does not need is lost,
 * and the conversation that it belongs to pays for it if it comes back. So a slot is worth the tokens that are found, less
 * the lost ones times the chance that somebody asks for them again, which halves with each conversation that was used
 * since. An empty slot is worth nothing and costs nothing: a short beginning that many prompts share does not drive out a
 * long conversation while there is one. What only a file has (`state-files.io.ts`) is found in whichever slot it is put
 * into, if it is much more than any slot has. A slot beside one that answers is worth more: llama.cpp evaluates slots
 * together only if they lie in one row, and reads all weights once more for each further row. Among equals the lowest slot.
 * Limits: the chance is a guess; a found token is taken to be worth as much as a lost one. Source: ours.
 */

export interface SlotState {
  readonly isFree: boolean;
  /** Tokens in its cache. */
  readonly cachedTokens: number;
  /** Of those, from the first on, how many begin the prompt as well. */
  readonly sharedTokens: number;
  /** When it was used last; greater is later, 0 never. */
  readonly usedAt: number;
}

/** What a file has more than the slots must be at least this much, to be worth the time. Source: requirement (blocks of 256). */
export const KEPT_TOKENS_MIN = 256;

/** That the conversation used last comes back before its slot is needed. Source: guess. */
const RETURN_CHANCE = 0.5;
/** For each neighbour that answers. Without it four streams lose a sixth of their speed (measured, 134M: 91 and 109 tokens a second), for as
 *  long as they answer; a block of a prompt costs about as much. Source: guess. */
const NEIGHBOUR_TOKENS = 256;

/** The index of the best free slot, of all slots in their order; undefined where none is free. `keptTokens` of the prompt are in a file. */
export function chooseSlot(slots: readonly SlotState[], keptTokens = 0): number | undefined {
  const chances = returnChances(slots);
  const sharedTokensMax = Math.max(0, ...slots.filter(({ isFree }) => isFree).map((slot) => slot.sharedTokens));
  const isKept = keptTokens - sharedTokensMax >= KEPT_TOKENS_MIN;
  let best: { readonly index: number; readonly worth: number } | undefined;
  for (const [index, { isFree, cachedTokens, sharedTokens }] of slots.entries()) {
    if (!isFree) continue;
    const found = isKept ? keptTokens : sharedTokens;
    const lost = isKept ? cachedTokens : cachedTokens - sharedTokens;
    const neighbours = [slots[index - 1], slots[index + 1]].filter((slot) => slot?.isFree === false).length;
    const worth = found - lost * (chances.get(index) ?? 0) + neighbours * NEIGHBOUR_TOKENS;
    if (best === undefined || worth > best.worth) best = { index, worth };
  }
  return best?.index;
}

/** By index, of free slots that hold something. */
function returnChances(slots: readonly SlotState[]): ReadonlyMap<number, number> {
  const latestFirst = slots
    .map(({ isFree, cachedTokens, usedAt }, index) => ({ index, isFree, cachedTokens, usedAt }))
    .filter(({ isFree, cachedTokens }) => isFree && cachedTokens > 0)
    .toSorted((left, right) => right.usedAt - left.usedAt);
  const chances = new Map<number, number>();
  let chance = 1;
  for (const { index } of latestFirst) {
    chance *= RETURN_CHANCE;
    chances.set(index, chance);
  }
  return chances;
}
