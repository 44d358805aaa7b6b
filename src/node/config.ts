/**
 * Which settings hold, and who said so? Merges flags > `SKEIN_*` environment > TOML file > defaults, checks every value,
 * and keeps the origin of each. All problems are reported at once, each with the field, what was expected, what was
 * found and where it stands, because a person mends a file once and not word by word. An unknown name is an error with
 * the nearest known one. Limits: the merge is per option; a list from a flag replaces the list of the file.
 */
import { unreachable } from '../assert.ts';
import { checkValue, isNodeOptions } from './config-check.ts';
import {
  OPTION_KEYS,
  OPTIONS,
  type OptionKey,
  type OptionKind,
  type OptionSpec,
  UPSTREAM_SLOTS_DEFAULT,
} from './config-schema.ts';
import type { NodeOptions } from './node-options.ts';
import { environmentName, flagAttribute } from './option-names.ts';

/** The exit code of a node that cannot use its settings. Source: spec: EX_CONFIG of sysexits.h. */
export const EXIT_CONFIG = 78;

export type Origin =
  | { readonly type: 'flag'; readonly flag: string }
  | { readonly type: 'environment'; readonly variable: string }
  | { readonly type: 'file'; readonly path: string; readonly field: string }
  | { readonly type: 'default' };

export interface Config {
  readonly options: NodeOptions;
  readonly origins: Readonly<Record<OptionKey, Origin>>;
}

export interface ConfigProblem {
  /** The option as its source names it: `--api-port`, `SKEIN_API_PORT`, `api.port`. */
  readonly field: string;
  readonly origin: Origin;
  /** One sentence: what, where, expected, got, and what to do. */
  readonly message: string;
}

export type ConfigResult =
  | { readonly type: 'config'; readonly config: Config; readonly warnings: readonly string[] }
  | { readonly type: 'invalid'; readonly exitCode: typeof EXIT_CONFIG; readonly problems: readonly ConfigProblem[] };

export interface ConfigSources {
  /** As the flag parser gives them: by attribute (`apiPort`), texts, booleans or lists of texts. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: { readonly path: string; readonly content: Readonly<Record<string, unknown>> } | undefined;
  /** Defaults that only the machine knows: its name, its directories. */
  readonly machine: Partial<NodeOptions>;
  /** There are keys beside those of the settings: `skein keys create` made them. */
  readonly hasApiKeys?: boolean;
}

interface Found {
  readonly value: unknown;
  readonly origin: Origin;
}

/** Variables of ours that are no options: the swarm key itself is read by discovery. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set(['SKEIN_SWARM_KEY']);

/** Steps between two names that still look like a slip. Source: copied: git's help.autocorrect is about as wide. */
const SLIP_MAX = 3;

export function mergeConfig(sources: ConfigSources): ConfigResult {
  const fields = sources.file === undefined ? new Map<string, unknown>() : flatten(sources.file.content);
  const { warnings, problems } = findUnknown(sources, fields);
  const values: Partial<Record<OptionKey, unknown>> = {};
  const origins: Partial<Record<OptionKey, Origin>> = {};
  for (const key of OPTION_KEYS) {
    const { value, origin } = findValue(key, sources, fields);
    const checked = checkValue(OPTIONS[key], value);
    if (checked.type === 'wrong') problems.push(problem(origin, OPTIONS[key], checked.message));
    else values[key] = checked.value;
    origins[key] = origin;
  }
  if (problems.length === 0 && isNodeOptions(values) && hasOrigins(origins)) {
    const exposed = sources.hasApiKeys === true ? undefined : findExposed(values, origins);
    if (exposed === undefined) return { type: 'config', config: { options: values, origins }, warnings };
    problems.push(exposed);
  }
  return { type: 'invalid', exitCode: EXIT_CONFIG, problems };
}

