/**
 * Which nodes come first for this request? Weighted rendezvous hashing: each node's score is -log2(hash(request, node))
 * / weight, and the smallest scores win; a node of twice the weight comes first twice as often, every node that knows
 * the weights finds the same order, and a node that leaves moves only its own requests.
 * Nothing is divided: a/b < c/d is compared as a*d < c*b, exact while weights are below `WEIGHT_MAX` = 2^24, because logs
 * are at most 2^29. Ties go to the smaller id. Source: Schindelhauer and Schomaker 2005.
 */
import { finalMix, type Hash64, hash64, utf8 } from '../bytes.ts';
import type { NodeId } from '../ids.ts';
import { LOG_MAX, negativeLog2 } from './log-table.ts';

/** Weights are whole numbers from 1 to this. Source: computed: 2^29 * 2^24 = 2^53. */
export const WEIGHT_MAX = 16_777_216;

/**
 * A cheap lower bound spares most rows the table: -log2(x) >= 1.44 (1 - x), so the log of `hash` is at least
 * (LOW_HASH - hash) / HASHES_PER_UNIT units, where 1,157 hashes of slack cover the table's error (0.44 * 1,157 / 256 = 2).
 */
const HASHES_PER_UNIT = 256;
const LOW_HASH = 0xffffffff - 1_157;

/** The part of `mixHashes` that depends on the node alone, done once per node: the two words, scrambled. */
export interface HashedNodes {
  readonly low: Int32Array;
  readonly high: Int32Array;
}

export interface RankInput {
  readonly key: Hash64;
  readonly nodes: HashedNodes;
  /** Rows of `nodes` that take part, ascending by node id. */
  readonly rows: Int32Array;
  /** The weight of each row, by row number. */
  readonly weights: Int32Array;
  /** How many to name. */
  readonly limit: number;
}

export function scrambleNode(node: NodeId): { low: number; high: number } {
  const hash = hash64(utf8(node));
  return { low: scramble(hash.low), high: scramble(hash.high) };
}

/** The first `limit` rows, best first. */
export function rankRows(input: RankInput): number[] {
  const { rows, weights, nodes, limit } = input;
  // The same as `mixHashes(key, hash of the node)`, with what never changes taken out of the loop.
  const start = input.key.low ^ 0x9e3779b9;
  const keyHigh = scramble(input.key.high);
  const board: Board = { logs: [], rows: [], weights: [], limit };
  let worstLog = LOG_MAX + 1;
  let worstWeight = 0;
  for (let position = 0; position < rows.length; position += 1) {
    const row = rows[position] ?? 0;
    const weight = weights[row] ?? 1;
    const first = turn(turn(start ^ (nodes.low[row] ?? 0)) ^ keyHigh);
    const hash = finalMix(turn(first ^ (nodes.high[row] ?? 0)));
    const bar = worstLog * weight;
    if ((LOW_HASH - hash) * worstWeight >= bar * HASHES_PER_UNIT) continue;
    const log = negativeLog2(hash);
    if (log * worstWeight >= bar) continue;
    insert(board, { log, row, weight });
    if (board.rows.length < limit) continue;
    worstLog = board.logs[limit - 1] ?? 0;
    worstWeight = board.weights[limit - 1] ?? 0;
  }
  return board.rows;
}

interface Board {
  readonly logs: number[];
  readonly rows: number[];
  readonly weights: number[];
  readonly limit: number;
}

function insert(board: Board, entry: { log: number; row: number; weight: number }): void {
  const { logs, rows, weights } = board;
  let place = rows.length;
  while (place > 0 && entry.log * (weights[place - 1] ?? 0) < (logs[place - 1] ?? 0) * entry.weight) place -= 1;
  logs.splice(place, 0, entry.log);
  rows.splice(place, 0, entry.row);
  weights.splice(place, 0, entry.weight);
  if (rows.length <= board.limit) return;
  logs.pop();
  rows.pop();
  weights.pop();
}

function scramble(word: number): number {
  const product = Math.imul(word, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}

function turn(mixed: number): number {
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}
