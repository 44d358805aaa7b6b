/**
 * The bytes of the messages of a link. Frequent ones (tokens, credit, progress) are varints and UTF-8, rare ones
 * (failures) are JSON. Everything that comes from a peer is bounded here: `decodeMessage` gives a message with every
 * field checked, or undefined, and then the peer broke the protocol. What we say ourselves is cut and rounded to the same
 * bounds, so that an odd figure of an engine is never taken for a violation.
 */
import { type Failure, parseErrorCode } from '../errors.ts';
import type { ModelLoad } from '../gossip/message.ts';
import { parseRequestId } from '../ids.ts';
import { INFERENCE, LIMITS } from '../params.ts';
import { ByteReader, ByteWriter } from './binary.ts';
import type { RunEnd } from './engine.ts';
import type { Kind } from './frames.ts';
import type { LinkMessage, Reattach, TokensAnswer } from './messages.ts';

/** Both texts, every character escaped, fit one frame. */
const FAILURE_TEXT_MAX = 2_000;
const FAILURE_PARAM_MAX = 256;
const RETRY_AFTER_MS_MAX = 3_600_000;
const LOAD_MAX = 1_000_000_000;
const DIGEST = /^(?:[0-9a-f]{64})?$/;
const EMPTY = new Uint8Array(0);
const NO_IDS: readonly number[] = [];
const writer = new ByteWriter();

type MessageOf<Name extends Kind> = Extract<LinkMessage, { readonly type: Name }>;

interface Codec<Message> {
  encode(message: Message): Uint8Array;
  decode(reader: ByteReader): Message | undefined;
}

const CODECS: { readonly [Name in Kind]: Codec<MessageOf<Name>> } = {
  open: {
    encode: ({ body }) => body,
    decode: (reader) => ({ type: 'open', body: reader.restAsBytes() }),
  },
  credit: {
    encode: ({ tokens }) => writer.varint(tokens).take(),
    decode: (reader) => {
      const tokens = reader.varint();
      return tokens > 0 && tokens <= LIMITS.answerTokens ? { type: 'credit', tokens } : undefined;
    },
  },
  cancel: signal('cancel'),
  reattach: { encode: encodeReattach, decode: decodeReattach },
  accepted: {
    encode: ({ digest }) => writer.text(DIGEST.test(digest) ? digest : '').take(),
    decode: (reader) => {
      const digest = reader.restAsText();
      return DIGEST.test(digest) ? { type: 'accepted', digest } : undefined;
    },
  },
  queued: {
    encode: ({ position }) => writer.varint(position).take(),
    decode: (reader) => ({ type: 'queued', position: reader.varint() }),
  },
  refused: { encode: ({ failure, load }) => encodeFailure(failure, load), decode: decodeRefused },
  progress: {
    encode: ({ promptTokensDone, promptTokens }) => writer.varint(promptTokensDone).varint(promptTokens).take(),
    decode: (reader) => ({ type: 'progress', promptTokensDone: reader.varint(), promptTokens: reader.varint() }),
  },
  tokens: { encode: encodeTokens, decode: decodeTokens },
  ended: { encode: encodeEnded, decode: decodeEnded },
  failed: { encode: ({ failure }) => encodeFailure(failure, undefined), decode: decodeFailed },
  cancelled: signal('cancelled'),
  received: {
    encode: ({ bytes }) => writer.varint(bytes).take(),
    decode: (reader) => ({ type: 'received', bytes: reader.varint() }),
  },
  heartbeat: signal('heartbeat'),
  ping: {
    encode: ({ nonce }) => writer.varint(nonce).take(),
    decode: (reader) => ({ type: 'ping', nonce: reader.varint() }),
  },
  pong: {
    encode: ({ nonce }) => writer.varint(nonce).take(),
    decode: (reader) => ({ type: 'pong', nonce: reader.varint() }),
  },
  draining: {
    encode: ({ scope }) => writer.varint(scope === 'node' ? 1 : 0).take(),
    decode: (reader) => {
      const scope = reader.varint();
      return scope > 1 ? undefined : { type: 'draining', scope: scope === 1 ? 'node' : 'link' };
    },
  },
};

/** The payload of a message; `name` is its type. */
export function encodeMessage<Name extends Kind>(name: Name, message: MessageOf<Name>): Uint8Array {
  return CODECS[name].encode(message);
}

/** The message of a payload; undefined where it is malformed or out of bounds. */
export function decodeMessage(kind: Kind, payload: Uint8Array): LinkMessage | undefined {
  const reader = new ByteReader(payload);
  const message = CODECS[kind].decode(reader);
  return reader.finished ? message : undefined;
}

/** A message that is all said with its kind. */
function signal<Name extends 'cancel' | 'cancelled' | 'heartbeat'>(type: Name): Codec<{ readonly type: Name }> {
  return { encode: () => EMPTY, decode: () => ({ type }) };
}

function encodeReattach(message: Reattach): Uint8Array {
  const { requestId, startTokens, startCharacters, answers, tokens, creditTokens, accepted, wanted } = message;
  writer.varint(startTokens).varint(startCharacters).varint(answers).varint(tokens).varint(creditTokens);
  return writer
    .varint((accepted ? 1 : 0) + (wanted ? 2 : 0))
    .text(requestId)
    .take();
}

function decodeReattach(reader: ByteReader): Reattach | undefined {
  const [startTokens, startCharacters] = [reader.varint(), reader.varint()];
  const [answers, tokens, creditTokens, flags] = [reader.varint(), reader.varint(), reader.varint(), reader.varint()];
  const requestId = parseRequestId(reader.restAsText());
  if (requestId === undefined || flags > 3) return undefined;
  if (startTokens + tokens > LIMITS.answerTokens || creditTokens > INFERENCE.creditTokens) return undefined;
  const read = { startTokens, startCharacters, answers, tokens, creditTokens };
  return { type: 'reattach', requestId, ...read, accepted: flags % 2 === 1, wanted: flags >= 2 };
}

