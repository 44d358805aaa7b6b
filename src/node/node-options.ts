/**
 * What a node leaves to its owner, after defaults, flags, environment and file were merged (`config.ts`). Only types and the
 * words that a choice has; names, defaults and help of each option are in `config-schema.ts`.
 */
import type { AdmissionMode } from '../discovery/admission-mode.ts';
import type { SandboxMode } from '../inference/llama/sandbox.ts';

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
  readonly announce: readonly string[];
  readonly relay: boolean;
  readonly webrtc: boolean;
  readonly upnp: boolean;
  readonly swarmKeyFile: string | undefined;
  readonly admissionMode: AdmissionMode;
  readonly admissionAllow: readonly string[];
  readonly admissionDeny: readonly string[];
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
  readonly engineKeepMegabytesMax: number;
  readonly engineSandbox: SandboxMode;
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
