/**
 * A model file as the node keeps it: what the store found out, and what engines need in order to offer and load it.
 * The identity of a model across the mesh is its id and the digest of its bytes, never its path. Pure.
 */
import { type ModelId, parseModelId } from '../ids.ts';

export interface StoredModel {
  readonly model: ModelId;
  readonly path: string;
  readonly state: 'on-disk' | 'failed';
  /** When it failed: which path, what is wrong, what mends it. */
  readonly problem?: string;
  /** sha256 of the file, 64 hex digits; '' when it failed. */
  readonly digest: string;
  readonly sizeBytes: number;
  /** Context the model was trained on; 0 = unknown. */
  readonly contextLength: number;
  readonly architecture: string;
}

const FILE_NAME = /^([A-Za-z0-9][A-Za-z0-9._\-+@]*)\.gguf$/i;

/** The model id that a file's name says; undefined when the name is none. */
export function modelIdOfFile(fileName: string): ModelId | undefined {
  return parseModelId(FILE_NAME.exec(fileName)?.[1]);
}

/** An id under which a file with an impossible name can be shown. */
export function shownModelId(fileName: string): ModelId | undefined {
  const text = fileName
    .replace(/\.gguf$/i, '')
    .replaceAll(/[^A-Za-z0-9._\-+@]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 100);
  return parseModelId(text === '' ? 'unnamed' : text);
}
