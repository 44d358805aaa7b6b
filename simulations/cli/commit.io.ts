/**
 * Which state of the code is this? The commit of the checkout that this file is in, with `-dirty` where files were changed;
 * `unknown` for an installed package and where there is no git. A package inside of somebody else's repository is not at
 * its root, and their commit says nothing about us.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Source: guess: a slow disk. */
const GIT_MS_MAX = 5_000;
const UNKNOWN = 'unknown';
const root = fileURLToPath(new URL('../..', import.meta.url));

export function commitOf(directory: string = root): string {
  // Empty at the root of a repository, a path below it.
  if (git(directory, ['rev-parse', '--show-prefix']) !== '') return UNKNOWN;
  const commit = git(directory, ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*']);
  return commit === undefined || commit === '' ? UNKNOWN : commit;
}

/** undefined = it failed, or there is no git. */
function git(cwd: string, words: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('git', words, { cwd, encoding: 'utf8', timeout: GIT_MS_MAX });
  return status === 0 ? stdout.trim() : undefined;
}