/** "flag --api-port", "/home/a/.config/skein/config.toml (api.port)": for messages and `config print --origin`. */
export function describeOrigin(origin: Origin): string {
  switch (origin.type) {
    case 'flag':
      return `flag ${origin.flag}`;
    case 'environment':
      return `environment ${origin.variable}`;
    case 'file':
      return `${origin.path} (${origin.field})`;
    case 'default':
      return 'default';
    default:
      return unreachable(origin);
  }
}

/** True where the API can be reached from this machine only. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** 1. flag, 2. environment (empty = not set), 3. file, 4. what the machine says, 5. the table's default. */
function findValue(key: OptionKey, sources: ConfigSources, fields: ReadonlyMap<string, unknown>): Found {
  const spec: OptionSpec = OPTIONS[key];
  // 1.
  const flagged = sources.flags[flagAttribute(spec)];
  if (flagged !== undefined) return { value: fromText(spec.kind, flagged), origin: { type: 'flag', flag: spec.flag } };
  // 2.
  const variable = environmentName(spec);
  const exported = sources.environment[variable];
  if (exported !== undefined && exported !== '')
    return { value: fromText(spec.kind, exported), origin: { type: 'environment', variable } };
  // 3.
  const { toml } = spec;
  if (sources.file !== undefined && toml !== undefined && fields.has(toml))
    return { value: fields.get(toml), origin: { type: 'file', path: sources.file.path, field: toml } };
  // 4. and 5.
  return { value: sources.machine[key] ?? spec.default, origin: { type: 'default' } };
}

/** Flags and variables are texts: turns them into what a file would hold. What does not fit is left for the check. */
function fromText(kind: OptionKind, given: unknown): unknown {
  switch (kind.type) {
    case 'integer':
      return typeof given === 'string' && /^-?\d{1,15}$/.test(given.trim()) ? Number(given) : given;
    case 'boolean':
      return typeof given === 'string' ? (BOOLEAN_WORDS.get(given.trim().toLowerCase()) ?? given) : given;
    case 'list':
      return toList(given);
    case 'upstreams':
      return toList(given).map((item, index) => (typeof item === 'string' ? upstreamFromText(item, index) : item));
    case 'text':
    case 'choice':
      return given;
    default:
      return unreachable(kind);
  }
}

const BOOLEAN_WORDS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['yes', true],
  ['on', true],
  ['false', false],
  ['0', false],
  ['no', false],
  ['off', false],
]);

function toList(given: unknown): readonly unknown[] {
  const items: readonly unknown[] = Array.isArray(given) ? given : [given];
  return items
    .flatMap((item) => (typeof item === 'string' ? item.split(',').map((part) => part.trim()) : [item]))
    .filter((item) => item !== '');
}

/** "name=URL" or "URL"; without a name it is called after its place in the list. */
function upstreamFromText(text: string, index: number): unknown {
  const named = /^(?<name>[A-Za-z0-9._-]{1,64})=(?<url>.+)$/.exec(text)?.groups;
  const name = named?.['name'] ?? (index === 0 ? 'upstream' : `upstream-${index + 1}`);
  return { name, url: named?.['url'] ?? text, slots: UPSTREAM_SLOTS_DEFAULT };
}

// What is refused beyond single values.

function findUnknown(
  sources: ConfigSources,
  fields: ReadonlyMap<string, unknown>,
): { warnings: string[]; problems: ConfigProblem[] } {
  const specs: readonly OptionSpec[] = Object.values(OPTIONS);
  const problems: ConfigProblem[] = [];
  const warnings: string[] = [];
  const knownFields = specs.flatMap((spec) => spec.toml ?? []);
  for (const field of fields.keys()) {
    if (sources.file === undefined || knownFields.includes(field)) continue;
    const origin: Origin = { type: 'file', path: sources.file.path, field };
    const message = `unknown setting ${field} in ${sources.file.path}${suggestion(field, knownFields)}`;
    problems.push({ field, origin, message });
  }
  const knownVariables = specs.map(environmentName);
  for (const variable of Object.keys(sources.environment).toSorted()) {
    if (!variable.startsWith('SKEIN_') || OTHER_VARIABLES.has(variable) || knownVariables.includes(variable)) continue;
    const near = nearest(variable, knownVariables);
    // A variable that is near to none of ours may belong to a script around us: said, not refused.
    if (near === undefined) warnings.push(`environment variable ${variable} is not known and has no effect`);
    else {
      const origin: Origin = { type: 'environment', variable };
      problems.push({
        field: variable,
        origin,
        message: `unknown environment variable ${variable}: did you mean ${near}?`,
      });
    }
  }
  return { warnings, problems };
}

