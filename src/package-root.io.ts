/**
 * Where is this package? The directory above this file that holds `package.json`: in a checkout the sources lie one level
 * below it, in a published package the compiled files lie deeper. Whatever is found beside the code is found from here.
 */
import { existsSync } from 'node:fs';

export function packageRoot(): URL {
  for (let directory = new URL('.', import.meta.url); ;) {
    if (existsSync(new URL('package.json', directory))) return directory;
    const above = new URL('..', directory);
    if (above.href === directory.href) throw new Error('package.json of skein is gone');
    directory = above;
  }
}
