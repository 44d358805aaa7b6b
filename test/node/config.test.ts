import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  type ConfigResult,
  type ConfigSources,
  describeOrigin,
  editDistance,
  isLoopbackHost,
  mergeConfig,
} from '../../src/node/config.ts';
import { OPTION_KEYS, OPTIONS, type OptionSpec } from '../../src/node/config-schema.ts';
import { environmentName, flagAttribute, flagUsage } from '../../src/node/option-names.ts';

const FILE = '/home/ada/.config/skein/config.toml';

function merge(given: {
  flags?: ConfigSources['flags'];
  environment?: ConfigSources['environment'];
  toml?: Record<string, unknown>;
  machine?: ConfigSources['machine'];
}): ConfigResult {
  const { flags = {}, environment = {}, toml, machine = {} } = given;
  return mergeConfig({
    flags,
    environment,
    file: toml === undefined ? undefined : { path: FILE, content: toml },
    machine,
  });
}

function merged(given: Parameters<typeof merge>[0]): Extract<ConfigResult, { type: 'config' }> {
  const result = merge(given);
  assert.ok(result.type === 'config', JSON.stringify(result));
  return result;
}

function messages(given: Parameters<typeof merge>[0]): readonly string[] {
  const result = merge(given);
  assert.ok(result.type === 'invalid', 'expected problems');
  assert.equal(result.exitCode, 78);
  return result.problems.map(({ message }) => message);
}

const KEY_HASH = 'ab'.repeat(32);

describe('the option table', () => {
  it('gives every option a flag, a variable and a file name that follow from each other', () => {
    for (const key of OPTION_KEYS) {
      const spec: OptionSpec = OPTIONS[key];
      assert.match(spec.flag, /^--[a-z]+(?:-[a-z]+)*$/);
      assert.match(environmentName(spec), /^SKEIN_[A-Z_]+$/);
      if (key !== 'home' && key !== 'config') assert.match(spec.toml ?? '', /^[a-z]+(?:[.-][a-z]+)*$/);
    }
    for (const nameOf of [environmentName, flagAttribute, (spec: OptionSpec) => spec.toml ?? spec.flag])
      assert.equal(new Set(OPTION_KEYS.map((key) => nameOf(OPTIONS[key]))).size, OPTION_KEYS.length);
  });

  it('shows flags as help does', () => {
    assert.deepEqual(
      [OPTIONS.apiPort, OPTIONS.mdns, OPTIONS.insecureNoAuth, OPTIONS.logLevel, OPTIONS.bootstrap].map(
        (spec: OptionSpec) => flagUsage(spec),
      ),
      ['--api-port <number>', '--no-mdns', '--insecure-no-auth', '--log-level <choice>', '--bootstrap <address>'],
    );
    assert.equal(flagAttribute(OPTIONS.tokensPerSecondMax), 'tokensPerSecondMax');
    assert.equal(environmentName(OPTIONS.apiKeyHashes), 'SKEIN_API_KEY_HASH');
  });
});

