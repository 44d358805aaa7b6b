/** A real model behind the layers that this machine offers, and a probe that tries to get out of them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { defaultModelText } from '../../../src/inference/default-model.ts';
import { LlamaEngine } from '../../../src/inference/llama/llama-engine.io.ts';
import { probeSandbox, startSandboxed } from '../../../src/inference/llama/sandbox.io.ts';
import { planSandbox, type SandboxLayer, type SandboxProbe } from '../../../src/inference/llama/sandbox.ts';
import { Recording } from '../../contract/engine.contract.ts';
import { type Hello, openHello } from './hello.ts';

describe('a model in its sandbox', function () {
  this.timeout(30_000);
  let probe: SandboxProbe;
  let layers: readonly SandboxLayer[];
  let hello: Hello;

  before(async function () {
    hello = await openHello();
    probe = await probeSandbox();
    const plan = planSandbox('auto', probe);
    layers = plan.type === 'plan' ? plan.layers : [];
    if (!layers.includes('bubblewrap')) process.stdout.write(`      not tried: ${probe.problem ?? 'no sandbox'}\n`);
  });
  after(async () => hello.remove());

  it('answers as it does outside', async () => {
    const engine = new LlamaEngine({ models: [hello.stored], slots: 1, maxThreads: 1, sandbox: { layers, probe } });
    try {
      const model = await engine.ready(hello.stored.model);
      assert.equal(model?.state, 'ready', model?.problem);
      const recording = new Recording(
        engine,
        {
          model: hello.stored.model,
          messages: [{ role: 'user', content: 'What is skein?' }],
          sampling: { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] },
        },
        1_000,
      );
      await recording.ended();
      assert.equal(recording.text, defaultModelText);
    } finally {
      await engine.close();
    }
  });

  it('reaches no network, no file of the owner, no other process, and writes nothing', async function () {
    if (!layers.includes('bubblewrap')) this.skip();
    const directory = await mkdtemp(join(tmpdir(), 'skein-sandbox-'));
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const secret = join(directory, 'secret');
    const module = join(directory, 'probe.mjs');
    await writeFile(secret, 'secret');
    await writeFile(module, PROBE.replaceAll('SECRET', secret).replaceAll('PORT', `${port}`));
    try {
      const child = startSandboxed({
        layers,
        probe,
        module: pathToFileURL(module),
        nodeOptions: [],
        files: [module, hello.stored.path],
        environment: { MODEL: hello.stored.path },
        memoryBytesMax: 2 ** 33,
      });
      const [found] = await once(child, 'message');
      child.kill('SIGKILL');
      assert.deepEqual(found, {
        connect: 'refused',
        secret: 'refused',
        passwd: 'refused',
        write: 'refused',
        unshare: 'refused',
        processes: 'few',
        environment: 'bare',
      });
      assert.equal(await readFile(secret, 'utf8'), 'secret');
    } finally {
      server.close();
      await rm(directory, { recursive: true, force: true });
    }
  });
});

const PROBE = `
import { connect } from 'node:net';
import { execFileSync } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
const attempt = (work) => { try { work(); return 'allowed'; } catch { return 'refused'; } };
const connected = new Promise((resolve) => {
  const socket = connect(PORT, '127.0.0.1');
  socket.on('connect', () => resolve('allowed'));
  socket.on('error', () => resolve('refused'));
});
process.send({
  connect: await connected,
  secret: attempt(() => readFileSync('SECRET')),
  passwd: attempt(() => readFileSync('/etc/passwd')),
  write: attempt(() => appendFileSync(process.env.MODEL, 'x')),
  unshare: attempt(() => execFileSync('/usr/bin/unshare', ['--user', '/usr/bin/true'], { stdio: 'ignore' })),
  processes: readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length < 6 ? 'few' : 'many',
  environment: process.env.HOME === '/tmp' && process.env.USER === undefined ? 'bare' : 'full',
});
setInterval(() => undefined, 1_000);
`;