/** A non-loopback API that lets everybody in must be asked for by its long name. */
function findExposed(options: NodeOptions, origins: Config['origins']): ConfigProblem | undefined {
  if (isLoopbackHost(options.apiHost) || options.insecureNoAuth || options.apiKeyHashes.length > 0) return undefined;
  const message =
    `expected a key for an API that other machines can reach, got none: make one with \`skein keys create <name>\`, ` +
    `or use --insecure-no-auth if everyone who reaches ${options.apiHost} may use it`;
  return problem(origins.apiHost, OPTIONS.apiHost, message);
}

function problem(origin: Origin, spec: OptionSpec, detail: string): ConfigProblem {
  const field = fieldOf(origin, spec);
  const where =
    origin.type === 'file' ? `${field} in ${origin.path}` : origin.type === 'default' ? `${field} (default)` : field;
  return { field, origin, message: `${where}: ${detail}` };
}

function fieldOf(origin: Origin, spec: OptionSpec): string {
  switch (origin.type) {
    case 'flag':
      return origin.flag;
    case 'environment':
      return origin.variable;
    case 'file':
      return origin.field;
    case 'default':
      return spec.toml ?? spec.flag;
    default:
      return unreachable(origin);
  }
}

function suggestion(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near === undefined ? ': see `skein config print` for those that exist' : `: did you mean ${near}?`;
}

function nearest(name: string, known: readonly string[]): string | undefined {
  // One word of a dotted name counts too: `port` is near to `api.port`.
  const byLastWord = known.filter((candidate) => candidate.split('.').at(-1) === name);
  if (byLastWord.length === 1) return byLastWord[0];
  const ranked = known
    .map((candidate) => ({ candidate, steps: editDistance(name, candidate) }))
    .toSorted((left, right) => left.steps - right.steps);
  const [best] = ranked;
  return best !== undefined && best.steps <= SLIP_MAX ? best.candidate : undefined;
}

/** Levenshtein's distance, with `-` and `_` taken as one. */
export function editDistance(left: string, right: string): number {
  const [from, to] = [left.replaceAll('_', '-'), right.replaceAll('_', '-')];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let line = 1; line <= from.length; line += 1) {
    const next = [line];
    for (let column = 1; column <= to.length; column += 1) {
      const changed = (row[column - 1] ?? 0) + (from[line - 1] === to[column - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** Tables become dotted names; what is an option stays whole even when it is a table or a list of them. */
function flatten(content: Readonly<Record<string, unknown>>, prefix = ''): Map<string, unknown> {
  const known = new Set(Object.values(OPTIONS).flatMap((spec: OptionSpec) => spec.toml ?? []));
  const fields = new Map<string, unknown>();
  for (const [name, value] of Object.entries(content)) {
    const field = `${prefix}${name}`;
    if (!known.has(field) && isTable(value)) {
      for (const [inner, innerValue] of flatten(value, `${field}.`)) fields.set(inner, innerValue);
    } else fields.set(field, value);
  }
  return fields;
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.getPrototypeOf(value) !== Array.prototype &&
    !('toISOString' in value)
  );
}

function hasOrigins(origins: Partial<Record<OptionKey, Origin>>): origins is Record<OptionKey, Origin> {
  return OPTION_KEYS.every((key) => origins[key] !== undefined);
}
