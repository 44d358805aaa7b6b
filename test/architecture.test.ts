/**
 * The repository is tested like code: who imports whom, what pure files may name, head comments, sources of numbers,
 * documents that lead somewhere. Each rule runs over all files and over one small file that breaks it: a rule that
 * has gone blind fails here as well.
 */
import assert from 'node:assert/strict';
import { brokenLinks, missingPaths } from './architecture/documents.ts';
import { documents, exists, filesUnder, readSource } from './architecture/repository.ts';
import {
  brokenImports,
  defaultExports,
  impurities,
  inexactMath,
  isPure,
  JOINERS,
  missingHead,
  unfinishedWork,
  unsourcedParams,
} from './architecture/rules.ts';
import { codeOnly, importsOf, type SourceFile } from './architecture/source-text.ts';
import { OPTIONS } from '../src/node/config-schema.ts';

type Rule = (file: SourceFile) => readonly string[];

/** Fewer files than this mean that the checks looked in the wrong place. Source: measured: the tree had more when this was written. */
const SOURCE_FILES_MIN = 250;
const PURE_FILES_MIN = 180;
const TEST_FILES_MIN = 100;
const DOCUMENTS_MIN = 8;

const sources = [...filesUnder('src', ['.ts']), ...filesUnder('simulations', ['.ts'])];
const written = [
  ...sources,
  ...filesUnder('test', ['.ts']),
  ...filesUnder('bench', ['.ts']),
  ...filesUnder('bin', ['.js']),
  ...documents(),
];
const world = { exists, read: (path: string) => readSource(path).text };

const unsource: Rule = (file) => (file.path === 'src/params.ts' ? unsourcedParams(file) : []);
const badLinks: Rule = (file) => brokenLinks(file, world);
const lostPaths: Rule = (file) => missingPaths(file, world);

describe('the repository', () => {
  it('was seen', () => {
    const seen = {
      sources: sources.length >= SOURCE_FILES_MIN,
      pure: sources.filter(({ path }) => isPure(path)).length >= PURE_FILES_MIN,
      tests: filesUnder('test', ['.test.ts']).length >= TEST_FILES_MIN,
      documents: documents().length >= DOCUMENTS_MIN,
      params: unsourcedParams({ path: 'src/params.ts', text: stripSources('src/params.ts') }).length > 40,
      imports: sources.flatMap(({ text }) => importsOf(text)).length > 3 * SOURCE_FILES_MIN,
    };
    assert.deepEqual(
      Object.entries(seen).filter(([, isEnough]) => !isEnough),
      [],
    );
  });

  const rules: readonly { readonly name: string; readonly files: readonly SourceFile[]; readonly rule: Rule }[] = [
    { name: 'imports only in the directions of the architecture', files: sources, rule: brokenImports },
    { name: 'keeps the world out of pure files', files: sources, rule: impurities },
    { name: 'decides with exact numbers only, in pure files', files: sources, rule: inexactMath },
    { name: 'begins every source file with what it answers', files: sources, rule: missingHead },
    { name: 'says of every protocol number where it comes from', files: sources, rule: unsource },
    { name: 'has nothing unfinished in it', files: written, rule: unfinishedWork },
    { name: 'exports by name only', files: sources, rule: defaultExports },
    { name: 'links only to what exists', files: documents(), rule: badLinks },
    {
      name: 'names only paths that exist, in documents and comments',
      files: [...documents(), ...sources],
      rule: lostPaths,
    },
  ];
  for (const { name, files, rule } of rules) {
    it(name, () => {
      assert.deepEqual(files.flatMap(rule), []);
    });
  }

  it('says of every option where its default comes from', () => {
    const tags = /^(?:paper|spec|measured|copied|guess|requirement): \S/;
    assert.deepEqual(
      Object.entries(OPTIONS).filter(([, spec]) => !tags.test(spec.source)),
      [],
    );
  });

  it('lists no joiner that is gone', () => {
    assert.deepEqual(
      [...JOINERS].filter((path) => !exists(path)),
      [],
    );
  });
});

