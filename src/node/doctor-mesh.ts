/**
 * What is wrong with this node's place in the network? From what the running node knows: can others reach it, through which
 * NAT, over which relays; does its firewall let anybody in; who is missing and why; do the clocks agree; does the process get to
 * run. Without a running node only what needs none is said.
 * Limits: clocks are estimated, to about two seconds; a firewall is inferred, because nobody can see one.
 */
import type { NodeRow, NodeStatus } from '../api/status.ts';
import { hostOf, scopeOf } from '../discovery/transports.ts';
import { shortNodeId } from '../ids.ts';
import type { DoctorFacts, Finding } from './doctor.ts';
import { lastDialsText, nextDialText, reachText, spanText } from './status-text.ts';

/** Nobody called in this time: then something may keep them out. Source: guess: nodes redial every minute. */
const INBOUND_EXPECTED_MS = 300_000;
/** Source: requirement: half of what certificates forgive would hide half of the trouble. */
const CLOCK_APART_MS = 30_000;
/** Own stalls in an hour that are told. Source: guess: others suspect us after each that is longer than 2.6 s. */
const STALLS_PER_HOUR_MAX = 6;
const STALLS_MIN = 3;
const HOUR_MS = 3_600_000;
/** Missing nodes that are told one by one. Source: guess: a screen. */
const MISSING_MAX = 16;

export function meshFindings(facts: DoctorFacts): readonly Finding[] {
  const { status, statusProblem } = facts;
  if (status === undefined) {
    const what = statusProblem ?? 'no node runs here, so that the network was not looked at';
    const mend = 'start one with `skein up` and ask again';
    return [{ check: 'network', level: statusProblem === undefined ? 'ok' : 'warning', what, mend }, ...mdns(facts)];
  }
  return [
    ...mdns(facts),
    ...reachability(status),
    ...relays(status),
    ...firewall(status, facts.listen),
    ...missing(status),
    ...clocks(status),
    stalls(status),
    ...models(status),
  ];
}

function mdns({ hasMdns, mdnsProblem }: DoctorFacts): readonly Finding[] {
  const check = 'mdns';
  if (!hasMdns) return [{ check, level: 'ok', what: 'finding nodes on the local network is switched off (mdns)' }];
  if (mdnsProblem === undefined) return [];
  if (mdnsProblem === '') return [{ check, level: 'ok', what: 'nodes on the local network can be found (mDNS)' }];
  return [
    {
      check,
      level: 'warning',
      what: `nodes on the local network cannot be found: ${mdnsProblem}`,
      why: 'mDNS needs UDP port 5353 and a network that carries multicast',
      mend: 'name a node with --bootstrap, or let multicast through',
    },
  ];
}

function reachability({ reach }: NodeStatus): readonly Finding[] {
  const check = 'reach';
  if (reach === undefined) return [];
  const what = reachText(reach);
  if (reach.reach === 'private' && reach.nat === 'symmetric' && reach.relays.length === 0)
    return [
      {
        check,
        level: 'warning',
        what,
        why: 'a symmetric NAT lets nobody in and no hole be punched, and no member relays',
        mend: 'forward the mesh port in the router and say so with --announce, or run one node that can be reached from outside',
      },
    ];
  return [{ check, level: 'ok', what }];
}

/** Without a place at a relay, a node behind a NAT is found by nobody outside. */
function relays({ reach, nodes }: NodeStatus): readonly Finding[] {
  const check = 'relays';
  if (reach === undefined) return [];
  if (reach.isRelay)
    return [{ check, level: 'ok', what: `this node relays for members (${reach.reservations} keep a place here)` }];
  if (reach.relays.length > 0)
    return [{ check, level: 'ok', what: `${reach.relays.length} of the members relay for this node` }];
  if (reach.reach !== 'private')
    return [{ check, level: 'ok', what: 'no member relays for this node, and it was not found to need one' }];
  const others = nodes.filter(({ self, connected }) => !self && connected).length;
  return [
    {
      check,
      level: 'warning',
      what: 'this node is behind a NAT and no member relays for it',
      why: others === 0 ? 'it is connected to nobody' : 'no member that it is connected to can be reached from outside',
      mend: 'let one node be reached from outside: a forwarded port, or UPnP in its router; it then relays by itself',
    },
  ];
}

function firewall({ nodes, uptimeMs }: NodeStatus, listen: readonly string[]): readonly Finding[] {
  const check = 'firewall';
  const paths = nodes.flatMap(({ path, standby = [] }) => (path === undefined ? [] : [path, ...standby]));
  const outside = paths.filter(
    ({ address }) => scopeOf(hostOf(address) ?? '') !== 'loopback' && address.includes('/tcp/'),
  );
  const isEverywhere = listen.some((address) => ['0.0.0.0', '::'].includes(hostOf(address) ?? ''));
  if (outside.some(({ direction }) => direction === 'inbound'))
    return [{ check, level: 'ok', what: 'other machines connect to this one' }];
  if (outside.length === 0) return [];
  if (!isEverywhere)
    return [
      {
        check,
        level: 'ok',
        what: `this node listens on ${listen.map((address) => hostOf(address) ?? address).join(', ')} only: others may not reach it`,
      },
    ];
  if (uptimeMs < INBOUND_EXPECTED_MS)
    return [
      {
        check,
        level: 'ok',
        what: `nobody has connected to this machine yet, in ${spanText(uptimeMs)}: too early to tell`,
      },
    ];
  return [
    {
      check,
      level: 'warning',
      what: `nobody is connected by calling this machine, after ${spanText(uptimeMs)}: all connections were made from here`,
      why: 'a firewall on this machine may keep calls out; it may also be chance',
      mend: `let TCP ${portsText(listen)} in, and UDP of the same numbers`,
    },
  ];
}

