/**
 * Whom does a fault strike, and how is it said? Reads a fault of a plan for people: its nodes, how long it lasts, one
 * sentence. In a partition the largest group is taken for the mesh and the others for those who were cut off.
 * Source: ours.
 */
import { unreachable } from '../../src/assert.ts';
import type { Fault } from './fault.ts';

/** Empty = everybody: a flash crowd has no node. */
export function faultNodes(fault: Fault): readonly number[] {
  switch (fault.kind) {
    case 'partition':
      return smallerGroups(fault.groups);
    case 'swizzle':
      return fault.nodes;
    case 'flash-crowd':
      return [];
    default:
      return [fault.node];
  }
}

/** 0 = it strikes once. */
export function faultDurationMs(fault: Fault): number {
  return 'durationMs' in fault ? fault.durationMs : 0;
}

export function faultSentence(fault: Fault): string {
  switch (fault.kind) {
    case 'crash':
      return `the process dies and comes back with its state ${fault.state}`;
    case 'power-loss':
      return 'the machine loses power, nobody is told';
    case 'leave':
      return 'the owner ends it and starts it again later';
    case 'pause':
      return 'the process stands still';
    case 'suspend':
      return `the machine sleeps and its monotonic clock ${fault.clock}`;
    case 'partition':
      return partitionSentence(fault);
    case 'swizzle':
      return `${named(fault.nodes)} are cut off one after the other`;
    case 'clock-step':
      return `the wall clock jumps by ${fault.byMs} ms`;
    case 'clock-drift':
      return `its clocks run ${fault.partsPerMillion} ppm off`;
    case 'disk-full':
      return 'nothing can be saved';
    case 'flash-crowd':
      return `requests come ${fault.factor} times as often`;
    case 'version-skew':
      return 'runs other protocol parameters from its next start on';
    case 'liar':
      return `lies: ${fault.lie}`;
    default:
      return linkSentence(fault);
  }
}

type LinkFault = Extract<
  Fault,
  { kind: 'loss' | 'delay' | 'bandwidth' | 'duplicate' | 'slow' | 'gray' | 'relay-loss' | 'nat-rebinding' }
>;

function linkSentence(fault: LinkFault): string {
  switch (fault.kind) {
    case 'loss':
      return `its last mile loses ${Math.round(fault.loss * 100)} %`;
    case 'delay':
      return `its last mile takes ${fault.addedMs} ms longer`;
    case 'bandwidth':
      return `its uplink carries ${fault.bytesPerSecond} bytes/s`;
    case 'duplicate':
      return 'gossip that passes through it is sent on twice';
    case 'slow':
      return `tokens take ${fault.factor} times as long`;
    case 'gray':
      return fault.how === 'mute' ? 'accepts requests and never speaks' : 'hears nothing but heartbeats and gossip';
    case 'relay-loss':
      return 'its relays drop its connections';
    case 'nat-rebinding':
      return 'its router forgets every connection';
    default:
      return unreachable(fault);
  }
}

function partitionSentence({ groups, direction }: Extract<Fault, { kind: 'partition' }>): string {
  const sizes = groups.map((group) => group.length).join(' + ');
  return direction === 'both'
    ? `groups of ${sizes} nodes reach none of each other`
    : `groups of ${sizes} nodes: nothing passes from the first to the others`;
}

function smallerGroups(groups: readonly (readonly number[])[]): readonly number[] {
  let largest = 0;
  for (const [index, group] of groups.entries()) if (group.length > (groups[largest]?.length ?? 0)) largest = index;
  return groups.flatMap((group, index) => (index === largest ? [] : group)).toSorted((left, right) => left - right);
}

/** "n3, n7 and 12 more". */
export function named(nodes: readonly number[], shown = 4): string {
  const names = nodes.slice(0, shown).map((node) => `n${node}`);
  const more = nodes.length - names.length;
  return more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ');
}
