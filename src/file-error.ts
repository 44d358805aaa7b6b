/**
 * What did the file system refuse, in words, and what mends it? Its codes ("EISDIR") become a reason and an advice that
 * fits: chmod helps where permission is missing, and nowhere else. The caller says which file it wanted and for what.
 * Limits: codes that people meet; another one is told as it is. Source: spec: the errors of POSIX open and mkdir.
 */

/** The code of a file system error ("ENOENT"), or '' for anything else. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'permission denied'],
  ['EPERM', 'not permitted'],
  ['ENOENT', 'no such file'],
  ['EEXIST', 'a file is in the way'],
  ['ENOTDIR', 'a file is in the way'],
  ['EISDIR', 'it is a directory'],
  ['ELOOP', 'its symbolic links lead in a circle'],
  ['ENOSPC', 'the disk is full'],
  ['EROFS', 'the file system is read-only'],
]);

export function fileErrorReason(error: unknown): string {
  const code = errorCode(error);
  return code === '' ? String(error) : (REASONS.get(code) ?? code);
}

/** Why the key file at `path` cannot be used, and what to do. An error without a code is a bug, and thrown. */
export function keyFileProblem(path: string, error: unknown): string {
  const code = errorCode(error);
  if (code === '') throw error;
  return `${fileErrorReason(error)}; ${keyFileMend(path, code)}`;
}

/** The same for a directory, which some systems open like a file. */
export function keyDirectoryProblem(path: string): string {
  return `it is a directory; ${keyFileMend(path, 'EISDIR')}`;
}

/** The same for a link to nothing: there is no file, and none can be made. */
export function danglingLinkProblem(path: string): string {
  return `it is a link that leads nowhere; ${keyFileMend(path, 'ENOENT')}`;
}

function keyFileMend(path: string, code: string): string {
  switch (code) {
    case 'EISDIR':
      return `move the directory ${path} away, or choose another path`;
    case 'EACCES':
    case 'EPERM':
      return `let the user that runs skein own it (chown) and read it (chmod 600 ${path}), and enter the directories above it`;
    case 'ENOTDIR':
    case 'EEXIST':
      return `move the file away that stands where a directory of ${path} should be`;
    case 'ELOOP':
      return `replace the link ${path} by the file that it should lead to`;
    case 'ENOENT':
      return `bring back the file that ${path} should lead to, or remove the link`;
    case 'ENOSPC':
      return 'free some room';
    case 'EROFS':
      return 'choose a directory on a disk that can be written to';
    default:
      return 'check the disk and the path';
  }
}