function portsText(listen: readonly string[]): string {
  const ports = listen.flatMap((address) => /\/tcp\/(\d+)/.exec(address)?.[1] ?? []);
  return ports.length === 0 ? 'of the mesh' : `port ${[...new Set(ports)].join(', ')}`;
}

function missing({ nodes, unreached }: NodeStatus): readonly Finding[] {
  const check = 'peers';
  const away = nodes.filter(({ absence }) => absence !== undefined && absence.type !== 'not-needed');
  const told = away.flatMap((row) => (row.absence === undefined ? [] : [missingFinding(whoIs(row), row.absence)]));
  const sought = unreached.map(({ node, addresses, absence }) =>
    missingFinding(node === undefined ? (addresses[0] ?? 'an address') : shortNodeId(node), absence),
  );
  const all = [...told, ...sought];
  const others = nodes.filter(({ self, connected }) => !self && connected).length;
  return [
    {
      check,
      level: 'ok',
      what:
        others === 0
          ? 'no other node is connected'
          : `${others} other ${others === 1 ? 'node is' : 'nodes are'} connected`,
    },
    ...all.slice(0, MISSING_MAX),
    ...(all.length > MISSING_MAX
      ? [{ check, level: 'warning', what: `${all.length - MISSING_MAX} more nodes are missing` } as const]
      : []),
  ];
}

function missingFinding(who: string, absence: NonNullable<NodeRow['absence']>): Finding {
  const next = nextDialText(absence);
  const said = lastDialsText(absence).slice(0, 3);
  return {
    check: 'peers',
    level: absence.type === 'left' ? 'ok' : 'warning',
    what: `${who} is not connected: ${absence.reason}${next === '' ? '' : `; ${next}`}`,
    ...(said.length === 0 ? {} : { why: said.join('; ') }),
    ...(MENDS[absence.type] === undefined ? {} : { mend: MENDS[absence.type] }),
  };
}

const MENDS: { readonly [type in NonNullable<NodeRow['absence']>['type']]?: string } = {
  silent: 'wake it, and run `skein status` there',
  unreachable:
    'see that its node runs (`skein status` there) and that its port is let in; both need the same swarm key',
  'no-address': 'start it, or name one of its addresses with --bootstrap',
};

function clocks({ nodes }: NodeStatus): readonly Finding[] {
  const check = 'clock';
  const known = nodes.flatMap((row) => (row.clockAheadMs === undefined ? [] : [{ row, aheadMs: row.clockAheadMs }]));
  if (known.length === 0) return [{ check, level: 'ok', what: 'not measured: no other node has told its time yet' }];
  const apart = known.filter(({ aheadMs }) => Math.abs(aheadMs) > CLOCK_APART_MS);
  const why = 'certificates, invites and one-time codes have dates';
  // When nearly all others differ alike, the clock here is the one that is wrong.
  if (apart.length > 1 && apart.length === known.length)
    return [
      {
        check,
        level: 'warning',
        what: `this machine's clock is ${aheadText(-(apart[0]?.aheadMs ?? 0))} those of all ${known.length} others`,
        why,
        mend: 'switch network time (NTP) on here',
      },
    ];
  if (apart.length === 0)
    return [
      {
        check,
        level: 'ok',
        what: `the clocks of ${known.length === 1 ? 'the other node' : `${known.length} nodes`} agree with this one`,
      },
    ];
  return apart.map(({ row, aheadMs }) => ({
    check,
    level: 'warning',
    what: `the clock of ${whoIs(row)} was ${aheadText(aheadMs)} this one's when its node started`,
    why,
    mend: 'switch network time (NTP) on there and here, then start that node again',
  }));
}

function aheadText(aheadMs: number): string {
  return `${spanText(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
}

function stalls({ counters, uptimeMs }: NodeStatus): Finding {
  const check = 'stalls';
  const count = counters['view-stalls'] ?? 0;
  const isMany = count >= STALLS_MIN && count > (STALLS_PER_HOUR_MAX * Math.max(uptimeMs, HOUR_MS / 10)) / HOUR_MS;
  const what =
    count === 0
      ? 'the node was never kept from running'
      : `the node was kept from running ${count} ${count === 1 ? 'time' : 'times'} in ${spanText(uptimeMs)}`;
  if (!isMany) return { check, level: 'ok', what };
  return {
    check,
    level: 'warning',
    what,
    why: 'the machine slept or was too busy, and the others held this node for dead',
    mend: 'leave it a core: fewer engine threads (--engine-threads), or less beside it',
  };
}

function models({ nodes }: NodeStatus): readonly Finding[] {
  const own = nodes.find(({ self }) => self)?.models ?? [];
  const failed = own.filter(({ state }) => state === 'failed');
  if (failed.length === 0)
    return [
      {
        check: 'models',
        level: 'ok',
        what: `${own.length} ${own.length === 1 ? 'model is' : 'models are'} offered here`,
      },
    ];
  return failed.map(({ model, problem }) => ({
    check: 'models',
    level: 'warning',
    what: `${model} is not served: ${problem ?? 'unknown'}`,
  }));
}

function whoIs({ node, name }: Pick<NodeRow, 'node' | 'name'>): string {
  return name === '' ? shortNodeId(node) : name;
}
