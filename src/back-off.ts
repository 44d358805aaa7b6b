/**
 * How long is the next pause when each is twice the last? Counted with integers, and not with a power or a logarithm, whose
 * last digit may differ between engines: a simulation must be the same run everywhere.
 * Limits: at most as many doublings as lie between the first and the longest pause, however high the count.
 */
import { invariant } from './assert.ts';

export interface BackOff {
  readonly minMs: number;
  readonly maxMs: number;
}

/** `minMs` at first (`doublings` 0), then doubled, up to `maxMs`. */
export function backOffMs({ minMs, maxMs }: BackOff, doublings: number): number {
  invariant(minMs > 0, 'a pause that doubles is longer than nothing');
  let pauseMs = minMs;
  for (let done = 0; done < doublings && pauseMs < maxMs; done += 1) pauseMs *= 2;
  return Math.min(pauseMs, maxMs);
}

/** Doublings after which the pause is the longest one. */
export function doublingsMax(backOff: BackOff): number {
  let doublings = 0;
  while (backOffMs(backOff, doublings) < backOff.maxMs) doublings += 1;
  return doublings;
}
