/**
 * Runs one benchmark: `npm run bench -- NAME` becomes `bench/NAME.bench.io.ts` with the rest of the arguments. Without a name it lists them; a name that does not exist ends with exit
 * code 2 and the nearest one that does. Source: ours.
 */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SUFFIX = '.bench.io.ts';

await main(process.argv.slice(2));

async function main([name, ...rest]: readonly string[]): Promise<void> {
  const names = readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .toSorted();
  if (name === undefined) {
    process.stdout.write(`usage: npm run bench -- NAME\nbenchmarks: ${names.join(', ')}\n`);
    return;
  }
  if (!names.includes(name)) {
    const nearest = names.toSorted((left, right) => distance(name, left) - distance(name, right))[0];
    const hint = nearest === undefined ? '' : `; did you mean "${nearest}"?`;
    process.stderr.write(`no benchmark "${name}"${hint}\nbenchmarks: ${names.join(', ')}\n`);
    process.exitCode = 2;
    return;
  }
  const file = new URL(`./${name}${SUFFIX}`, import.meta.url);
  process.argv.splice(1, Infinity, fileURLToPath(file), ...rest);
  await import(file.href);
}

/** Levenshtein's edit distance, one row at a time. */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let index = 0; index < left.length; index += 1) {
    const next = [index + 1];
    for (let column = 0; column < right.length; column += 1) {
      const replaced = (row[column] ?? 0) + (left[index] === right[column] ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
