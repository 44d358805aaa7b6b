/**
 * Reads as much of a model file as its header needs and checks it (`gguf-check.ts`), before any parser sees the file:
 * when the node lists its models, and again in the child just before loading, because files change in between.
 * Limits: at most `GGUF_LIMITS.headerBytesMax` bytes, read in steps that double.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { checkGguf, GGUF_LIMITS, type GgufCheck } from '../gguf-check.ts';

/** Enough for a small vocabulary. Source: guess. */
const FIRST_READ_BYTES = 1_048_576;

/** A pipe that nobody writes to would keep `open` waiting for ever, and with it the start of the node. Windows has neither. */
const OPEN_FLAGS = constants.O_RDONLY | (process.platform === 'win32' ? 0 : constants.O_NONBLOCK);

/** Throws the file system's error when the file cannot be read. */
export async function checkGgufFile(path: string): Promise<GgufCheck> {
  const handle = await open(path, OPEN_FLAGS);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) return { type: 'rejected', reason: 'is no regular file' };
    return await checkGrowing(handle, stats.size);
  } finally {
    await handle.close();
  }
}

async function checkGrowing(handle: FileHandle, fileBytes: number): Promise<GgufCheck> {
  for (let bytes = FIRST_READ_BYTES; ; bytes *= 4) {
    const head = new Uint8Array(Math.min(bytes, fileBytes, GGUF_LIMITS.headerBytesMax));
    // Each read is larger than the one before, so one after the other.
    // eslint-disable-next-line no-await-in-loop
    const length = await fill(handle, head);
    const check = checkGguf(head.subarray(0, length), fileBytes);
    if (check.type !== 'needs-more') return check;
    if (length < head.length) return { type: 'rejected', reason: 'became shorter while it was read' };
  }
}

async function fill(handle: FileHandle, into: Uint8Array): Promise<number> {
  let length = 0;
  while (length < into.length) {
    // A read may return less than was asked for.
    // eslint-disable-next-line no-await-in-loop
    const { bytesRead } = await handle.read(into, length, into.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}
