import assert from 'node:assert/strict';
import { SpareDials } from '../../src/discovery/spare-dials.ts';
import { type NodeId, parseNodeId } from '../../src/ids.ts';

const ADDRESS = '/ip4/192.0.2.1/tcp/4100';
const NODE = `12D3KooW${'A'.repeat(44)}`;

describe('dials that turn out not to be needed', () => {
  const node = parseNodeId(NODE);
  let connected: Set<NodeId | undefined>;
  let spares: SpareDials;

  beforeEach(() => {
    connected = new Set();
    spares = new SpareDials((one) => connected.has(one));
  });

  it('lets a dial go on that leads to somebody new', () => {
    assert.equal(spares.notice(ADDRESS, node), false);
    assert.equal(spares.notice(ADDRESS, undefined), false);
    assert.equal(spares.found([ADDRESS]), undefined);
  });

  it('lets a second path to a connected member be opened when it is dialled by its id', () => {
    connected.add(node);
    assert.equal(spares.notice(`${ADDRESS}/p2p/${NODE}`, node), false);
    spares.expect([ADDRESS]);
    spares.forget([ADDRESS]);
    assert.equal(spares.notice(`${ADDRESS}/p2p/${NODE}`, node), false);
  });

  it('ends one that leads to a connected member, and says whose the address is until that dial is over', () => {
    connected.add(node);
    spares.expect(['/ip4/192.0.2.2/tcp/1', ADDRESS]);
    assert.equal(spares.notice(`${ADDRESS}/p2p/${NODE}`, node), true);
    assert.deepEqual(spares.found(['/ip4/192.0.2.2/tcp/1', ADDRESS]), { node, address: ADDRESS });
    assert.equal(spares.found(['/ip4/192.0.2.2/tcp/1']), undefined);
    spares.forget([ADDRESS]);
    assert.equal(spares.found([ADDRESS]), undefined);
  });

  it('does not say connected when the connection is gone meanwhile', () => {
    connected.add(node);
    spares.expect([ADDRESS]);
    assert.equal(spares.notice(ADDRESS, node), true);
    connected.clear();
    assert.equal(spares.found([ADDRESS]), undefined);
  });
});
