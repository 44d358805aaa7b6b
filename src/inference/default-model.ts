/**
 * What answers on a fresh machine, before anybody brought a model? A language model of under a megabyte, written by our
 * own code, whose answer to everything is one true text about skein. It is a lookup in real weights: the embedding of a
 * token is a random vector, and the output row of its successor is the same vector, so that the next token follows from
 * the last one alone (attention and feed-forward add nothing). Hence it goes on correctly after any part of its text,
 * whatever was asked, and tokenizer, chat template, KV cache and sampler are llama.cpp's own.
 * Every piece of the text is a token of its own and occurs once, so that text and tokens say the same.
 * Limits: prompts cost one token per byte; it knows nothing. Source: llama architecture and GGUF (spec); idea ours.
 */
import { invariant } from '../assert.ts';
import { type ModelId, parseModelId } from '../ids.ts';
import { Prng } from '../prng.ts';
import { type GgufTensor, type GgufValue, writeGguf } from './gguf-writer.ts';

const modelId = parseModelId('skein-hello');
invariant(modelId !== undefined, 'the default model has a valid id');

export const DEFAULT_MODEL_ID: ModelId = modelId;

/** Prompts are long here: a byte is a token. Source: guess, a page of text fits. */
export const DEFAULT_MODEL_CONTEXT_TOKENS = 8_192;

export const defaultModelText = [
  'Hello! I am the small voice that comes with skein, and this text is all I can say. It was not thought up for you: I am ',
  'a tiny model that skein wrote to your disk, so that a fresh machine can answer something true.\n\n',
  'skein joins the machines you own into one inference service. A laptop, a desktop with a graphics card, a Mac in the ',
  'kitchen, a rented server: each of them runs one node, and every node speaks the OpenAI API on its own loopback address. ',
  'Point any client at whichever endpoint is nearest, and the node that can answer best does the work. You do not have to ',
  'know where that is.\n\n',
  'There is no coordinator, no account and no cloud in between. Nodes find one another, prove that they hold your swarm ',
  'key, and gossip about their models, their speed and their load. From this shared view each one works out the same ',
  'ranking by itself, so nobody has to be in charge, and any machine may leave.\n\n',
  'Failure is ordinary here. Lids close, Wi-Fi drops, power cords get pulled. If the machine that is answering you dies in ',
  'the middle of a sentence, another continues from the very next word, and what you read has neither gap nor repeat. Try ',
  'it: kill the process that writes these words, and watch them go on.\n\n',
  'To hear more than this, put a GGUF file into the models folder of some node, or connect a server such as Ollama that ',
  'already runs. Then ask again from wherever you sit.',
].join('');

/** The pieces of the text in order: a word with the space before it, or more words where one was used before. */
export const defaultModelPieces: readonly string[] = cutIntoPieces(defaultModelText);
const pieces = defaultModelPieces;

/** Length of the answer in tokens. */
export const defaultModelTokens: number = pieces.length;

/** Width of the vectors. Narrower: two rows may look alike. Wider: a bigger file. Source: measured, see the margin test. */
const WIDTH = 64;
/** Multiplies the logits, so that no usual temperature leaves the text. Source: guess, a lead of more than 40. */
const OUTPUT_SCALE = 2;
const FEED_FORWARD = 32;

const UNKNOWN = 0;
const END = 2;
/** `<|im_start|>`, then the mark that the tokenizer writes for a space. */
const SPECIAL = ['<unk>', '<s>', '<|im_end|>', '<|im_start|>', '\u2581'] as const;
const FIRST_BYTE = SPECIAL.length;
const FIRST_PIECE = FIRST_BYTE + 256;
const VOCABULARY = FIRST_PIECE + pieces.length;

/** The last token of every prompt: the line end after `<|im_start|>assistant`. */
const LINE_END = FIRST_BYTE + 0x0a;

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** The file: the same bytes each time. */
export function writeDefaultModel(): Uint8Array {
  return writeGguf({ metadata: metadata(), tensors: tensors() });
}

/** Which token the weights make the most likely after `token`, and by how much: the test's view of the lookup. */
export function defaultModelNext(token: number): { readonly token: number; readonly lead: number } {
  const { embedding, output } = lookup();
  const ranked = Array.from({ length: VOCABULARY }, (_, row) => {
    let sum = 0;
    for (let column = 0; column < WIDTH; column += 1)
      sum += (embedding[token * WIDTH + column] ?? 0) * (output[row * WIDTH + column] ?? 0);
    return { row, sum };
  }).toSorted((left, right) => right.sum - left.sum);
  return { token: ranked[0]?.row ?? UNKNOWN, lead: (ranked[0]?.sum ?? 0) - (ranked[1]?.sum ?? 0) };
}

/** The tokens of the answer, in order. */
export function defaultModelTokenIds(): readonly number[] {
  return pieces.map((_, index) => FIRST_PIECE + index);
}

/** The token that every prompt ends with, and the one that ends the answer. */
export const DEFAULT_MODEL_TOKENS = { promptEnd: LINE_END, answerEnd: END } as const;

