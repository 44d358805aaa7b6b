import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
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
  });

  const obstacles: readonly {
    readonly what: string;
    readonly expected: RegExp;
    readonly put: (path: string) => Promise<unknown>;
  }[] = [
    {
      what: 'a directory',
      expected: /it is a directory; move the directory .*node\.key away/,
      put: async (path) => mkdir(path),
    },
    {
      what: 'a link in a circle',
      expected: /circle; replace the link .*node\.key by the file/,
      put: async (path) => symlink(path, path),
    },
    {
      what: 'a link to nothing',
      expected: /leads nowhere; bring back the file that .*node\.key should lead to/,
      put: async (path) => symlink(join(home, 'gone'), path),
    },
    {
      what: 'below a file',
      expected: /a file is in the way; move the file away that stands where a directory/,
      put: async (path) => {
        await rm(join(path, '..'), { recursive: true });
        await writeFile(join(path, '..'), '');
      },
    },
  ];
  for (const { what, expected, put } of obstacles)
    it(`says what to do, and it is not chmod, when its key is ${what}`, async function () {
      if (process.platform === 'win32') this.skip();
      const state = join(home, 'state');
      await mkdir(state);
      await put(join(state, 'node.key'));
      const loaded = await loadIdentity(state);
      const message = loaded.type === 'refused' ? loaded.message : '';
      assert.ok(message.startsWith(`${join(state, 'node.key')}: cannot use the node key: `), message);
      assert.match(message, expected);
      assert.doesNotMatch(message, /chmod/);
    });

  it('says chown and chmod when its key is not to be read', async function () {
    // Root reads everything.
    if (process.platform === 'win32' || process.getuid?.() === 0) this.skip();
    await loadIdentity(home);
    await chmod(join(home, 'node.key'), 0o000);
    const loaded = await loadIdentity(home);
    assert.match(loaded.type === 'refused' ? loaded.message : '', /permission denied; .*chown.*chmod 600/);
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
