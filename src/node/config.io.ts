/**
 * The settings of this machine, read: flags, environment and the TOML file become one checked configuration, and the
 * directories that it names exist afterwards, readable by their owner only. What is wrong comes back as lines for a person.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { parse, TomlError } from 'smol-toml';
import type { NodeOptions } from './config-schema.ts';
import { type Config, type ConfigSources, EXIT_CONFIG, mergeConfig } from './config.ts';
import { type Paths, resolvePaths } from './paths.ts';

export type Settings =
  | {
      readonly type: 'settings';
      readonly options: NodeOptions;
      readonly origins: Config['origins'];
      readonly paths: Paths;
      readonly warnings: readonly string[];
    }
  | { readonly type: 'invalid'; readonly exitCode: number; readonly messages: readonly string[] };

export async function readSettings(flags: Readonly<Record<string, unknown>>): Promise<Settings> {
  const environment = process.env;
  const home = typeof flags['home'] === 'string' ? flags['home'] : undefined;
  const resolved = resolvePaths({ environment, platform: process.platform, homeDirectory: homedir(), home });
  if (resolved.type === 'no-home') return invalid([resolved.message]);
  const { paths } = resolved;
  const named = typeof flags['config'] === 'string' ? flags['config'] : environment['SKEIN_CONFIG'];
  const file = await readFileSource(named ?? paths.configFile, named !== undefined);
  if (file.type === 'unreadable') return invalid([file.message]);
  const merged = mergeConfig({ flags, environment, file: file.source, machine: { name: machineName() } });
  if (merged.type === 'invalid') return invalid(merged.problems.map(({ message }) => message));
  const problem = await makeDirectories(paths);
  if (problem !== undefined) return invalid([problem]);
  const { options, origins } = merged.config;
  return { type: 'settings', options, origins, paths, warnings: merged.warnings };
}

type FileSource =
  | { readonly type: 'read'; readonly source: ConfigSources['file'] }
  | { readonly type: 'unreadable'; readonly message: string };

/** No file is fine, unless somebody named it. */
async function readFileSource(path: string, named: boolean): Promise<FileSource> {
  try {
    return { type: 'read', source: { path, content: parse(await readFile(path, 'utf8')) } };
  } catch (error) {
    if (error instanceof TomlError)
      return {
        type: 'unreadable',
        message: `${path}: not valid TOML, line ${error.line}: ${error.message.split('\n')[0] ?? ''}`,
      };
    if (!named && codeOf(error) === 'ENOENT') return { type: 'read', source: undefined };
    return {
      type: 'unreadable',
      message: `${path}: cannot read the settings (${codeOf(error)}): check the path and its permissions`,
    };
  }
}

async function makeDirectories(paths: Paths): Promise<string | undefined> {
  for (const directory of [paths.config, paths.state, paths.models, paths.cache]) {
    try {
      // One after the other, so that the first problem is the one that is told.
      // eslint-disable-next-line no-await-in-loop
      await mkdir(directory, { recursive: true, mode: 0o700 });
    } catch (error) {
      return `${directory}: cannot make this directory (${codeOf(error)}): make its parent writable, or choose another place with --home or SKEIN_HOME`;
    }
  }
  return undefined;
}

/** The host name up to its first dot, in the characters that names may have. */
function machineName(): string {
  const [first = ''] = hostname().split('.');
  return first.replaceAll(/[^A-Za-z0-9 ._-]/g, '-').slice(0, 64) || 'skein';
}

function invalid(messages: readonly string[]): Settings {
  return { type: 'invalid', exitCode: EXIT_CONFIG, messages };
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error);
}