describe('settings', () => {
  it('are usable without any', () => {
    const { config, warnings } = merged({});
    assert.deepEqual(warnings, []);
    for (const key of OPTION_KEYS) assert.deepEqual(config.options[key], OPTIONS[key].default, key);
    assert.deepEqual(new Set(OPTION_KEYS.map((key) => config.origins[key].type)), new Set(['default']));
  });

  it('hold in the order flag, environment, file, machine, default', () => {
    const all = {
      flags: { name: 'flag' },
      environment: { SKEIN_NAME: 'env' },
      toml: { name: 'file' },
      machine: { name: 'host' },
    };
    const { flags, environment, toml, machine } = all;
    for (const { given, value, origin } of [
      { given: all, value: 'flag', origin: 'flag --name' },
      { given: { environment, toml, machine }, value: 'env', origin: 'environment SKEIN_NAME' },
      { given: { toml, machine, environment: { SKEIN_NAME: '' } }, value: 'file', origin: `${FILE} (name)` },
      { given: { machine }, value: 'host', origin: 'default' },
      { given: {}, value: 'skein', origin: 'default' },
      { given: { flags, toml }, value: 'flag', origin: 'flag --name' },
    ]) {
      const { config } = merged(given);
      assert.equal(config.options.name, value);
      assert.equal(describeOrigin(config.origins.name), origin);
    }
  });

  it('are read from texts: numbers, switches, lists, upstreams', () => {
    const { options } = merged({
      flags: {
        apiPort: '0',
        mdns: false,
        listen: ['/ip4/127.0.0.1/tcp/0', '/ip6/::1/tcp/0'],
        upstream: ['ollama=http://127.0.0.1:11434/v1'],
      },
      environment: {
        SKEIN_DEFAULT_MODEL: 'no',
        SKEIN_BOOTSTRAP: '/ip4/10.0.0.1/tcp/4100, /dns4/gpu.lan/tcp/4100',
        SKEIN_DRAIN_TIMEOUT_MS: ' 5000 ',
      },
    }).config;
    assert.equal(options.apiPort, 0);
    assert.equal(options.mdns, false);
    assert.deepEqual(options.listen, ['/ip4/127.0.0.1/tcp/0', '/ip6/::1/tcp/0']);
    assert.deepEqual(options.upstreams, [{ name: 'ollama', url: 'http://127.0.0.1:11434/v1', slots: 4 }]);
    assert.equal(options.defaultModel, false);
    assert.deepEqual(options.bootstrap, ['/ip4/10.0.0.1/tcp/4100', '/dns4/gpu.lan/tcp/4100']);
    assert.equal(options.drainTimeoutMs, 5_000);
  });

  it('name upstreams that come without a name by their place', () => {
    const { options } = merged({ environment: { SKEIN_UPSTREAM: 'http://a:1/v1,http://b:2/v1' } }).config;
    assert.deepEqual(
      options.upstreams.map(({ name }) => name),
      ['upstream', 'upstream-2'],
    );
  });

  it('are read from the tables of a file', () => {
    const { options } = merged({
      toml: {
        api: { host: '0.0.0.0', 'key-hashes': [KEY_HASH] },
        engine: { slots: 2, 'context-tokens-max': 4096 },
        models: { default: false, paths: ['/srv/models'] },
        upstreams: [
          {
            name: 'vllm',
            url: 'https://gpu.lan/v1',
            'api-key-env': 'VLLM_KEY',
            'context-tokens': 32768,
            models: ['qwen'],
          },
        ],
      },
    }).config;
    assert.equal(options.apiHost, '0.0.0.0');
    assert.equal(options.engineSlots, 2);
    assert.equal(options.engineContextTokensMax, 4_096);
    assert.deepEqual([options.defaultModel, options.modelsPaths], [false, ['/srv/models']]);
    assert.deepEqual(options.upstreams, [
      {
        name: 'vllm',
        url: 'https://gpu.lan/v1',
        apiKeyEnv: 'VLLM_KEY',
        slots: 4,
        contextTokens: 32_768,
        models: ['qwen'],
      },
    ]);
  });

  const boundaries: readonly { readonly flags: Record<string, unknown>; readonly fits: boolean }[] = [
    { flags: { apiPort: '65535' }, fits: true },
    { flags: { apiPort: '65536' }, fits: false },
    { flags: { apiPort: '-1' }, fits: false },
    { flags: { apiPort: '80.5' }, fits: false },
    { flags: { apiPort: '0x50' }, fits: false },
    { flags: { engineSlots: '1' }, fits: true },
    { flags: { engineSlots: '0' }, fits: false },
    { flags: { name: 'a'.repeat(64) }, fits: true },
    { flags: { name: 'a'.repeat(65) }, fits: false },
    { flags: { name: 'a\u001b[2Jb' }, fits: false },
    { flags: { logLevel: 'debug' }, fits: true },
    { flags: { logLevel: 'loud' }, fits: false },
    { flags: { listen: ['/ip4/0.0.0.0/tcp/4100'] }, fits: true },
    { flags: { listen: ['0.0.0.0:4100'] }, fits: false },
    { flags: { apiKeyHash: [KEY_HASH] }, fits: true },
    { flags: { apiKeyHash: ['sk-a-real-key'] }, fits: false },
    { flags: { apiAllowedOrigin: ['https://chat.example'] }, fits: true },
    { flags: { apiAllowedOrigin: ['https://chat.example/'] }, fits: false },
    { flags: { upstream: ['http://127.0.0.1:8000/v1'] }, fits: true },
    { flags: { upstream: ['ftp://127.0.0.1/v1'] }, fits: false },
    { flags: { upstream: ['http://127.0.0.1:8000/v1?key=x'] }, fits: false },
    { flags: { upstream: ['http://me:secret@127.0.0.1:8000/v1'] }, fits: false },
    { flags: { upstream: ['not a url'] }, fits: false },
  ];
  for (const { flags, fits } of boundaries)
    it(`${fits ? 'take' : 'refuse'} ${JSON.stringify(flags).slice(0, 70)}`, () => {
      assert.equal(merge({ flags }).type, fits ? 'config' : 'invalid');
    });

  it('that are wrong say which, what was expected, what was found and where', () => {
    for (const { given, message } of [
      {
        given: { flags: { apiPort: 'http' } },
        message: '--api-port: expected a whole number from 0 to 65535, got "http"',
      },
      {
        given: { environment: { SKEIN_MDNS: 'maybe' } },
        message: 'SKEIN_MDNS: expected true or false, got "maybe"',
      },
      {
        given: { toml: { api: { port: '4190' } } },
        message: `api.port in ${FILE}: expected a whole number from 0 to 65535, got "4190"`,
      },
      {
        given: { toml: { listen: ['/ip4/0.0.0.0/tcp/1', 'nowhere'] } },
        message: `listen in ${FILE}: expected each entry to be a multiaddr such as /ip4/192.168.1.20/tcp/4100, got "nowhere" as entry 2`,
      },
      {
        given: { toml: { upstreams: [{ name: 'a', url: 'http://a/v1', slot: 2 }] } },
        message: `upstreams in ${FILE}: entry 1 has the unknown field slot: expected name, url, api-key-file, api-key-env, slots, context-tokens, models`,
      },
    ])
      assert.deepEqual(messages(given), [message]);
    const [upstream = ''] = messages({ toml: { upstreams: [{ name: 'a', url: 'http://a/v1', 'context-tokens': 0 }] } });
    assert.match(upstream, /upstreams in .*: entry 1, field context-tokens: .*, got 0$/);
  });

  it('are all checked before anything is said', () => {
    assert.equal(
      messages({ flags: { apiPort: 'x' }, environment: { SKEIN_MDNS: 'x' }, toml: { engine: { slots: 0 }, oops: 1 } })
        .length,
      4,
    );
  });

  it('with an unknown name are refused, with the nearest one that exists', () => {
    for (const { given, message } of [
      { given: { toml: { api: { prot: 1 } } }, message: /^unknown setting api\.prot in .*: did you mean api\.port\?$/ },
      { given: { toml: { port: 1 } }, message: /did you mean api\.port\?$/ },
      { given: { toml: { swarm_key_file: 'x' } }, message: /did you mean swarm-key-file\?$/ },
      { given: { toml: { weather: { today: 'fine' } } }, message: /^unknown setting weather\.today in .*config print/ },
      { given: { environment: { SKEIN_API_PROT: '1' } }, message: /SKEIN_API_PROT: did you mean SKEIN_API_PORT\?$/ },
    ]) {
      const [only = '', ...others] = messages(given);
      assert.deepEqual(others, []);
      assert.match(only, message);
    }
  });

  it('leave variables of others alone, and mention those that only look like ours', () => {
    const { warnings } = merged({
      environment: { PATH: '/bin', SKEIN_SWARM_KEY: 'x', SKEIN_SOMETHING_ELSE_ENTIRELY: '1' },
    });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /SKEIN_SOMETHING_ELSE_ENTIRELY/);
  });

  it('open the API to other machines only with a key, or by a long name', () => {
    for (const { flags, opens } of [
      { flags: { apiHost: '127.0.0.1' }, opens: true },
      { flags: { apiHost: '::1' }, opens: true },
      { flags: { apiHost: '0.0.0.0' }, opens: false },
      { flags: { apiHost: '::' }, opens: false },
      { flags: { apiHost: '0.0.0.0', apiKeyHash: [KEY_HASH] }, opens: true },
      { flags: { apiHost: '0.0.0.0', insecureNoAuth: true }, opens: true },
    ])
      assert.equal(merge({ flags }).type, opens ? 'config' : 'invalid', JSON.stringify(flags));
    assert.match(
      messages({ flags: { apiHost: '192.168.1.5' } })[0] ?? '',
      /^--api-host: expected a key .*--insecure-no-auth/,
    );
  });

  it('tell loopback from what only looks like it', () => {
    for (const { host, expected } of [
      { host: '127.0.0.1', expected: true },
      { host: '127.255.0.3', expected: true },
      { host: 'localhost', expected: true },
      { host: '127.0.0.1.example.org', expected: false },
      { host: '128.0.0.1', expected: false },
      { host: '0.0.0.0', expected: false },
    ])
      assert.equal(isLoopbackHost(host), expected, host);
  });

  it('are merged or refused, whatever a file holds, and never with an exception', () => {
    const toml = fc.dictionary(
      fc.oneof(
        fc.string(),
        fc.constantFrom('api', 'name', 'listen', 'upstreams', 'engine', 'log', '__proto__', 'constructor'),
      ),
      fc.object({ maxDepth: 3 }),
    );
    fc.assert(fc.property(toml, (content) => ['config', 'invalid'].includes(merge({ toml: content }).type)));
  });

  it('keep what each source says, for any combination of sources', () => {
    const port = fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined });
    fc.assert(
      fc.property(port, port, port, (flag, variable, file) => {
        const { options } = merged({
          flags: flag === undefined ? {} : { apiPort: String(flag) },
          environment: variable === undefined ? {} : { SKEIN_API_PORT: String(variable) },
          toml: file === undefined ? {} : { api: { port: file } },
        }).config;
        assert.equal(options.apiPort, flag ?? variable ?? file ?? OPTIONS.apiPort.default);
      }),
    );
  });
});

describe('the distance between two names', () => {
  it('counts letters to change, add and remove', () => {
    for (const { left, right, steps } of [
      { left: '', right: '', steps: 0 },
      { left: 'port', right: 'port', steps: 0 },
      { left: 'port', right: 'prt', steps: 1 },
      { left: 'port', right: 'ports', steps: 1 },
      { left: 'port', right: 'prot', steps: 2 },
      { left: 'key_file', right: 'key-file', steps: 0 },
      { left: '', right: 'abc', steps: 3 },
    ])
      assert.equal(editDistance(left, right), steps, `${left} ${right}`);
  });
});
