import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, sign as signBytes, verify as verifyBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { peerIdFromString } from '@libp2p/peer-id';
import * as fc from 'fast-check';
import { type Canonical, encodeCanonical, fromHex, toHex } from '../../src/bytes.ts';
import { BOUNDS, fitCapability, fitLoads } from '../../src/gossip/message-bounds.ts';
import { decodeMessage, encodeMessage, parseMessage, type Sign, type Verify } from '../../src/gossip/message-codec.ts';
import type { GossipBody, GossipMessage, ModelLoad } from '../../src/gossip/message.ts';
import { nodeKeyOf, nodeOfKey } from '../../src/gossip/node-key.ts';
import { parseNodeId, parseSwarmFingerprint } from '../../src/ids.ts';
import { GOSSIP } from '../../src/params.ts';
import { capabilityOf, loadOf, nodeNumber, signAs, swarm, verifyHash } from './signing.ts';

const author = nodeNumber(7);
const options = { swarm, sign: signAs(author), verify: verifyHash };
const BODIES: readonly GossipBody[] = [
  { type: 'capability', capability: capabilityOf('Küche'), loads: [loadOf(1)] },
  { type: 'capability', capability: { ...capabilityOf('bare', []), addresses: [] }, loads: [] },
  { type: 'load', capabilitySequence: 1, loads: [loadOf(2)] },
  { type: 'goodbye' },
  { type: 'accusation', target: nodeNumber(8), targetIncarnation: 9, cause: 'closed', evidenceAgeMs: 0 },
  { type: 'accusation', target: nodeNumber(8), targetIncarnation: 9, cause: 'silent', evidenceAgeMs: 2_600 },
];

const RELAYING: GossipBody = {
  type: 'capability',
  capability: { ...capabilityOf('porch', []), relays: true },
  loads: [],
};

function messageOf(body: GossipBody, more: Partial<GossipMessage> = {}): GossipMessage {
  return { author, incarnation: 1_753_000_000, sequence: 42, uptimeMs: 7_654_321, body, ...more };
}

/** Envelope and payload fields of a message, changed by `change`, signed again. */
function tampered(body: GossipBody, change: (fields: Canonical[]) => void): Uint8Array {
  const parsed = parseMessage(encodeMessage(messageOf(body), options), swarm);
  assert.ok(parsed.type === 'parsed');
  const fields = fieldsOf(body);
  change(fields);
  const payload = encodeCanonical(fields);
  return encodeCanonical([payload, signAs(author)(prefixed(payload))]);
}

function prefixed(payload: Uint8Array): Uint8Array {
  return new Uint8Array([...new TextEncoder().encode('skein gossip message 1\n'), ...payload]);
}

function rows(loads: readonly ModelLoad[]): Canonical[] {
  return loads.map((load) => [
    load.busy,
    load.queued,
    load.slotMs,
    load.prefillUsPerToken,
    load.decodeMs,
    load.arrivalsPerKs,
  ]);
}

function times<Item>(count: number, item: Item): Item[] {
  return Array.from({ length: count }, () => item);
}

function fieldsOf(body: GossipBody): Canonical[] {
  const head = [1, fromHex(swarm) ?? [], nodeKeyOf(author) ?? [], 1_753_000_000, 42, 7_654_321];
  if (body.type === 'load') return [...head, 1, body.capabilitySequence, rows(body.loads)];
  if (body.type === 'goodbye') return [...head, 2];
  if (body.type === 'accusation')
    return [
      ...head,
      3,
      nodeKeyOf(body.target) ?? [],
      body.targetIncarnation,
      body.cause === 'closed' ? 0 : 1,
      body.evidenceAgeMs,
    ];
  const { name, version, params, addresses, models, relays } = body.capability;
  const modelRows = models.map((model) => [
    model.model,
    fromHex(model.digest) ?? [],
    model.contextTokens,
    model.slots,
    model.loadMs,
  ]);
  const said = relays === true ? [1] : [];
  return [...head, 0, name, version, fromHex(params) ?? [], addresses, modelRows, rows(body.loads), ...said];
}

