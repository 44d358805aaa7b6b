import assert from 'node:assert/strict';
import type { Absence, NodeRow, NodeStatus, PathStatus, ReachStatus } from '../../src/api/status.ts';
import { parseModelId, parseSwarmFingerprint } from '../../src/ids.ts';
import { doctorExitCode, type DoctorFacts, doctorText, type Finding, type PathFact } from '../../src/node/doctor.ts';
import { fileFindings } from '../../src/node/doctor-files.ts';
import { machineFindings } from '../../src/node/doctor-machine.ts';
import { meshFindings } from '../../src/node/doctor-mesh.ts';
import { nodeNumber } from '../gossip/signing.ts';

const [SELF, DEN, LAPTOP] = [nodeNumber(1), nodeNumber(2), nodeNumber(3)] as const;
const [MIB, GIB] = [1_048_576, 1_073_741_824] as const;
const WELL: DoctorFacts = {
  nodeVersion: '24.12.0',
  nodeVersionMin: '24.12',
  settings: { type: 'usable', file: undefined, warnings: [] },
  paths: [],
  keys: [],
  ports: [],
  listen: ['/ip4/0.0.0.0/tcp/4100'],
  hasMdns: true,
  mdnsProblem: '',
  sandbox: { mode: 'auto' },
  engine: { type: 'loads', detail: 'on the processor' },
  memory: { totalBytes: 8 * GIB, availableBytes: 4 * GIB, models: [] },
  openFilesMax: 1_024,
  disks: [],
  status: undefined,
  statusProblem: undefined,
};

function path(mode: number, more: Partial<Extract<PathFact['found'], { type: 'there' }>> = {}): PathFact {
  const there = { type: 'there', isDirectory: true, mode, isOurs: true, isWritable: true, ...more } as const;
  return { what: 'state directory', path: '/s', rule: 'private', found: there };
}

const file = { isDirectory: false } as const;
const refused = { type: 'refused', message: '/k: others can read or change the swarm key; run: chmod 600 /k' } as const;
const mesh = { what: 'mesh', port: 4_100 } as const;

interface Case {
  readonly is: string;
  readonly facts: Partial<DoctorFacts>;
  readonly check: string;
  readonly level: Finding['level'];
  /** In the mend, or in the text where nothing is to be mended. */
  readonly says?: string;
}

