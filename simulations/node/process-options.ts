/**
 * What a simulated process is made of: what its machine gives it, and how its host looks in and puts words into its mouth.
 */
import type { ParamsFingerprint } from '../../src/ids.ts';
import type { Engine } from '../../src/inference/engine.ts';
import type { Effect, Input } from '../../src/node/events.ts';
import type { MeshOptions } from '../../src/node/mesh.ts';
import { Prng } from '../../src/prng.ts';
import type { Disk } from './disk.ts';
import type { LocalClock } from '../kernel/local-timers.ts';
import type { GossipItem, Payload } from './payload.ts';
import type { Process } from './process.ts';
import type { Services } from './services.ts';

export interface ProcessOptions {
  readonly node: number;
  readonly services: Services;
  readonly clock: LocalClock;
  readonly engine: Engine;
  readonly incarnation: number;
  readonly bootstrap: readonly string[];
  readonly disk: Disk;
  readonly params: ParamsFingerprint | undefined;
  /** What it really says when its core wants to publish this: a liar says something else. */
  speak(bytes: Uint8Array): readonly GossipItem[];
  /** Sees inputs and effects before they happen; changes nothing. */
  observe(process: Process, happened: Input | Effect): void;
  /** The core took the input in; its effects come next. */
  stepped(process: Process, input: Input): void;
  /** Whether a payload gets through a gray node. */
  passes(payload: Payload): boolean;
}

/** What the core of this process is given: the same as a real one, and a parser that remembers. */
export function meshOptions({ node, services, incarnation, bootstrap, disk, params }: ProcessOptions): MeshOptions {
  const { directory, random } = services;
  return {
    self: directory.idOf(node),
    swarm: directory.swarm,
    incarnation,
    sign: directory.signerOf(node),
    verify: directory.verify,
    parse: directory.parse,
    prng: new Prng(`${random.stream('core', node, incarnation).uint32()}`),
    name: `node-${node}`,
    version: '0.0.0-simulated',
    bootstrap,
    knownPeers: disk.peers,
    ...(params === undefined ? {} : { params }),
  };
}
