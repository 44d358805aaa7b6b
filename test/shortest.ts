/**
 * A promise about real time, kept on a machine that others use too: load makes some measurements longer, a broken promise
 * makes all of them longer. So the shortest of a few is held against the limit.
 */

/** More than chance needs, and few enough that a broken promise is soon told. Source: guess. */
const TRIES = 5;

/** The shortest of up to five; the first one within the limit ends it. */
export async function shortestMs(limitMs: number, measure: () => Promise<number>): Promise<number> {
  let shortest = Infinity;
  for (let tries = 0; tries < TRIES && shortest >= limitMs; tries += 1)
    // One after the other: they must not disturb each other.
    // eslint-disable-next-line no-await-in-loop
    shortest = Math.min(shortest, await measure());
  return shortest;
}
