/**
 * Every choice that a node leaves to its owner, as one table: name in the TOML file, flag, kind, default, help, and
 * where the default comes from. The command line builds its flags from this table, the merge in `config.ts` reads
 * values through it, and the tests hold the documents against it. What all nodes must share is in `params.ts` instead.
 * An option named `api.port` in the file is `--api-port` as a flag and `SKEIN_API_PORT` in the environment; lists are
 * repeated flags, comma-separated in the environment. Only data here, so that `skein --help` starts without a schema library.
 */
import { ADMISSION_MODES } from '../discovery/admission-mode.ts';
import { SANDBOX_MODES } from '../inference/llama/sandbox.ts';
import { LOG_FORMATS, LOG_LEVELS, type NodeOptions } from './node-options.ts';

/** What one word of a list or a text must look like. */
export type TextForm = 'any' | 'path' | 'name' | 'address' | 'host' | 'origin' | 'key-hash' | 'node';

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
  announce: {
    toml: 'announce',
    flag: '--announce',
    kind: { type: 'list', form: 'address', itemsMax: 8 },
    default: [],
    help: 'multiaddr where nodes outside reach this one, when it cannot find that out; it then relays for members',
    source: 'requirement: a forwarded port is known to nobody but its owner',
  },
  relay: {
    toml: 'relay',
    flag: '--relay',
    kind: SWITCH,
    default: true,
    help: 'relay between members that cannot reach each other, when this node can be reached from outside',
    source: 'requirement: every reachable member helps',
  },
  webrtc: {
    toml: 'webrtc',
    flag: '--webrtc',
    kind: SWITCH,
    default: true,
    help: 'connect directly through home routers (WebRTC); loaded when a relayed path can be replaced',
    source: 'measured: the only way through two endpoint-independent NATs (docs/decisions)',
  },
  upnp: {
    toml: 'upnp',
    flag: '--upnp',
    kind: SWITCH,
    default: true,
    help: 'ask the home router to forward the mesh port (UPnP)',
    source: 'copied: Syncthing asks by default',
  },
  swarmKeyFile: {
    toml: 'swarm-key-file',
    flag: '--swarm-key-file',
    kind: PATH,
    default: undefined,
    help: 'swarm key to use (default: swarm.key in the config directory)',
    source: 'requirement: possession of this key is membership',
  },
  admissionMode: {
    toml: 'admission.mode',
    flag: '--admission-mode',
    kind: { type: 'choice', choices: ADMISSION_MODES },
    default: 'open',
    help: 'who is let in of those that hold the key: all, those on a list, or those with a certificate of the owner',
    source: 'requirement: two machines meet without settings; the owner can ask for more (`skein trust mode`)',
  },
  admissionAllow: {
    toml: 'admission.allow',
    flag: '--admission-allow',
    kind: { type: 'list', form: 'node', itemsMax: 256 },
    default: [],
    help: 'id of a node that is let in where admission is by list, besides those that the owner trusts',
    source: 'requirement: a list without an owner key is possible',
  },
  admissionDeny: {
    toml: 'admission.deny',
    flag: '--admission-deny',
    kind: { type: 'list', form: 'node', itemsMax: 256 },
    default: [],
    help: 'id of a node that this one has nothing to do with, whatever else holds',
    source: 'requirement: a machine can be kept out from here without an owner key',
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
  engineKeepMegabytesMax: {
    toml: 'engine.keep-megabytes-max',
    flag: '--engine-keep-megabytes-max',
    kind: { type: 'integer', min: 0, max: 1_048_576 },
    default: 1_024,
    help: 'memory for conversations that had to leave their slot, of all models, on Linux; 0 = none is kept',
    source: 'guess: a few conversations of a usual model; at most an eighth of what is free at the start',
  },
  engineSandbox: {
    toml: 'engine.sandbox',
    flag: '--sandbox',
    kind: { type: 'choice', choices: SANDBOX_MODES },
    default: 'auto',
    help: 'keep model files away from this machine: as far as possible, or require it, or off',
    source: 'requirement: model files are hostile until shown otherwise',
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

function isOptionKey(key: string): key is OptionKey {
  return Object.hasOwn(OPTIONS, key);
}
