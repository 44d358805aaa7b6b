/** What people get wrong at the command line: a clear message that says what, why and what to do, and the right exit code. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { runSkein } from '../../src/node/node-process.io.ts';
import { newHome, startNode, stopAll, until } from './harness.ts';

const QUIET = ['--no-mdns', '--no-default-model', '--listen', '/ip4/127.0.0.1/tcp/0'];

describe('the command line', function () {
  this.timeout(60_000);
  afterEach(stopAll);

  it('refuses wrong options with exit code 78 and says field, expected and got', async () => {
    for (const { args, says } of [
      { args: ['up', '--api-port', 'ninety'], says: [/api-port/, /ninety/] },
      { args: ['up', '--api-port', '70000'], says: [/api-port/, /70000/] },
      { args: ['up', '--listen', 'localhost:1'], says: [/listen/, /localhost:1/] },
      { args: ['up', '--swarm-key-file', '/nowhere/swarm.key'], says: [/\/nowhere\/swarm\.key/] },
      { args: ['join', 'skein://join/1/AAAA'], says: [/invite|link/i] },
    ]) {
      // eslint-disable-next-line no-await-in-loop
      const { code, err } = await runSkein(args, { home: await newHome() });
      assert.equal(code, 78, `${args.join(' ')}: ${err}`);
      for (const pattern of says) assert.match(err, pattern);
    }
  });

  it('suggests the option that was meant in a config file', async () => {
    const home = await newHome();
    const config = join(home, 'typo.toml');
    await writeFile(config, '[api]\nprt = 4101\n');
    const { code, err } = await runSkein(['up', '--config', config], { home });
    assert.equal(code, 78);
    assert.match(err, /api\.prt/);
    assert.match(err, /api\.port/);
  });

  it('refuses a malformed or open swarm key and names the mend', async () => {
    const home = await newHome();
    const file = join(home, 'swarm.key');
    await writeFile(file, '/key/swarm/psk/1.0.0/\n/base16/\nnot-hex\n', { mode: 0o600 });
    const malformed = await runSkein(['up', '--swarm-key-file', file], { home });
    assert.equal(malformed.code, 78);
    assert.match(malformed.err, /hex/);
    await writeFile(file, `/key/swarm/psk/1.0.0/\n/base16/\n${'ab'.repeat(31)}cd\n`);
    await chmod(file, 0o644);
    const open = await runSkein(['up', '--swarm-key-file', file], { home });
    assert.equal(open.code, 78);
    assert.match(open.err, /chmod 600/);
  });

  it('creates keys that nobody else may read', async () => {
    const node = await startNode({ args: ['--no-default-model'] });
    const secrets = (await readdir(node.home, { recursive: true })).filter((name) => name.endsWith('.key'));
    assert.ok(secrets.length >= 2);
    for (const name of secrets) {
      // eslint-disable-next-line no-await-in-loop
      assert.equal((await stat(join(node.home, name))).mode & 0o777, 0o600, name);
    }
  });

  it('names a port that is taken and what to do', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => {
      taken.once('listening', resolve);
    });
    const address = taken.address();
    assert.ok(address !== null && typeof address === 'object');
    const { code, err } = await runSkein(['up', ...QUIET, '--api-port', String(address.port)], {
      home: await newHome(),
    });
    taken.close();
    assert.equal(code, 69);
    assert.match(err, new RegExp(`${address.port}`));
    assert.match(err, /--api-port/);
  });

  it('says which folder it cannot write', async () => {
    const home = await newHome();
    const file = join(home, 'a-file');
    await writeFile(file, '');
    const { code, err } = await runSkein(['up', ...QUIET], { home: join(file, 'home') });
    assert.equal(code, 78);
    assert.match(err, /a-file/);
  });

  it('keeps serving the good models beside a corrupt one, and says what is wrong', async () => {
    const home = await newHome();
    const models = join(home, 'more-models');
    await mkdir(models);
    await writeFile(join(models, 'broken.gguf'), 'GGUFxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx');
    const node = await startNode({ home, args: ['--models-path', models] });
    assert.deepEqual(node.models, ['skein-hello']);
    assert.match(node.errors(), /broken\.gguf/);
  });

  it('starts no second node with the identity of one that runs, and says where that is', async () => {
    const node = await startNode({ args: ['--no-default-model'] });
    const second = await runSkein(['up', ...QUIET, '--api-port', '0'], { home: node.home });
    assert.equal(second.code, 69);
    assert.match(second.err, new RegExp(`process ${node.pid}, API ${node.api}`));
    assert.match(second.err, /--home/);
    const status = await runSkein(['status', '--json'], { home: node.home });
    assert.equal(status.code, 0, status.err);
    await node.end('SIGKILL');
    // What the killed one left behind is no obstacle.
    await startNode({ home: node.home, args: ['--no-default-model'] });
  });

  it('tells its status to the user who runs it, although its API wants a key', async () => {
    const node = await startNode({ args: ['--no-default-model', '--api-key-hash', 'ab'.repeat(32)] });
    assert.equal((await fetch(`${node.api}/api/status`)).status, 401);
    const { code, out, err } = await runSkein(['status'], { home: node.home });
    assert.equal(code, 0, err);
    assert.match(out, new RegExp(node.name));
  });

  it('ends with 0 on the first signal, and at once on the second while answers run', async () => {
    const idle = await startNode({ args: ['--no-default-model'] });
    assert.equal(await idle.end('SIGINT'), 0);
    const busy = await startNode({ args: ['--tokens-per-second-max', '5'] });
    const answer = await fetch(`${busy.api}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'skein-hello', stream: true, messages: [{ role: 'user', content: 'hello' }] }),
    });
    const body = answer.text().catch(() => 'cut off');
    busy.signal('SIGINT');
    await until(
      'the node drains',
      async () =>
        (await fetch(`${busy.api}/livez`).catch(() => undefined)) === undefined ||
        (await fetch(`${busy.api}/readyz`).catch(() => undefined))?.status === 503,
    );
    assert.equal(await busy.end('SIGINT'), 130);
    await body;
  });

  it('lets a running answer finish when it is asked to stop', async () => {
    const node = await startNode({ args: ['--tokens-per-second-max', '100'] });
    const answer = await fetch(`${node.api}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'skein-hello', stream: true, messages: [{ role: 'user', content: 'hello' }] }),
    });
    const [code, text] = await Promise.all([node.end('SIGINT'), answer.text()]);
    assert.equal(code, 0);
    assert.match(text, /"finish_reason":"stop"[\s\S]*data: \[DONE\]\s*$/);
  });

  it('prints help on --help, and suggests a command for a typo', async () => {
    const home = await newHome();
    const help = await runSkein(['--help'], { home });
    assert.equal(help.code, 0);
    for (const command of ['up', 'join', 'invite', 'status', 'demo'])
      assert.match(help.out, new RegExp(`\\b${command}\\b`));
    const typo = await runSkein(['upp'], { home });
    assert.equal(typo.code, 2);
    assert.match(typo.err, /up/);
  });
});
