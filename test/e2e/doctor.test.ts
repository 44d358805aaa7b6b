/** Two real nodes: the status tells the path between them and who is missing, and the doctor says what is broken and what mends it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NodeStatus } from '../../src/api/status.ts';
import { signCertificate } from '../../src/discovery/certificate.ts';
import { nextCertificate } from '../../src/discovery/certificate-renewal.ts';
import { emptyTrust, mergeTrust } from '../../src/discovery/trust-state.ts';
import { saveTrust } from '../../src/discovery/trust-store.io.ts';
import type { Finding } from '../../src/node/doctor.ts';
import { createIdentity, loadIdentity } from '../../src/node/identity.io.ts';
import { type NodeProcess, runSkein } from '../../src/node/node-process.io.ts';
import { newHome, startMesh, stopAll, until } from './harness.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/skein.js', import.meta.url));

async function statusSeenBy({ home }: NodeProcess): Promise<NodeStatus> {
  const { code, out, err } = await runSkein(['status', '--json'], { home });
  assert.equal(code, 0, err);
  return JSON.parse(out) as NodeStatus;
}

async function findingsAt(home: string): Promise<{ readonly code: number | null; readonly findings: Finding[] }> {
  const { code, out, err } = await runSkein(['doctor', '--json'], { home });
  assert.ok(out.startsWith('{'), err);
  return { code, findings: (JSON.parse(out) as { findings: Finding[] }).findings };
}

describe('what a node tells about itself', function () {
  this.timeout(60_000);
  let mesh: NodeProcess[] = [];

  before(async () => {
    mesh = await startMesh([[], ['--no-default-model', '--name', 'second']]);
  });
  after(stopAll);

  it('says the path to each node, in JSON and in a table that fits 100 columns', async () => {
    const [first, second] = mesh;
    assert.ok(first && second);
    const status = await statusSeenBy(first);
    const row = status.nodes.find(({ node }) => node === second.node);
    assert.equal(row?.path?.kind, 'lan');
    assert.equal(row.path.isDirect, true);
    assert.match(row.path.address, /^\/ip4\/127\.0\.0\.1\/tcp\/\d+/);
    assert.ok(row.path.rttMs > 0);
    assert.equal(row.absence, undefined);
    assert.equal(row.clockAheadMs, 0, 'both have the clock of this machine');
    assert.equal(status.reach?.isRelay, false);
    const { out } = await runSkein(['status'], { home: first.home });
    assert.match(out, /NODE +NAME +STATE +PATH +RTT +MODELS/);
    assert.match(out, /second +alive +direct 127\.0\.0\.1/);
    for (const line of out.split('\n').filter((one) => one.includes('alive'))) assert.ok(line.length <= 100, line);
  });

  it('shows the owner of the machine its status where the API wants a key', async () => {
    const [, second] = mesh;
    assert.ok(second);
    const made = await runSkein(['keys', 'create', 'app', '--json'], { home: second.home });
    assert.equal(made.code, 0, made.err);
    await until('the API wants a key', async () => (await fetch(`${second.api}/api/status`)).status === 401);
    assert.equal((await statusSeenBy(second)).self, second.node);
  });

  it('watches, one line a second with --json, and ends at Ctrl-C with nothing wrong', async () => {
    const [first] = mesh;
    assert.ok(first);
    const child = spawn(process.execPath, [LAUNCHER, 'status', '--watch', '--json'], {
      env: { PATH: process.env['PATH'] ?? '', SKEIN_HOME: first.home },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = once(child, 'close');
    let lines = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      assert.equal((JSON.parse(line) as NodeStatus).self, first.node);
      lines += 1;
      if (lines === 2) child.kill('SIGINT');
    }
    assert.deepEqual(await closed, [0, null]);
  });

  it('finds nothing broken on a node that runs, and says that both are connected', async () => {
    const [first] = mesh;
    assert.ok(first);
    const { code, findings } = await findingsAt(first.home);
    assert.equal(code, 0, JSON.stringify(findings.filter(({ level }) => level === 'problem')));
    assert.ok(findings.some(({ check, what }) => check === 'peers' && what.startsWith('1 other node is connected')));
    assert.ok(findings.some(({ check, what }) => check === 'ports' && what.includes('used by the running node')));
    assert.ok(findings.some(({ check, level }) => check === 'clock' && level === 'ok'));
  });

  it('names the key that others can read, and the command that mends it', async () => {
    const [first] = mesh;
    assert.ok(first);
    const key = join(first.home, 'swarm.key');
    await chmod(key, 0o644);
    const { code, out } = await runSkein(['doctor'], { home: first.home });
    await chmod(key, 0o600);
    assert.equal(code, 1);
    assert.ok(out.includes(`chmod 600 ${key}`), out);
    assert.match(out, /^problem +keys /);
  });

  it('says who is missing and why, when a node is stopped', async () => {
    const [first, second] = mesh;
    assert.ok(first && second);
    await second.end('SIGTERM');
    await until('the goodbye came', async () => {
      const row = (await statusSeenBy(first)).nodes.find(({ node }) => node === second.node);
      return row?.absence?.type === 'left';
    });
    const { out } = await runSkein(['status'], { home: first.home });
    assert.match(out, /not connected\n +second, last heard \d+ s ago: it said goodbye/);
  });
});

describe('the doctor without a node', function () {
  this.timeout(30_000);
  after(stopAll);

  it('looks at what it can, makes nothing, and says so', async () => {
    const home = join(await newHome(), 'none');
    const { code, findings } = await findingsAt(home);
    assert.equal(code, 0, JSON.stringify(findings));
    assert.ok(findings.some(({ check, what }) => check === 'network' && what.includes('no node runs here')));
    for (const name of ['swarm.key', 'state', 'models'])
      await assert.rejects(stat(join(home, name)), { code: 'ENOENT' });
  });

  it('says when the certificate of this node ends', async () => {
    const home = await newHome();
    const state = join(home, 'state');
    const [node, owner] = [await loadIdentity(state), await createIdentity()];
    assert.ok(node.type === 'loaded');
    const { identity } = node;
    const now = Math.floor(Date.now() / 1_000);
    const asked = { node: identity.node, label: '', roles: [], seconds: 3 * 86_400 + 60 };
    const start = emptyTrust(owner.node);
    const certificates = [signCertificate(nextCertificate(start, asked, now), (bytes) => owner.sign(bytes))];
    await saveTrust(state, mergeTrust(start, { lists: [], certificates }, identity.verify.bind(identity)).state);
    for (const [mode, count] of [
      ['open', 0],
      ['certified', 1],
    ] as const) {
      // eslint-disable-next-line no-await-in-loop
      const { out } = await runSkein(['doctor', '--json'], { home, environment: { SKEIN_ADMISSION_MODE: mode } });
      const { findings } = JSON.parse(out) as { findings: Finding[] };
      const told = findings.filter(({ what }) => /certificate of this node ends in 3 days/.test(what));
      assert.equal(told.length, count, out);
      for (const { level, mend } of told) assert.deepEqual([level, mend?.includes('trust certify')], ['warning', true]);
    }
  });

  it('tells settings that cannot be used', async () => {
    const { code, out } = await runSkein(['doctor'], { home: await newHome(), environment: { SKEIN_API_PORT: 'x' } });
    assert.equal(code, 1);
    assert.match(out, /^problem +settings /);
  });
});
