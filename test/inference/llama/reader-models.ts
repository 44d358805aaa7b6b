/**
 * Two models that read and do not write, made as files for llama.cpp: `bert` gives texts vectors of 128 numbers in which common
 * words mean similarity, `rank` scores documents by the words that they share with the query. Words are cut into pairs of
 * letters, each pair a fixed random vector. In `bert` the layers add nothing, so that a text is the mean of its pieces. In `rank` the
 * first token looks at all others alike; what it sees is the longer the more of them agree, and the feed-forward part (the sum of
 * gelu(x) and gelu(-x), about x squared) measures that length. Its scores compare documents of similar length only.
 * Same bytes each time, under 2 MB each.
 */
import type { GgufTensor, GgufValue } from '../../../src/inference/gguf-writer.ts';
import { writeGguf } from '../../../src/inference/gguf-writer.ts';
import { Prng } from '../../../src/prng.ts';

export const READER_WIDTH = 128;
export const READER_CONTEXT_TOKENS = 128;

const HALF = READER_WIDTH / 2;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'.split('');
const PUNCTUATION = '!"#$%&\'()*+,-./:;<=>?@[]^_`{|}~'.split('');
const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
const [PAD, UNKNOWN, FIRST, SEPARATOR, MASK] = [0, 1, 2, 3, 4] as const;
const PAIRS = LETTERS.flatMap((left) => [left, ...LETTERS.map((right) => left + right)]);
const TOKENS = [...SPECIAL, ...PUNCTUATION.map(word), ...PAIRS.map(word), ...PAIRS];

type Kind = 'bert' | 'rank';

export function writeReaderModel(kind: Kind): Uint8Array {
  return writeGguf({ metadata: metadata(kind), tensors: [...common(kind), ...(kind === 'rank' ? head() : [])] });
}

/** A piece that begins a word. */
function word(piece: string): string {
  return `\u2581${piece}`;
}

function metadata(kind: Kind): (readonly [string, GgufValue])[] {
  return [
    ['general.architecture', { type: 'string', value: 'bert' }],
    ['general.name', { type: 'string', value: `skein ${kind}` }],
    ['bert.context_length', uint(READER_CONTEXT_TOKENS)],
    ['bert.embedding_length', uint(READER_WIDTH)],
    ['bert.block_count', uint(1)],
    ['bert.feed_forward_length', uint(READER_WIDTH)],
    ['bert.attention.head_count', uint(1)],
    ['bert.attention.layer_norm_epsilon', { type: 'f32', value: 1e-12 }],
    ['bert.attention.causal', { type: 'bool', value: false }],
    // 1 the mean, 4 a score. Source: spec (llama.h).
    ['bert.pooling_type', uint(kind === 'bert' ? 1 : 4)],
    ['tokenizer.ggml.model', { type: 'string', value: 'bert' }],
    ['tokenizer.ggml.token_type_count', uint(1)],
    ['tokenizer.ggml.tokens', { type: 'strings', value: TOKENS }],
    ['tokenizer.ggml.scores', { type: 'f32s', value: TOKENS.map(() => 0) }],
    [
      'tokenizer.ggml.token_type',
      { type: 'i32s', value: TOKENS.map((_, id) => (id === UNKNOWN ? 2 : id <= MASK ? 3 : 1)) },
    ],
    ['tokenizer.ggml.bos_token_id', uint(FIRST)],
    ['tokenizer.ggml.cls_token_id', uint(FIRST)],
    ['tokenizer.ggml.eos_token_id', uint(SEPARATOR)],
    ['tokenizer.ggml.seperator_token_id', uint(SEPARATOR)],
    ['tokenizer.ggml.unknown_token_id', uint(UNKNOWN)],
    ['tokenizer.ggml.padding_token_id', uint(PAD)],
    ['tokenizer.ggml.mask_token_id', uint(MASK)],
  ];
}

