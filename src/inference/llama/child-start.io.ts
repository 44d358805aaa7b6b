/** Starts the process of one model: what it may see and use of this machine, and what it shall load. */
import { totalmem } from 'node:os';
import type { StoredModel } from '../stored-model.ts';
import { ChildLink, type ChildLinkOptions } from './child-link.io.ts';
import type { KeepDirectory } from './child-protocol.ts';
import type { SandboxedChild } from './sandbox.io.ts';

export interface ChildStart {
  readonly stored: StoredModel;
  readonly slots: number;
  readonly contextTokens: number;
  readonly threads?: number;
  readonly watchTickMs?: number;
  /** Absent = none. */
  readonly sandbox?: Sandbox;
  /** Where its conversations are kept that have no slot; absent = nowhere. */
  readonly keep?: KeepDirectory;
}

/** The layers around a child, and what this machine has for them. */
export type Sandbox = Pick<SandboxedChild, 'layers' | 'probe'>;

const NO_SANDBOX: Sandbox = { layers: [], probe: {} };

/** Node.js, its heap, and the library. Source: measured (0.2 GB), and the bound of the heap. */
const CHILD_BYTES = 2 ** 31;

export function startChild(
  { stored, slots, contextTokens, threads, watchTickMs, sandbox = NO_SANDBOX, keep }: ChildStart,
  handlers: Pick<ChildLinkOptions, 'onMessage' | 'onDeath'>,
): ChildLink {
  const link = new ChildLink({
    ...handlers,
    sandbox: {
      ...sandbox,
      files: [stored.path],
      writable: keep === undefined ? [] : [keep.directory],
      memoryBytesMax: memoryBytesMax(stored),
    },
    ...(watchTickMs === undefined ? {} : { watchTickMs }),
  });
  link.send({
    type: 'load',
    path: stored.path,
    slots,
    contextTokens,
    ...(threads === undefined ? {} : { threads }),
    ...(keep === undefined ? {} : { keep }),
  });
  return link;
}

/** A bound against running away, far above what an honest file needs: the weights may be copied while they are arranged for
 *  the processor, the cache may be large, and the machine's own end of memory comes first. Source: guess. */
function memoryBytesMax({ sizeBytes }: StoredModel): number {
  return 2 * sizeBytes + CHILD_BYTES + totalmem() / 2;
}
