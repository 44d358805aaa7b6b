import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig, type LoadedConfig, prepareDirectories } from '../../src/node/config.io.ts';

describe('settings on disk', () => {
  let home: string;

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'skein-config-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const load = (
    flags: Record<string, unknown> = {},
    environment: Record<string, string> = {},
  ): ReturnType<typeof loadConfig> =>
    loadConfig({
      flags,
      environment: { SKEIN_HOME: home, ...environment },
      hostName: 'attic.lan',
      homeDirectory: '/home/ada',
    });
  const loaded = (...given: Parameters<typeof load>): LoadedConfig => {
    const config = load(...given);
    assert.ok(config.type === 'loaded', JSON.stringify(config));
    return config;
  };
  const problems = (...given: Parameters<typeof load>): readonly string[] => {
    const config = load(...given);
    assert.ok(config.type === 'unusable');
    assert.equal(config.exitCode, 78);
    return config.problems;
  };
  const write = (text: string, name = 'config.toml'): string => {
    writeFileSync(join(home, name), text);
    return join(home, name);
  };

  it('may be absent: the machine gives its name and the directories', () => {
    const { options, paths, file } = loaded();
    assert.equal(file, undefined);
    assert.equal(options.name, 'attic');
    assert.equal(options.modelsDirectory, join(home, 'models'));
    assert.equal(paths.state, join(home, 'state'));
  });

  it('are read from config.toml, with their place as origin', () => {
    const path = write('name = "loft"\n[api]\nport = 0\n');
    const { options, origins, file } = loaded();
    assert.deepEqual([options.name, options.apiPort, file], ['loft', 0, path]);
    assert.deepEqual(origins.apiPort, { type: 'file', path, field: 'api.port' });
  });

  it('may be in a file that a flag or a variable names', () => {
    const path = write('name = "other"', 'other.toml');
    assert.equal(loaded({ config: path }).options.name, 'other');
    assert.equal(loaded({}, { SKEIN_CONFIG: path }).options.name, 'other');
  });

  it('count paths from where they are written, and know the home directory', () => {
    const path = write('swarm-key-file = "keys/swarm.key"\n[models]\npaths = ["~/models", "/srv/m"]\n');
    const { options } = loaded({ config: path });
    assert.equal(options.swarmKeyFile, join(home, 'keys/swarm.key'));
    assert.deepEqual(options.modelsPaths, ['/home/ada/models', '/srv/m']);
    assert.equal(loaded({ swarmKeyFile: 'k' }).options.swarmKeyFile, join(process.cwd(), 'k'));
  });

  it('that are not TOML are refused with the line and the column', () => {
    const path = write('name = "a"\nport = = 1\n');
    const [message = ''] = problems();
    assert.ok(message.startsWith(`cannot use the config file ${path}: line 2, column `), message);
  });

  it('that were named and are not there are refused, with the mend', () => {
    const [message = ''] = problems({ config: join(home, 'none.toml') });
    assert.match(message, /none\.toml: no such file; create it, or leave out --config/);
  });

  it('that are a directory are refused', () => {
    assert.match(problems({ config: home })[0] ?? '', /it is a directory/);
  });

  it('put directories where only their owner may look', async function () {
    if (process.platform === 'win32') this.skip();
    const { paths } = loaded({ home: join(home, 'a', 'b') });
    assert.deepEqual(await prepareDirectories(paths), []);
    assert.deepEqual(await prepareDirectories(paths), []);
    for (const directory of [paths.config, paths.state, paths.models, paths.cache])
      assert.equal(statSync(directory).mode & 0o777, 0o700, directory);
  });

  it('name the directory that cannot be written to, and what to do', async () => {
    const inTheWay = write('', 'file');
    const { paths } = loaded({ home: join(inTheWay, 'home') });
    const found = await prepareDirectories(paths);
    assert.equal(found.length, 4);
    for (const message of found)
      assert.match(message, /^cannot write to .*file.home.*\(a file is in the way\): .*SKEIN_HOME/);
  });
});
