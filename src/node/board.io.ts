/**
 * Joins the status board of a node to the parts that it reads: all of them answer at once from what they know, and some
 * do not exist yet while a node starts, so that they are asked for each time. Reads only; the calendar is read for the
 * difference between clocks. Limits: those of the board.
 */
import type { LiveRequest } from '../api/status.ts';
import type { Engines } from './engines.io.ts';
import { liveRequestsOf } from './live-requests.ts';
import type { Mesh } from './mesh.ts';
import type { Network } from './network.ts';
import type { PathKeeper } from './path-keeper.io.ts';
import { StatusBoard } from './status-board.ts';
import type { TrustDesk } from './trust-desk.io.ts';
import type { Identity } from './identity.io.ts';

export interface BoardOwner {
  readonly options: { readonly name: string };
  readonly version: string;
  readonly identity: Pick<Identity, 'node'>;
  readonly trust: Pick<TrustDesk, 'ring' | 'refusalOf'>;
}

export interface BoardParts {
  readonly mesh: Mesh;
  readonly engines: () => Engines | undefined;
  readonly network: () => Network | undefined;
  readonly keeper: Pick<PathKeeper, 'preferred' | 'natOf'>;
  readonly dataPlane: {
    requests(): Parameters<typeof liveRequestsOf>[0];
    counters(): Readonly<Record<string, number>>;
  };
}

export function boardOf({ options, version, identity, trust }: BoardOwner, parts: BoardParts): StatusBoard {
  const { mesh, engines, network, keeper, dataPlane } = parts;
  return new StatusBoard({
    self: identity.node,
    name: options.name,
    version,
    swarm: trust.ring().anchor.fingerprint,
    mesh,
    engineModels: () => engines()?.set.models() ?? [],
    sandbox: () => engines()?.sandbox ?? { layers: 'none' },
    ways: {
      paths: (node) => network()?.paths(node) ?? [],
      preferred: (node) => keeper.preferred(node),
      natOf: (node) => keeper.natOf(node),
      reach: () => network()?.reach(),
      addresses: () => network()?.addresses() ?? [],
    },
    refusalOf: (node) => trust.refusalOf(node),
    wallMs: () => Date.now(),
    requests: (): readonly LiveRequest[] => liveRequestsOf(dataPlane.requests(), identity.node),
    counters: () => ({ ...network()?.counters(), ...dataPlane.counters() }),
  });
}
