/**
 * How does a late joiner, or a node that slept, get the whole view at once? It opens one stream to a member, sends its
 * digest and receives the signed messages that it lacks; they are judged like gossip afterwards. The same exchange repairs
 * what gossip lost. Limits: the frames' (`snapshot-frames.ts`), and a deadline on either side; a peer that sends
 * anything else loses the stream, and the failure is told as a reason.
 */
import { reasonOf } from '../errors.ts';
import type { NodeId } from '../ids.ts';
import type { NetworkStream } from '../node/network.ts';
import { GOSSIP } from '../params.ts';
import {
  DIGEST_BYTES_MAX,
  encodeFrame,
  encodeSnapshot,
  FrameReader,
  type FrameReaderOptions,
  SNAPSHOT_BYTES_MAX,
} from './snapshot-frames.ts';

/** Source: guess: 8 MB over a slow uplink take longer, but then a smaller digest difference comes next time. */
const EXCHANGE_MS_MAX = 10_000;

export type SnapshotResult =
  | { readonly type: 'received'; readonly messages: readonly Uint8Array[] }
  | { readonly type: 'failed'; readonly reason: string };

/** Asks over a fresh stream. Never rejects. */
export async function requestSnapshot(
  open: (signal: AbortSignal) => Promise<NetworkStream>,
  digest: Uint8Array,
  signal?: AbortSignal,
): Promise<SnapshotResult> {
  const deadline = withDeadline(signal);
  let stream: NetworkStream | undefined;
  try {
    stream = await open(deadline);
    const answer = readFrames(
      stream,
      { count: undefined, frameBytesMax: GOSSIP.messageBytesMax, bytesMax: SNAPSHOT_BYTES_MAX },
      deadline,
    );
    await Promise.all([answer, sendAll(stream, [encodeFrame(digest)], deadline)]);
    const messages = await answer;
    await stream.close({ signal: deadline });
    return { type: 'received', messages };
  } catch (error) {
    const reason = reasonOf(error);
    stream?.abort(new Error(reason));
    return { type: 'failed', reason };
  }
}

export interface SnapshotServer {
  readonly stream: NetworkStream;
  readonly from: NodeId;
  /** What the asker lacks. */
  readonly answer: (digest: Uint8Array, from: NodeId) => Promise<readonly Uint8Array[]>;
  readonly signal?: AbortSignal;
}

/** Answers on a stream that a member opened. Never rejects; undefined when all went well, else why not. */
export async function serveSnapshot({ stream, from, answer, signal }: SnapshotServer): Promise<string | undefined> {
  const deadline = withDeadline(signal);
  try {
    const limits = { count: 1, frameBytesMax: DIGEST_BYTES_MAX, bytesMax: DIGEST_BYTES_MAX + 4 };
    const [digest = new Uint8Array()] = await readFrames(stream, limits, deadline);
    const messages = await raceSignal(answer(digest, from), deadline);
    await sendAll(stream, encodeSnapshot(messages), deadline);
    await stream.close({ signal: deadline });
    return undefined;
  } catch (error) {
    const reason = reasonOf(error);
    stream.abort(new Error(reason));
    return reason;
  }
}

async function readFrames(
  stream: NetworkStream,
  options: FrameReaderOptions,
  signal: AbortSignal,
): Promise<readonly Uint8Array[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly Uint8Array[]>();
  const reader = new FrameReader(options);
  stream.addEventListener('message', (event) => {
    const step = reader.receive(event.data.subarray());
    if (step.type === 'done') resolve(step.frames);
    if (step.type === 'refused') reject(new Error(step.reason));
  });
  const early = (): void => reject(new Error('the stream ended early'));
  stream.addEventListener('close', early);
  stream.addEventListener('remoteCloseWrite', early);
  return raceSignal(promise, signal);
}

async function sendAll(stream: NetworkStream, parts: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
  for (const part of parts) if (!stream.send(part)) await stream.onDrain({ signal });
}

function withDeadline(signal: AbortSignal | undefined): AbortSignal {
  const deadline = AbortSignal.timeout(EXCHANGE_MS_MAX);
  return signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
}

async function raceSignal<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
