/** Views for the tests of placement: node ids that parse, candidates with usual figures, requests. */
import assert from 'node:assert/strict';
import { hash64, utf8 } from '../../src/bytes.ts';
import { type ModelId, type NodeId, parseModelId, parseNodeId } from '../../src/ids.ts';
import type { Candidate, Placement, PlacementRequest } from '../../src/placement/placement.ts';
import { Prng } from '../../src/prng.ts';

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

export const MODEL: ModelId = modelId('test-model');

export function modelId(text: string): ModelId {
  const model = parseModelId(text);
  assert.ok(model !== undefined);
  return model;
}

/** The same id for the same number, always; ids do not ascend with the numbers. */
export function nodeId(number: number): NodeId {
  const random = new Prng(`node-${number}`);
  const letters = Array.from({ length: 44 }, () => BASE58[random.nextBelow(BASE58.length)]);
  const node = parseNodeId(`12D3KooW${letters.join('')}`);
  assert.ok(node !== undefined);
  return node;
}

/** An idle, honest node of usual speed. */
export function candidate(number: number, more: Partial<Candidate> = {}): Candidate {
  return {
    node: nodeId(number),
    model: MODEL,
    alive: true,
    usable: true,
    contextTokens: 8_192,
    slots: 1,
    busy: 0,
    queued: 0,
    ownInFlight: 0,
    slotMs: 4_000,
    prefillUsPerToken: 1_000,
    decodeMs: 30,
    loadMs: 0,
    rttMs: 5,
    correctionPerMille: 1_000,
    reliabilityPerMille: 1_000,
    priceMs: 0,
    ageMs: 500,
    ...more,
  };
}

export function request(key: string, more: Partial<PlacementRequest> = {}): PlacementRequest {
  return {
    keyHash: hash64(utf8(key)),
    model: MODEL,
    promptTokens: 300,
    answerTokens: 0,
    excluded: new Set(),
    ...more,
  };
}

/** A mixed view: speeds over a factor of twenty, some busy, some unreliable, some loading, some out. */
export function mixedCandidate(number: number, random: Prng): Candidate {
  const slower = 1 + random.nextBelow(20);
  const slots = 1 + random.nextBelow(8);
  return candidate(number, {
    alive: random.nextBelow(20) > 0,
    usable: random.nextBelow(20) > 0,
    problem: 'the model failed to load',
    contextTokens: [0, 2_048, 8_192, 32_768][random.nextBelow(4)] ?? 0,
    slots,
    busy: random.nextBelow(slots + 1),
    queued: random.nextBelow(3),
    ownInFlight: random.nextBelow(2),
    slotMs: Math.ceil((400 * slower) / slots),
    prefillUsPerToken: 150 * slower,
    decodeMs: 6 * slower,
    loadMs: random.nextBelow(10) === 0 ? 20_000 : 0,
    rttMs: 1 + random.nextBelow(90),
    correctionPerMille: 700 + random.nextBelow(1_300),
    reliabilityPerMille: 1_000 - random.nextBelow(300),
    priceMs: random.nextBelow(5) === 0 ? 500 : 0,
  });
}

export function mixedView(seed: string, size: number): readonly Candidate[] {
  const random = new Prng(seed);
  return Array.from({ length: size }, (_, number) => mixedCandidate(number, random));
}

export function placed(placement: Placement): Extract<Placement, { type: 'placed' }> {
  assert.equal(placement.type, 'placed');
  assert.ok(placement.type === 'placed');
  return placement;
}