describe('a node id on the wire', () => {
  it('is its key, and every key has one id', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
        assert.deepEqual(nodeKeyOf(nodeOfKey(key)), key);
      }),
    );
  });

  it('agrees with libp2p', () => {
    for (const number of [0, 1, 250, 70_000]) {
      const node = nodeNumber(number);
      const peer = peerIdFromString(node);
      assert.ok(peer.type === 'Ed25519');
      assert.deepEqual(nodeKeyOf(node), peer.publicKey.raw);
    }
  });

  it('is refused when the text encodes no Ed25519 key', () => {
    for (const tail of ['1'.repeat(44), 'z'.repeat(44)]) {
      const node = parseNodeId(`12D3KooW${tail}`);
      assert.ok(node !== undefined);
      assert.equal(nodeKeyOf(node), undefined);
    }
  });
});

describe('the gossip message codec', () => {
  it('gives back what it was given, for every type', () => {
    for (const body of BODIES) {
      const message = messageOf(body);
      assert.deepEqual(decodeMessage(encodeMessage(message, options), options), { type: 'message', message });
    }
  });

  it('keeps messages small', () => {
    const two = capabilityOf('workshop', ['llama-3.2-1b', 'qwen2.5-7b']);
    for (const { body, bytesMax } of [
      { body: { type: 'capability', capability: two, loads: [loadOf(1), loadOf(2)] } as const, bytesMax: 300 },
      { body: { type: 'load', capabilitySequence: 1, loads: [loadOf(1)] } as const, bytesMax: 145 },
      { body: { type: 'goodbye' } as const, bytesMax: 130 },
    ]) {
      const bytes = encodeMessage(messageOf(body), options);
      assert.ok(bytes.length <= bytesMax, `${body.type} has ${bytes.length} bytes`);
    }
  });

  it('writes the bytes of test/golden/gossip-messages.txt, signed with a real key', () => {
    const seed = new Uint8Array(32).fill(0x2a);
    const der = new Uint8Array([...(fromHex('302e020100300506032b657004220420') ?? []), ...seed]);
    const privateKey = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
    const publicKey = createPublicKey(privateKey);
    const node = nodeOfKey(new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)));
    const sign: Sign = (bytes) => new Uint8Array(signBytes(undefined, bytes, privateKey));
    const verify: Verify = (who, bytes, signature) =>
      who === node && verifyBytes(undefined, bytes, publicKey, signature);
    const lines = [...BODIES, RELAYING].map((body) => {
      const message = messageOf(body, { author: node });
      const bytes = encodeMessage(message, { swarm, sign });
      assert.deepEqual(decodeMessage(bytes, { swarm, verify }), { type: 'message', message });
      return `${body.type} ${toHex(bytes)}`;
    });
    const golden = readFileSync(new URL('../golden/gossip-messages.txt', import.meta.url), 'utf8');
    assert.equal(`${lines.join('\n')}\n`, golden);
  });

  it('refuses another version, another swarm and a wrong signature, each by name', () => {
    const [, , load] = BODIES;
    assert.ok(load !== undefined);
    const bytes = encodeMessage(messageOf(load), options);
    const other = parseSwarmFingerprint('fedcba9876543210');
    assert.ok(other !== undefined);
    const forged = encodeMessage(messageOf(load), { swarm, sign: signAs(nodeNumber(9)) });
    for (const { given, to, reason } of [
      { given: tampered(load, (fields) => (fields[0] = 2)), to: swarm, reason: 'other-version' },
      { given: bytes, to: other, reason: 'other-swarm' },
      { given: forged, to: swarm, reason: 'bad-signature' },
      { given: new Uint8Array(GOSSIP.messageBytesMax + 1), to: swarm, reason: 'too-large' },
      { given: new Uint8Array(GOSSIP.messageBytesMax), to: swarm, reason: 'malformed' },
      { given: new Uint8Array(0), to: swarm, reason: 'malformed' },
      { given: Uint8Array.of(...bytes, 0), to: swarm, reason: 'malformed' },
    ])
      assert.deepEqual(decodeMessage(given, { swarm: to, verify: verifyHash }), { type: 'rejected', reason });
  });

  it('checks every field against its bounds, on both sides of each', () => {
    const [capability, , load, , accusation] = BODIES;
    assert.ok(capability !== undefined && load !== undefined && accusation !== undefined);
    const row = [0, 0, 0, 0, 0, 0];
    const cases: { body: GossipBody; field: number; good: Canonical[]; bad: Canonical[] }[] = [
      { body: load, field: 3, good: [1, BOUNDS.incarnationMax], bad: [0, BOUNDS.incarnationMax + 1, -1, 1.5, '1'] },
      { body: load, field: 4, good: [1, BOUNDS.sequenceMax], bad: [0, BOUNDS.sequenceMax + 1] },
      { body: load, field: 5, good: [0, BOUNDS.uptimeMsMax], bad: [-1, BOUNDS.uptimeMsMax + 1, 0.5] },
      { body: load, field: 6, good: [1], bad: [4, -1, '1'] },
      { body: load, field: 7, good: [1], bad: [0, 1.5] },
      {
        body: load,
        field: 8,
        good: [[], [row], times(64, row)],
        bad: [times(65, row), [[]], 0, [[...row, 0]], [row.slice(1)]],
      },
      {
        body: load,
        field: 8,
        good: [[[65_535, 65_535, 3_600_000, 10_000_000, 3_600_000, 1_000_000_000]]],
        bad: [[[65_536, 0, 0, 0, 0, 0]], [[0, 0, 3_600_001, 0, 0, 0]], [[0, 0, 0, 0, 0.5, 0]]],
      },
      {
        body: capability,
        field: 7,
        good: ['x', 'x'.repeat(64), '🦢'.repeat(64)],
        bad: ['', 'x'.repeat(65), 'a\nb', '\u202Eevil', ' x', 'x '],
      },
      { body: capability, field: 8, good: ['1', 'v'.repeat(32)], bad: ['', 'v'.repeat(33), 'a b'] },
      { body: capability, field: 9, good: [new Uint8Array(8)], bad: [new Uint8Array(7), '0000000000000000'] },
      {
        body: capability,
        field: 10,
        good: [[], times(16, '/x')],
        bad: [times(17, '/x'), ['x'], [`/${'x'.repeat(256)}`], [1]],
      },
      {
        body: capability,
        field: 11,
        good: [[['m', new Uint8Array(32), 1, 1, 0]], [['m', new Uint8Array(32), 0, 1, 0]]],
        bad: [
          [],
          [['m', new Uint8Array(31), 1, 1, 0]],
          [['', new Uint8Array(0), 1, 1, 0]],
          [['m', new Uint8Array(0), 134_217_729, 1, 0]],
          [['m', new Uint8Array(0), 1, 0, 0]],
          [['m', new Uint8Array(0), 1, 4_097, 0]],
        ],
      },
      // Only nodes that relay have this field at all.
      { body: capability, field: 13, good: [1], bad: [0, 2, true, '1'] },
      { body: accusation, field: 7, good: [new Uint8Array(32)], bad: [new Uint8Array(33)] },
      { body: accusation, field: 9, good: [0, 1], bad: [2] },
      { body: accusation, field: 10, good: [0, 86_400_000], bad: [86_400_001] },
    ];
    for (const { body, field, good, bad } of cases) {
      for (const value of good)
        assert.equal(
          decodeMessage(
            tampered(body, (fields) => (fields[field] = value)),
            options,
          ).type,
          'message',
          `${body.type} ${field} ${JSON.stringify(value)}`,
        );
      for (const value of bad)
        assert.deepEqual(
          decodeMessage(
            tampered(body, (fields) => (fields[field] = value)),
            options,
          ),
          { type: 'rejected', reason: 'out-of-bounds' },
          `${body.type} ${field} ${JSON.stringify(value)}`,
        );
    }
  });

  it('refuses missing and additional fields and two models of one name', () => {
    for (const body of BODIES) {
      assert.deepEqual(
        decodeMessage(
          tampered(body, (fields) => fields.push(0)),
          options,
        ).type,
        'rejected',
      );
      assert.deepEqual(
        decodeMessage(
          tampered(body, (fields) => fields.pop()),
          options,
        ).type,
        'rejected',
      );
    }
    const twice = { ...capabilityOf('x', ['a', 'a']) };
    const bytes = encodeMessage(
      messageOf({ type: 'capability', capability: twice, loads: [loadOf(0), loadOf(0)] }),
      options,
    );
    assert.deepEqual(decodeMessage(bytes, options), { type: 'rejected', reason: 'out-of-bounds' });
  });

  it('never throws, whatever the bytes, and one changed bit never passes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        assert.equal(decodeMessage(bytes, options).type, 'rejected');
      }),
    );
    const [first] = BODIES;
    assert.ok(first !== undefined);
    const bytes = encodeMessage(messageOf(first), options);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
        const changed = Uint8Array.from(bytes, (byte, at) => (at === index ? byte ^ mask : byte));
        assert.equal(decodeMessage(changed, options).type, 'rejected');
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.integer(), fc.string(), fc.uint8Array(), fc.constant([]))), (fields) => {
        const payload = encodeCanonical([1, fromHex(swarm) ?? [], ...fields]);
        const signed = encodeCanonical([payload, signAs(author)(prefixed(payload))]);
        assert.equal(decodeMessage(signed, options).type, 'rejected');
      }),
    );
  });
});

