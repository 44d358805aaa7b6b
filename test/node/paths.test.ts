import assert from 'node:assert/strict';
import { resolvePaths } from '../../src/node/paths.ts';

const HOME = '/home/ada';

describe('paths of a node', () => {
  const rows = [
    {
      what: 'follow XDG defaults on Linux',
      input: { platform: 'linux', homeDirectory: HOME, environment: {} },
      config: '/home/ada/.config/skein',
      state: '/home/ada/.local/state/skein',
      models: '/home/ada/.local/share/skein/models',
      cache: '/home/ada/.cache/skein',
    },
    {
      what: 'follow XDG variables',
      input: {
        platform: 'linux',
        homeDirectory: HOME,
        environment: { XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: '/s/', XDG_DATA_HOME: '/d', XDG_CACHE_HOME: '/k' },
      },
      config: '/c/skein',
      state: '/s/skein',
      models: '/d/skein/models',
      cache: '/k/skein',
    },
    {
      what: 'ignore relative and empty XDG variables, as the specification demands',
      input: { platform: 'linux', homeDirectory: HOME, environment: { XDG_CONFIG_HOME: 'here', XDG_STATE_HOME: '' } },
      config: '/home/ada/.config/skein',
      state: '/home/ada/.local/state/skein',
      models: '/home/ada/.local/share/skein/models',
      cache: '/home/ada/.cache/skein',
    },
    {
      what: 'follow the Library on macOS',
      input: { platform: 'darwin', homeDirectory: '/Users/ada', environment: {} },
      config: '/Users/ada/Library/Application Support/skein',
      state: '/Users/ada/Library/Application Support/skein/state',
      models: '/Users/ada/Library/Application Support/skein/models',
      cache: '/Users/ada/Library/Caches/skein',
    },
    {
      what: 'follow XDG on macOS where it is set',
      input: { platform: 'darwin', homeDirectory: '/Users/ada', environment: { XDG_CONFIG_HOME: '/c' } },
      config: '/c/skein',
      state: '/Users/ada/Library/Application Support/skein/state',
      models: '/Users/ada/Library/Application Support/skein/models',
      cache: '/Users/ada/Library/Caches/skein',
    },
    {
      what: 'follow AppData on Windows',
      input: {
        platform: 'win32',
        homeDirectory: 'C:\\Users\\ada',
        environment: { APPDATA: 'C:\\Users\\ada\\AppData\\Roaming', LOCALAPPDATA: 'D:\\Local\\' },
      },
      config: 'C:\\Users\\ada\\AppData\\Roaming\\skein',
      state: 'D:\\Local\\skein\\state',
      models: 'D:\\Local\\skein\\models',
      cache: 'D:\\Local\\skein\\cache',
    },
    {
      what: 'are all under SKEIN_HOME',
      input: {
        platform: 'linux',
        homeDirectory: HOME,
        environment: { SKEIN_HOME: '/srv/skein/', XDG_CONFIG_HOME: '/c' },
      },
      config: '/srv/skein/',
      state: '/srv/skein/state',
      models: '/srv/skein/models',
      cache: '/srv/skein/cache',
    },
    {
      what: 'are all under --home before SKEIN_HOME, even without a home directory',
      input: { platform: 'linux', homeDirectory: '', environment: { SKEIN_HOME: '/srv/skein' }, home: '/mnt/a' },
      config: '/mnt/a',
      state: '/mnt/a/state',
      models: '/mnt/a/models',
      cache: '/mnt/a/cache',
    },
  ] as const;
  for (const { what, input, ...expected } of rows) {
    it(what, () => {
      const result = resolvePaths(input);
      assert.ok(result.type === 'paths');
      const { configFile, ...directories } = result.paths;
      assert.deepEqual(directories, expected);
      assert.match(configFile, /[\\/]config\.toml$/);
    });
  }

  it('cannot be guessed without a home directory, and the message says what to set', () => {
    const result = resolvePaths({ platform: 'linux', homeDirectory: '', environment: {} });
    assert.ok(result.type === 'no-home');
    assert.match(result.message, /SKEIN_HOME/);
  });
});
