/**
 * What must hold, said in code. `invariant` stays on in production and guards our own logic on both sides of a
 * boundary; it is never used on input of a peer, a client or a file, which is answered with an error of `errors.ts`.
 */

/** Throws when `condition` is false: a bug of ours, never the fault of an input. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}

/** The default case of a switch over a union: the compiler proves that no case is missing. */
export function unreachable(value: never): never {
  throw new Error(`unreachable case: ${JSON.stringify(value)}`);
}
