/**
 * Ids and signatures for gossip tests: node ids made of numbered keys, and a signature that is a keyed hash. It is as
 * good as a real one where nobody attacks the mathematics, and a thousand times faster.
 */
import { concat, hash64, hashHex, utf8 } from '../../src/bytes.ts';
import {
  type NodeId,
  parseModelId,
  parseParamsFingerprint,
  parseSwarmFingerprint,
  type SwarmFingerprint,
} from '../../src/ids.ts';
import type { Sign, Verify } from '../../src/gossip/message-codec.ts';
import type { Capability, ModelLoad } from '../../src/gossip/message.ts';
import { nodeOfKey } from '../../src/gossip/node-key.ts';

export function nodeNumber(number: number): NodeId {
  const key = new Uint8Array(32).fill(number % 251);
  new DataView(key.buffer).setUint32(0, number);
  return nodeOfKey(key);
}

export function signAs(node: NodeId): Sign {
  return (bytes) => keyedHash(node, bytes);
}

export const verifyHash: Verify = (node, bytes, signature) => {
  const expected = keyedHash(node, bytes);
  return expected.every((byte, index) => byte === signature[index]);
};

function keyedHash(node: NodeId, bytes: Uint8Array): Uint8Array {
  return utf8(hashHex(hash64(concat([utf8(node), bytes]))).repeat(4));
}

export const swarm: SwarmFingerprint = parseSwarmFingerprint('0123456789abcdef') ?? fail();

export function capabilityOf(name: string, models: readonly string[] = ['llama-3.2-1b']): Capability {
  return {
    name,
    version: '0.1.0',
    // Fixed, so that golden bytes do not move when a parameter does.
    params: parseParamsFingerprint('00112233445566ff') ?? fail(),
    addresses: ['/ip4/192.168.1.20/tcp/4001', '/ip4/203.0.113.9/tcp/4001'],
    models: models.map((model) => ({
      model: parseModelId(model) ?? fail(),
      digest: '',
      contextTokens: 8_192,
      slots: 4,
      loadMs: 0,
    })),
  };
}

export function loadOf(busy: number): ModelLoad {
  return { busy, queued: 0, slotMs: 2_400, prefillUsPerToken: 900, decodeMs: 22, arrivalsPerKs: 150 };
}

function fail(): never {
  throw new Error('a constant of the tests is malformed');
}
