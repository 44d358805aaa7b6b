/**
 * How many bytes does a tensor of this type and shape take? Quantised types pack a row into blocks of a fixed number of
 * elements and bytes; a row that is no whole number of blocks does not exist. Types that llama.cpp removed are unknown.
 * Source: copied (the `type_traits` table of ggml.c and the block structures of ggml-common.h).
 */

/** By type number: elements and bytes of one block. */
const BLOCKS: Readonly<Record<number, readonly [elements: number, bytes: number]>> = {
  0: [1, 4], // F32
  1: [1, 2], // F16
  2: [32, 18], // Q4_0
  3: [32, 20], // Q4_1
  6: [32, 22], // Q5_0
  7: [32, 24], // Q5_1
  8: [32, 34], // Q8_0
  9: [32, 36], // Q8_1
  10: [256, 84], // Q2_K
  11: [256, 110], // Q3_K
  12: [256, 144], // Q4_K
  13: [256, 176], // Q5_K
  14: [256, 210], // Q6_K
  15: [256, 292], // Q8_K
  16: [256, 66], // IQ2_XXS
  17: [256, 74], // IQ2_XS
  18: [256, 98], // IQ3_XXS
  19: [256, 50], // IQ1_S
  20: [32, 18], // IQ4_NL
  21: [256, 110], // IQ3_S
  22: [256, 82], // IQ2_S
  23: [256, 136], // IQ4_XS
  24: [1, 1], // I8
  25: [1, 2], // I16
  26: [1, 4], // I32
  27: [1, 8], // I64
  28: [1, 8], // F64
  29: [256, 56], // IQ1_M
  30: [1, 2], // BF16
  34: [256, 54], // TQ1_0
  35: [256, 66], // TQ2_0
  39: [32, 17], // MXFP4
  40: [64, 36], // NVFP4
  41: [128, 18], // Q1_0
  42: [64, 18], // Q2_0
};

/** Undefined for an unknown type, an empty or broken shape, or more bytes than can be counted. */
export function tensorBytes(type: number, shape: readonly number[]): number | undefined {
  const block = BLOCKS[type];
  const row = shape[0];
  if (block === undefined || row === undefined || row % block[0] !== 0) return undefined;
  if (shape.some((length) => length < 1)) return undefined;
  const elements = shape.reduce((product, length) => product * length, 1);
  const bytes = (elements / block[0]) * block[1];
  return Number.isSafeInteger(elements) && Number.isSafeInteger(bytes) ? bytes : undefined;
}
