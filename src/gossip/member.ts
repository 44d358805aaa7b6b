/**
 * One member as the view keeps it: a slot per message type, and what follows from the slots for everybody else. Which
 * load rows hold is a function of the two slots alone, so it cannot depend on which message came first: the rows of
 * the load if it is newer than the capability and was made for it, else the rows inside the capability.
 */
import { invariant } from '../assert.ts';
import type { Hash64 } from '../bytes.ts';
import type { NodeId } from '../ids.ts';
import { OffsetWindow } from './age.ts';
import { bucketOf } from './anti-entropy.ts';
import type { GossipMember } from './gossip-events.ts';
import type { NodeStatus } from './liveness.ts';
import type { Capability, GossipMessage, ModelLoad } from './message.ts';

export interface ViewMember {
  readonly node: NodeId;
  readonly incarnation: number;
  /** Undefined until the first capability of this incarnation came. */
  readonly capability: Capability | undefined;
  /** Rows in the order of the capability's models; empty while there is no capability. */
  readonly loads: readonly ModelLoad[];
  /** When the load rows were made, on our clock. */
  readonly loadsMadeAtMs: number;
  /** Size of the member's last load message, from which its interval follows; 0 before the first. */
  readonly loadBytes: number;
}

export type SlotType = 'capability' | 'load';

export interface Slot {
  readonly message: GossipMessage;
  readonly bytes: Uint8Array;
  readonly hash: Hash64;
  readonly madeAtMs: number;
}

export type Slots = { [Type in SlotType]: Slot | undefined };

export interface Entry {
  readonly node: NodeId;
  /** Of the digest. */
  readonly bucket: number;
  /** In the column of the census. */
  readonly row: number;
  incarnation: number;
  offsets: OffsetWindow;
  readonly slots: Slots;
  heardAtMs: number;
  shown: ViewMember;
}

export function newEntry(node: NodeId, incarnation: number, row: number): Entry {
  const shown = { node, incarnation, capability: undefined, loads: [], loadsMadeAtMs: 0, loadBytes: 0 };
  return {
    node,
    bucket: bucketOf(node),
    row,
    incarnation,
    offsets: new OffsetWindow(),
    slots: { capability: undefined, load: undefined },
    heardAtMs: -Infinity,
    shown,
  };
}

export function show(entry: Entry): ViewMember {
  const { node, incarnation } = entry;
  const { capability, load } = entry.slots;
  const loadBytes = load?.bytes.length ?? 0;
  if (capability?.message.body.type !== 'capability') {
    const loadsMadeAtMs = load?.madeAtMs ?? 0;
    return { node, incarnation, capability: undefined, loads: [], loadsMadeAtMs, loadBytes };
  }
  const { body } = capability.message;
  const rows = load === undefined ? undefined : rowsFor(capability.message, load.message);
  const [loads, { madeAtMs: loadsMadeAtMs }] =
    rows === undefined || load === undefined ? [body.loads, capability] : [rows, load];
  return { node, incarnation, capability: body.capability, loads, loadsMadeAtMs, loadBytes };
}

/** What the view and the failure detector know of one member; our own figures are never old. */
export function showMember(
  member: ViewMember,
  { self, status }: { readonly self: boolean; readonly status: NodeStatus | undefined },
  nowMs: number,
): GossipMember {
  return {
    node: member.node,
    self,
    name: member.capability?.name ?? '',
    verdict: status?.verdict ?? 'alive',
    incarnation: member.incarnation,
    capability: member.capability,
    loads: member.loads,
    loadsMadeAtMs: self ? nowMs : member.loadsMadeAtMs,
    ageMs: self ? 0 : Math.max(0, Math.round(nowMs - member.loadsMadeAtMs)),
    rttMs: self ? 0 : status?.rttMs,
    connected: self || status?.connected === true,
  };
}

/** True when the load was made for a capability that has not come. */
export function hasGap(entry: Entry): boolean {
  const load = entry.slots.load?.message.body;
  const known = entry.slots.capability?.message.sequence ?? 0;
  return load?.type === 'load' && load.capabilitySequence > known;
}

export function slotType(message: GossipMessage): SlotType {
  const { type } = message.body;
  invariant(type === 'capability' || type === 'load', 'only beacons are kept in slots');
  return type;
}

/** The rows of a load that was made for this capability and after it. */
function rowsFor(capability: GossipMessage, load: GossipMessage): readonly ModelLoad[] | undefined {
  if (capability.body.type !== 'capability' || load.body.type !== 'load') return undefined;
  const follows = load.body.capabilitySequence === capability.sequence && load.sequence > capability.sequence;
  return follows && load.body.loads.length === capability.body.capability.models.length ? load.body.loads : undefined;
}