const MACHINE: readonly Case[] = [
  { is: 'a Node that will do', facts: {}, check: 'node', level: 'ok', says: '24.12.0' },
  { is: 'an old Node', facts: { nodeVersion: '24.11.9' }, check: 'node', level: 'problem', says: 'newer Node' },
  { is: 'a much newer Node', facts: { nodeVersion: '26.0.0' }, check: 'node', level: 'ok' },
  {
    is: 'settings that cannot be used',
    facts: { settings: { type: 'unusable', problems: ['cannot use x; remove it'] } },
    check: 'settings',
    level: 'problem',
    says: 'remove it',
  },
  { is: 'a private directory', facts: { paths: [path(0o700)] }, check: 'files', level: 'ok' },
  { is: 'an open directory', facts: { paths: [path(0o755)] }, check: 'files', level: 'warning', says: 'chmod 700 /s' },
  { is: 'an open file', facts: { paths: [path(0o640, file)] }, check: 'files', level: 'problem', says: 'chmod 600 /s' },
  {
    is: 'a directory of models that all may read',
    facts: { paths: [{ ...path(0o755), rule: 'shared' }] },
    check: 'files',
    level: 'ok',
  },
  {
    is: 'a directory of models that all may write',
    facts: { paths: [{ ...path(0o777), rule: 'shared' }] },
    check: 'files',
    level: 'warning',
    says: 'chmod go-w /s',
  },
  {
    is: 'a directory of somebody else',
    facts: { paths: [path(0o755, { isOurs: false, isWritable: false })] },
    check: 'files',
    level: 'problem',
    says: 'chown',
  },
  {
    is: 'a directory that is not there yet',
    facts: { paths: [{ ...path(0), found: { type: 'absent' } }] },
    check: 'files',
    level: 'ok',
    says: 'will be made',
  },
  {
    is: 'a path that the system refuses',
    facts: { paths: [{ ...path(0), found: { type: 'problem', problem: 'permission denied' } }] },
    check: 'files',
    level: 'problem',
    says: '--home',
  },
  {
    is: 'a key that others can read',
    facts: { keys: [{ what: 'swarm key', found: refused }] },
    check: 'keys',
    level: 'problem',
    says: 'run: chmod 600 /k',
  },
  {
    is: 'a key in the environment',
    facts: {
      keys: [{ what: 'swarm key', found: { type: 'loaded', warnings: ['readable by others; put it in a file'] } }],
    },
    check: 'keys',
    level: 'warning',
    says: 'put it in a file',
  },
  {
    is: 'no key yet',
    facts: { keys: [{ what: 'swarm key', found: { type: 'missing' } }] },
    check: 'keys',
    level: 'ok',
    says: 'skein up',
  },
  { is: 'a free port', facts: { ports: [{ ...mesh, found: 'free', isFixed: true }] }, check: 'ports', level: 'ok' },
  { is: 'our port', facts: { ports: [{ ...mesh, found: 'ours', isFixed: true }] }, check: 'ports', level: 'ok' },
  {
    is: 'a chosen port that is taken',
    facts: { ports: [{ ...mesh, found: 'taken', isFixed: true }] },
    check: 'ports',
    level: 'problem',
    says: 'another port',
  },
  {
    is: 'the usual port, taken',
    facts: { ports: [{ ...mesh, found: 'taken', isFixed: false }] },
    check: 'ports',
    level: 'warning',
  },
  {
    is: 'a reserved port',
    facts: { ports: [{ what: 'API', port: 80, found: 'forbidden', isFixed: true }] },
    check: 'ports',
    level: 'problem',
    says: 'above 1024',
  },
  { is: 'a sandbox that works', facts: {}, check: 'sandbox', level: 'ok', says: 'bubblewrap works' },
  { is: 'no sandbox wanted', facts: { sandbox: { mode: 'off' } }, check: 'sandbox', level: 'warning', says: 'auto' },
  {
    is: 'no bubblewrap',
    facts: { sandbox: { mode: 'auto', problem: 'bubblewrap (bwrap) is not installed' } },
    check: 'sandbox',
    level: 'warning',
    says: 'install the package bubblewrap',
  },
  {
    is: 'no bubblewrap where it is required',
    facts: { sandbox: { mode: 'require', problem: 'bubblewrap (bwrap) is not installed' } },
    check: 'sandbox',
    level: 'problem',
  },
  {
    is: "AppArmor's ban on user namespaces",
    facts: { sandbox: { mode: 'auto', problem: 'bubblewrap does not work', namespacesForbiddenBy: 'apparmor' } },
    check: 'sandbox',
    level: 'warning',
    says: 'AppArmor profile',
  },
  {
    is: 'an engine that does not load',
    facts: { engine: { type: 'fails', reason: 'no binary', mend: 'tar it' } },
    check: 'engine',
    level: 'problem',
    says: 'tar it',
  },
  { is: 'a slow engine', facts: { engine: { type: 'slow', waitedMs: 8_000 } }, check: 'engine', level: 'warning' },
  { is: 'few descriptors', facts: { openFilesMax: 1_023 }, check: 'open-files', level: 'warning', says: 'ulimit -n' },
  { is: 'hardly a descriptor', facts: { openFilesMax: 127 }, check: 'open-files', level: 'problem', says: 'ulimit -n' },
  { is: 'enough descriptors', facts: { openFilesMax: 1_024 }, check: 'open-files', level: 'ok' },
  {
    is: 'a full disk',
    facts: { disks: [{ what: 'state', path: '/s', freeBytes: 16 * MIB - 1 }] },
    check: 'disk',
    level: 'problem',
  },
  {
    is: 'a disk without room for models',
    facts: { disks: [{ what: 'models', path: '/m', freeBytes: GIB - 1 }] },
    check: 'disk',
    level: 'warning',
  },
  {
    is: 'a roomy disk',
    facts: { disks: [{ what: 'models', path: '/m', freeBytes: GIB }] },
    check: 'disk',
    level: 'ok',
  },
];

describe('the doctor, of the machine', () => {
  for (const { is, facts, check, level, says } of MACHINE)
    it(`finds ${is}`, () => {
      const all = { ...WELL, ...facts };
      const found = [...fileFindings(all), ...machineFindings(all)].filter((finding) => finding.check === check);
      assert.equal(found.length, 1, JSON.stringify(found));
      const [one] = found;
      assert.equal(one?.level, level);
      if (says !== undefined) assert.ok((one.mend ?? one.what).includes(says), JSON.stringify(one));
      if (level === 'problem') assert.ok(one.mend !== undefined || check === 'settings', 'a problem says what to do');
    });

  it('holds each model against the memory, with room for the rest of the machine', () => {
    const models = [
      { name: 'fits', sizeBytes: 4 * GIB },
      { name: 'later', sizeBytes: 4 * GIB + 1 },
      { name: 'just', sizeBytes: 7.5 * GIB },
      { name: 'never', sizeBytes: 7.5 * GIB + 1 },
    ];
    const facts = { ...WELL, memory: { totalBytes: 8 * GIB, availableBytes: 4 * GIB, models } };
    const warned = machineFindings(facts).filter(({ check, level }) => check === 'memory' && level === 'warning');
    assert.deepEqual(
      warned.map(({ what }) => /^(\w+) .*(does not fit|free right now)/.exec(what)?.slice(1)),
      [
        ['never', 'does not fit'],
        ['later', 'free right now'],
        ['just', 'free right now'],
      ],
    );
  });

  it('leaves out what could not be looked at', () => {
    const unknown = { sandbox: undefined, engine: undefined, memory: undefined, openFilesMax: undefined };
    assert.deepEqual(
      machineFindings({ ...WELL, ...unknown }).map(({ check }) => check),
      ['node'],
    );
  });
});