describe('a broken rule is noticed:', () => {
  const broken: readonly {
    readonly what: string;
    readonly rule: Rule;
    readonly path: string;
    readonly text: string;
  }[] = [
    {
      what: 'libp2p in a pure file',
      rule: brokenImports,
      path: 'src/gossip/a.ts',
      text: "import { x } from 'libp2p';",
    },
    {
      what: 'node:fs in a pure file of the simulator',
      rule: brokenImports,
      path: 'simulations/a.ts',
      text: "import 'node:fs';",
    },
    {
      what: 'an .io.ts file of src in the simulator',
      rule: brokenImports,
      path: 'simulations/a.io.ts',
      text: "import '../src/node/node.io.ts';",
    },
    {
      what: 'the clock in the simulator',
      rule: impurities,
      path: 'simulations/a.ts',
      text: 'const nowMs = performance.now();',
    },
    { what: 'node:fs in a pure file', rule: brokenImports, path: 'src/gossip/a.ts', text: "import 'node:fs';" },
    {
      what: 'node:fs for its types',
      rule: brokenImports,
      path: 'src/a.ts',
      text: "import type { Stats } from 'node:fs';",
    },
    {
      what: 'an .io.ts file in a pure one',
      rule: brokenImports,
      path: 'src/gossip/a.ts',
      text: "import { x } from './b.io.ts';",
    },
    {
      what: 'its types too',
      rule: brokenImports,
      path: 'src/gossip/a.ts',
      text: "import type { X } from './b.io.ts';",
    },
    {
      what: 'a re-export of one',
      rule: brokenImports,
      path: 'src/gossip/a.ts',
      text: "export { x } from './b.io.ts';",
    },
    {
      what: 'an import over several lines',
      rule: brokenImports,
      path: 'src/gossip/a.ts',
      text: "import {\n  x,\n  type Y,\n} from '../node/mesh.ts';",
    },
    {
      what: "another folder's .io.ts file",
      rule: brokenImports,
      path: 'src/api/a.io.ts',
      text: "import { x } from '../gossip/b.io.ts';",
    },
    {
      what: 'a joiner that is not listed',
      rule: brokenImports,
      path: 'src/node/a.io.ts',
      text: "import { x } from '../gossip/b.io.ts';",
    },
    {
      what: 'gossip that uses placement',
      rule: brokenImports,
      path: 'src/gossip/a.ts',
      text: "import { x } from '../placement/place.ts';",
    },
    {
      what: 'the kernel that uses a folder',
      rule: brokenImports,
      path: 'src/a.ts',
      text: "import { x } from './gossip/view.ts';",
    },
    {
      what: 'running code from a vocabulary',
      rule: brokenImports,
      path: 'src/gossip/a.ts',
      text: "import { x } from '../node/events.ts';",
    },
    {
      what: 'source that imports a test',
      rule: brokenImports,
      path: 'src/a.ts',
      text: "import { x } from '../test/b.ts';",
    },
    {
      what: 'a folder nobody planned',
      rule: brokenImports,
      path: 'src/utils/a.ts',
      text: "import { x } from '../ids.ts';",
    },
    { what: 'Date.now', rule: impurities, path: 'src/a.ts', text: 'const now = Date.now();' },
    { what: 'new Date', rule: impurities, path: 'src/a.ts', text: 'const now = new Date();' },
    { what: 'performance', rule: impurities, path: 'src/a.ts', text: 'const now = performance.now();' },
    { what: 'Math.random', rule: impurities, path: 'src/a.ts', text: 'const chance = Math.random();' },
    { what: 'Math by computed name', rule: impurities, path: 'src/a.ts', text: "const chance = Math['random']();" },
    { what: 'crypto', rule: impurities, path: 'src/a.ts', text: 'const id = crypto.randomUUID();' },
    { what: 'async', rule: impurities, path: 'src/a.ts', text: 'export async function go(): void {}' },
    { what: 'await', rule: impurities, path: 'src/a.ts', text: 'const x = await y;' },
    { what: 'a promise', rule: impurities, path: 'src/a.ts', text: 'function go(): Promise<void>;' },
    { what: 'a timer', rule: impurities, path: 'src/a.ts', text: 'setTimeout(go, 5);' },
    { what: 'fetch', rule: impurities, path: 'src/a.ts', text: "fetch('http://a');" },
    { what: 'process', rule: impurities, path: 'src/a.ts', text: 'const { env } = process.env;' },
    { what: 'a dynamic import', rule: impurities, path: 'src/a.ts', text: "const x = import('./b.ts');" },
    { what: 'the clock in a template', rule: impurities, path: 'src/a.ts', text: 'const x = `at ${Date.now()}`;' },
    { what: 'Math.log in placement', rule: inexactMath, path: 'src/placement/a.ts', text: 'const x = Math.log(2);' },
    { what: 'Math.exp in gossip', rule: inexactMath, path: 'src/gossip/a.ts', text: 'const x = Math.exp(2);' },
    { what: 'Math.log2 in discovery', rule: inexactMath, path: 'src/discovery/a.ts', text: 'const x = Math.log2(8);' },
    { what: 'Math.log10 in the kernel', rule: inexactMath, path: 'src/a.ts', text: 'const x = Math.log10(8);' },
    { what: 'Math.pow', rule: inexactMath, path: 'src/inference/a.ts', text: 'const x = Math.pow(2, 3);' },
    { what: 'a power', rule: inexactMath, path: 'src/placement/a.ts', text: 'const x = y ** 3;' },
    { what: 'a power of a name with a digit', rule: inexactMath, path: 'src/a.ts', text: 'const x = y2 ** 3;' },
    { what: 'a power of two by a count', rule: inexactMath, path: 'src/a.ts', text: 'const x = 2 ** count;' },
    { what: 'a power by assignment', rule: inexactMath, path: 'src/a.ts', text: 'x **= 2;' },
    {
      what: 'code in a port',
      rule: impurities,
      path: 'src/node/network.ts',
      text: 'export const later = Promise.resolve();',
    },
    { what: 'localeCompare', rule: inexactMath, path: 'src/placement/a.ts', text: 'a.localeCompare(b);' },
    {
      what: 'a short head comment',
      rule: missingHead,
      path: 'src/a.ts',
      text: '/** One line.\n * Two lines of it.\n * Three. */\nexport {};',
    },
    {
      what: 'a head comment further down',
      rule: missingHead,
      path: 'src/a.ts',
      text: `export {};\n/** ${'word '.repeat(40)} */`,
    },
    { what: 'no head comment', rule: missingHead, path: 'src/a.ts', text: 'export {};' },
    {
      what: 'a param without source',
      rule: unsource,
      path: 'src/params.ts',
      text: 'export const A = {\n  /** Why. */\n  bMs: 1,\n} as const;',
    },
    {
      what: 'a source that belongs to the param before',
      rule: unsource,
      path: 'src/params.ts',
      text: 'export const A = {\n  /** Source: guess. */\n  aMs: 1,\n  bMs: 1,\n} as const;',
    },
    {
      what: 'a single number without source',
      rule: unsource,
      path: 'src/params.ts',
      text: '/** Why. */\nexport const A = 1;',
    },
    { what: 'work put off', rule: unfinishedWork, path: 'src/a.ts', text: ['// TO', 'DO: later'].join('') },
    { what: 'broken work', rule: unfinishedWork, path: 'src/a.ts', text: ['// FIX', 'ME: now'].join('') },
    { what: 'a default export', rule: defaultExports, path: 'src/a.ts', text: 'export default 1;' },
    { what: 'a link to nothing', rule: badLinks, path: 'docs/A.md', text: 'See [it](./nowhere.md).' },
    { what: 'a link to no heading', rule: badLinks, path: 'docs/A.md', text: '# One\n\nSee [it](#two).' },
    { what: 'a path that is gone', rule: lostPaths, path: 'docs/A.md', text: 'See `src/nowhere.ts`.' },
    { what: 'a document that is gone', rule: lostPaths, path: 'src/a.ts', text: '// See docs/NOWHERE.md for why.' },
  ];
  for (const { what, rule, path, text } of broken) {
    it(what, () => {
      assert.equal(rule({ path, text }).length, 1);
    });
  }
});

