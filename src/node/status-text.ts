/**
 * The mesh as one screen of text for people: a table of the nodes with the path to each, then who is missing and why, then
 * what runs. Nothing that programs need is only here: they read the JSON. Lines fit the width that is given: names are cut,
 * and what a table has no room for stands under it, one sentence for each node.
 * Limits: a width under 60 is taken for 60.
 */
import type { Absence, NodeRow, NodeStatus, PathStatus, ReachStatus } from '../api/status.ts';
import { hostOf } from '../discovery/transports.ts';
import { shortNodeId } from '../ids.ts';
import { table } from './table.ts';

const WIDTH_MIN = 60;
/** So that all columns find room in 100. Source: guess: host names of machines at home are shorter. */
const NAME_CHARACTERS_MAX = 16;
/** An address of IPv6 may be cut here; the JSON has all of it. Source: as above. */
const PATH_CHARACTERS_MAX = 28;
const MODELS_CHARACTERS_MIN = 12;
/** The last one, which may be cut. */
const MODELS_COLUMN = 5;
/** Addresses of a missing node that are told here. Source: guess. */
const ADDRESSES_SHOWN = 4;

export function statusText(status: NodeStatus, width: number): string {
  const parts = [
    headText(status),
    nodesText(status, Math.max(WIDTH_MIN, width)),
    notesText(status),
    missingText(status),
    requestsText(status),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

/** `direct 192.168.1.5`, `webrtc 203.0.113.7`, `via den`. */
export function pathText(node: Pick<NodeRow, 'self' | 'connected' | 'path'>): string {
  if (node.self) return '-';
  const { path } = node;
  if (path === undefined) return node.connected ? 'connected' : 'none';
  if (!path.isDirect) return `via ${relayText(path)}`;
  const host = hostOf(path.address);
  const word = path.kind === 'webrtc' || path.kind === 'webrtc-direct' ? path.kind : 'direct';
  return host === undefined ? word : `${word} ${host}`;
}

/** How long ago or from now, in one unit: `12 s`. */
export function spanText(spanMs: number): string {
  const seconds = Math.round(spanMs / 1_000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** What is done to reach a node that is not connected. */
export function nextDialText({ isDialling, nextDialInMs, failures }: Absence): string {
  const tried = failures === 0 ? '' : `${failures} ${failures === 1 ? 'dial' : 'dials'} in vain, `;
  if (isDialling) return `${tried}dialled right now`;
  return nextDialInMs === undefined ? '' : `${tried}the next in ${spanText(nextDialInMs)}`;
}

export function lastDialsText({ lastDials }: Absence): readonly string[] {
  return lastDials.map(({ address, reason, agoMs }) => `${address}: ${reason} (${spanText(agoMs)} ago)`);
}

function headText({ swarm, reach, sandbox }: NodeStatus): string {
  const lines = [`swarm    ${swarm}`];
  if (reach !== undefined) lines.push(`network  ${reachText(reach)}`);
  lines.push(`sandbox  ${sandbox.layers}${sandbox.problem === undefined ? '' : ` (${sandbox.problem})`}`);
  return `${lines.join('\n')}\n`;
}

export function reachText({ reach, nat, reason, isRelay, reservations, relays }: ReachStatus): string {
  const where = reach === 'unknown' ? 'not known to be reachable from outside' : reach;
  const behind = nat === 'unknown' || nat === 'none' ? '' : `, behind a NAT (${nat})`;
  const serves = isRelay
    ? `; relays for members (${reservations} ${reservations === 1 ? 'place' : 'places'} taken)`
    : '';
  const kept = relays.length === 0 ? '' : `; reached over ${relays.map(nameOf).join(', ')}`;
  return `${where}${behind}: ${reason}${serves}${kept}`;
}

function nodesText({ nodes }: NodeStatus, width: number): string {
  const rows = nodes.map((node) => [
    shortNodeId(node.node),
    cut(node.name, NAME_CHARACTERS_MAX) + (node.self ? ' (this)' : ''),
    node.verdict,
    cut(pathText(node), PATH_CHARACTERS_MAX),
    node.rttMs === undefined ? '-' : `${node.rttMs} ms`,
    modelsOf(node),
  ]);
  const all = [['NODE', 'NAME', 'STATE', 'PATH', 'RTT', 'MODELS'], ...rows];
  const before = table(all.map((row) => row.slice(0, MODELS_COLUMN)))
    .split('\n')
    .reduce((widest, line) => Math.max(widest, line.length), 0);
  const room = Math.max(MODELS_CHARACTERS_MIN, width - before - 2);
  return table(all.map((row) => [...row.slice(0, MODELS_COLUMN), cut(row[MODELS_COLUMN] ?? '', room)]));
}

/** What the table has no room for. */
function notesText({ nodes }: NodeStatus): string {
  const notes = nodes.flatMap(({ node, name, problem, models }) => [
    ...(problem === undefined ? [] : [`  ${nameOf({ node, name })} is not used: ${problem}`]),
    ...models.flatMap((one) => (one.problem === undefined ? [] : [`  ${nameOf({ node, name })}: ${one.problem}`])),
  ]);
  return notes.length === 0 ? '' : `notes\n${notes.join('\n')}\n`;
}

function missingText({ nodes, unreached }: NodeStatus): string {
  const known = nodes.flatMap(({ node, name, absence, lastHeardAgoMs }) => {
    if (absence === undefined || absence.type === 'not-needed') return [];
    const heard = lastHeardAgoMs === undefined ? '' : `, last heard ${spanText(lastHeardAgoMs)} ago`;
    return missingLines(`${nameOf({ node, name })}${heard}`, absence);
  });
  const sought = unreached.flatMap(({ node, addresses, absence }) =>
    missingLines(node === undefined ? (addresses[0] ?? 'an address') : shortNodeId(node), absence),
  );
  const lines = [...known, ...sought];
  return lines.length === 0 ? '' : `not connected\n${lines.join('\n')}\n`;
}

function missingLines(who: string, absence: Absence): readonly string[] {
  const next = nextDialText(absence);
  const dials = lastDialsText(absence);
  const more = dials.length - ADDRESSES_SHOWN;
  return [
    `  ${who}: ${absence.reason}${next === '' ? '' : `; ${next}`}`,
    ...dials.slice(0, ADDRESSES_SHOWN).map((line) => `    ${line}`),
    ...(more > 0 ? [`    and ${more} more addresses`] : []),
  ];
}

function requestsText({ requests }: NodeStatus): string {
  if (requests.length === 0) return 'no requests under way\n';
  const lines = requests.map(
    ({ requestId, model, tokens, side }) => `  ${requestId}  ${model}  ${tokens} tokens, ${side} here`,
  );
  return `requests under way\n${lines.join('\n')}\n`;
}

function modelsOf({ models }: NodeRow): string {
  const words = models.map(
    ({ model, state, busy, slots }) => `${model} ${state === 'failed' ? 'failed' : `${busy}/${slots}`}`,
  );
  return words.length === 0 ? '-' : words.join(', ');
}

function relayText({ relay }: PathStatus): string {
  return relay === undefined ? 'a relay' : cut(nameOf(relay), NAME_CHARACTERS_MAX);
}

function nameOf({ node, name }: { readonly node: NodeRow['node']; readonly name: string }): string {
  return name === '' ? shortNodeId(node) : name;
}

function cut(text: string, charactersMax: number): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax - 3).trimEnd()}...`;
}