const OUT: PathStatus = {
  kind: 'lan',
  isDirect: true,
  address: '/ip4/192.168.1.5/tcp/4100',
  direction: 'outbound',
  rttMs: 1,
  isLimited: false,
};
const IN: PathStatus = { ...OUT, direction: 'inbound', address: '/ip4/192.168.1.5/tcp/50000' };
const REACH: ReachStatus = {
  reach: 'unknown',
  nat: 'unknown',
  reason: 'nobody came',
  addresses: [],
  isRelay: false,
  reservations: 0,
  relays: [],
};
const AWAY: Absence = {
  type: 'unreachable',
  reason: 'no address of it answers',
  isDialling: false,
  failures: 3,
  nextDialInMs: 5_000,
  lastDials: [{ address: '/ip4/192.168.1.7/tcp/4100', reason: 'refused', agoMs: 1_000 }],
};

function row(more: Partial<NodeRow>): NodeRow {
  const known = { node: DEN, name: 'den', version: '1', verdict: 'alive', self: false, connected: true } as const;
  return { ...known, models: [], ...more };
}

const ME = row({ node: SELF, name: 'me', self: true });

function seen(check: string, status: Partial<NodeStatus>, listen = WELL.listen): readonly Finding[] {
  const known: NodeStatus = {
    self: SELF,
    name: 'me',
    version: '1',
    swarm: swarm(),
    uptimeMs: 600_000,
    draining: false,
    sandbox: { layers: 'none' },
    reach: REACH,
    unreached: [],
    nodes: [ME],
    requests: [],
    counters: {},
    ...status,
  };
  return meshFindings({ ...WELL, listen, status: known }).filter((finding) => finding.check === check);
}

