/**
 * Under which names do the members of a swarm meet while their keys change? The fingerprint that gossip carries, the gossip
 * topic and the service name on the LAN are derived from the first key of the swarm and stay the same through routine
 * rotations: with names that changed with the key, nodes before and after the switch would not hear each other. They are no
 * secret: who knows them and no key is refused like everybody else. A new swarm after a leak gets new names.
 * Source: ours; 24 bytes: three derivations of the key (`swarm-key.ts`).
 */
import { fromHex, toHex } from '../bytes.ts';
import { parseSwarmFingerprint, type SwarmFingerprint } from '../ids.ts';

export interface SwarmAnchor {
  /** What people compare and gossip carries. */
  readonly fingerprint: SwarmFingerprint;
  /** 16 hex digits each, the rest of the two names. */
  readonly topic: string;
  readonly service: string;
}

/** 48 hex digits. */
const TEXT = /^(?<fingerprint>[0-9a-f]{16})(?<topic>[0-9a-f]{16})(?<service>[0-9a-f]{16})$/;

/** Where the members gossip: those of another swarm never meet there. */
export function gossipTopicOf({ topic }: SwarmAnchor): string {
  return `/skein/gossip/1/${topic}`;
}

/** What nodes of this swarm look for on the LAN: strangers' swarms do not dial each other. */
export function mdnsServiceTagOf({ service }: SwarmAnchor): string {
  return `_skein-${service}._udp.local`;
}

export function anchorText({ fingerprint, topic, service }: SwarmAnchor): string {
  return fingerprint + topic + service;
}

export function anchorBytes(anchor: SwarmAnchor): Uint8Array {
  return fromHex(anchorText(anchor)) ?? new Uint8Array();
}

export function parseAnchor(text: unknown): SwarmAnchor | undefined {
  const groups = typeof text === 'string' ? TEXT.exec(text)?.groups : undefined;
  const fingerprint = parseSwarmFingerprint(groups?.['fingerprint']);
  const { topic, service } = { ...groups };
  if (fingerprint === undefined || topic === undefined || service === undefined) return undefined;
  return { fingerprint, topic, service };
}

export function anchorOfBytes(bytes: unknown): SwarmAnchor | undefined {
  return bytes instanceof Uint8Array ? parseAnchor(toHex(bytes)) : undefined;
}
