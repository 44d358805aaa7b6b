/**
 * Who is who in a simulated world: ids that look like real ones, addresses, and signatures that cost a hash instead of a
 * curve. A signature of one node cannot be made by another's signer, which is all that the core relies on; what real
 * signatures cost is measured elsewhere.
 */
import { invariant } from '../../src/assert.ts';
import { concat, equalBytes, hash64, utf8 } from '../../src/bytes.ts';
import { type Parsed, parseMessage, type Sign } from '../../src/gossip/message-codec.ts';
import type { GossipMessage } from '../../src/gossip/message.ts';
import { NODE_KEY_BYTES, nodeOfKey } from '../../src/gossip/node-key.ts';
import { type NodeId, parseSwarmFingerprint } from '../../src/ids.ts';
import type { KeyedRandom } from '../kernel/kernel-port.ts';
import type { Directory } from './services.ts';

const SIGNATURE_BYTES = 64;
const PORT = 4001;

export function createDirectory(nodes: number, random: KeyedRandom): Directory {
  const ids = Array.from({ length: nodes }, (_, node) => idFrom(random, node));
  const numbers = new Map(ids.map((id, node) => [id, node]));
  const addresses = ids.map((id, node) => `${hostAddress(node)}/p2p/${id}`);
  const nodesAt = new Map(ids.map((_, node) => [hostAddress(node), node]));
  const keys = ids.map((id) => utf8(`${id}/${random.stream('keys').uint32()}`));
  const swarm = parseSwarmFingerprint('5e1f5e1f5e1f5e1f');
  invariant(swarm !== undefined, 'the simulated swarm has a fingerprint');
  // Everybody is shown the same objects, so that what was found out about one holds for all.
  const parsed = new WeakMap<Uint8Array, Parsed>();
  const verified = new WeakMap<Uint8Array, boolean>();
  const sequences = new WeakMap<object, number>();
  // One message is shown to several in a row, and looked at more than once by each.
  let lastParsed: { readonly bytes: Uint8Array; readonly parsed: Parsed } | undefined;
  let lastVerified: { readonly signature: Uint8Array; readonly isHis: boolean } | undefined;
  const idOf = (node: number): NodeId => ids[node] ?? idFrom(random, node);
  return {
    swarm,
    idOf,
    nodeOf: (id) => numbers.get(id) ?? -1,
    addressOf: (node) => addresses[node] ?? '',
    nodeAt: (address) => nodesAt.get(address.replace(/\/p2p\/[^/]+$/, '')) ?? -1,
    signerOf: (node) => signer(keys[node] ?? utf8('nobody')),
    parse: (bytes, of) => {
      if (lastParsed?.bytes === bytes) return lastParsed.parsed;
      const known = parsed.get(bytes);
      const fresh = known ?? withSharedIds(parseMessage(bytes, of), (id) => ids[numbers.get(id) ?? -1] ?? id);
      lastParsed = { bytes, parsed: fresh };
      if (known !== undefined) return known;
      parsed.set(bytes, fresh);
      if (fresh.type === 'parsed')
        for (const part of partsOf(fresh.message)) sequences.set(part, fresh.message.sequence);
      return fresh;
    },
    sequenceOf: (part) => sequences.get(part),
    verify: (id, bytes, signature) => {
      if (lastVerified?.signature === signature) return lastVerified.isHis;
      const known = verified.get(signature);
      const isHis = known ?? isSignedBy(keys[numbers.get(id) ?? -1], bytes, signature);
      lastVerified = { signature, isHis };
      if (known === undefined) verified.set(signature, isHis);
      return isHis;
    },
  };
}

/** With the very strings that everybody else has: a map finds those by their address and compares no letters. */
function withSharedIds(parsed: Parsed, shared: (id: NodeId) => NodeId): Parsed {
  if (parsed.type !== 'parsed') return parsed;
  const { author, body } = parsed.message;
  const sharedBody = body.type === 'accusation' ? { ...body, target: shared(body.target) } : body;
  return { ...parsed, message: { ...parsed.message, author: shared(author), body: sharedBody } };
}

function isSignedBy(key: Uint8Array | undefined, bytes: Uint8Array, signature: Uint8Array): boolean {
  return key !== undefined && equalBytes(signer(key)(bytes), signature);
}

/** What a view shows of a message. */
function partsOf({ body }: GossipMessage): readonly object[] {
  if (body.type === 'capability') return [body.capability, body.loads];
  return body.type === 'load' ? [body.loads] : [];
}

/** "/ip4/10.0.0.7/tcp/4001" */
function hostAddress(node: number): string {
  return `/ip4/10.${(node >> 16) & 255}.${(node >> 8) & 255}.${node & 255}/tcp/${PORT}`;
}

function idFrom(random: KeyedRandom, node: number): NodeId {
  const stream = random.stream('id', node);
  const id = nodeOfKey(Uint8Array.from({ length: NODE_KEY_BYTES }, () => stream.below(256)));
  invariant(id !== undefined, 'any 32 bytes make an id');
  return id;
}

function signer(key: Uint8Array): Sign {
  return (bytes) => {
    const { high, low } = hash64(concat([key, bytes]));
    const signature = new Uint8Array(SIGNATURE_BYTES);
    const view = new DataView(signature.buffer);
    view.setUint32(0, high);
    view.setUint32(4, low);
    return signature;
  };
}
