/**
 * How many of a thing, as a person says it: "1 node", "3 nodes". For nouns that take an s, which all of ours do; kept by
 * itself because the words of events and of reports both need it and neither needs the other.
 */
export function plural(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}
