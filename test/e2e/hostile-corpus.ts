/**
 * A directory of model files that mean harm, one of them for each way that is known: headers that claim more than the
 * file holds, templates that never end or eat memory, names and links that lead elsewhere, and a pipe that never speaks.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { concat, utf8 } from '../../src/bytes.ts';
import { writeDefaultModel } from '../../src/inference/default-model.ts';

/** These pass for models until they are loaded. */
export const BOMBS: Readonly<Record<string, string>> = {
  'bomb-loop': '{% for i in range(30000000) %}{% endfor %}',
  'bomb-memory':
    '{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = ns.x + [range(999999)] %}{% endfor %}',
};

/** The files that the check of headers refuses; the number of files written. */
export async function writeCorpus(directory: string): Promise<number> {
  const huge = 2 ** 40;
  const real = writeDefaultModel();
  const files: readonly (readonly [string, Uint8Array])[] = [
    ['magic.gguf', utf8('GGUFxxxxxxxxxxxxxxxxxxxx')],
    ['keys.gguf', head(0, huge)],
    ['tensors.gguf', head(huge, 0)],
    ['array.gguf', concat([head(0, 1), text('k'), number(9, 4), number(4, 4), number(2 ** 36, 8), new Uint8Array(64)])],
    ['dimensions.gguf', dimensions()],
    ['cut.gguf', real.subarray(0, real.length - 4_096)],
    ['cut-header.gguf', real.subarray(0, 2_000)],
    ['endless.gguf', endless()],
    ['random.gguf', concat([utf8('GGUF'), number(3, 4), randomBytes(65_536)])],
    ['empty.gguf', new Uint8Array()],
    ['..%2f..%2fetc.gguf', real.subarray(0, 64)],
    ['...gguf', real.subarray(0, 64)],
    ['line\nbreak \u001b[2J.gguf', real.subarray(0, 64)],
    ['<img src=x onerror=alert(1)>.gguf', real.subarray(0, 64)],
  ];
  await Promise.all(files.map(async ([name, bytes]) => writeFile(join(directory, name), bytes)));
  await symlink('/etc/passwd', join(directory, 'passwd.gguf'));
  await symlink('/dev/zero', join(directory, 'zero.gguf'));
  await symlink('round.gguf', join(directory, 'round.gguf'));
  execFileSync('mkfifo', [join(directory, 'pipe.gguf')]);
  for (const [name, template] of Object.entries(BOMBS))
    // eslint-disable-next-line no-await-in-loop
    await writeFile(join(directory, `${name}.gguf`), withTemplate(real, template));
  return files.length + 4;
}

/** The default model with another template, of the same length in bytes. */
export function withTemplate(model: Uint8Array, template: string): Uint8Array {
  const bytes = Buffer.from(model);
  const key = Buffer.from('tokenizer.chat_template');
  const at = bytes.indexOf(key) + key.length + 4;
  const length = Number(bytes.readBigUInt64LE(at));
  if (Buffer.byteLength(template) > length) throw new RangeError('the template is longer than the one it replaces');
  bytes.fill(' ', at + 8, at + 8 + length);
  bytes.write(template, at + 8);
  return bytes;
}

function head(tensors: number, keys: number): Uint8Array {
  return concat([utf8('GGUF'), number(3, 4), number(tensors, 8), number(keys, 8)]);
}

function dimensions(): Uint8Array {
  const key = concat([text('general.architecture'), number(8, 4), text('llama')]);
  const shape = concat([number(2, 4), number(2 ** 31, 8), number(2 ** 31, 8)]);
  return concat([head(1, 1), key, text('t'), shape, number(0, 4), number(0, 8), new Uint8Array(64)]);
}

/** As many empty strings as a file of some megabytes can claim, behind them nothing. */
function endless(): Uint8Array {
  const strings = 1_000_000;
  return concat([head(0, 1), text('k'), number(9, 4), number(8, 4), number(strings, 8), new Uint8Array(strings * 8)]);
}

function text(value: string): Uint8Array {
  return concat([number(value.length, 8), utf8(value)]);
}

function number(value: number, bytes: 4 | 8): Uint8Array {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 4) buffer.writeUInt32LE(value);
  else buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}
