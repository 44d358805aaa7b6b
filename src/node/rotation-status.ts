/**
 * How far is a change of the key? Counted over the living nodes that this node knows, of which only those that are connected
 * to it can say which keys they accept: who did not answer is named, and counted as not ready, because a step
 * too early would shut it out. Who is away is listed as well, for it needs a new invite when the change ends without it.
 * Limits: a node that nobody here knows (away since before this one started) is not counted, and cannot be.
 */
import type { RotationStep } from '../discovery/rotation.ts';
import { formatFingerprint } from '../discovery/swarm-key.ts';
import { type NodeId, parseSwarmFingerprint, shortNodeId, type SwarmFingerprint } from '../ids.ts';
import { table } from './table.ts';

export interface KeyHolder {
  readonly node: NodeId;
  readonly name: string;
  readonly verdict: string;
  /** Fingerprints of the keys it accepts, its primary one first; undefined = it did not say. */
  readonly keys: readonly string[] | undefined;
}

export interface RotationStatus {
  readonly ready: number;
  readonly nodes: number;
  /** Living ones that did not say which keys they accept. */
  readonly unanswered: readonly NodeId[];
  readonly away: number;
  readonly text: string;
}

export function rotationStatus(
  { step, key }: { readonly step: RotationStep; readonly key: SwarmFingerprint },
  nodes: readonly KeyHolder[],
): RotationStatus {
  const alive = nodes.filter(isAlive);
  const isReady = ({ keys }: KeyHolder): boolean =>
    step === 'stage' ? keys?.includes(key) === true : keys?.[0] === key;
  const ready = alive.filter(isReady).length;
  const silent = alive.filter(({ keys }) => keys === undefined);
  const rows = nodes.map((node) => [
    nameOf(node),
    isAlive(node) ? stateOf(node, isReady(node)) : 'away: needs a new invite if it is not back before the end',
    node.keys === undefined ? '-' : node.keys.map(formatText).join(', '),
  ]);
  const what = `${step === 'stage' ? 'accept' : 'dial with'} ${formatFingerprint(key)}`;
  const text = [
    `${step}: ${ready} of ${alive.length} known living nodes ${what}`,
    ...(silent.length === 0
      ? []
      : [`did not answer, because this node is not connected to it: ${silent.map(nameOf).join(', ')}`]),
    '',
    table([['NODE', 'STATE', 'KEYS'], ...rows]),
  ].join('\n');
  const away = nodes.length - alive.length;
  return { ready, nodes: alive.length, unanswered: silent.map(({ node }) => node), away, text };
}

export function isAlive({ verdict }: Pick<KeyHolder, 'verdict'>): boolean {
  return verdict !== 'dead' && verdict !== 'left';
}

function stateOf({ keys }: KeyHolder, isReady: boolean): string {
  if (keys === undefined) return 'did not answer';
  return isReady ? 'ready' : 'not yet';
}

function nameOf({ name, node }: Pick<KeyHolder, 'name' | 'node'>): string {
  return name === '' ? shortNodeId(node) : name;
}

function formatText(text: string): string {
  const fingerprint = parseSwarmFingerprint(text);
  return fingerprint === undefined ? text : formatFingerprint(fingerprint);
}
