/**
 * Which characters? Sets of Unicode scalar values, as sorted ranges that neither touch nor overlap. Surrogates are in no
 * set: they are no characters of a text that is UTF-8. The classes `\d`, `\w`, `\s` and `.` mean what they mean in
 * JavaScript. Limits: none of its own; a set is as long as the pattern or the schema that it came from.
 * Source: spec (ECMA-262, CharacterClassEscape, WhiteSpace, LineTerminator).
 */

type CharacterRange = readonly [first: number, last: number];

export type CharacterSet = readonly CharacterRange[];

const LAST_CHARACTER = 0x10_ffff;

export const EVERY_CHARACTER: CharacterSet = [
  [0, 0xd7ff],
  [0xe000, LAST_CHARACTER],
];

export const DIGITS: CharacterSet = [[0x30, 0x39]];

export const WORD: CharacterSet = characters(DIGITS, [
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]);

const LINE_ENDS: CharacterSet = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];

export const SPACES: CharacterSet = characters(LINE_ENDS, [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]);

export const NO_LINE_END: CharacterSet = without(EVERY_CHARACTER, LINE_ENDS);

/** The union of sets, or of ranges in any order. */
export function characters(...sets: readonly CharacterSet[]): CharacterSet {
  const merged: [number, number][] = [];
  for (const [first, last] of sets.flat().toSorted(([left], [right]) => left - right)) {
    const before = merged.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

/** Those of `set` that are not in `removed`. */
export function without(set: CharacterSet, removed: CharacterSet): CharacterSet {
  const left: CharacterRange[] = [];
  for (const [first, last] of set) {
    let next = first;
    for (const [from, to] of removed) {
      if (to < next || from > last) continue;
      if (from > next) left.push([next, from - 1]);
      next = to + 1;
    }
    if (next <= last) left.push([next, last]);
  }
  return left;
}

export function complementOf(set: CharacterSet): CharacterSet {
  return without(EVERY_CHARACTER, set);
}

export function commonTo(left: CharacterSet, right: CharacterSet): CharacterSet {
  return left.flatMap(([first, last]) =>
    right.flatMap(([from, to]): CharacterSet => {
      const common = [Math.max(first, from), Math.min(last, to)] as const;
      return common[0] <= common[1] ? [common] : [];
    }),
  );
}

export function has(set: CharacterSet, character: number): boolean {
  return set.some(([first, last]) => character >= first && character <= last);
}

export function countOf(set: CharacterSet): number {
  return set.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}

/** The coarsest sets of which each of `sets` is a union, those outside all of them included; each not empty. */
export function partition(sets: readonly CharacterSet[]): readonly CharacterSet[] {
  const cuts = new Set<number>();
  for (const [first, last] of [...sets.flat(), ...EVERY_CHARACTER]) cuts.add(first).add(last + 1);
  const starts = [...cuts].toSorted((left, right) => left - right);
  const bySignature = new Map<string, CharacterRange[]>();
  for (const [index, first] of starts.entries()) {
    const next = starts[index + 1];
    if (next === undefined || !has(EVERY_CHARACTER, first)) continue;
    const signature = sets.map((set) => (has(set, first) ? '1' : '0')).join('');
    const ranges = bySignature.get(signature) ?? [];
    ranges.push([first, next - 1]);
    bySignature.set(signature, ranges);
  }
  return [...bySignature.values()].map((ranges) => characters(ranges));
}
