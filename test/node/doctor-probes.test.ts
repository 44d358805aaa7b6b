import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lookAtDisk, lookAtPath } from '../../src/node/doctor-probes.io.ts';

async function look(path: string): Promise<string> {
  return (await lookAtPath({ what: 'state directory', path, rule: 'private' })).found.type;
}

describe('a look of the doctor at a place that is not there', () => {
  it('takes it for one that will be made, and says how much room there is', async () => {
    const home = await mkdtemp(join(tmpdir(), 'skein-look-'));
    const path = join(home, 'a', 'b');
    assert.equal(await look(path), 'absent');
    const [disk] = await lookAtDisk('state', path);
    assert.ok((disk?.freeBytes ?? 0) > 0);
    await rm(home, { recursive: true });
  });

  it('knows that nothing can be made below /proc, and that no room can be freed there', async function () {
    if (process.platform !== 'linux') this.skip();
    for (const path of ['/proc/skein', '/proc/self/skein/state', '/sys/skein']) {
      assert.equal(await look(path), 'problem', path);
      assert.deepEqual(await lookAtDisk('state', path), []);
    }
  });
});
