/**
 * Everything that can go wrong, as data: a plan is a list of these, made from a seed before the run, saved with it,
 * replayed, edited and shrunk. Times are true time, in ms from the start of the run; nodes are numbered from 0.
 * A fault with `durationMs` ends after it; all that last end at the latest when the world heals.
 */
interface Struck {
  readonly atMs: number;
}

interface Lasting extends Struck {
  readonly durationMs: number;
}

/** What a lying member does; every lie is signed with its own key unless it forges. */
export type Lie =
  /** Says that it is idle and 20 times as fast as it is. */
  | 'load'
  /** Sends old messages of others again. */
  | 'replay'
  /** Sends messages in others' names with a bad signature. */
  | 'forge'
  /** Signs two messages under one number and sends each to one half. */
  | 'equivocate'
  /** Sends as many messages as its uplink carries. */
  | 'flood'
  /** Accuses everybody of being silent. */
  | 'accuse';

export type Fault =
  /** The process dies: connections are reset. It comes back after `durationMs`, with or without what was on its disk. */
  | (Lasting & { readonly kind: 'crash'; readonly node: number; readonly state: 'kept' | 'lost' })
  /** The machine loses power: nobody is told. */
  | (Lasting & { readonly kind: 'power-loss'; readonly node: number })
  /** The owner ends it with Ctrl-C, and starts it again later. */
  | (Lasting & { readonly kind: 'leave'; readonly node: number })
  /** The process stands still (SIGSTOP, swapping); the kernel goes on acknowledging. */
  | (Lasting & { readonly kind: 'pause'; readonly node: number })
  /** The lid is closed: the machine is gone, and its monotonic clock counts the time or does not. */
  | (Lasting & { readonly kind: 'suspend'; readonly node: number; readonly clock: 'counts' | 'halts' })
  /** Nodes of one group reach no node of another; `from-first` lets nothing pass from the first group to the others only. */
  | (Lasting & {
      readonly kind: 'partition';
      readonly groups: readonly (readonly number[])[];
      readonly direction: 'both' | 'from-first';
    })
  /** Nodes are cut off one after the other and come back in another order. */
  | (Lasting & { readonly kind: 'swizzle'; readonly nodes: readonly number[] })
  /** The last mile of a node gets worse. */
  | (Lasting & { readonly kind: 'loss'; readonly node: number; readonly loss: number })
  | (Lasting & { readonly kind: 'delay'; readonly node: number; readonly addedMs: number })
  | (Lasting & { readonly kind: 'bandwidth'; readonly node: number; readonly bytesPerSecond: number })
  /** Gossip that passes through this node is sent on twice, datagrams too. */
  | (Lasting & { readonly kind: 'duplicate'; readonly node: number })
  /** The wall clock jumps, for good. */
  | (Struck & { readonly kind: 'clock-step'; readonly node: number; readonly byMs: number })
  /** Both clocks run fast or slow while it lasts. */
  | (Lasting & { readonly kind: 'clock-drift'; readonly node: number; readonly partsPerMillion: number })
  /** The owner plays: tokens take `factor` times as long. */
  | (Lasting & { readonly kind: 'slow'; readonly node: number; readonly factor: number })
  /** Alive by its heartbeats, and useless: `mute` accepts requests and never speaks, `deaf` loses everything but heartbeats and gossip. */
  | (Lasting & { readonly kind: 'gray'; readonly node: number; readonly how: 'mute' | 'deaf' })
  /** Nothing can be saved: a restart finds what was saved before. */
  | (Lasting & { readonly kind: 'disk-full'; readonly node: number })
  /** Requests come `factor` times as often. */
  | (Lasting & { readonly kind: 'flash-crowd'; readonly factor: number })
  /** The relays of this node's connections drop them and take none. */
  | (Lasting & { readonly kind: 'relay-loss'; readonly node: number })
  /** The router forgets: every connection of the node falls silent without a word. */
  | (Struck & { readonly kind: 'nat-rebinding'; readonly node: number })
  /** The node runs other protocol parameters from its next start on, until it ends. */
  | (Lasting & { readonly kind: 'version-skew'; readonly node: number })
  | (Lasting & { readonly kind: 'liar'; readonly node: number; readonly lie: Lie });

export type FaultKind = Fault['kind'];

/** Everything that strikes in one run, in the order of `atMs`. */
export type FaultPlan = readonly Fault[];
