/**
 * How is a model file written? GGUF version 3, little-endian: a header, key-value pairs, tensor descriptions, padding,
 * and the tensors' bytes. Equal input gives equal bytes, so that a written model has one digest on every machine.
 * Limits: numbers are written as F32, other types as the bytes that the caller packed; the whole file is in memory. For the
 * models that this project makes itself.
 * Source: docs/gguf.md of ggml (spec).
 */
import { invariant, unreachable } from '../assert.ts';
import { concat, utf8 } from '../bytes.ts';
import { tensorBytes } from './gguf-tensor-types.ts';

export type GgufValue =
  | { readonly type: 'u32' | 'i32' | 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s' | 'f32s'; readonly value: readonly number[] };

export type GgufTensor = {
  readonly name: string;
  /** Innermost first, as the format has it. */
  readonly dimensions: readonly number[];
} & (
  | { readonly values: Float32Array }
  /** Already packed: the format's number of the type, and exactly the bytes of the shape. */
  | { readonly type: number; readonly packed: Uint8Array }
);

export interface GgufContent {
  readonly metadata: readonly (readonly [key: string, value: GgufValue])[];
  readonly tensors: readonly GgufTensor[];
}

/** Source: spec, the default of `general.alignment`. */
const ALIGNMENT = 32;

/** Source: spec. */
const TENSOR_F32 = 0;
/** Value type numbers of the format. Source: spec. */
const TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

export function writeGguf(content: GgufContent): Uint8Array {
  const header: Uint8Array[] = [
    utf8('GGUF'),
    uint32(3),
    uint64(content.tensors.length),
    uint64(content.metadata.length),
    ...content.metadata.flatMap(([key, value]) => [text(key), ...encodeValue(value)]),
  ];
  const data: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of content.tensors) {
    header.push(text(tensor.name), uint32(tensor.dimensions.length));
    const { type, bytes } = encodeTensor(tensor);
    header.push(...tensor.dimensions.map(uint64), uint32(type), uint64(offset));
    data.push(bytes, padding(bytes.length));
    offset += bytes.length + padding(bytes.length).length;
  }
  const head = concat(header);
  return concat([head, padding(head.length), ...data]);
}

function encodeTensor(tensor: GgufTensor): { readonly type: number; readonly bytes: Uint8Array } {
  const type = 'values' in tensor ? TENSOR_F32 : tensor.type;
  const bytes = 'values' in tensor ? float32s(tensor.values) : tensor.packed;
  invariant(tensorBytes(type, tensor.dimensions) === bytes.length, `${tensor.name} has the bytes of its shape`);
  return { type, bytes };
}

function encodeValue(value: GgufValue): Uint8Array[] {
  switch (value.type) {
    case 'u32':
      return [uint32(TYPE.u32), uint32(value.value)];
    case 'i32':
      return [uint32(TYPE.i32), uint32(value.value)];
    case 'f32':
      return [uint32(TYPE.f32), float32s([value.value])];
    case 'bool':
      return [uint32(TYPE.bool), Uint8Array.of(value.value ? 1 : 0)];
    case 'string':
      return [uint32(TYPE.string), text(value.value)];
    case 'strings':
      return [...arrayHead(TYPE.string, value.value.length), ...value.value.map(text)];
    case 'i32s':
      return [...arrayHead(TYPE.i32, value.value.length), ...value.value.map(uint32)];
    case 'f32s':
      return [...arrayHead(TYPE.f32, value.value.length), float32s(value.value)];
    default:
      return unreachable(value);
  }
}

function arrayHead(elementType: number, length: number): Uint8Array[] {
  return [uint32(TYPE.array), uint32(elementType), uint64(length)];
}

function text(value: string): Uint8Array {
  const bytes = utf8(value);
  return concat([uint64(bytes.length), bytes]);
}

/** Also the bits of a signed number. */
function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function uint64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

/** Byte by byte through a view, so that the file is little-endian on every machine. */
function float32s(values: Float32Array | readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setFloat32(index * 4, value, true));
  return bytes;
}

function padding(length: number): Uint8Array {
  return new Uint8Array((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);
}
