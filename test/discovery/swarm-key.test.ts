import assert from 'node:assert/strict';
import { hkdfSync } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { createSwarmKey, loadSwarmKey } from '../../src/discovery/swarm-key.io.ts';
import { formatFingerprint, parseSwarmKey, SwarmKey, swarmKeyOf } from '../../src/discovery/swarm-key.ts';

const HEX = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff';
const FILE = `/key/swarm/psk/1.0.0/\n/base16/\n${HEX}`;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function derive(label: string, length: number): string {
  return Buffer.from(hkdfSync('sha256', Buffer.from(HEX, 'hex'), '', `skein/1/${label}`, length)).toString('hex');
}

describe('the swarm key', () => {
  it('accepts the file of IPFS with or without one line end, in either style and case', () => {
    for (const text of [
      FILE,
      `${FILE}\n`,
      `${FILE}\r\n`,
      FILE.replaceAll('\n', '\r\n'),
      FILE.toUpperCase().replace(/^.*\n.*\n/, FILE.slice(0, 31)),
    ])
      assert.equal(parseSwarmKey(bytes(text)).type, 'swarm-key', JSON.stringify(text));
  });

  it('rejects everything else with a reason that holds no part of it', () => {
    const cases: readonly [string, RegExp][] = [
      ['', /line 1/],
      [FILE.replace('1.0.0', '2.0.0'), /line 1/],
      [` ${FILE}`, /line 1/],
      [FILE.replace('base16', 'base64'), /line 2/],
      [FILE.slice(0, -1), /line 3/],
      [`${FILE}0`, /line 3/],
      [FILE.replace('aabb', 'ggbb'), /line 3/],
      [`${FILE} `, /line 3/],
      [`${FILE}\n\n`, /3 lines/],
      [`${FILE}\n${HEX}`, /3 lines/],
      [FILE.replace(HEX, '0'.repeat(64)), /random/],
      [FILE.replace(HEX, 'ab'.repeat(32)), /random/],
      [FILE + '\n'.repeat(200), /at most 200/],
    ];
    for (const [text, expected] of cases) {
      const parsed = parseSwarmKey(bytes(text));
      assert.equal(parsed.type, 'rejected', JSON.stringify(text));
      assert.match(parsed.type === 'rejected' ? parsed.reason : '', expected);
      assert.doesNotMatch(parsed.type === 'rejected' ? parsed.reason : '', /aabb|0011/);
    }
    assert.equal(parseSwarmKey(Uint8Array.of(0xff, 0xfe)).type, 'rejected');
  });

  it('never throws on bytes and writes what it reads', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 220 }), (input) => void parseSwarmKey(input)));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (input) => {
        const made = swarmKeyOf(input);
        if (made.type === 'rejected') return;
        const again = parseSwarmKey(bytes(made.key.fileText()));
        assert.ok(again.type === 'swarm-key' && again.key.fingerprint === made.key.fingerprint);
      }),
    );
  });

  it('derives independent names that stay the same for ever', () => {
    const parsed = parseSwarmKey(bytes(FILE));
    assert.ok(parsed.type === 'swarm-key');
    const { key } = parsed;
    // The same derivations by another implementation.
    assert.equal(key.fingerprint, 'b7ef024318b98104');
    assert.equal(key.fingerprint, derive('fingerprint', 8));
    assert.equal(formatFingerprint(key.fingerprint), 'b7ef-0243-18b9-8104');
    assert.equal(key.mdnsServiceTag(), `_skein-${derive('mdns', 8)}._udp.local`);
    assert.equal(key.gossipTopic(), `/skein/gossip/1/${derive('topic', 8)}`);
    assert.equal(Buffer.from(key.memberKey()).toString('hex'), derive('member', 32));
  });

  it('prints as [secret] wherever it ends up', () => {
    const key = new SwarmKey(Buffer.from(HEX, 'hex'));
    for (const text of [String(key), JSON.stringify({ key }), inspect({ key }, { depth: 9, showHidden: true })]) {
      assert.match(text, /\[secret\]/);
      assert.doesNotMatch(text, /0011|4, 85|34, 51/);
    }
  });
});

