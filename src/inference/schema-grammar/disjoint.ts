/**
 * `oneOf` means exactly one. A grammar can only say "any of", which is the same where no value of one branch fits another.
 * That is proved here from what decides in practice: types, constants, ranges, and for objects a member that one
 * writes and the other forbids, or that both have with values that exclude one another. What is not proved is not assumed.
 * Limits: proofs go `DEPTH_MAX` members deep and take no more than the work of one schema.
 */
import { admits, type Facts, gather, type TypeName, typeOfValue } from './facts.ts';
import type { Bound } from './numbers.ts';
import { type ObjectParts, partsOf } from './object-parts.ts';
import { expand, type Keywords, type Node, nodeKey, without } from './schema-document.ts';
import type { Work } from './work.ts';

/** Source: guess: discriminators stand near the top. */
const DEPTH_MAX = 4;
/** Names that are compared in the time of a unit. Source: measured. */
const MEMBERS_PER_WORK = 8;

const ALL: ReadonlySet<TypeName> = new Set(['object', 'array', 'string', 'number', 'boolean', 'null']);

interface Known {
  readonly facts: Facts;
  readonly parts: readonly Keywords[];
  /** What its objects are; absent = not looked at yet. */
  objects?: ObjectParts | 'problem';
}

type Read = Known | 'nothing' | 'problem';

export class Exclusion {
  readonly #root: unknown;
  readonly #known = new Map<string, Read>();
  readonly #work: Work;

  constructor(root: unknown, work: Work) {
    this.#root = root;
    this.#work = work;
  }

  /** Surely no value fits both. */
  areDisjoint(left: Node, right: Node): boolean {
    return this.#excludes(left, right, 0) && this.#excludes(right, left, 0);
  }

  /** No value that the grammar of `made` makes fits `other`. */
  #excludes(made: Node, other: Node, depth: number): boolean {
    this.#work.spend(1);
    if (depth > DEPTH_MAX || this.#work.isSpent) return false;
    const left = this.#read(made);
    const right = this.#read(other);
    if (left === 'nothing' || right === 'nothing') return true;
    if (left === 'problem' || right === 'problem') return false;
    const leftBranches = branchesOf(left);
    if (leftBranches !== undefined) return leftBranches.every((branch) => this.#excludes(branch, other, depth + 1));
    const rightBranches = branchesOf(right);
    if (rightBranches !== undefined) return rightBranches.every((branch) => this.#excludes(made, branch, depth + 1));
    const { values } = left.facts;
    if (values !== undefined) return [...values].every(([text, value]) => isExcluded(right.facts, text, value));
    const theirs = right.facts.values;
    if (theirs !== undefined)
      return [...theirs.values()].every((value) => !admits(typesOf(left.facts), typeOfValue(value)));
    const common = [...typesOf(left.facts)].filter(
      (type) => admits(right.facts.types ?? ALL, type) || (type === 'number' && right.facts.types?.has('integer')),
    );
    return common.every((type) => {
      if (type === 'object') return this.#excludesObject(left, right, depth);
      return (type === 'number' || type === 'integer') && areApart(left.facts, right.facts);
    });
  }

  #excludesObject(made: Known, other: Known, depth: number): boolean {
    const left = this.#objectsOf(made);
    const right = this.#objectsOf(other);
    if (left === 'problem' || right === 'problem') return false;
    this.#work.spend((left.members.length + right.members.length) / MEMBERS_PER_WORK);
    // 1. One needs what the other never writes.
    if (right.members.some(({ name, isRequired }) => isRequired && isNeverWritten(left, name))) return true;
    return left.members.some(({ name, node, isRequired }) => {
      if (!isRequired || node === 'forbidden') return false;
      const theirs = right.members.find((member) => member.name === name);
      // 2. One always writes what the other forbids.
      if (theirs === undefined) return right.isClosed;
      // 3. Both have it, with values that exclude one another.
      return theirs.node === 'forbidden' || this.#excludes(node, theirs.node, depth + 1);
    });
  }

  #objectsOf(known: Known): ObjectParts | 'problem' {
    if (known.objects === undefined) {
      const parts = partsOf(this.#root, known.parts);
      known.objects = 'problem' in parts ? 'problem' : parts;
    }
    return known.objects;
  }

  #read(node: Node): Read {
    const key = nodeKey(node);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const read = this.#readAnew(node);
    this.#known.set(key, read);
    return read;
  }

  #readAnew(node: Node): Read {
    const expanded = expand(this.#root, node);
    if (expanded.type !== 'keywords') return expanded.type;
    const gathered = gather(expanded.parts);
    return gathered.type === 'facts' ? { facts: gathered.facts, parts: expanded.parts } : 'problem';
  }
}

/** The node once for each branch of its first union. */
export function branchesOf(read: {
  readonly facts: Facts;
  readonly parts: readonly Keywords[];
}): readonly Node[] | undefined {
  const [union] = read.facts.unions;
  if (union === undefined) return undefined;
  const places = read.parts.map(({ place }) => (place === union.place ? without(place, union.keyword) : place));
  return union.branches.map((branch) => [...places, ...branch]);
}

/** What a grammar of it makes; without a type, the kinds that its keywords are about. */
export function typesOf({ types, said }: Facts): ReadonlySet<TypeName> {
  return types ?? (said.size > 0 ? said : ALL);
}

function isNeverWritten({ members, others }: ObjectParts, name: string): boolean {
  const member = members.find((one) => one.name === name);
  return member === undefined ? others === 'none' : member.node === 'forbidden';
}

function isExcluded({ values, types }: Facts, text: string, value: unknown): boolean {
  return (values !== undefined && !values.has(text)) || !admits(types ?? ALL, typeOfValue(value));
}

function areApart({ number: left }: Facts, { number: right }: Facts): boolean {
  return isBelow(left.high, right.low) || isBelow(right.high, left.low);
}

function isBelow(high: Bound | undefined, low: Bound | undefined): boolean {
  if (high === undefined || low === undefined) return false;
  return high.value < low.value || (high.value === low.value && (high.isOpen || low.isOpen));
}
