/**
 * The repository as the checks see it: its files, by folder and ending, and its documents with their links, headings
 * and code blocks. Reading happens here, judging in `rules.ts` and the tests.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SourceFile } from './source-text.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** All files under `folder` whose names end in one of `endings`, sorted. */
export function filesUnder(folder: string, endings: readonly string[]): readonly SourceFile[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .toSorted()
    .map(readSource);
}

export function readSource(path: string): SourceFile {
  return { path, text: readFileSync(join(root, path), 'utf8') };
}

export function exists(path: string): boolean {
  return existsSync(join(root, path));
}

/** Everything written for people. */
export function documents(): readonly SourceFile[] {
  const own = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'simulations/README.md'].filter(exists).map(readSource);
  return [...own, ...filesUnder('docs', ['.md'])];
}
