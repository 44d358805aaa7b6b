/**
 * How do the commands about trust work whether a node runs here or not? They see what the running node knows, or what is on
 * disk; and what the user signed goes to the running node, which tells the mesh at once, or to disk, from where the
 * next start tells it. Both ways the same records, verified by the same code.
 */
import { fromBase64Url, toBase64Url } from '../discovery/link-text.ts';
import { decodeTrust, emptyTrust, mergeTrust, type TrustBundle, type TrustState } from '../discovery/trust-state.ts';
import { loadTrust, saveTrust } from '../discovery/trust-store.io.ts';
import { type NodeId, parseNodeId } from '../ids.ts';
import { askControl, type ControlAnswer } from './control.io.ts';
import { EXIT_CONFIG } from './config.ts';
import { EXIT_UNAVAILABLE } from './exit.io.ts';
import { type Identity, loadIdentity } from './identity.io.ts';
import { loadOwnerKey, ownerKeyPath } from './owner-key.io.ts';
import type { Settings } from './settings.io.ts';

export interface SessionNode {
  readonly node: NodeId;
  readonly name: string;
  readonly verdict: string;
  readonly connected: boolean;
  /** Fingerprints of the keys it accepts, its primary one first; undefined = it did not say. */
  readonly keys: readonly string[] | undefined;
}

export interface Problem {
  readonly type: 'problem';
  readonly message: string;
  readonly exitCode: number;
}

export interface TrustSession {
  readonly type: 'session';
  readonly settings: Settings;
  readonly identity: Identity;
  readonly trust: TrustState;
  /** What the running node answered; undefined = none runs. */
  readonly running: ControlAnswer | undefined;
  readonly nodes: readonly SessionNode[];
}

export async function openSession(settings: Settings): Promise<TrustSession | Problem> {
  const { paths } = settings;
  const identity = await loadIdentity(paths.state);
  if (identity.type === 'refused') return problem(identity.message, EXIT_CONFIG);
  const verify = identity.identity.verify.bind(identity.identity);
  const running = await askControl(paths.state, { command: 'trust' });
  if (running?.problem !== undefined) return problem(running.problem);
  if (running === undefined) {
    const loaded = await loadTrust(paths.state, verify);
    if (loaded.type === 'refused') return problem(loaded.message, EXIT_CONFIG);
    return { type: 'session', settings, identity: identity.identity, trust: loaded.trust, running, nodes: [] };
  }
  const bytes = typeof running['state'] === 'string' ? fromBase64Url(running['state']) : undefined;
  const trust = bytes === undefined ? undefined : decodeTrust(bytes, verify);
  if (trust === undefined) return problem('the running node is of another version: restart it');
  const nodes = Array.isArray(running['nodes']) ? running['nodes'].flatMap(readNode) : [];
  return { type: 'session', settings, identity: identity.identity, trust, running, nodes };
}

/** Hands signed records over; the problem, if there is one. */
export async function offer(
  { settings, identity, running, trust }: TrustSession,
  bundle: TrustBundle,
  owner?: NodeId,
): Promise<Problem | undefined> {
  const { state } = settings.paths;
  if (running !== undefined) {
    const [lists, certificates] = [bundle.lists.map(toBase64Url), bundle.certificates.map(toBase64Url)];
    const answer = await askControl(state, { command: 'offer', lists, certificates, owner });
    return answer?.problem === undefined ? undefined : problem(answer.problem);
  }
  if (owner !== undefined && trust.owner !== undefined && trust.owner !== owner)
    return problem(`this machine trusts the owner ${trust.owner} already`);
  const from = owner === undefined || trust.owner !== undefined ? trust : emptyTrust(owner);
  const merged = mergeTrust(from, bundle, identity.verify.bind(identity));
  if (merged.refused > 0) return problem('signed by somebody who is not the owner that this machine trusts');
  await saveTrust(state, merged.state);
  return undefined;
}

/** The owner's key, or why this machine cannot sign for the owner. */
export async function ownerOf({ settings, trust }: TrustSession): Promise<Identity | Problem> {
  const loaded = await loadOwnerKey(settings.paths.config);
  if (loaded?.type === 'refused') return problem(loaded.message, EXIT_CONFIG);
  if (trust.owner === undefined) return problem(NO_OWNER, EXIT_CONFIG);
  if (loaded?.identity.node === trust.owner) return loaded.identity;
  const message = `the owner of this swarm is ${trust.owner}, whose key is not here (${ownerKeyPath(settings.paths.config)}): run this on the owner's machine`;
  return problem(message, EXIT_CONFIG);
}

export const NO_OWNER =
  'this swarm has no owner, so that possession of the swarm key is the only boundary: whoever holds the key belongs, and nobody can be shut out. ' +
  'Either make an owner key with `skein trust init` and repeat this, or change the key without that machine: `skein key rotate --leaked`';

export function problem(message: string, exitCode: number = EXIT_UNAVAILABLE): Problem {
  return { type: 'problem', message, exitCode };
}

/** A node by its id, the end of its id as tables show it, or its name where only one has it. */
export function findNode({ nodes, trust }: TrustSession, text: string): NodeId | Problem {
  const id = parseNodeId(text);
  if (id !== undefined) return id;
  const known = new Map<NodeId, string>(nodes.map(({ node, name }) => [node, name]));
  for (const [node, { certificate }] of trust.certificates) known.set(node, known.get(node) ?? certificate.label);
  for (const { list } of trust.lists)
    for (const { node, label } of [...list.trusted, ...list.revoked]) known.set(node, known.get(node) ?? label);
  const found = [...known].filter(([node, name]) => name === text || (text.length >= 6 && node.endsWith(text)));
  const [first] = found;
  if (first !== undefined && found.length === 1) return first[0];
  return problem(
    found.length === 0
      ? `no node is called ${text}: name it by its id, as \`skein trust list\` and \`skein status --json\` show it`
      : `${found.length} nodes are called ${text}: name one by its id: ${found.map(([node]) => node).join(', ')}`,
  );
}

function readNode(item: unknown): readonly SessionNode[] {
  if (typeof item !== 'object' || item === null) return [];
  const { node: nodeText, name, verdict, connected, keys }: Readonly<Record<string, unknown>> = { ...item };
  const node = parseNodeId(nodeText);
  if (node === undefined || typeof name !== 'string' || typeof verdict !== 'string') return [];
  const texts = Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : undefined;
  return [{ node, name, verdict, connected: connected === true, keys: texts }];
}
