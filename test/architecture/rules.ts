/**
 * The rules of the house as functions: a source file goes in, sentences about what breaks a rule come out. The test runs
 * them over the repository, and over small files that break each of them, so that a rule that sees nothing is noticed.
 */
import { posix } from 'node:path';
import { codeOnly, importsOf, type ImportOf, type SourceFile } from './source-text.ts';

/** Which folders the files of a folder may use. `kernel` is the root of src/. */
const ALLOWED_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  gossip: ['kernel'],
  discovery: ['kernel'],
  inference: ['kernel'],
  placement: ['kernel'],
  api: ['kernel', 'inference', 'placement'],
  node: ['kernel', 'gossip', 'discovery', 'inference', 'placement', 'api'],
};

/** Pages that hold a vocabulary and nothing that runs: every folder may speak it, as types. */
const VOCABULARIES: ReadonlySet<string> = new Set([
  'src/gossip/message.ts',
  'src/inference/engine.ts',
  'src/inference/chat.ts',
  'src/node/events.ts',
  'src/node/network.ts',
  'src/placement/placement.ts',
]);

/** Ports of the shell that stand in a pure file: types of what is asynchronous, and no code. */
const PORTS: ReadonlySet<string> = new Set(['src/node/network.ts']);

/** The files that join folders: the composition root, the command line, and the pieces that were cut out of the two. */
export const JOINERS: ReadonlySet<string> = new Set([
  'src/node/node.io.ts',
  'src/node/api-door.io.ts',
  'src/node/libp2p.io.ts',
  'src/node/engines.io.ts',
  'src/node/network-port.io.ts',
  'src/node/cli.io.ts',
  'src/node/cli-doctor.io.ts',
  'src/node/cli-invite.io.ts',
  'src/node/cli-join.io.ts',
  'src/node/cli-key.io.ts',
  'src/node/cli-query.io.ts',
  'src/node/cli-up.io.ts',
  'src/node/trust-control.io.ts',
  'src/node/trust-desk.io.ts',
  'src/node/trust-session.io.ts',
  // Starts real nodes to compare the simulated ones with.
  'simulations/calibration/real.io.ts',
]);

/** The simulator's command line, which is one of skein's commands as well. */
const SIMULATOR = 'simulations/main.io.ts';

