/**
 * Branded ids: which strings are ids, and of what. Only the parsers below make them, so that a node id can never stand
 * where a model id is expected and nothing unchecked from the wire gets in. Ids are compared with `<` and `===` only.
 */

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** A node: the base58 peer id of its Ed25519 key ("12D3KooW" + 44 characters). */
export type NodeId = Branded<'NodeId'>;
/** One client request, unique across the mesh: 32 lower-case hex digits. */
export type RequestId = Branded<'RequestId'>;
/** A model as clients name it: 1 to 128 characters of letters, digits and `. _ - : / @ +`. */
export type ModelId = Branded<'ModelId'>;
/** Which swarm: the first 8 bytes of a derivation of the swarm key, as 16 lower-case hex digits. */
export type SwarmFingerprint = Branded<'SwarmFingerprint'>;
/** A protocol params fingerprint: 16 lower-case hex digits (`params.ts`). */
export type ParamsFingerprint = Branded<'ParamsFingerprint'>;

const NODE_ID = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;
const REQUEST_ID = /^[0-9a-f]{32}$/;
const MODEL_ID = /^[A-Za-z0-9][A-Za-z0-9._\-:/@+]{0,127}$/;
const FINGERPRINT = /^[0-9a-f]{16}$/;

export function parseNodeId(text: unknown): NodeId | undefined {
  return isNodeId(text) ? text : undefined;
}

export function parseRequestId(text: unknown): RequestId | undefined {
  return isRequestId(text) ? text : undefined;
}

export function parseModelId(text: unknown): ModelId | undefined {
  return isModelId(text) ? text : undefined;
}

export function parseSwarmFingerprint(text: unknown): SwarmFingerprint | undefined {
  return isSwarmFingerprint(text) ? text : undefined;
}

export function parseParamsFingerprint(text: unknown): ParamsFingerprint | undefined {
  return isParamsFingerprint(text) ? text : undefined;
}

/** Orders ids the same way on every machine (never `localeCompare`). */
export function compareIds(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The last eight characters of a node id: enough to tell a home's machines apart in a table. */
export function shortNodeId(node: NodeId): string {
  return node.slice(-8);
}

// The only places where a checked string gets its brand.

function isNodeId(text: unknown): text is NodeId {
  return typeof text === 'string' && NODE_ID.test(text);
}

function isRequestId(text: unknown): text is RequestId {
  return typeof text === 'string' && REQUEST_ID.test(text);
}

function isModelId(text: unknown): text is ModelId {
  return typeof text === 'string' && MODEL_ID.test(text);
}

function isSwarmFingerprint(text: unknown): text is SwarmFingerprint {
  return typeof text === 'string' && FINGERPRINT.test(text);
}

function isParamsFingerprint(text: unknown): text is ParamsFingerprint {
  return typeof text === 'string' && FINGERPRINT.test(text);
}
