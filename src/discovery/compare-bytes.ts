/**
 * Which of two byte strings comes first? By the first byte that differs, then by length: one order for all nodes, so that
 * what is kept of too many, and what wins a tie, is the same everywhere. Not in constant time: never for secrets.
 */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