function common(kind: Kind): GgufTensor[] {
  const isRank = kind === 'rank';
  const norm = (name: string): GgufTensor[] => [
    { name: `${name}.weight`, dimensions: [READER_WIDTH], values: new Float32Array(READER_WIDTH).fill(1) },
    { name: `${name}.bias`, dimensions: [READER_WIDTH], values: new Float32Array(READER_WIDTH) },
  ];
  const dense = (name: string, entry?: (row: number, column: number) => number): GgufTensor[] => [
    matrix(`${name}.weight`, READER_WIDTH, isRank ? entry : undefined),
    { name: `${name}.bias`, dimensions: [READER_WIDTH], values: new Float32Array(READER_WIDTH) },
  ];
  return [
    { name: 'token_embd.weight', dimensions: [READER_WIDTH, TOKENS.length], values: embeddings(kind) },
    matrix('token_types.weight', 1),
    matrix('position_embd.weight', READER_CONTEXT_TOKENS),
    ...norm('token_embd_norm'),
    // Nothing to choose by: attention is the mean of all tokens, of their lower half.
    ...dense('blk.0.attn_q'),
    ...dense('blk.0.attn_k'),
    ...dense('blk.0.attn_v', (row, column) => (row === column && row < HALF ? 1 : 0)),
    ...dense('blk.0.attn_output', (row, column) => (row === column ? 1 : 0)),
    ...norm('blk.0.attn_output_norm'),
    // Each number of the lower half twice, with either sign; their sum goes to the last two numbers.
    ...dense('blk.0.ffn_up', (row, column) => (column < HALF && row % HALF === column ? (row < HALF ? 2 : -2) : 0)),
    ...dense('blk.0.ffn_down', (row) => (row === READER_WIDTH - 2 ? 0.05 : row === READER_WIDTH - 1 ? -0.05 : 0)),
    ...norm('blk.0.layer_output_norm'),
  ];
}

/** The difference of the last two numbers, as a score around 0. */
function head(): GgufTensor[] {
  const bias = new Float32Array(READER_WIDTH);
  bias[0] = -2.3;
  return [
    matrix('cls.weight', READER_WIDTH, (row, column) =>
      row > 0 ? 0 : column === READER_WIDTH - 2 ? 1 : column === READER_WIDTH - 1 ? -1 : 0,
    ),
    { name: 'cls.bias', dimensions: [READER_WIDTH], values: bias },
    matrix('cls.output.weight', 1, (_, column) => (column === 0 ? 3 : 0)),
    { name: 'cls.output.bias', dimensions: [1], values: new Float32Array(1) },
  ];
}

function matrix(name: string, rows: number, entry?: (row: number, column: number) => number): GgufTensor {
  const values = new Float32Array(rows * READER_WIDTH);
  if (entry !== undefined)
    for (let row = 0; row < rows; row += 1)
      for (let column = 0; column < READER_WIDTH; column += 1) values[row * READER_WIDTH + column] = entry(row, column);
  return { name, dimensions: [READER_WIDTH, rows], values };
}

/** As many 1 as -1 in each, so that the model's normalisation leaves directions as they are. */
function embeddings(kind: Kind): Float32Array {
  const prng = new Prng(`skein-${kind}`);
  const all = new Float32Array(TOKENS.length * READER_WIDTH);
  for (const [id, piece] of TOKENS.entries()) {
    const isFrame = id === PAD || id === FIRST || id === SEPARATOR || id === MASK;
    if (isFrame && !(kind === 'rank' ? id === FIRST : id === SEPARATOR)) continue;
    // In `rank` the first token has the upper half for itself, but for the place of the score.
    const [from, to] = kind === 'bert' ? [0, READER_WIDTH] : id === FIRST ? [HALF, READER_WIDTH - 2] : [0, HALF];
    all.set(balanced(prng.fork(piece), to - from), id * READER_WIDTH + from);
  }
  return all;
}

function balanced(prng: Prng, length: number): Float32Array {
  const values = new Float32Array(length).map((_, index) => (index % 2 === 0 ? 1 : -1));
  for (let index = length - 1; index > 0; index -= 1) {
    const other = prng.nextBelow(index + 1);
    [values[index], values[other]] = [values[other] ?? 0, values[index] ?? 0];
  }
  return values;
}

function uint(value: number): GgufValue {
  return { type: 'u32', value };
}
