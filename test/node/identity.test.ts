import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseNodeId } from '../../src/ids.ts';
import { createIdentity, loadIdentity, nextIncarnation, persistIncarnation } from '../../src/node/identity.io.ts';

describe('the identity of a node', () => {
  let home: string;
  beforeEach(async () => (home = await mkdtemp(join(tmpdir(), 'skein-identity-'))));
  afterEach(async () => rm(home, { recursive: true }));

  it('is made once, for this user only, and stays', async () => {
    const state = join(home, 'state');
    const [first, second] = [await loadIdentity(state), await loadIdentity(state)];
    assert.ok(first.type === 'loaded' && second.type === 'loaded');
    assert.deepEqual([first.created, second.created], [true, false]);
    assert.equal(first.identity.node, second.identity.node);
    assert.equal((await stat(join(state, 'node.key'))).mode & 0o777, 0o600);
  });

  it('is one identity when two processes start at once', async () => {
    const loaded = await Promise.all(Array.from({ length: 4 }, async () => loadIdentity(home)));
    const nodes = loaded.map((one) => (one.type === 'loaded' ? one.identity.node : one.message));
    assert.equal(new Set(nodes).size, 1);
  });

  it('is refused with the path and the mend when others can read it, or when it is none', async () => {
    const path = join(home, 'node.key');
    await loadIdentity(home);
    await chmod(path, 0o640);
    const wide = await loadIdentity(home);
    assert.match(wide.type === 'refused' ? wide.message : '', new RegExp(`${path}: .*run: chmod 600 ${path}`));
    await chmod(path, 0o600);
    for (const content of ['', 'garbage', 'x'.repeat(300)]) {
      await writeFile(path, content);
      const loaded = await loadIdentity(home);
      assert.match(loaded.type === 'refused' ? loaded.message : '', /not an Ed25519 node key; move it away/);
    }
    const blocked = await loadIdentity(join(path, 'below-a-file'));
    assert.match(blocked.type === 'refused' ? blocked.message : '', /cannot keep the node key \(ENOTDIR\)/);
  });

  it('signs what everybody who knows its id can verify', async () => {
    const [a, b] = await Promise.all([createIdentity(), createIdentity()]);
    const bytes = new TextEncoder().encode('beacon');
    const signature = a.sign(bytes);
    assert.equal(signature.length, 64);
    assert.equal(b.verify(a.node, bytes, signature), true);
    assert.equal(b.verify(b.node, bytes, signature), false);
    assert.equal(b.verify(a.node, bytes.subarray(1), signature), false);
    assert.equal(b.verify(a.node, bytes, signature.subarray(1)), false);
    const noKey = parseNodeId(`12D3KooW${'1'.repeat(44)}`);
    assert.ok(noKey !== undefined);
    assert.equal(b.verify(noKey, bytes, signature), false);
  });

  it('orders boots although the clock goes backwards', async () => {
    assert.equal(await nextIncarnation(home, 1_000.9), 1_000);
    assert.equal(await nextIncarnation(home, 1_000), 1_001);
    assert.equal(await nextIncarnation(home, 500), 1_002);
    await persistIncarnation(home, 2_000);
    assert.equal(await nextIncarnation(home, 1_500), 2_001);
    await writeFile(join(home, 'incarnation'), 'damaged');
    assert.equal(await nextIncarnation(home, 3_000), 3_000);
  });
});
