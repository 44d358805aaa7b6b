/**
 * Gossip messages as bytes. Which question: is this a well-formed message of our swarm, within bounds, signed by its
 * author? Form: canonical CBOR `[payload, signature]`, payload = `[version, swarm, author key, incarnation, sequence,
 * uptimeMs, type, ...]`, arrays of integers, byte strings and short texts. The signature lies inside and covers a
 * domain prefix and the payload, so that snapshots can pass messages on and no other protocol's signature fits here.
 * Every field has bounds; anything else is refused with a reason, never repaired. One value has one encoding.
 */
import { invariant, unreachable } from '../assert.ts';
import {
  type Canonical,
  concat,
  decodeCanonical,
  encodeCanonical,
  fromHex,
  type Hash64,
  hash64,
  toHex,
  utf8,
} from '../bytes.ts';
import {
  type ModelId,
  type NodeId,
  type ParamsFingerprint,
  parseModelId,
  parseParamsFingerprint,
  type SwarmFingerprint,
} from '../ids.ts';
import { GOSSIP, PROTOCOL_VERSION } from '../params.ts';
import { FieldReader } from './field-reader.ts';
import { BOUNDS } from './message-bounds.ts';
import type { Capability, GossipBody, GossipMessage, ModelCapability, ModelLoad } from './message.ts';
import { NODE_KEY_BYTES, nodeKeyOf, nodeOfKey } from './node-key.ts';

export type Sign = (bytes: Uint8Array) => Uint8Array;
export type Verify = (node: NodeId, bytes: Uint8Array, signature: Uint8Array) => boolean;

export type Parse = (bytes: Uint8Array, swarm: SwarmFingerprint) => Parsed;

export type Rejection = 'too-large' | 'malformed' | 'other-version' | 'other-swarm' | 'out-of-bounds' | 'bad-signature';

export type Parsed =
  | {
      readonly type: 'parsed';
      readonly message: GossipMessage;
      /** What the signature is over. */
      readonly signed: Uint8Array;
      readonly signature: Uint8Array;
      /** Of all bytes: what digests are made of. */
      readonly hash: Hash64;
    }
  | { readonly type: 'rejected'; readonly reason: Rejection };

export type Decoded =
  | { readonly type: 'message'; readonly message: GossipMessage }
  | { readonly type: 'rejected'; readonly reason: Rejection };

export const SIGNATURE_BYTES = 64;
const FINGERPRINT_BYTES = 8;
const DIGEST_BYTES = 32;
const PREFIX = utf8('skein gossip message 1\n');
const TYPES = ['capability', 'load', 'goodbye', 'accusation'] as const satisfies readonly GossipBody['type'][];
const CAUSES = ['closed', 'silent'] as const;

/** The signed bytes of a message of ours. Bounds are the caller's duty (`message-bounds.ts` fits what we say to them). */
export function encodeMessage(
  message: GossipMessage,
  options: { readonly swarm: SwarmFingerprint; readonly sign: Sign },
): Uint8Array {
  const payload = encodeCanonical([
    PROTOCOL_VERSION,
    hexBytes(options.swarm),
    keyOf(message.author),
    message.incarnation,
    message.sequence,
    message.uptimeMs,
    TYPES.indexOf(message.body.type),
    ...bodyFields(message.body),
  ]);
  const signature = options.sign(concat([PREFIX, payload]));
  invariant(signature.length === SIGNATURE_BYTES, 'a signature has 64 bytes');
  const bytes = encodeCanonical([payload, signature]);
  invariant(bytes.length <= GOSSIP.messageBytesMax, 'a message of ours fits the bound that others enforce');
  return bytes;
}

/** Form and bounds only: cheap, for dropping repeats before anybody pays for a signature. */
export function parseMessage(bytes: Uint8Array, swarm: SwarmFingerprint): Parsed {
  if (bytes.length > GOSSIP.messageBytesMax) return { type: 'rejected', reason: 'too-large' };
  const envelope: unknown = decodeCanonical(bytes);
  if (!Array.isArray(envelope) || envelope.length !== 2) return { type: 'rejected', reason: 'malformed' };
  const [payload, signature]: unknown[] = envelope;
  if (!(payload instanceof Uint8Array) || !(signature instanceof Uint8Array))
    return { type: 'rejected', reason: 'malformed' };
  if (signature.length !== SIGNATURE_BYTES) return { type: 'rejected', reason: 'malformed' };
  const fields: unknown = decodeCanonical(payload);
  if (!Array.isArray(fields)) return { type: 'rejected', reason: 'malformed' };
  const [version, fingerprint]: unknown[] = fields;
  if (version !== PROTOCOL_VERSION) return { type: 'rejected', reason: 'other-version' };
  if (!(fingerprint instanceof Uint8Array) || toHex(fingerprint) !== swarm)
    return { type: 'rejected', reason: 'other-swarm' };
  const message = readMessage(new FieldReader(fields));
  if (message === undefined) return { type: 'rejected', reason: 'out-of-bounds' };
  return { type: 'parsed', message, signed: concat([PREFIX, payload]), signature, hash: hash64(bytes) };
}

/** Whether the author signed it. */
export function isSigned(parsed: Extract<Parsed, { type: 'parsed' }>, verify: Verify): boolean {
  return verify(parsed.message.author, parsed.signed, parsed.signature);
}

/** Form, bounds and signature. */
export function decodeMessage(
  bytes: Uint8Array,
  options: { readonly swarm: SwarmFingerprint; readonly verify: Verify },
): Decoded {
  const parsed = parseMessage(bytes, options.swarm);
  if (parsed.type === 'rejected') return parsed;
  return isSigned(parsed, options.verify)
    ? { type: 'message', message: parsed.message }
    : { type: 'rejected', reason: 'bad-signature' };
}

