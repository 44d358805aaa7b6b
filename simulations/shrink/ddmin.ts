/**
 * Which few of these are enough? Delta debugging (Zeller and Hildebrandt 2002, "ddmin"): tries ever smaller parts of a list
 * and what remains without them, and ends where no single item can be left out. Written as a generator that yields lists
 * and is told whether each still fails, so that whoever runs them may take its time, show progress or give up.
 */

/** Yields candidates; told true where the candidate still fails. Returns the smallest that does; `items` itself is taken to fail. */
export function* ddmin<Item>(items: readonly Item[]): Generator<readonly Item[], readonly Item[], boolean> {
  let rest = items;
  if (rest.length > 0 && (yield [])) return [];
  let parts = 2;
  while (rest.length > 1) {
    const smaller = yield* firstThatFails(split(rest, Math.min(parts, rest.length)));
    if (smaller !== undefined) {
      parts = smaller.isPart ? 2 : Math.max(parts - 1, 2);
      rest = smaller.items;
    } else if (parts >= rest.length) {
      return rest;
    } else {
      parts = Math.min(parts * 2, rest.length);
    }
  }
  return rest;
}

/** Each part by itself, then everything without it. */
function* firstThatFails<Item>(
  parts: readonly (readonly Item[])[],
): Generator<readonly Item[], { readonly items: readonly Item[]; readonly isPart: boolean } | undefined, boolean> {
  for (const part of parts) if (yield part) return { items: part, isPart: true };
  // Of two parts, what remains without one is the other: tried already.
  if (parts.length <= 2) return undefined;
  for (const part of parts) {
    const others = parts.flatMap((other) => (other === part ? [] : other));
    if (yield others) return { items: others, isPart: false };
  }
  return undefined;
}

function split<Item>(items: readonly Item[], parts: number): readonly (readonly Item[])[] {
  return Array.from({ length: parts }, (_, index) =>
    items.slice(Math.floor((index * items.length) / parts), Math.floor(((index + 1) * items.length) / parts)),
  );
}
