/**
 * Every choice that a node leaves to its owner, as one table: name in the TOML file, flag, kind, default, help, and
 * where the default comes from. The command line builds its flags from this table, the merge in `config.ts` reads
 * values through it, and the tests hold the documents against it. What all nodes must share is in `params.ts` instead.
 * An option named `api.port` in the file is `--api-port` as a flag and `SKEIN_API_PORT` in the environment; lists are
 * repeated flags, comma-separated in the environment. Only data here, so that `skein --help` starts without a schema library.
 */

/** An OpenAI-compatible server that this node offers to the mesh. */
export interface UpstreamOptions {
  /** How errors and the model list call it. */
  readonly name: string;
  /** Base URL up to and including the version ("http://127.0.0.1:11434/v1"). */
  readonly url: string;
  /** Where its key is read from; a key itself never stands in a config file that people share. */
  readonly apiKeyFile?: string | undefined;
  readonly apiKeyEnv?: string | undefined;
  /** Requests it serves at once. */
  readonly slots: number;
  /** Prompt + answer, where the upstream does not say. */
  readonly contextTokens?: number | undefined;
  /** Only these of its models; absent = all. */
  readonly models?: readonly string[] | undefined;
}

/** All options of a node, after defaults. `undefined` = not set, the reader has its own answer. */
export interface NodeOptions {
  readonly home: string | undefined;
  readonly config: string | undefined;
  readonly name: string;
  readonly listen: readonly string[];
  readonly bootstrap: readonly string[];
  readonly mdns: boolean;
  readonly swarmKeyFile: string | undefined;
  readonly apiHost: string;
  readonly apiPort: number;
  readonly apiKeyHashes: readonly string[];
  readonly apiAllowedHosts: readonly string[];
  readonly apiAllowedOrigins: readonly string[];
  readonly insecureNoAuth: boolean;
  readonly modelsDirectory: string | undefined;
  readonly modelsPaths: readonly string[];
  readonly defaultModel: boolean;
  readonly engineThreads: number;
  readonly engineSlots: number;
  readonly engineContextTokensMax: number;
  readonly tokensPerSecondMax: number;
  readonly upstreams: readonly UpstreamOptions[];
  readonly drainTimeoutMs: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ['auto', 'human', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What one word of a list or a text must look like. */
export type TextForm = 'any' | 'path' | 'name' | 'address' | 'host' | 'origin' | 'key-hash';

export type OptionKind =
  | { readonly type: 'text'; readonly form: TextForm }
  | { readonly type: 'list'; readonly form: TextForm; readonly itemsMax: number }
  | { readonly type: 'integer'; readonly min: number; readonly max: number }
  | { readonly type: 'boolean' }
  | { readonly type: 'choice'; readonly choices: readonly string[] }
  | { readonly type: 'upstreams'; readonly itemsMax: number };

export interface OptionSpec<Value = unknown> {
  /** Dotted name in the TOML file; absent for what decides where that file is. */
  readonly toml?: string;
  /** The flag without its value: `--api-port`; for a boolean that is on by default also `--no-...` exists. */
  readonly flag: string;
  readonly kind: OptionKind;
  readonly default: Value;
  readonly help: string;
  /** Where the default comes from: paper, spec, measured, copied, guess or requirement, and why. */
  readonly source: string;
}

const SWITCH = { type: 'boolean' } as const;
const PATH = { type: 'text', form: 'path' } as const;

/** One entry for each option; the type proves that none is missing and that each default fits. */
export const OPTIONS: { readonly [Key in keyof NodeOptions]: OptionSpec<NodeOptions[Key]> } = {
  home: {
    flag: '--home',
    kind: PATH,
    default: undefined,
    help: 'keep config, keys, models and cache of this node under one directory',
    source: 'spec: the XDG base directories, unless one directory is asked for',
  },
  config: {
    flag: '--config',
    kind: PATH,
    default: undefined,
    help: 'read this TOML file instead of config.toml in the config directory',
    source: 'spec: the XDG config directory',
  },
  name: {
    toml: 'name',
    flag: '--name',
    kind: { type: 'text', form: 'name' },
    default: 'skein',
    help: 'what people call this machine (default: its host name)',
    source: 'copied: Syncthing and Tailscale name a machine by its host name',
  },
  listen: {
    toml: 'listen',
    flag: '--listen',
    kind: { type: 'list', form: 'address', itemsMax: 8 },
    default: ['/ip4/0.0.0.0/tcp/4100'],
    help: 'multiaddr where other nodes reach this one; the default gives way to any free port when 4100 is taken',
    source: 'guess: a fixed port makes firewalls and bootstrap lists simple; 4100 is rarely taken',
  },
  bootstrap: {
    toml: 'bootstrap',
    flag: '--bootstrap',
    kind: { type: 'list', form: 'address', itemsMax: 64 },
    default: [],
    help: 'multiaddr of a node to start from, when mDNS cannot find one',
    source: 'requirement: no node of ours exists that everybody could start from',
  },
  mdns: {
    toml: 'mdns',
    flag: '--mdns',
    kind: SWITCH,
    default: true,
    help: 'find the nodes of this swarm on the local network',
    source: 'requirement: two machines on one network meet without settings',
  },
  swarmKeyFile: {
    toml: 'swarm-key-file',
    flag: '--swarm-key-file',
    kind: PATH,
    default: undefined,
    help: 'swarm key to use (default: swarm.key in the config directory)',
    source: 'requirement: possession of this key is membership',
  },
  apiHost: {
    toml: 'api.host',
    flag: '--api-host',
    kind: { type: 'text', form: 'host' },
    default: '127.0.0.1',
    help: 'address of the HTTP API; anything but loopback needs a key',
    source: 'requirement: nothing outside this machine is served unless asked for',
  },
  apiPort: {
    toml: 'api.port',
    flag: '--api-port',
    kind: { type: 'integer', min: 0, max: 65_535 },
    default: 4101,
    help: 'port of the HTTP API, 0 = any free one',
    source:
      'guess: next to the mesh port, rarely taken, and none of the ports that the Fetch standard blocks (4190 is one)',
  },
  apiKeyHashes: {
    toml: 'api.key-hashes',
    flag: '--api-key-hash',
    kind: { type: 'list', form: 'key-hash', itemsMax: 256 },
    default: [],
    help: 'SHA-256 of an API key that is let in, as 64 hex digits',
    source: 'requirement: loopback needs no key, everything else does',
  },
  apiAllowedHosts: {
    toml: 'api.allowed-hosts',
    flag: '--api-allowed-host',
    kind: { type: 'list', form: 'host', itemsMax: 64 },
    default: [],
    help: 'host name under which clients may call the API, besides IP addresses and localhost',
    source: 'requirement: DNS rebinding is refused unless the name is listed',
  },
  apiAllowedOrigins: {
    toml: 'api.allowed-origins',
    flag: '--api-allowed-origin',
    kind: { type: 'list', form: 'origin', itemsMax: 64 },
    default: [],
    help: 'web origin that may call the API from a browser',
    source: 'requirement: pages of others get nothing',
  },
  insecureNoAuth: {
    toml: 'api.insecure-no-auth',
    flag: '--insecure-no-auth',
    kind: SWITCH,
    default: false,
    help: 'serve a non-loopback address without keys: everyone who reaches it uses your machines',
    source: 'requirement: open by mistake must be impossible',
  },
  modelsDirectory: {
    toml: 'models.directory',
    flag: '--models-directory',
    kind: PATH,
    default: undefined,
    help: 'where this node keeps model files of its own',
    source: 'spec: the XDG data directory',
  },
  modelsPaths: {
    toml: 'models.paths',
    flag: '--models-path',
    kind: { type: 'list', form: 'path', itemsMax: 64 },
    default: [],
    help: 'GGUF file or directory to offer as well; read only',
    source: 'requirement: nothing is shared unless the owner names it',
  },
  defaultModel: {
    toml: 'models.default',
    flag: '--default-model',
    kind: SWITCH,
    default: true,
    help: 'offer the small built-in model that tells what skein is',
    source: 'requirement: a fresh machine answers its first question without a download',
  },
  engineThreads: {
    toml: 'engine.threads',
    flag: '--engine-threads',
    kind: { type: 'integer', min: 0, max: 1_024 },
    default: 0,
    help: 'CPU threads of one model, 0 = as the engine finds best',
    source: 'copied: node-llama-cpp, which counts the cores that are worth using',
  },
  engineSlots: {
    toml: 'engine.slots',
    flag: '--engine-slots',
    kind: { type: 'integer', min: 1, max: 64 },
    default: 4,
    help: 'requests that one model serves at once; each has a context of its own',
    source: 'copied: the parallel default of Ollama',
  },
  engineContextTokensMax: {
    toml: 'engine.context-tokens-max',
    flag: '--engine-context-tokens-max',
    kind: { type: 'integer', min: 256, max: 1_048_576 },
    default: 8_192,
    help: 'longest prompt + answer of one request, where the model could do more',
    source: 'guess: fits most chats and keeps the memory of four slots small',
  },
  tokensPerSecondMax: {
    toml: 'tokens-per-second-max',
    flag: '--tokens-per-second-max',
    kind: { type: 'integer', min: 0, max: 1_000_000 },
    default: 0,
    help: 'slow each answer down to this, 0 = as fast as the engine; for demonstrations and tests',
    source: 'requirement: off unless asked for',
  },
  upstreams: {
    toml: 'upstreams',
    flag: '--upstream',
    kind: { type: 'upstreams', itemsMax: 16 },
    default: [],
    help: 'OpenAI-compatible server to offer, as URL or name=URL; [[upstreams]] in the file says more',
    source: 'requirement: nothing is shared unless the owner names it',
  },
  drainTimeoutMs: {
    toml: 'drain-timeout-ms',
    flag: '--drain-timeout-ms',
    kind: { type: 'integer', min: 0, max: 3_600_000 },
    default: 30_000,
    help: 'how long running answers may take to finish after Ctrl-C',
    source: 'copied: the termination grace of Kubernetes',
  },
  logLevel: {
    toml: 'log.level',
    flag: '--log-level',
    kind: { type: 'choice', choices: LOG_LEVELS },
    default: 'info',
    help: 'least severe message to print',
    source: 'copied: pino',
  },
  logFormat: {
    toml: 'log.format',
    flag: '--log-format',
    kind: { type: 'choice', choices: LOG_FORMATS },
    default: 'auto',
    help: 'auto = human on a terminal, JSON lines elsewhere',
    source: 'guess: people read terminals, programs read files',
  },
};

/** Slots of an upstream named by URL only. Source: copied: the parallel default of Ollama. */
export const UPSTREAM_SLOTS_DEFAULT = 4;

export type OptionKey = keyof NodeOptions;

/** The options in table order. */
export const OPTION_KEYS: readonly OptionKey[] = Object.keys(OPTIONS).filter(isOptionKey);

/** The attribute under which a flag's value arrives from a parser that camel-cases: `--api-port` -> `apiPort`. */
export function flagAttribute(spec: OptionSpec): string {
  return spec.flag.slice(2).replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The environment variable of an option: `--api-port` -> `SKEIN_API_PORT`. */
export function environmentName(spec: OptionSpec): string {
  return `SKEIN_${spec.flag.slice(2).toUpperCase().replaceAll('-', '_')}`;
}

/** How help shows the flag: `--api-port <number>`, `--no-mdns`. */
export function flagUsage(spec: OptionSpec): string {
  if (spec.kind.type === 'boolean') return spec.default === true ? spec.flag.replace('--', '--no-') : spec.flag;
  return `${spec.flag} <${placeholder(spec.kind)}>`;
}

function placeholder(kind: OptionKind): string {
  if (kind.type === 'text' || kind.type === 'list') return kind.form === 'any' ? 'text' : kind.form;
  if (kind.type === 'integer') return 'number';
  return kind.type === 'upstreams' ? 'url' : kind.type;
}

function isOptionKey(key: string): key is OptionKey {
  return Object.hasOwn(OPTIONS, key);
}