/** A piece is the shortest run of words that occurs nowhere before in the text and is no part of an earlier piece. */
function cutIntoPieces(text: string): readonly string[] {
  const words = text.match(/\s*\S+/g) ?? [];
  const found: string[] = [];
  let done = '';
  let piece = '';
  for (const word of words) {
    piece += word;
    if (done.includes(piece)) continue;
    found.push(piece);
    done += piece;
    piece = '';
  }
  invariant(piece === '', 'the text ends with a piece of its own');
  return found;
}

function metadata(): (readonly [string, GgufValue])[] {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = [...SPECIAL, ...bytes, ...pieces];
  // 1 normal, 2 unknown, 3 control, 4 defined by the user (taken as it is), 6 byte. Source: spec.
  const types = [2, 3, 3, 3, 1, ...bytes.map(() => 6), ...pieces.map(() => 4)];
  return [
    ['general.architecture', string('llama')],
    ['general.name', string('skein hello')],
    ['llama.context_length', uint(DEFAULT_MODEL_CONTEXT_TOKENS)],
    ['llama.embedding_length', uint(WIDTH)],
    ['llama.block_count', uint(1)],
    ['llama.feed_forward_length', uint(FEED_FORWARD)],
    ['llama.attention.head_count', uint(1)],
    ['llama.attention.head_count_kv', uint(1)],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
    ['llama.rope.dimension_count', uint(WIDTH)],
    ['llama.vocab_size', uint(VOCABULARY)],
    ['tokenizer.ggml.model', string('llama')],
    ['tokenizer.ggml.tokens', { type: 'strings', value: tokens }],
    ['tokenizer.ggml.scores', { type: 'f32s', value: tokens.map(() => 0) }],
    ['tokenizer.ggml.token_type', { type: 'i32s', value: types }],
    ['tokenizer.ggml.unknown_token_id', uint(UNKNOWN)],
    ['tokenizer.ggml.bos_token_id', uint(1)],
    ['tokenizer.ggml.eos_token_id', uint(END)],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: true }],
    ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: false }],
    ['tokenizer.chat_template', string(CHAT_TEMPLATE)],
  ];
}

function tensors(): GgufTensor[] {
  const { embedding, output } = lookup();
  const matrix = (name: string, rows: number, columns = WIDTH): GgufTensor => ({
    name,
    dimensions: [columns, rows],
    values: new Float32Array(rows * columns),
  });
  const norm = (name: string): GgufTensor => ({ name, dimensions: [WIDTH], values: new Float32Array(WIDTH).fill(1) });
  return [
    { name: 'token_embd.weight', dimensions: [WIDTH, VOCABULARY], values: embedding },
    norm('output_norm.weight'),
    { name: 'output.weight', dimensions: [WIDTH, VOCABULARY], values: output },
    norm('blk.0.attn_norm.weight'),
    // All zero: what attention and feed-forward add to the embedding is nothing.
    matrix('blk.0.attn_q.weight', WIDTH),
    matrix('blk.0.attn_k.weight', WIDTH),
    matrix('blk.0.attn_v.weight', WIDTH),
    matrix('blk.0.attn_output.weight', WIDTH),
    norm('blk.0.ffn_norm.weight'),
    matrix('blk.0.ffn_gate.weight', FEED_FORWARD),
    matrix('blk.0.ffn_up.weight', FEED_FORWARD),
    matrix('blk.0.ffn_down.weight', WIDTH, FEED_FORWARD),
  ];
}

/** Elements are 1 or -1, so that the model's normalisation leaves them as they are. */
function lookup(): { readonly embedding: Float32Array; readonly output: Float32Array } {
  const prng = new Prng('skein-hello');
  const vector = (label: string): readonly number[] => {
    const draw = prng.fork(label);
    return Array.from({ length: WIDTH }, () => (draw.nextUint32() % 2 === 0 ? 1 : -1));
  };
  const embedding = new Float32Array(VOCABULARY * WIDTH);
  const output = new Float32Array(VOCABULARY * WIDTH);
  const follow = (from: readonly number[], to: number): void => {
    const row = to * WIDTH;
    from.forEach((value, column) => (output[row + column] = (output[row + column] ?? 0) + OUTPUT_SCALE * value));
  };
  // Everything that is neither the end of a prompt nor a piece leads to the end: a wrong template shows at once.
  const other = vector('other');
  for (let token = 0; token < VOCABULARY; token += 1) {
    const known = token === LINE_END || token >= FIRST_PIECE;
    const own = known ? vector(String(token)) : other;
    embedding.set(own, token * WIDTH);
    if (!known) continue;
    const next = token === LINE_END ? FIRST_PIECE : token + 1;
    follow(own, next < VOCABULARY ? next : END);
  }
  follow(other, END);
  return { embedding, output };
}

function string(value: string): GgufValue {
  return { type: 'string', value };
}

function uint(value: number): GgufValue {
  return { type: 'u32', value };
}
