/**
 * Which nodes still hold the beginning of this prompt? This node remembers which conversations it had answered where, each
 * as the keyed hashes of its growing beginnings (`prompt-prefixes.ts`), never as text, and compares. A node holds no
 * more conversations than it has slots, so of each node only the latest so many count; what is older than
 * `REMEMBERED_MS` is taken to be gone. It stays in this process: nobody is told, so that no member can test a guess about
 * what others ask; the price is that a conversation is not recognised when it goes on through another node.
 * Bounds: `CONVERSATIONS_MAX` conversations and `HASHES_MAX` hashes; the one unused longest makes room.
 */
import { compareIds, type ModelId, type NodeId } from '../ids.ts';

/** Source: guess: what a small mesh has slots for, many times over. Measured: looked through in 0.1 ms. */
export const CONVERSATIONS_MAX = 1_024;
/** Source: ours: about 4 MB. */
export const HASHES_MAX = 65_536;
/** Source: copied (OpenAI keeps prompts for 5 to 10 minutes of inactivity). */
export const REMEMBERED_MS = 600_000;
/** Holders named for one request. Source: guess. */
export const HOLDERS_MAX = 4;

interface Conversation {
  readonly node: NodeId;
  readonly model: ModelId;
  /** At least one. */
  readonly hashes: readonly string[];
  readonly atMs: number;
}

export interface Held {
  readonly node: NodeId;
  /** Blocks from the first on that it holds; at least 1. */
  readonly blocks: number;
}

export class PrefixMemory {
  /** The latest first. */
  readonly #conversations: Conversation[] = [];
  #hashes = 0;

  get size(): number {
    return this.#conversations.length;
  }

  /** `node` has just read, and written, the text with these hashes. */
  remember({ node, model, hashes }: Omit<Conversation, 'atMs'>, nowMs: number): void {
    if (hashes.length === 0) return;
    // The turn before is in the same slot, and in the new one.
    const before = this.#conversations.findIndex(
      (one) => one.node === node && one.model === model && commonBlocks(one.hashes, hashes) === one.hashes.length,
    );
    if (before >= 0) this.#forget(before);
    this.#conversations.unshift({ node, model, hashes, atMs: nowMs });
    this.#hashes += hashes.length;
    while (this.#conversations.length > CONVERSATIONS_MAX || this.#hashes > HASHES_MAX)
      this.#forget(this.#conversations.length - 1);
  }

  /** Who holds most of it first. `slots`: of the nodes that may be asked at all. */
  holders(
    { model, hashes, slots }: Pick<Conversation, 'model' | 'hashes'> & { readonly slots: ReadonlyMap<NodeId, number> },
    nowMs: number,
  ): readonly Held[] {
    // Most requests are new.
    if (this.#conversations.every((one) => one.hashes[0] !== hashes[0])) return [];
    const used = new Map<NodeId, number>();
    const held = new Map<NodeId, number>();
    for (const one of this.#conversations) {
      if (nowMs - one.atMs >= REMEMBERED_MS) break;
      if (one.model !== model) continue;
      const since = used.get(one.node) ?? 0;
      used.set(one.node, since + 1);
      if (since >= (slots.get(one.node) ?? 0)) continue;
      const blocks = commonBlocks(one.hashes, hashes);
      if (blocks > (held.get(one.node) ?? 0)) held.set(one.node, blocks);
    }
    return [...held]
      .map(([node, blocks]) => ({ node, blocks }))
      .toSorted((left, right) => right.blocks - left.blocks || compareIds(left.node, right.node))
      .slice(0, HOLDERS_MAX);
  }

  #forget(index: number): void {
    const [gone] = this.#conversations.splice(index, 1);
    this.#hashes -= gone?.hashes.length ?? 0;
  }
}

/** Each hash stands for all blocks before it as well, so the last that is equal tells. */
function commonBlocks(left: readonly string[], right: readonly string[]): number {
  if (left[0] !== right[0]) return 0;
  let blocks = Math.min(left.length, right.length);
  while (blocks > 0 && left[blocks - 1] !== right[blocks - 1]) blocks -= 1;
  return blocks;
}