describe('what is allowed is left alone:', () => {
  const fine: readonly { readonly what: string; readonly rule: Rule; readonly path: string; readonly text: string }[] =
    [
      { what: 'the clock in an .io.ts file', rule: impurities, path: 'src/a.io.ts', text: 'const now = Date.now();' },
      {
        what: 'the word in a comment',
        rule: impurities,
        path: 'src/a.ts',
        text: '// never Date.now() here\n/* await */',
      },
      {
        what: 'the word in a string',
        rule: impurities,
        path: 'src/a.ts',
        text: "const text = 'new Date is async'; const r = /await/;",
      },
      {
        what: 'a field of that name',
        rule: impurities,
        path: 'src/a.ts',
        text: 'const x = { process: 1 }; x.performance;',
      },
      {
        what: 'types of a vocabulary',
        rule: brokenImports,
        path: 'src/gossip/a.ts',
        text: "import type { Effect } from '../node/events.ts';",
      },
      {
        what: 'inline types of one',
        rule: brokenImports,
        path: 'src/gossip/a.ts',
        text: "import { type Effect } from '../node/events.ts';",
      },
      {
        what: 'the kernel in a folder',
        rule: brokenImports,
        path: 'src/gossip/a.ts',
        text: "import { x } from '../ids.ts';",
      },
      {
        what: 'the joiners',
        rule: brokenImports,
        path: 'src/node/node.io.ts',
        text: "import { x } from '../gossip/b.io.ts';",
      },
      {
        what: 'a power of numbers written there',
        rule: inexactMath,
        path: 'src/placement/a.ts',
        text: '/** Why. */ const x = 2 ** 32 - 1_000 **2;',
      },
      {
        what: 'a power of big integers',
        rule: inexactMath,
        path: 'src/placement/a.ts',
        text: 'const x = 10n ** BigInt(digits);',
      },
      {
        what: 'a port of types',
        rule: impurities,
        path: 'src/node/network.ts',
        text: 'export interface A {\n  go(): Promise<void>;\n}',
      },
      { what: 'Math.log in an .io.ts file', rule: inexactMath, path: 'src/a.io.ts', text: 'const x = Math.log(2);' },
      {
        what: 'a source for a whole group',
        rule: unsource,
        path: 'src/params.ts',
        text: '/** Source: guess. */\nexport const A = {\n  b: 1,\n} as const;',
      },
      { what: 'links to other sites', rule: badLinks, path: 'docs/A.md', text: 'See [it](https://example.org/x.md).' },
      {
        what: 'a link to a heading',
        rule: badLinks,
        path: 'docs/A.md',
        text: '# The one, rule\n\nSee [it](#the-one-rule).',
      },
    ];
  for (const { what, rule, path, text } of fine) {
    it(what, () => {
      assert.deepEqual(rule({ path, text }), []);
    });
  }

  it('keeps every place in the text while it blanks comments and literals', () => {
    const text = "const a = 'x'; // y\nconst b = `p${q}r`;\nconst c = 4 / 2 / 1;\nconst d = s.replace(/['\"]/g, '');";
    const code = codeOnly(text);
    assert.equal(code.length, text.length);
    assert.equal(
      code,
      'const a =    ;     \nconst b =   ${q}  ;\nconst c = 4 / 2 / 1;\nconst d = s.replace(       ,   );',
    );
  });
});

/** The params as they would be if nobody had written a source: every number must then be missed. */
function stripSources(path: string): string {
  return readSource(path).text.replaceAll('Source:', 'From:');
}
