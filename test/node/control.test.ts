import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askControl, ControlServer } from '../../src/node/control.io.ts';

describe('the control port of a node', () => {
  let state: string;
  let asked: unknown[];
  let server: ControlServer;

  beforeEach(async () => {
    state = await mkdtemp(join(tmpdir(), 'skein-control-'));
    asked = [];
    server = new ControlServer(state, async (request) => {
      asked.push(request['command']);
      if (request['command'] === 'throw') throw new Error('broken');
      return { answer: 42 };
    });
    await server.start();
  });
  afterEach(async () => {
    await server.stop();
    await rm(state, { recursive: true });
  });

  async function say(line: string): Promise<string> {
    const { port } = JSON.parse(await readFile(join(state, 'control.json'), 'utf8')) as { port: number };
    return new Promise((resolve) => {
      let text = '';
      const socket = connect(port, '127.0.0.1', () => socket.write(line));
      socket.on('data', (data) => (text += String(data))).on('error', () => {});
      socket.on('close', () => resolve(text));
    });
  }

  it('answers who can read the file of this user', async () => {
    assert.deepEqual(await askControl(state, { command: 'x' }), { answer: 42 });
    assert.equal((await stat(join(state, 'control.json'))).mode & 0o777, 0o600);
  });

  it('says what went wrong', async () => {
    assert.deepEqual(await askControl(state, { command: 'throw' }), { problem: 'broken' });
  });

  it('says nothing to anybody else', async () => {
    const lines = [
      'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
      '{"command":"x"}\n',
      `{"command":"x","token":"${'0'.repeat(64)}"}\n`,
      '{"command":"x","token":7}\n',
      'null\n',
      '[]\n',
      'x'.repeat(300_000),
    ];
    for (const line of lines) assert.equal(await say(line), '', line.slice(0, 20));
    assert.deepEqual(asked, []);
  });

  it('is not there when no node runs', async () => {
    await server.stop();
    assert.equal(await askControl(state, { command: 'x' }), undefined);
    // Left by a node that was killed.
    await writeFile(join(state, 'control.json'), '{"port":1,"token":"00"}');
    assert.equal(await askControl(state, { command: 'x' }), undefined);
    await writeFile(join(state, 'control.json'), '{');
    assert.equal(await askControl(state, { command: 'x' }), undefined);
  });
});