/** Third parties without a clock, randomness, timers or input and output. */
const PURE_PACKAGES: readonly RegExp[] = [/^cborg$/, /^@noble\/hashes\//, /^zod$/];

/** What a pure file may not name. Each with the word people know it by. */
const WORLD: readonly { readonly pattern: RegExp; readonly what: string }[] = [
  { pattern: /(?<![.\w$])Date\b(?!\s*\??:)/, what: 'the clock (Date)' },
  { pattern: /(?<![.\w$])performance\b(?!\s*\??:)/, what: 'the clock (performance)' },
  { pattern: /\bMath\s*\.\s*random\b|\bMath\s*\[/, what: 'randomness (Math.random)' },
  { pattern: /(?<![.\w$])crypto\b(?!\s*\??:)/, what: 'randomness (crypto)' },
  {
    pattern: /(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b(?!\s*\??:)/,
    what: 'timers',
  },
  { pattern: /(?<![.\w$])(?:async|await)\b(?!\s*\??:)/, what: 'async and await' },
  { pattern: /(?<![.\w$])Promise\b/, what: 'promises' },
  { pattern: /(?<![.\w$])(?:fetch|WebSocket|EventSource)\b\s*\(/, what: 'the network' },
  { pattern: /(?<![.\w$])(?:process|globalThis|Atomics|SharedArrayBuffer|AbortSignal)\s*\./, what: 'the process' },
  { pattern: /(?<![.\w$])(?:require|eval)\s*\(/, what: 'code that no import shows' },
  { pattern: /\bimport\s*\(/, what: 'a dynamic import' },
];

/** Functions whose last digit, or whose order, depends on the engine or the machine's language. A power of two numbers that are written there is a constant, and one of big integers is exact. */
const INEXACT =
  /\bMath\s*\.\s*(?:log2|log10|log1p|log|expm1|exp|pow|sinh?|cosh?|tanh?|cbrt|hypot)\b|(?<!\b\d[\d_]*n?\s*)\*\*|(?<!\b\d[\d_]*n\s*)\*\*(?!\s*\d)|\blocaleCompare\b|\bIntl\b|\btoLocale/;

export function isPure(path: string): boolean {
  return /^(?:src|simulations)\//.test(path) && !path.endsWith('.io.ts');
}

export function folderOf(path: string): string {
  const parts = path.split('/');
  return parts.length > 2 ? (parts[1] ?? '') : 'kernel';
}

export function brokenImports(file: SourceFile): readonly string[] {
  return importsOf(file.text).flatMap((taken) => {
    const problem = taken.specifier.startsWith('.') ? ownImport(file, taken) : foreignImport(file, taken);
    return problem === undefined ? [] : [`${file.path}: ${problem} (${taken.specifier})`];
  });
}

/** 1. Out of src; 2. the vocabularies; 3. input and output; 4. the directions between folders. */
function ownImport(file: SourceFile, taken: ImportOf): string | undefined {
  const target = posix.join(posix.dirname(file.path), taken.specifier);
  if (file.path.startsWith('simulations/')) return simulationImport(file, target);
  const [from, to] = [folderOf(file.path), folderOf(target)];
  // 1.
  if (!target.startsWith('src/'))
    return target === SIMULATOR && JOINERS.has(file.path) ? undefined : 'imports from outside src';
  // 2.
  if (taken.typeOnly && VOCABULARIES.has(target)) return undefined;
  // 3. Types of an .io.ts file count too: what is needed as a type belongs in a pure file.
  if (!isPure(target)) return inputOutputImport(file, { from, to });
  // 4.
  return from === to ? undefined : wrongDirection(from, to);
}

function inputOutputImport(
  file: SourceFile,
  { from, to }: { readonly from: string; readonly to: string },
): string | undefined {
  if (isPure(file.path)) return 'a pure file imports an .io.ts file';
  const joins = from === to || to === 'kernel' || JOINERS.has(file.path);
  return joins ? undefined : "imports another folder's .io.ts file";
}

function wrongDirection(from: string, to: string): string | undefined {
  const allowed = ALLOWED_FOLDERS[from];
  if (allowed === undefined) return `is in the unknown folder ${from}`;
  return allowed.includes(to) ? undefined : `${from} may not use ${to}`;
}

/** The simulator replaces the world: it runs what is pure in src, and nothing of its input and output. */
function simulationImport(file: SourceFile, target: string): string | undefined {
  if (!/^(?:src|simulations)\//.test(target)) return 'imports from outside src and simulations';
  if (isPure(target)) return undefined;
  if (isPure(file.path)) return 'a pure file imports an .io.ts file';
  return target.startsWith('src/') && !JOINERS.has(file.path) ? 'imports an .io.ts file of src' : undefined;
}

function foreignImport(file: SourceFile, taken: ImportOf): string | undefined {
  if (!isPure(file.path)) return undefined;
  return PURE_PACKAGES.some((pattern) => pattern.test(taken.specifier))
    ? undefined
    : 'a pure file imports what touches the world';
}

export function impurities(file: SourceFile): readonly string[] {
  if (!isPure(file.path)) return [];
  const code = codeOnly(file.text);
  const isPort = PORTS.has(file.path) && !/^(?:export )?(?:const|let|function|class)\b/m.test(code);
  // A simulated process is called one there; lint, which knows scopes, forbids the real one.
  const isSimulation = file.path.startsWith('simulations/');
  const forbidden = WORLD.filter(
    ({ what }) => !(isPort && what === 'promises') && !(isSimulation && what === 'the process'),
  );
  return code
    .split('\n')
    .flatMap((line, index) =>
      forbidden.filter(({ pattern }) => pattern.test(line)).map(({ what }) => `${file.path}:${index + 1} uses ${what}`),
    );
}

/** In pure files of src: all nodes must compute alike. A simulated delay may differ in its last digit. */
export function inexactMath(file: SourceFile): readonly string[] {
  if (!isPure(file.path) || file.path.startsWith('simulations/')) return [];
  const lines = codeOnly(file.text).split('\n');
  return lines.flatMap((line, index) => {
    const found = INEXACT.exec(line);
    return found === null ? [] : [`${file.path}:${index + 1} uses ${found[0]}, which may differ between machines`];
  });
}

/** Words that the comment at the top must have at least: room for a question, an idea and a limit. Lines would reward short ones. */
const HEAD_WORDS_MIN = 20;

export function missingHead(file: SourceFile): readonly string[] {
  const head = /^(?:#![^\n]*\n)?\/\*\*?(?<body>[\s\S]*?)\*\//.exec(file.text)?.groups?.['body'] ?? '';
  const words = head.match(/[\w'`-]+/g) ?? [];
  return words.length >= HEAD_WORDS_MIN
    ? []
    : [`${file.path}: ${words.length} words of head comment, expected ${HEAD_WORDS_MIN} or more`];
}

/** Numbers of a params file that do not say where they come from: in their own comment or in that of their group. */
export function unsourcedParams(file: SourceFile): readonly string[] {
  const problems: string[] = [];
  const groups = file.text.matchAll(
    /(?<comment>\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?export const (?<name>[A-Z_]+) = (?:\{\n(?<body>[\s\S]*?)\n\}|(?<value>[^;\n]+))/g,
  );
  for (const { groups: parts } of groups) {
    if (/Source:/.test(parts?.['comment'] ?? '')) continue;
    const body = parts?.['body'];
    if (body === undefined) problems.push(`${file.path}: ${parts?.['name'] ?? ''} has no Source:`);
    else problems.push(...unsourcedFields(`${file.path}: ${parts?.['name'] ?? ''}`, body));
  }
  return problems;
}

function unsourcedFields(where: string, body: string): readonly string[] {
  const fields = body.matchAll(/(?<comment>(?:^ *(?:\/\*\*|\*|\/\/).*\n)*)^ {2}(?<field>\w+): /gm);
  return [...fields].flatMap(({ groups }) =>
    /Source:/.test(groups?.['comment'] ?? '') ? [] : [`${where}.${groups?.['field'] ?? ''} has no Source:`],
  );
}

/** Work that was put off does not belong in the tree. */
export function unfinishedWork(file: SourceFile): readonly string[] {
  return file.text
    .split('\n')
    .flatMap((line, index) =>
      /\b(?:TO[D]O|FIX[M]E|XX[X])\b/.test(line) ? [`${file.path}:${index + 1} is unfinished: ${line.trim()}`] : [],
    );
}

export function defaultExports(file: SourceFile): readonly string[] {
  return /^export default\b|^export \{[^}]*\bas default\b/m.test(codeOnly(file.text))
    ? [`${file.path}: has a default export`]
    : [];
}
