import assert from 'node:assert/strict';
import { errorCode, fileErrorReason, keyFileProblem } from '../src/file-error.ts';

const of = (code: string): Error => Object.assign(new Error(`${code}: it failed`), { code });

describe('an error of the file system', () => {
  it('has its code, and what is none has no code', () => {
    assert.deepEqual([of('ENOENT'), new Error('bug'), 'ENOENT'].map(errorCode), ['ENOENT', '', '']);
  });

  it('is told in words, and by its code where there are none', () => {
    assert.equal(fileErrorReason(of('ELOOP')), 'its symbolic links lead in a circle');
    assert.equal(fileErrorReason(of('EXDEV')), 'EXDEV');
    assert.equal(fileErrorReason(new Error('bug')), 'Error: bug');
  });

  for (const [code, expected] of [
    ['EISDIR', /a directory; move the directory \/k away/],
    ['EACCES', /permission denied; let the user that runs skein own it \(chown\).*chmod 600 \/k/],
    ['EPERM', /not permitted; .*chown/],
    ['ENOTDIR', /a file is in the way; move the file away/],
    ['EEXIST', /a file is in the way; move the file away/],
    ['ELOOP', /circle; replace the link \/k by the file/],
    ['ENOENT', /no such file; bring back the file that \/k should lead to/],
    ['ENOSPC', /full; free some room/],
    ['EROFS', /read-only; choose a directory/],
    ['EIO', /EIO; check the disk/],
  ] as const)
    it(`that a key file meets gets the advice that fits: ${code}`, () => {
      const problem = keyFileProblem('/k', of(code));
      assert.match(problem, expected);
      assert.equal(
        problem.includes('chmod'),
        ['EACCES', 'EPERM'].includes(code),
        'only permissions are mended by chmod',
      );
    });

  it('without a code is a bug, and thrown', () => {
    assert.throws(() => keyFileProblem('/k', new TypeError('bug')), /bug/);
  });
});