function encodeTokens(message: TokensAnswer): Uint8Array {
  writer.varint(message.position).varint(message.tokens).varint(message.tokenIds.length);
  for (const id of message.tokenIds) writer.varint(id);
  return writer.text(message.text).take();
}

function decodeTokens(reader: ByteReader): TokensAnswer | undefined {
  const position = reader.varint();
  const tokens = reader.varint();
  const idCount = reader.varint();
  if (!reader.ok || position + tokens > LIMITS.answerTokens) return undefined;
  if ((idCount !== 0 && idCount !== tokens) || idCount > reader.bytesLeft) return undefined;
  let tokenIds = NO_IDS;
  if (idCount > 0) {
    const ids: number[] = [];
    for (let index = 0; index < idCount; index += 1) ids.push(reader.varint());
    tokenIds = ids;
  }
  const text = reader.restAsText();
  return { type: 'tokens', position, tokens, tokenIds, text };
}

/** 0 = stop, 1 = length, from 2 on = the stop string at that place. */
function encodeEnded({ finishReason, stopIndex, usage }: RunEnd): Uint8Array {
  const stopped = stopIndex === undefined ? 0 : 2 + stopIndex;
  writer.varint(finishReason === 'stop' ? stopped : 1).varint(usage.promptTokens);
  return writer.varint(usage.completionTokens).varint(usage.cachedTokens).take();
}

function decodeEnded(reader: ByteReader): MessageOf<'ended'> | undefined {
  const reason = reader.varint();
  const usage = { promptTokens: reader.varint(), completionTokens: reader.varint(), cachedTokens: reader.varint() };
  if (reason >= 2 + LIMITS.stopSequences || usage.completionTokens > LIMITS.answerTokens) return undefined;
  if (reason === 1) return { type: 'ended', finishReason: 'length', usage };
  return { type: 'ended', finishReason: 'stop', usage, ...(reason === 0 ? {} : { stopIndex: reason - 2 }) };
}

function encodeFailure(failure: Failure, load: ModelLoad | undefined): Uint8Array {
  // What we say must pass the other side's checks: texts are cut, figures rounded.
  const { code, message, param, retryAfterMs } = failure;
  const bounded = {
    code,
    message: message.slice(0, FAILURE_TEXT_MAX),
    param: param?.slice(0, FAILURE_PARAM_MAX),
    retryAfterMs: retryAfterMs === undefined ? undefined : bound(retryAfterMs, RETRY_AFTER_MS_MAX),
  };
  return writer
    .text(JSON.stringify({ failure: bounded, load: load === undefined ? undefined : boundLoad(load) }))
    .take();
}

function boundLoad(load: ModelLoad): ModelLoad {
  return {
    busy: bound(load.busy, LOAD_MAX),
    queued: bound(load.queued, LOAD_MAX),
    slotMs: bound(load.slotMs, LOAD_MAX),
    prefillUsPerToken: bound(load.prefillUsPerToken, LOAD_MAX),
    decodeMs: bound(load.decodeMs, LOAD_MAX),
    arrivalsPerKs: bound(load.arrivalsPerKs, LOAD_MAX),
  };
}

function bound(figure: number, max: number): number {
  return Number.isNaN(figure) ? 0 : Math.min(max, Math.max(0, Math.round(figure)));
}

function decodeFailed(reader: ByteReader): MessageOf<'failed'> | undefined {
  const json = parseJson(reader.restAsText());
  const failure = isRecord(json) ? readFailure(json['failure']) : undefined;
  return failure === undefined ? undefined : { type: 'failed', failure };
}

function decodeRefused(reader: ByteReader): MessageOf<'refused'> | undefined {
  const json = parseJson(reader.restAsText());
  if (!isRecord(json)) return undefined;
  const failure = readFailure(json['failure']);
  if (failure === undefined) return undefined;
  if (json['load'] === undefined) return { type: 'refused', failure, load: undefined };
  const load = readLoad(json['load']);
  return load === undefined ? undefined : { type: 'refused', failure, load };
}

function readFailure(value: unknown): Failure | undefined {
  if (!isRecord(value)) return undefined;
  const { message, param, retryAfterMs } = value;
  const code = parseErrorCode(value['code']);
  if (code === undefined || typeof message !== 'string' || message.length > FAILURE_TEXT_MAX) return undefined;
  if (param !== undefined && (typeof param !== 'string' || param.length > FAILURE_PARAM_MAX)) return undefined;
  if (retryAfterMs !== undefined && !isWhole(retryAfterMs, RETRY_AFTER_MS_MAX)) return undefined;
  return {
    code,
    message,
    ...(param === undefined ? {} : { param }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function readLoad(value: unknown): ModelLoad | undefined {
  if (!isRecord(value)) return undefined;
  const { busy, queued, slotMs, prefillUsPerToken, decodeMs, arrivalsPerKs } = value;
  if (!isWhole(busy, LOAD_MAX) || !isWhole(queued, LOAD_MAX) || !isWhole(slotMs, LOAD_MAX)) return undefined;
  if (!isWhole(prefillUsPerToken, LOAD_MAX) || !isWhole(decodeMs, LOAD_MAX) || !isWhole(arrivalsPerKs, LOAD_MAX)) {
    return undefined;
  }
  return { busy, queued, slotMs, prefillUsPerToken, decodeMs, arrivalsPerKs };
}

function isWhole(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
