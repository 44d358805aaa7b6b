/**
 * Where a node keeps its things. `SKEIN_HOME` (or `--home`) puts all under one directory; else the XDG base directories
 * on Linux, and on macOS where they are set; `~/Library` and `%APPDATA%` otherwise. Config and keys, state, models and
 * cache are apart, so that each can be backed up, kept or thrown away on its own. Source: XDG Base Directory
 * Specification 0.8 (a relative path in such a variable is ignored, as it demands).
 */

export interface Paths {
  /** Settings and the swarm key. */
  readonly config: string;
  readonly configFile: string;
  /** The node's own key, known peers, the incarnation. */
  readonly state: string;
  readonly models: string;
  /** May be deleted at any time. */
  readonly cache: string;
}

export interface PathsInput {
  /** Environment variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** As `process.platform` says it. */
  readonly platform: string;
  /** The user's home directory; '' when there is none. */
  readonly homeDirectory: string;
  /** From `--home`; wins over `SKEIN_HOME`. */
  readonly home?: string | undefined;
}

export type PathsResult =
  | { readonly type: 'paths'; readonly paths: Paths }
  /** Nothing says where files may go. */
  | { readonly type: 'no-home'; readonly message: string };

/** Cases, in order: 1. one directory asked for; 2. no home directory; 3. Windows; 4. macOS; 5. everything else. */
export function resolvePaths(input: PathsInput): PathsResult {
  const { environment, platform, homeDirectory } = input;
  const join = joiner(platform);
  // 1.
  const home = nonEmpty(input.home) ?? nonEmpty(environment['SKEIN_HOME']);
  if (home !== undefined) {
    return paths(
      { config: home, state: join(home, 'state'), models: join(home, 'models'), cache: join(home, 'cache') },
      join,
    );
  }
  // 2.
  if (homeDirectory === '') {
    const message = 'no home directory is known for this user: set SKEIN_HOME to a directory this node may write to';
    return { type: 'no-home', message };
  }
  // 3.
  if (platform === 'win32') return windowsPaths(input, join);
  // 4. and 5.
  const library = join(homeDirectory, 'Library');
  const support = join(library, 'Application Support', 'skein');
  const isMac = platform === 'darwin';
  const base = (variable: string, unixDefault: readonly string[], macDefault: string): string => {
    const set = environment[variable];
    if (set?.startsWith('/') === true) return join(set, 'skein');
    return isMac ? macDefault : join(homeDirectory, ...unixDefault, 'skein');
  };
  return paths(
    {
      config: base('XDG_CONFIG_HOME', ['.config'], support),
      state: base('XDG_STATE_HOME', ['.local', 'state'], join(support, 'state')),
      models: join(base('XDG_DATA_HOME', ['.local', 'share'], support), 'models'),
      cache: base('XDG_CACHE_HOME', ['.cache'], join(library, 'Caches', 'skein')),
    },
    join,
  );
}

type Join = (...parts: string[]) => string;

function windowsPaths({ environment, homeDirectory }: PathsInput, join: Join): PathsResult {
  const roaming = nonEmpty(environment['APPDATA']) ?? join(homeDirectory, 'AppData', 'Roaming');
  const local = join(nonEmpty(environment['LOCALAPPDATA']) ?? join(homeDirectory, 'AppData', 'Local'), 'skein');
  return paths(
    {
      config: join(roaming, 'skein'),
      state: join(local, 'state'),
      models: join(local, 'models'),
      cache: join(local, 'cache'),
    },
    join,
  );
}

function paths(directories: Omit<Paths, 'configFile'>, join: Join): PathsResult {
  return { type: 'paths', paths: { ...directories, configFile: join(directories.config, 'config.toml') } };
}

function joiner(platform: string): Join {
  const separator = platform === 'win32' ? '\\' : '/';
  return (first = '', ...rest) => [first.replace(/(?<=.)[\\/]+$/, ''), ...rest].join(separator);
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