describe('the doctor, of the network', () => {
  it('says that no node runs, or why a running one does not answer', () => {
    assert.deepEqual(levelsWithout(undefined), ['network ok', 'mdns ok']);
    assert.deepEqual(levelsWithout('it hangs'), ['network warning', 'mdns ok']);
  });

  it('tells when mDNS cannot work, unless it is switched off', () => {
    assert.equal(mdnsLevel({ mdnsProblem: 'no such device' }), 'warning');
    assert.equal(mdnsLevel({ mdnsProblem: 'no such device', hasMdns: false }), 'ok');
  });

  it('warns of a NAT that nothing passes only where no member relays', () => {
    const reach: ReachStatus = { ...REACH, reach: 'private', nat: 'symmetric' };
    const relays = [{ node: DEN, name: 'den' }];
    assert.deepEqual(
      [...seen('reach', { reach }), ...seen('relays', { reach })].map(({ level }) => level),
      ['warning', 'warning'],
    );
    const relayed = { ...reach, relays };
    assert.deepEqual(
      [...seen('reach', { reach: relayed }), ...seen('relays', { reach: relayed })].map(({ level }) => level),
      ['ok', 'ok'],
    );
    assert.equal(seen('relays', { reach: REACH })[0]?.level, 'ok');
    assert.match(seen('relays', { reach: { ...REACH, isRelay: true, reservations: 2 } })[0]?.what ?? '', /2 keep/);
  });

  it('suspects a firewall when nobody has called in five minutes, and names the ports', () => {
    const nodes = [ME, row({ path: OUT })];
    const [finding] = seen('firewall', { nodes, uptimeMs: 300_000 });
    assert.equal(finding?.level, 'warning');
    assert.match(finding.mend ?? '', /port 4100/);
    assert.equal(seen('firewall', { nodes, uptimeMs: 299_999 })[0]?.level, 'ok');
    assert.equal(seen('firewall', { nodes }, ['/ip4/127.0.0.1/tcp/4100'])[0]?.level, 'ok');
    assert.equal(seen('firewall', { nodes: [ME, row({ path: OUT, standby: [IN] })] })[0]?.level, 'ok');
    const loopback = { ...OUT, address: '/ip4/127.0.0.1/tcp/1' };
    assert.deepEqual(seen('firewall', { nodes: [ME, row({ path: loopback })] }), [], 'the same machine says nothing');
  });

  it('names who is missing, why, and what each address said', () => {
    const away = row({ node: LAPTOP, name: 'laptop', connected: false, absence: AWAY });
    const unreached = [{ addresses: ['/ip4/192.0.2.1/tcp/1'], absence: AWAY }];
    const [summary, laptop, address] = seen('peers', { nodes: [ME, row({}), away], unreached });
    assert.equal(summary?.what, '1 other node is connected');
    assert.match(
      laptop?.what ?? '',
      /^laptop is not connected: no address of it answers; 3 dials in vain, the next in 5 s$/,
    );
    assert.equal(laptop?.why, '/ip4/192.168.1.7/tcp/4100: refused (1 s ago)');
    assert.equal(laptop.level, 'warning');
    assert.match(address?.what ?? '', /^\/ip4\/192\.0\.2\.1\/tcp\/1 is not connected/);
    const left = row({ connected: false, absence: { ...AWAY, type: 'left' } });
    assert.equal(seen('peers', { nodes: [ME, left] })[1]?.level, 'ok', 'who said goodbye is not missing');
    assert.equal(seen('peers', { nodes: [ME, row({ absence: { ...AWAY, type: 'not-needed' } })] }).length, 1);
  });

  it('tells of 16 missing nodes one by one, and counts the rest', () => {
    const unreached = Array.from({ length: 17 }, () => ({ addresses: ['/x'], absence: AWAY }));
    const findings = seen('peers', { unreached });
    assert.equal(findings.length, 18);
    assert.equal(findings.at(-1)?.what, '1 more nodes are missing');
  });

  it('compares clocks, says whose is wrong, and that nothing was measured when nothing was', () => {
    assert.match(clocksAt()[0]?.what ?? '', /^not measured/);
    assert.equal(clocksAt(30_000)[0]?.level, 'ok');
    assert.match(clocksAt(30_001)[0]?.what ?? '', /clock of n0 was 30 s ahead of this one's/);
    assert.match(clocksAt(0, -90_000)[0]?.what ?? '', /clock of n1 was 90 s behind this one's/);
    const [own, ...others] = clocksAt(90_000, 91_000);
    assert.match(own?.what ?? '', /^this machine's clock is 90 s behind those of all 2 others$/);
    assert.deepEqual(others, []);
  });

  it('tells when the node was often kept from running', () => {
    assert.equal(stallsLevel(2, 60_000), 'ok');
    assert.equal(stallsLevel(3, 60_000), 'warning');
    assert.equal(stallsLevel(6, 3_600_000), 'ok');
    assert.equal(stallsLevel(7, 3_600_000), 'warning');
  });

  it('names the models that are not served', () => {
    const model = must(parseModelId('broken'));
    const models = [
      { model, state: 'failed', problem: 'damaged', contextTokens: 0, slots: 1, busy: 0, queued: 0 },
    ] as const;
    const [finding] = seen('models', { nodes: [{ ...ME, models }] });
    assert.equal(finding?.level, 'warning');
    assert.equal(finding.what, 'broken is not served: damaged');
  });
});

describe('the report of the doctor', () => {
  it('fails for a problem, and not for a warning', () => {
    assert.equal(doctorExitCode([findingOf('ok'), findingOf('warning')]), 0);
    assert.equal(doctorExitCode([findingOf('problem')]), 1);
  });

  it('puts what is broken first, and counts at the end', () => {
    const text = doctorText([findingOf('ok'), findingOf('warning'), findingOf('problem')]);
    assert.deepEqual(
      text
        .split('\n')
        .filter((line) => line.includes('what'))
        .map((line) => line.split(' ')[0]),
      ['problem', 'warning', 'ok'],
    );
    assert.match(text, /\n {21}do: {2}mend it\n/);
    assert.ok(text.endsWith('\n\n1 problem, 1 warning\n'));
    assert.ok(doctorText([findingOf('ok')]).endsWith('\n\nnothing to mend\n'));
  });
});

function swarm(): NodeStatus['swarm'] {
  return must(parseSwarmFingerprint('0123456789abcdef'));
}

function must<Value>(value: Value | undefined): Value {
  assert.ok(value !== undefined);
  return value;
}

function levelsWithout(statusProblem: string | undefined): readonly string[] {
  return meshFindings({ ...WELL, statusProblem }).map(({ check, level }) => `${check} ${level}`);
}

function mdnsLevel(facts: Partial<DoctorFacts>): string | undefined {
  return meshFindings({ ...WELL, ...facts }).find(({ check }) => check === 'mdns')?.level;
}

function clocksAt(...aheadMs: readonly number[]): readonly Finding[] {
  const others = aheadMs.map((clockAheadMs, index) => row({ name: `n${index}`, clockAheadMs }));
  return seen('clock', { nodes: [ME, ...others] });
}

function stallsLevel(stalls: number, uptimeMs: number): string | undefined {
  return seen('stalls', { counters: { 'view-stalls': stalls }, uptimeMs })[0]?.level;
}

function findingOf(level: Finding['level']): Finding {
  return { check: 'x', level, what: `what ${level}`, mend: 'mend it' };
}
