import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeDirectory } from '../src/make-directory.io.ts';

const launcher = fileURLToPath(new URL('../bin/skein.js', import.meta.url));

describe('making a directory', () => {
  let home: string;
  beforeEach(async () => (home = await mkdtemp(join(tmpdir(), 'skein-make-'))));
  afterEach(async () => rm(home, { recursive: true }));

  it('makes what is missing above it, for this user only, and leaves what is there', async function () {
    if (process.platform === 'win32') this.skip();
    const open = join(home, 'open');
    await mkdir(open);
    await chmod(open, 0o755);
    const path = join(open, 'a', 'b', 'c');
    await makeDirectory(path);
    await makeDirectory(path);
    const modes = await Promise.all(
      [open, join(open, 'a'), join(open, 'a', 'b'), path].map(async (one) => (await stat(one)).mode & 0o777),
    );
    assert.deepEqual(modes, [0o755, 0o700, 0o700, 0o700]);
  });

  it('succeeds for all who make the same one at once', async () => {
    const paths = Array.from({ length: 8 }, (_, index) => join(home, 'a', 'b', `c${index % 2}`));
    await Promise.all(paths.map(async (path) => makeDirectory(path)));
    assert.ok((await stat(join(home, 'a', 'b', 'c1'))).isDirectory());
  });

  it('goes through links to directories, and fails at files and at links to nothing', async function () {
    if (process.platform === 'win32') this.skip();
    await symlink(home, join(home, 'loop'));
    await makeDirectory(join(home, 'loop', 'inside'));
    assert.ok(existsSync(join(home, 'inside')));
    await writeFile(join(home, 'file'), '');
    await symlink(join(home, 'nothing'), join(home, 'link'));
    for (const [path, code] of [
      ['file', 'EEXIST'],
      ['file/below', 'ENOTDIR'],
      ['link', 'EEXIST'],
      ['link/below', 'EEXIST'],
    ] as const)
      await assert.rejects(makeDirectory(join(home, path)), { code }, path);
  });

  // In a process of its own, because one that spins can only be ended from outside.
  for (const command of ['up', 'status'])
    it(`fails where the system never finds a parent, and \`skein ${command}\` says where, why and what to do`, function () {
      if (!existsSync('/proc/self')) this.skip();
      const { status, signal, stderr } = spawnSync(process.execPath, [launcher, command], {
        encoding: 'utf8',
        env: { ...process.env, SKEIN_HOME: '/proc/skein' },
        timeout: 15_000,
        killSignal: 'SIGKILL',
      });
      assert.equal(signal, null, 'it ends by itself');
      assert.equal(status, 78, stderr);
      assert.match(
        stderr,
        /^skein: cannot write to \/proc\/skein \(nothing can be made there\): give it to .* or set SKEIN_HOME/,
      );
    }).timeout(20_000);
});
