/**
 * The config from the world: reads the TOML file, the environment and the machine's name, and makes the directories,
 * for their owner alone (0700). What fails here is told with the path and the mend, as data: the command line
 * prints it and leaves with exit code 78. The file is optional unless somebody named it.
 */
import { constants, readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { TomlError, parse } from 'smol-toml';
import { parseKeys } from '../api/key-record.ts';
import { errorCode, fileErrorReason } from '../file-error.ts';
import { makeDirectory } from '../make-directory.io.ts';
import { keyFilePath } from './key-file.io.ts';
import { type Config, EXIT_CONFIG, mergeConfig } from './config.ts';
import { OPTIONS, type OptionKey } from './config-schema.ts';
import { environmentName, flagAttribute } from './option-names.ts';
import type { NodeOptions } from './node-options.ts';
import { type Paths, resolvePaths } from './paths.ts';

export interface LoadedConfig extends Config {
  readonly type: 'loaded';
  readonly paths: Paths;
  /** The TOML file that was read, if there was one. */
  readonly file: string | undefined;
  readonly warnings: readonly string[];
}

export interface UnusableConfig {
  readonly type: 'unusable';
  readonly exitCode: typeof EXIT_CONFIG;
  /** Sentences for people, each with its mend. */
  readonly problems: readonly string[];
}

export interface LoadInput {
  /** The attributes of the flag parser. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly platform?: string;
  readonly homeDirectory?: string;
  readonly hostName?: string;
}

/** Longest config file that is read. Source: guess: a thousand times a long one. */
const FILE_BYTES_MAX = 1_048_576;

/** Reads and checks everything; changes nothing on disk. */
export function loadConfig(input: LoadInput): LoadedConfig | UnusableConfig {
  const { flags, environment = process.env, homeDirectory = homedir() } = input;
  const home = named('home', flags, environment);
  const located = resolvePaths({
    environment,
    platform: input.platform ?? process.platform,
    homeDirectory,
    home: home === undefined ? undefined : resolve(home),
  });
  if (located.type === 'no-home') return unusable([located.message]);
  const { paths } = located;
  const file = named('config', flags, environment);
  const read = readToml(file === undefined ? paths.configFile : resolve(file), file !== undefined);
  if (read.type === 'unreadable') return unusable([read.message]);
  const merged = mergeConfig({
    flags,
    environment,
    file: read.type === 'read' ? read : undefined,
    hasApiKeys: hasApiKeys(keyFilePath(paths.state)),
    machine: { name: machineName(input.hostName ?? hostname()), modelsDirectory: paths.models },
  });
  if (merged.type === 'invalid') return unusable(merged.problems.map(({ message }) => message));
  const { config, warnings } = merged;
  const options = withAbsolutePaths(config, homeDirectory);
  return { type: 'loaded', ...config, options, paths, file: read.type === 'read' ? read.path : undefined, warnings };
}

/** `~/` is the home directory; a relative path counts from the file that holds it, else from where the node was started. */
function withAbsolutePaths({ options, origins }: Config, homeDirectory: string): NodeOptions {
  const absolute = (key: OptionKey, path: string): string => {
    const origin = origins[key];
    const from = origin.type === 'file' ? dirname(origin.path) : process.cwd();
    return path.startsWith('~/') ? join(homeDirectory, path.slice(2)) : resolve(from, path);
  };
  const absoluteOrUnset = (key: OptionKey, path: string | undefined): string | undefined =>
    path === undefined ? undefined : absolute(key, path);
  return {
    ...options,
    swarmKeyFile: absoluteOrUnset('swarmKeyFile', options.swarmKeyFile),
    modelsDirectory: absoluteOrUnset('modelsDirectory', options.modelsDirectory),
    modelsPaths: options.modelsPaths.map((path) => absolute('modelsPaths', path)),
    upstreams: options.upstreams.map((upstream) => ({
      ...upstream,
      apiKeyFile: absoluteOrUnset('upstreams', upstream.apiKeyFile),
    })),
  };
}

/** Makes the directories that are missing. The problems, empty when all can be written to. */
export async function prepareDirectories(
  paths: Paths,
  modelsDirectory: string = paths.models,
): Promise<readonly string[]> {
  // One after the other: they share parents.
  const problems: string[] = [];
  for (const directory of [paths.config, paths.state, modelsDirectory, paths.cache]) {
    // eslint-disable-next-line no-await-in-loop
    const problem = await prepareDirectory(directory);
    if (problem !== undefined) problems.push(problem);
  }
  return problems;
}

async function prepareDirectory(directory: string): Promise<string | undefined> {
  try {
    await makeDirectory(directory);
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    // Every parent was made or is there: a system that still finds none, as /proc does, holds no files of ours.
    const reason = errorCode(error) === 'ENOENT' ? 'nothing can be made there' : fileErrorReason(error);
    const mend = 'give it to this user, or set SKEIN_HOME (or --home) to a directory that is writable';
    return `cannot write to ${directory} (${reason}): ${mend}`;
  }
}

type TomlRead =
  | { readonly type: 'read'; readonly path: string; readonly content: Readonly<Record<string, unknown>> }
  | { readonly type: 'absent' }
  | { readonly type: 'unreadable'; readonly message: string };

function readToml(path: string, mustExist: boolean): TomlRead {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > FILE_BYTES_MAX) return unreadable(path, `expected at most ${FILE_BYTES_MAX} bytes, got more`);
    return { type: 'read', path, content: parse(text) };
  } catch (error) {
    if (error instanceof TomlError)
      return unreadable(path, `line ${error.line}, column ${error.column}: ${error.message.split('\n')[0] ?? ''}`);
    // ENOTDIR: the directory itself is in trouble, which `prepareDirectories` tells better.
    if (!mustExist && ['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return { type: 'absent' };
    const mend = mustExist
      ? `create it, or leave out ${OPTIONS.config.flag}`
      : 'make it readable for this user, or remove it';
    return unreadable(path, `${fileErrorReason(error)}; ${mend}`);
  }
}

function unreadable(path: string, detail: string): TomlRead {
  return { type: 'unreadable', message: `cannot use the config file ${path}: ${detail}` };
}

function unusable(problems: readonly string[]): UnusableConfig {
  return { type: 'unusable', exitCode: EXIT_CONFIG, problems };
}

/** What cannot be read has keys that nobody knows: the node then lets nobody in, and says why. */
function hasApiKeys(path: string): boolean {
  try {
    const parsed = parseKeys(readFileSync(path, 'utf8'));
    return parsed.type === 'damaged' || parsed.keys.length > 0;
  } catch (error) {
    return errorCode(error) !== 'ENOENT';
  }
}

/** A host name is not always one of our names: cut and cleaned, never empty. */
function machineName(hostName: string): string {
  const [first = ''] = hostName.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '').split('.');
  return first.slice(0, 64) || 'skein';
}

/** What decides where the other settings are: a flag, else the environment; empty = not set. */
function named(
  key: 'home' | 'config',
  flags: LoadInput['flags'],
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const flagged = flags[flagAttribute(OPTIONS[key])];
  const text = typeof flagged === 'string' && flagged !== '' ? flagged : environment[environmentName(OPTIONS[key])];
  return text === '' ? undefined : text;
}
