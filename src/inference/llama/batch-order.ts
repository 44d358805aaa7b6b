/**
 * Which tokens of which sequences go into the next batch, and in which order? Who asks for one token (an answer, or the end
 * of a prompt) and who asks for more (a prompt) take turns: in one batch llama.cpp would cut off a token of each prompt to
 * evaluate it with the answers, and evaluate an odd rest. Answers get their token; prompts share what a limit leaves them,
 * evenly, so that none starves another. The parts stand in the order of their slots, because llama.cpp evaluates
 * neighbouring sequences together and cuts the batch wherever a number is left out. The slot travels in the one number
 * that the library carries, the priority.
 * Limits: a batch that is smaller than the number of runs lets some wait. Source: measured (a batch of 8 in the order of
 * arrival takes 1.4 times as long as in the order of slots; 4 answers and a prompt up to 12 times as long as one after the other); ours.
 */
import { invariant } from '../../assert.ts';

export interface BatchItem {
  readonly tokens: readonly unknown[];
  readonly evaluationPriority: number;
}

export type BatchKind = 'answers' | 'prompts';

export interface BatchOptions<Item> {
  readonly items: readonly Item[];
  /** Tokens of the batch. */
  readonly size: number;
  /** Tokens of prompts, all of them together; each prompt gets one at least. */
  readonly promptTokensMax: number;
  /** Whose batch was the last one. */
  readonly after: BatchKind;
}

export interface Batch<Item> {
  readonly kind: BatchKind;
  readonly parts: { readonly item: Item; readonly processAmount: number }[];
  /** Runs of the other kind, which wait for it. */
  readonly waiting: number;
}

/** Source: spec, the library's default, and the greatest it knows. */
const PRIORITY = 5;
const SLOTS_PER_PRIORITY = 1_000;

export function batchPriority(slot: number): number {
  invariant(Number.isInteger(slot) && slot >= 0 && slot < SLOTS_PER_PRIORITY, 'a slot has a small number');
  return PRIORITY - slot / SLOTS_PER_PRIORITY;
}

/** At most `size` tokens, of every item of its kind one at least where that is possible. */
export function orderBatch<Item extends BatchItem>(options: BatchOptions<Item>): Batch<Item> {
  const { items, size, promptTokensMax, after } = options;
  const answers = items.filter(({ tokens }) => tokens.length <= 1);
  const prompts = items.filter(({ tokens }) => tokens.length > 1);
  const kind = prompts.length > 0 && (after === 'answers' || answers.length === 0) ? 'prompts' : 'answers';
  const parts =
    kind === 'answers'
      ? answers.slice(0, size).map((item) => ({ item, processAmount: 1 }))
      : shares(prompts, Math.min(size, Math.max(promptTokensMax, prompts.length)));
  const waiting = kind === 'answers' ? prompts.length : answers.length;
  return { kind, parts: parts.toSorted((left, right) => slotOf(left.item) - slotOf(right.item)), waiting };
}

/** The shortest first: what they leave of their share goes to the others. */
function shares<Item extends BatchItem>(items: readonly Item[], tokensMax: number): Batch<Item>['parts'] {
  const shortestFirst = items.toSorted(
    (left, right) => left.tokens.length - right.tokens.length || slotOf(left) - slotOf(right),
  );
  let room = tokensMax;
  return shortestFirst
    .map((item, index) => {
      const processAmount = Math.min(item.tokens.length, Math.ceil(room / (items.length - index)));
      room -= processAmount;
      return { item, processAmount };
    })
    .filter(({ processAmount }) => processAmount > 0);
}

function slotOf({ evaluationPriority }: BatchItem): number {
  return Math.round((PRIORITY - evaluationPriority) * SLOTS_PER_PRIORITY);
}
