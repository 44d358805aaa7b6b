/**
 * A model to measure the engine with: the llama architecture at a real size, its weights random. Kernels, batching,
 * sampling and cache do the same work for it as for a trained one; only its words mean nothing. Equal sizes give equal
 * bytes. No token ends an answer: the output rows of the special tokens are zero, and the greatest of thousands of
 * random logits is not.
 * A prompt costs one token for each character and nothing is merged, so that its length is known.
 * Limits: Q4_0 or Q8_0 weights (one scale for all blocks), F32 norms. Source: llama architecture and GGUF (spec).
 */
import { createCipheriv, createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { invariant } from '../src/assert.ts';
import { type GgufTensor, type GgufValue, writeGguf } from '../src/inference/gguf-writer.ts';
import { tensorBytes } from '../src/inference/gguf-tensor-types.ts';

export interface ModelShape {
  readonly name: string;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly vocabulary: number;
  readonly weights: 'q4_0' | 'q8_0';
}

/** The shapes of two well-known small models. Source: copied (llama2.c stories15M, SmolLM-135M with full heads). */
export const MODEL_SHAPES: Readonly<Record<string, ModelShape>> = {
  '15m': shape('15m', { width: 288, layers: 6, heads: 6, feedForward: 768, weights: 'q8_0' }),
  '134m': shape('134m', { width: 768, layers: 12, heads: 12, feedForward: 2_048, weights: 'q4_0' }),
};

const CONTEXT_TOKENS = 8_192;
/** `<unk>`, `<s>`, `</s>`, `<|im_start|>`, `<|im_end|>`, then bytes, then words that no text contains. */
const SPECIAL = ['<unk>', '<s>', '</s>', '<|im_start|>', '<|im_end|>'] as const;

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** Type number, bytes of a block, and its scale (F16, little-endian): 2^-6 for 4 bits, 2^-11 for 8. Source: spec. */
const PACKING = {
  q4_0: { type: 2, blockBytes: 18, scale: [0x00, 0x24] },
  q8_0: { type: 8, blockBytes: 34, scale: [0x00, 0x10] },
} as const;

/** Writes it and returns the digest of its bytes. */
export async function writeBenchModel(path: string, model: ModelShape): Promise<{ digest: string; sizeBytes: number }> {
  const bytes = writeGguf({ metadata: metadata(model), tensors: tensors(model) });
  await writeFile(path, bytes);
  return { digest: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.length };
}

function shape(name: string, rest: Omit<ModelShape, 'name' | 'vocabulary'>): ModelShape {
  return { name, vocabulary: 32_000, ...rest };
}

function metadata({
  name,
  width,
  layers,
  heads,
  feedForward,
  vocabulary,
}: ModelShape): (readonly [string, GgufValue])[] {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const words = Array.from({ length: vocabulary - SPECIAL.length - bytes.length }, (_, index) => ` w${index}`);
  // 1 normal, 2 unknown, 3 control, 6 byte. Source: spec.
  const types = [2, 3, 3, 3, 3, ...bytes.map(() => 6), ...words.map(() => 1)];
  return [
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.name', { type: 'string', value: `random ${name}` }],
    ['llama.context_length', uint(CONTEXT_TOKENS)],
    ['llama.embedding_length', uint(width)],
    ['llama.block_count', uint(layers)],
    ['llama.feed_forward_length', uint(feedForward)],
    ['llama.attention.head_count', uint(heads)],
    ['llama.attention.head_count_kv', uint(heads)],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
    ['llama.rope.dimension_count', uint(width / heads)],
    ['llama.vocab_size', uint(vocabulary)],
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: [...SPECIAL, ...bytes, ...words] }],
    ['tokenizer.ggml.scores', { type: 'f32s', value: types.map(() => 0) }],
    ['tokenizer.ggml.token_type', { type: 'i32s', value: types }],
    ['tokenizer.ggml.unknown_token_id', uint(0)],
    ['tokenizer.ggml.bos_token_id', uint(1)],
    ['tokenizer.ggml.eos_token_id', uint(2)],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: true }],
    ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: false }],
    ['tokenizer.chat_template', { type: 'string', value: CHAT_TEMPLATE }],
  ];
}

function tensors(model: ModelShape): GgufTensor[] {
  const { width, layers, feedForward, vocabulary } = model;
  const norm = (name: string): GgufTensor => ({ name, dimensions: [width], values: new Float32Array(width).fill(1) });
  const matrix = (name: string, rows: number, columns = width): GgufTensor =>
    packed(model, { name, dimensions: [columns, rows] });
  return [
    matrix('token_embd.weight', vocabulary),
    norm('output_norm.weight'),
    packed(model, { name: 'output.weight', dimensions: [width, vocabulary], zeroRows: SPECIAL.length + 256 }),
    ...Array.from({ length: layers }, (_, layer) => `blk.${layer}`).flatMap((block) => [
      norm(`${block}.attn_norm.weight`),
      matrix(`${block}.attn_q.weight`, width),
      matrix(`${block}.attn_k.weight`, width),
      matrix(`${block}.attn_v.weight`, width),
      matrix(`${block}.attn_output.weight`, width),
      norm(`${block}.ffn_norm.weight`),
      matrix(`${block}.ffn_gate.weight`, feedForward),
      matrix(`${block}.ffn_up.weight`, feedForward),
      matrix(`${block}.ffn_down.weight`, width, feedForward),
    ]),
  ];
}

interface PackedTensor {
  readonly name: string;
  readonly dimensions: readonly [columns: number, rows: number];
  readonly zeroRows?: number;
}

/** Random blocks from a cipher's key stream; the first `zeroRows` rows are zero. */
function packed(model: ModelShape, tensor: PackedTensor): GgufTensor {
  const { name, dimensions, zeroRows = 0 } = tensor;
  const { type, blockBytes, scale } = PACKING[model.weights];
  const length = tensorBytes(type, dimensions);
  invariant(length !== undefined, `${name} is a whole number of blocks`);
  const key = createHash('sha256').update(`${model.name} ${name}`).digest().subarray(0, 16);
  const bytes = createCipheriv('aes-128-ctr', key, new Uint8Array(16)).update(new Uint8Array(length));
  for (let offset = 0; offset < length; offset += blockBytes) bytes.set(scale, offset);
  bytes.fill(0, 0, (length / dimensions[1]) * zeroRows);
  return { name, dimensions, type, packed: bytes };
}

function uint(value: number): GgufValue {
  return { type: 'u32', value };
}
