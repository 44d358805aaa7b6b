/**
 * What a document promises: links that lead somewhere, paths that exist, and commands that can be typed. Commands are
 * read from code blocks marked `console`: a line after `$ `, or every line of a block that has none.
 */
import { posix } from 'node:path';
import type { SourceFile } from './source-text.ts';

export interface World {
  readonly exists: (path: string) => boolean;
  readonly read: (path: string) => string;
}

export function brokenLinks(file: SourceFile, world: World): readonly string[] {
  const prose = withoutCode(file.text);
  return [...prose.matchAll(/\[[^\]]*\]\((?<target>[^)\s]+)\)/g)].flatMap(({ groups }) => {
    const target = groups?.['target'] ?? '';
    if (/^[a-z][a-z0-9+.-]*:/.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    const resolved = path === '' ? file.path : posix.join(posix.dirname(file.path), path);
    if (path !== '' && !world.exists(resolved)) return [`${file.path}: the link to ${target} leads nowhere`];
    if (anchor === undefined || !resolved.endsWith('.md')) return [];
    const text = resolved === file.path ? file.text : world.read(resolved);
    return anchorsOf(text).has(anchor) ? [] : [`${file.path}: ${resolved} has no heading for #${anchor}`];
  });
}

/** Headings as GitHub links to them, and explicit `<a id>`. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...withoutCode(text).matchAll(/^#{1,6} +(?<title>.+)$/gm)].map(({ groups }) =>
    (groups?.['title'] ?? '')
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-'),
  );
  const explicit = [...text.matchAll(/<a (?:id|name)="(?<id>[^"]+)"/g)].map(({ groups }) => groups?.['id'] ?? '');
  return new Set([...headings, ...explicit]);
}

/** Paths of the repository named in `code` or in comments: the first folder decides. "docs/x.md of y" is in another one. */
export function missingPaths(file: SourceFile, world: World): readonly string[] {
  const named = file.path.endsWith('.md')
    ? [...file.text.matchAll(/`(?<path>(?:src|test|bench|bin|docs|simulations|dashboard)\/[\w./*-]+)`/g)]
    : [...file.text.matchAll(/(?<![\w/.])(?<path>docs\/[\w./-]+\.md)(?! of )/g)];
  return named.flatMap(({ groups }) => {
    const path = (groups?.['path'] ?? '').replace(/\.$/, '');
    // A pattern stands for the folder it is in.
    const checked = path.includes('*') ? posix.dirname(path.slice(0, path.indexOf('*') + 1)) : path;
    return world.exists(checked) ? [] : [`${file.path}: names ${path}, which does not exist`];
  });
}

export interface Vocabulary {
  readonly scripts: ReadonlySet<string>;
  readonly commands: ReadonlySet<string>;
  readonly flags: ReadonlySet<string>;
  /** The commands of the simulator, each with its flags. */
  readonly simulations: ReadonlyMap<string, ReadonlySet<string>>;
}

export function consoleCommands(file: SourceFile): readonly string[] {
  return [...file.text.matchAll(/^```console\n(?<body>[\s\S]*?)^```/gm)].flatMap(({ groups }) => {
    const lines = (groups?.['body'] ?? '').replaceAll('\\\n', ' ').split('\n');
    const prompted = lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
    return prompted.length > 0 ? prompted : lines.filter((line) => line.trim() !== '' && !line.startsWith('#'));
  });
}

/** What is wrong with one line of a console block. Commands of other programs are not judged. */
export function brokenCommand(line: string, vocabulary: Vocabulary): readonly string[] {
  return line.split(/&&|\|\||[;|&]/).flatMap((part) => {
    const words = part
      .replace(/\s#.*$/, '')
      .trim()
      .split(/\s+/)
      .filter((_, index, all) => !all.slice(0, index + 1).every((before) => /^[A-Z_]+=\S*$/.test(before)));
    return brokenWords(words, vocabulary);
  });
}

/** 1. npm; 2. skein by any of its names; 3. everything else is not ours to judge. */
function brokenWords(words: readonly string[], vocabulary: Vocabulary): readonly string[] {
  // 1.
  if (words[0] === 'npm') return brokenNpm(words, vocabulary);
  // 2. and 3.
  const own = skeinWords(words);
  if (own === undefined) return [];
  const [command = ''] = own;
  if (command === 'simulate') return brokenSimulation(own.slice(1), vocabulary);
  const isKnown = command.startsWith('-') || vocabulary.commands.has(command);
  return [...(isKnown ? [] : [`skein has no command ${command}`]), ...brokenFlags(own, vocabulary)];
}

/** `npm run NAME`, `npm start`, `npm test`; after `--` come flags of a node for `npm start`, words of the simulator for `npm run sim`. */
function brokenNpm(words: readonly string[], vocabulary: Vocabulary): readonly string[] {
  const [, verb = '', name = ''] = words;
  const script = verb === 'run' ? name : verb;
  if (verb !== 'run' && script !== 'start' && script !== 'test') return [];
  const unknown = vocabulary.scripts.has(script) ? [] : [`npm has no script ${script}`];
  const separator = words.indexOf('--');
  if (script === 'sim' && separator > 0)
    return [...unknown, ...brokenSimulation(words.slice(separator + 1), vocabulary)];
  return script === 'start' && separator > 0
    ? [...unknown, ...brokenFlags(words.slice(separator + 1), vocabulary)]
    : unknown;
}

function skeinWords(words: readonly string[]): readonly string[] | undefined {
  const [program = '', first = ''] = words;
  if (program === 'skein' || program === 'bin/skein.js' || program === './bin/skein.js') return words.slice(1);
  if (program === 'node' && /(?:^|\/)bin\/skein\.js$/.test(first)) return words.slice(2);
  return program === 'npx' && first === 'skein' ? words.slice(2) : undefined;
}

function brokenSimulation(words: readonly string[], { simulations }: Vocabulary): readonly string[] {
  const [command = '', ...rest] = words;
  if (command === '--help') return [];
  const flags = simulations.get(command);
  if (flags === undefined) return [`the simulator has no command ${command}`];
  return flagsOf(rest)
    .filter((flag) => !flags.has(flag))
    .map((flag) => `the simulator's ${command} has no flag ${flag}`);
}

function brokenFlags(words: readonly string[], { flags }: Vocabulary): readonly string[] {
  return flagsOf(words)
    .filter((flag) => !flags.has(flag))
    .map((flag) => `skein has no flag ${flag}`);
}

function flagsOf(words: readonly string[]): readonly string[] {
  return words.filter((word) => word.startsWith('--') && word.length > 2).map((word) => word.split('=')[0] ?? word);
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');
}
