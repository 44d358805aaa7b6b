import assert from 'node:assert/strict';
import type { Absence, NodeRow, NodeStatus, PathStatus } from '../../src/api/status.ts';
import { parseModelId, parseRequestId, parseSwarmFingerprint } from '../../src/ids.ts';
import { pathText, spanText, statusText } from '../../src/node/status-text.ts';
import { nodeNumber } from '../gossip/signing.ts';

const [SELF, DEN, LAPTOP] = [nodeNumber(1), nodeNumber(2), nodeNumber(3)] as const;
const MODEL = must(parseModelId('some-model'));
const TCP: PathStatus = {
  kind: 'lan',
  isDirect: true,
  address: '/ip4/192.168.1.5/tcp/4100',
  direction: 'outbound',
  rttMs: 1,
  isLimited: false,
};
const RELAYED: PathStatus = { ...TCP, kind: 'relayed', isDirect: false, relay: { node: DEN, name: 'den' } };
const SILENT: Absence = {
  type: 'silent',
  reason: 'it fell silent',
  isDialling: false,
  failures: 2,
  nextDialInMs: 12_000,
  lastDials: [{ address: '/ip4/192.168.1.9/tcp/4100', reason: 'refused', agoMs: 3_000 }],
};

function row(more: Partial<NodeRow>): NodeRow {
  const known = { node: SELF, name: 'one', version: '1', verdict: 'alive', self: false, connected: true } as const;
  return { ...known, models: [], ...more };
}

function status(nodes: readonly NodeRow[], more: Partial<NodeStatus> = {}): NodeStatus {
  return {
    self: SELF,
    name: 'one',
    version: '1',
    swarm: must(parseSwarmFingerprint('0123456789abcdef')),
    uptimeMs: 1,
    draining: false,
    sandbox: { layers: 'bubblewrap' },
    unreached: [],
    nodes,
    requests: [],
    counters: {},
    ...more,
  };
}

describe('the path of a node, in a word', () => {
  for (const { node, text } of [
    { node: row({ self: true }), text: '-' },
    { node: row({ path: TCP }), text: 'direct 192.168.1.5' },
    { node: row({ path: { ...TCP, kind: 'tcp', address: '/ip6/2001:db8::1/tcp/1' } }), text: 'direct 2001:db8::1' },
    { node: row({ path: { ...TCP, kind: 'webrtc', address: '/webrtc' } }), text: 'webrtc' },
    {
      node: row({ path: { ...TCP, kind: 'webrtc-direct', address: '/ip4/203.0.113.7/udp/9/webrtc-direct' } }),
      text: 'webrtc-direct 203.0.113.7',
    },
    { node: row({ path: RELAYED }), text: 'via den' },
    { node: row({ path: { ...RELAYED, relay: { node: DEN, name: '' } } }), text: `via ${DEN.slice(-8)}` },
    { node: row({ connected: false }), text: 'none' },
  ])
    it(`is ${text}`, () => assert.equal(pathText(node), text));
});

describe('a span of time', () => {
  for (const [spanMs, text] of [
    [0, '0 s'],
    [119_499, '119 s'],
    [120_000, '2 min'],
    [119 * 60_000, '119 min'],
    [120 * 60_000, '2 h'],
  ] as const)
    it(`of ${spanMs} ms is ${text}`, () => assert.equal(spanText(spanMs), text));
});

describe('the status of a mesh as text', () => {
  const longName = 'x'.repeat(64);
  const models = Array.from({ length: 20 }, (_, index) => ({
    model: must(parseModelId(`model-number-${index}`)),
    state: 'ready' as const,
    contextTokens: 1,
    slots: 4,
    busy: 1,
    queued: 0,
  }));

  it('keeps every row of the table within the width', () => {
    const ip6 = { ...TCP, address: '/ip6/2001:db8:1111:2222:3333:4444:5555:6666/tcp/4100' };
    const rows = [
      row({ self: true, name: longName, models }),
      row({ node: DEN, name: longName, verdict: 'suspect', path: ip6, rttMs: 1234.5, models }),
    ];
    const lines = statusText(status(rows), 100).split('\n');
    const table = lines.filter((line) => /alive|suspect/.test(line));
    assert.equal(table.length, 2);
    for (const line of table) assert.ok(line.length <= 100, `${line.length}: ${line}`);
    assert.ok(table.every((line) => line.includes('model-num')));
  });

  it('says who is missing, why, since when, and what each address said', () => {
    const missing = row({ node: LAPTOP, name: 'laptop', verdict: 'dead', connected: false, lastHeardAgoMs: 60_000 });
    const text = statusText(status([row({ self: true }), { ...missing, absence: SILENT }]), 100);
    assert.ok(
      text.includes(
        'not connected\n' +
          '  laptop, last heard 60 s ago: it fell silent; 2 dials in vain, the next in 12 s\n' +
          '    /ip4/192.168.1.9/tcp/4100: refused (3 s ago)\n',
      ),
      text,
    );
  });

  it('does not call missing whom nobody needs a connection to', () => {
    const absence = { ...SILENT, type: 'not-needed' } as const;
    const text = statusText(status([row({ node: DEN, connected: false, absence })]), 100);
    assert.ok(!text.includes('not connected'), text);
  });

  it('lists addresses that never answered, of nobody known', () => {
    const unreached = [{ addresses: ['/ip4/192.0.2.1/tcp/1'], absence: { ...SILENT, type: 'unreachable' } as const }];
    assert.match(statusText(status([], { unreached }), 100), /not connected\n {2}\/ip4\/192\.0\.2\.1\/tcp\/1: /);
  });

  it('says where this node stands: reachable, behind which NAT, over which relays', () => {
    const reach = {
      reach: 'private',
      nat: 'symmetric',
      reason: 'others see another address',
      addresses: [],
      isRelay: false,
      reservations: 0,
      relays: [{ node: DEN, name: 'den' }],
    } as const;
    assert.match(
      statusText(status([], { reach }), 100),
      /^network {2}private, behind a NAT \(symmetric\): others see another address; reached over den$/m,
    );
    const relaying = { ...reach, reach: 'public', nat: 'none', isRelay: true, reservations: 1, relays: [] } as const;
    assert.match(statusText(status([], { reach: relaying }), 100), /relays for members \(1 place taken\)/);
  });

  it('puts what the table has no room for under it, and requests last', () => {
    const failed = { ...must(models[0]), state: 'failed', problem: 'the file is damaged' } as const;
    const request = { requestId: must(parseRequestId('a'.repeat(32))), model: MODEL } as const;
    const text = statusText(
      status([row({ self: true, problem: 'it runs other parameters', models: [failed] })], {
        requests: [{ ...request, side: 'entered', tokens: 5 }],
      }),
      100,
    );
    assert.match(text, /model-number-0 failed\n/);
    assert.match(text, /notes\n {2}one is not used: it runs other parameters\n {2}one: the file is damaged\n/);
    assert.match(text, /requests under way\n.*some-model {2}5 tokens, entered here\n$/);
    assert.match(statusText(status([]), 100), /no requests under way\n$/);
  });
});

function must<Value>(value: Value | undefined): Value {
  assert.ok(value !== undefined);
  return value;
}
