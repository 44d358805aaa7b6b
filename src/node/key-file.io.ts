/**
 * The file of API keys: `state/api-keys.json`, 0600, replaced as a whole. The commands change it, the running node follows it
 * within a second. A missing file has no keys; a damaged one is told, and lets nobody in.
 */
import { readFile } from 'node:fs/promises';
import { unwatchFile, watchFile } from 'node:fs';
import { join } from 'node:path';
import { encodeKeys, type KeyRecord, parseKeys } from '../api/key-record.ts';
import { errorCode, fileErrorReason } from '../file-error.ts';
import { replaceFile } from '../state-file.io.ts';

/** Source: guess: a revoked key is of no use a second later. */
const LOOK_INTERVAL_MS = 1_000;

export type KeyFileRead =
  | { readonly type: 'keys'; readonly keys: readonly KeyRecord[] }
  | { readonly type: 'damaged'; readonly problem: string };

export function keyFilePath(stateDirectory: string): string {
  return join(stateDirectory, 'api-keys.json');
}

export async function readKeyFile(path: string): Promise<KeyFileRead> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { type: 'keys', keys: [] };
    return {
      type: 'damaged',
      problem: `cannot read the API keys in ${path}: ${fileErrorReason(error)}; make it readable for this user`,
    };
  }
  const parsed = parseKeys(text);
  return parsed.type === 'keys'
    ? parsed
    : {
        type: 'damaged',
        problem: `cannot use the API keys in ${path}: ${parsed.reason}; restore it, or remove it and create new keys`,
      };
}

export async function writeKeyFile(path: string, keys: readonly KeyRecord[]): Promise<void> {
  await replaceFile(path, encodeKeys(keys));
}

/** Calls back at every change of the file, until the returned function is called. */
export function followKeyFile(path: string, onChange: (read: KeyFileRead) => void): () => void {
  let isOver = false;
  const look = (): void => {
    void readKeyFile(path).then((read) => {
      if (!isOver) onChange(read);
    });
  };
  watchFile(path, { interval: LOOK_INTERVAL_MS, persistent: false }, look);
  return () => {
    isOver = true;
    unwatchFile(path, look);
  };
}