describe('what a node says of itself', () => {
  it('is made to fit the bounds, whatever an engine reports', () => {
    const anything = fc.oneof(fc.double(), fc.integer(), fc.constant(Number.NaN), fc.constant(Infinity));
    fc.assert(
      fc.property(fc.string(), fc.array(fc.string(), { maxLength: 30 }), anything, (name, addresses, number) => {
        const loads = [
          {
            busy: number,
            queued: number,
            slotMs: number,
            prefillUsPerToken: number,
            decodeMs: number,
            arrivalsPerKs: number,
          },
        ];
        const base = capabilityOf(name);
        const models = base.models.map((model) => ({
          ...model,
          digest: name,
          contextTokens: number,
          slots: number,
          loadMs: number,
        }));
        const capability = fitCapability({ ...base, version: name, addresses, models });
        const message = messageOf({ type: 'capability', capability, loads: fitLoads(loads, 1) });
        assert.deepEqual(decodeMessage(encodeMessage(message, options), options), { type: 'message', message });
      }),
    );
  });

  it('fits one message at the largest', () => {
    const names = Array.from({ length: 80 }, (_, index) => `${'m'.repeat(120)}-${100 + index}`);
    const base = capabilityOf('🦢'.repeat(70), names);
    const models = base.models.map((model) => ({
      ...model,
      digest: 'ab'.repeat(32),
      contextTokens: 1e15,
      slots: 1e9,
      loadMs: 1e9,
    }));
    const addresses = Array.from({ length: 40 }, (_, index) => `/${'a'.repeat(200)}${index}`);
    const capability = fitCapability({ ...base, models, addresses });
    assert.equal(capability.models.length, GOSSIP.modelsPerNodeMax);
    const huge = { busy: 1e9, queued: 1e9, slotMs: 1e9, prefillUsPerToken: 1e9, decodeMs: 1e9, arrivalsPerKs: 1e12 };
    const loads = fitLoads(times(80, huge), capability.models.length);
    const bytes = encodeMessage(messageOf({ type: 'capability', capability, loads }), options);
    assert.ok(bytes.length <= GOSSIP.messageBytesMax);
  });
});
