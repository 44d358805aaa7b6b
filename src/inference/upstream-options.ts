/**
 * What may the owner of a node set about somebody else's server, and how long is it waited for? Only its address is needed;
 * the rest is found out from the server, or has a default that holds for one on the same machine and one behind a tunnel.
 */

import type { Grammars } from './answer-format.ts';

export interface UpstreamTimeouts {
  /** Source: guess: a LAN answers in milliseconds, a busy tunnel in one second. */
  readonly connectMs: number;
  /** Until the first token: a long prompt, or a model that must be loaded first. Source: guess: 40 GB from a disk. */
  readonly firstTokenMs: number;
  /** Silence within an answer. Source: guess: a server that swaps requests out comes back sooner. */
  readonly idleMs: number;
  /** For the list of models. Source: guess: it is asked for while the server is at full load. */
  readonly listMs: number;
  /** Between the engine's own signs of life while there is no token yet. Source: guess: the serving session adds its own. */
  readonly progressMs: number;
  /** Between two looks at the list of models. Source: copied (Open WebUI and llama-swap users expect half a minute). */
  readonly refreshMs: number;
}

export const UPSTREAM_TIMEOUTS: UpstreamTimeouts = {
  connectMs: 2_000,
  firstTokenMs: 120_000,
  idleMs: 20_000,
  listMs: 5_000,
  progressMs: 1_000,
  refreshMs: 30_000,
};

export interface UpstreamOptions {
  /** As it stands in messages: "ollama". */
  readonly name: string;
  /** Up to and without "/models", such as "http://127.0.0.1:11434/v1". */
  readonly baseUrl: string;
  /** The upstream's own key. */
  readonly apiKey?: string;
  /** Requests at once per model; absent = what the server tells, else 4. */
  readonly slots?: number;
  /** Longest prompt + answer; absent = what the server tells. */
  readonly contextTokens?: number;
  /** Only these of its models, by id; absent = all. */
  readonly models?: readonly string[];
  readonly timeouts?: Partial<UpstreamTimeouts>;
  /** What came of the clients' schemas; absent = its own. */
  readonly grammars?: Grammars;
  readonly onModelsChanged?: () => void;
  /** The server cannot be asked for its models, and what to do; or it can be again (undefined). Once for each change. */
  readonly onProblem?: (problem: string | undefined) => void;
}