function bodyFields(body: GossipBody): Canonical[] {
  switch (body.type) {
    case 'capability': {
      const { name, version, params, addresses, models, relays } = body.capability;
      const fields = [name, version, hexBytes(params), addresses, models.map(modelFields), body.loads.map(loadFields)];
      return relays === true ? [...fields, 1] : fields;
    }
    case 'load':
      return [body.capabilitySequence, body.loads.map(loadFields)];
    case 'goodbye':
      return [];
    case 'accusation':
      return [keyOf(body.target), body.targetIncarnation, CAUSES.indexOf(body.cause), body.evidenceAgeMs];
    default:
      return unreachable(body);
  }
}

function modelFields(model: ModelCapability): Canonical {
  return [model.model, hexBytes(model.digest), model.contextTokens, model.slots, model.loadMs];
}

function loadFields(load: ModelLoad): Canonical {
  return [load.busy, load.queued, load.slotMs, load.prefillUsPerToken, load.decodeMs, load.arrivalsPerKs];
}

function readMessage(reader: FieldReader): GossipMessage | undefined {
  reader.integer(PROTOCOL_VERSION, PROTOCOL_VERSION);
  reader.bytes(FINGERPRINT_BYTES);
  const author = nodeOfKey(reader.bytes(NODE_KEY_BYTES));
  const incarnation = reader.integer(1, BOUNDS.incarnationMax);
  const sequence = reader.integer(1, BOUNDS.sequenceMax);
  const uptimeMs = reader.integer(0, BOUNDS.uptimeMsMax);
  const body = readBody(reader);
  return reader.sound && body !== undefined ? { author, incarnation, sequence, uptimeMs, body } : undefined;
}

function readBody(reader: FieldReader): GossipBody | undefined {
  const type = TYPES[reader.integer(0, TYPES.length - 1)];
  switch (type) {
    case 'capability':
      return readCapability(reader);
    case 'load': {
      const capabilitySequence = reader.integer(1, BOUNDS.sequenceMax);
      return { type, capabilitySequence, loads: readLoads(reader) };
    }
    case 'goodbye':
      return { type };
    case 'accusation': {
      const target = nodeOfKey(reader.bytes(NODE_KEY_BYTES));
      const targetIncarnation = reader.integer(1, BOUNDS.incarnationMax);
      const cause = reader.integer(0, 1) === 0 ? 'closed' : 'silent';
      return { type, target, targetIncarnation, cause, evidenceAgeMs: reader.integer(0, BOUNDS.evidenceAgeMsMax) };
    }
    case undefined:
      return undefined;
    default:
      return unreachable(type);
  }
}

function readCapability(reader: FieldReader): GossipBody | undefined {
  const capability: Capability = {
    name: reader.text(BOUNDS.name),
    version: reader.text(BOUNDS.version),
    params: readFingerprint(reader),
    addresses: reader.list(GOSSIP.addressesPerNodeMax, (item) => item.text(BOUNDS.address)),
    models: reader.list(GOSSIP.modelsPerNodeMax, (item) => item.row(readModel)),
  };
  const loads = readLoads(reader);
  const relays = reader.flag() ? ({ relays: true } as const) : {};
  const distinct = new Set(capability.models.map(({ model }) => model));
  if (loads.length !== capability.models.length || distinct.size !== capability.models.length) return undefined;
  return { type: 'capability', capability: { ...capability, ...relays }, loads };
}

function readFingerprint(reader: FieldReader): ParamsFingerprint {
  const params = parseParamsFingerprint(toHex(reader.bytes(FINGERPRINT_BYTES)));
  invariant(params !== undefined, 'eight bytes are a fingerprint');
  return params;
}

function readModel(row: FieldReader): ModelCapability {
  return {
    model: row.parsed(parseModelId, NO_MODEL),
    digest: toHex(row.bytesOrNone(DIGEST_BYTES)),
    contextTokens: row.integer(0, BOUNDS.contextTokensMax),
    slots: row.integer(1, BOUNDS.slotsMax),
    loadMs: row.integer(0, BOUNDS.durationMsMax),
  };
}

function readLoads(reader: FieldReader): ModelLoad[] {
  return reader.list(GOSSIP.modelsPerNodeMax, (item) => item.row(readLoad));
}

function readLoad(row: FieldReader): ModelLoad {
  return {
    busy: row.integer(0, BOUNDS.requestsMax),
    queued: row.integer(0, BOUNDS.requestsMax),
    slotMs: row.integer(0, BOUNDS.durationMsMax),
    prefillUsPerToken: row.integer(0, BOUNDS.prefillUsMax),
    decodeMs: row.integer(0, BOUNDS.durationMsMax),
    arrivalsPerKs: row.integer(0, BOUNDS.arrivalsMax),
  };
}

/** Stands in for a model name that was refused; never leaves this file, because the whole message is refused. */
const NO_MODEL: ModelId = (() => {
  const model = parseModelId('refused');
  invariant(model !== undefined, 'a plain word is a model id');
  return model;
})();

function keyOf(node: NodeId): Uint8Array {
  const key = nodeKeyOf(node);
  invariant(key !== undefined, 'a node we speak of has an Ed25519 id');
  return key;
}

function hexBytes(hex: string): Uint8Array {
  const bytes = fromHex(hex);
  invariant(bytes !== undefined, 'fingerprints and digests are hex');
  return bytes;
}