describe('the swarm key on disk', () => {
  let home: string;
  let configFile: string;

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'skein-key-'));
    configFile = join(home, 'config', 'swarm.key');
  });
  afterEach(async () => rm(home, { recursive: true }));

  const load = async (more: { file?: string; environment?: Record<string, string> } = {}) =>
    loadSwarmKey({
      file: more.file,
      environment: more.environment ?? {},
      configFile,
      secretsDirectory: join(home, 'run'),
    });

  async function keyFile(name: string, mode = 0o600): Promise<string> {
    const path = join(home, name);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, FILE.replace('0011', name.length.toString(16).padStart(4, '0')));
    await chmod(path, mode);
    return path;
  }

  it('is created for this user only, once, and loaded again', async () => {
    assert.deepEqual(await load(), { type: 'missing', path: configFile });
    const created = await createSwarmKey(configFile);
    assert.ok(created.type === 'loaded');
    assert.equal((await stat(configFile)).mode & 0o777, 0o600);
    assert.equal((await stat(join(home, 'config'))).mode & 0o777, 0o700);
    const before = await readFile(configFile, 'utf8');
    const again = await createSwarmKey(configFile);
    assert.equal(await readFile(configFile, 'utf8'), before, 'an existing key is never replaced');
    assert.ok(again.type === 'loaded' && again.key.fingerprint === created.key.fingerprint);
    const loaded = await load();
    assert.ok(loaded.type === 'loaded' && loaded.source === configFile);
  });

  it('comes from the first source that has one', async () => {
    const sources: string[] = [];
    const environment: Record<string, string> = {};
    const note = async (file?: string): Promise<void> => {
      const loaded = await load({ environment, ...(file === undefined ? {} : { file }) });
      sources.unshift(loaded.type === 'loaded' ? loaded.source : loaded.type);
    };
    await createSwarmKey(configFile);
    await note();
    environment['SKEIN_SWARM_KEY'] = FILE;
    await note();
    const secret = await keyFile('run/swarm.key', 0o444);
    await note();
    const credential = await keyFile('credentials/swarm.key', 0o440);
    environment['CREDENTIALS_DIRECTORY'] = join(home, 'credentials');
    await note();
    environment['SKEIN_SWARM_KEY_FILE'] = await keyFile('from-environment');
    await note();
    const flag = await keyFile('from-flag');
    await note(flag);
    assert.deepEqual(sources, [
      flag,
      environment['SKEIN_SWARM_KEY_FILE'],
      credential,
      secret,
      'SKEIN_SWARM_KEY',
      configFile,
    ]);
  });

  it('warns about a key in the environment', async () => {
    const loaded = await load({ environment: { SKEIN_SWARM_KEY: HEX } });
    assert.ok(loaded.type === 'loaded');
    assert.match(loaded.warnings.join(), /readable by other processes/);
  });

  it('is refused with the path and the mend', async () => {
    const wide = await keyFile('wide', 0o640);
    const long = join(home, 'long');
    await writeFile(long, 'x'.repeat(201), { mode: 0o600 });
    const other = join(home, 'other');
    await symlink('/etc/hostname', other);
    const missing = join(home, 'missing');
    const [circle, dangling] = [join(home, 'circle'), join(home, 'dangling')];
    await symlink(circle, circle);
    await symlink(missing, dangling);
    const cases: readonly [string, RegExp][] = [
      [wide, new RegExp(`${wide}: .*run: chmod 600 ${wide}`)],
      [long, /at most 200 bytes, got 201/],
      [home, /it is a directory; move the directory .* away, or choose another path/],
      [circle, /circle; replace the link/],
      [dangling, /leads nowhere; bring back the file/],
      [join(wide, 'below'), /a file is in the way; move the file away/],
      [missing, /no such file/],
      [other, /chmod 600|symbolic link|not a swarm key/],
    ];
    for (const [file, expected] of cases) {
      const loaded = await load({ file });
      assert.equal(loaded.type, 'refused', file);
      assert.match(loaded.type === 'refused' ? loaded.message : '', expected);
    }
  });

  it('is looked for elsewhere when what the machine provides is not there', async () => {
    await writeFile(join(home, 'run'), '');
    assert.deepEqual(await load(), { type: 'missing', path: configFile });
  });

  it('says where it cannot be created, and what is in the way', async () => {
    const file = join(await keyFile('a-file'), 'swarm.key');
    const created = await createSwarmKey(file);
    const message = created.type === 'refused' ? created.message : '';
    assert.ok(
      message.startsWith(`${file}: cannot create the swarm key: a file is in the way; move the file away`),
      message,
    );
    await mkdir(configFile, { recursive: true });
    const blocked = await createSwarmKey(configFile);
    assert.match(blocked.type === 'refused' ? blocked.message : '', /it is a directory; move the directory/);
  });
});
