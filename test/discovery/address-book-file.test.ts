import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { restorePeers, savePeers } from '../../src/discovery/address-book.io.ts';
import { usableAddresses } from '../../src/discovery/mdns.io.ts';
import { createIdentity } from '../../src/node/identity.io.ts';

describe('the known peers on disk', () => {
  let home: string;
  let path: string;

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'skein-peers-'));
    path = join(home, 'state', 'peers.json');
  });
  afterEach(async () => rm(home, { recursive: true }));

  it('come back as they were, from a file for this user only', async () => {
    const peers = [{ node: (await createIdentity()).node, addresses: ['/ip4/192.0.2.1/tcp/1'] }];
    await savePeers(path, []);
    await savePeers(path, peers);
    assert.deepEqual(await restorePeers(path), { peers, warning: undefined });
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(join(home, 'state')), ['peers.json'], 'no temporary file stays');
  });

  it('are an empty book when there is no file', async () => {
    assert.deepEqual(await restorePeers(path), { peers: [], warning: undefined });
  });

  it('are moved aside with a warning when damaged, and never fatal', async () => {
    const { node } = await createIdentity();
    const tooMany = { version: 1, peers: [{ node, addresses: Array.from({ length: 17 }, () => 'x') }] };
    for (const text of ['', '{', '[]', '{"version":2,"peers":[]}', JSON.stringify(tooMany)]) {
      await savePeers(path, []);
      await writeFile(path, text);
      const restored = await restorePeers(path);
      assert.deepEqual(restored.peers, []);
      assert.match(restored.warning ?? '', /damaged; moved to/);
      assert.equal(await readFile(`${path}.damaged`, 'utf8'), text);
    }
  });

  it('leave out entries that are no nodes', async () => {
    await savePeers(path, []);
    await writeFile(path, '{"version":1,"peers":[{"node":"somebody","addresses":[]}]}');
    assert.deepEqual(await restorePeers(path), { peers: [], warning: undefined });
  });
});

describe('an announcement on the LAN', () => {
  it('is used without loopback addresses, unless nodes share this host', async () => {
    const id = (await createIdentity()).node;
    const multiaddrs = ['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/1', '/ip4/192.168.1.2/tcp/1'].map((text) => ({
      toString: () => text,
    }));
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    const peer = { id, multiaddrs } as unknown as Parameters<typeof usableAddresses>[0];
    assert.deepEqual(usableAddresses(peer, false), { node: id, addresses: ['/ip4/192.168.1.2/tcp/1'] });
    assert.equal(usableAddresses(peer, true)?.addresses.length, 3);
    assert.equal(usableAddresses({ ...peer, multiaddrs: peer.multiaddrs.slice(0, 2) }, false), undefined);
    assert.equal(usableAddresses({ ...peer, id: { toString: () => 'QmSomebody' } }, true), undefined);
  });
});
