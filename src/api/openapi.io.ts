/**
 * Writes the API description to `docs/openapi.yaml`: `npm run openapi`, after a route or a schema has changed. A test says
 * when that was forgotten.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { openapiText } from './openapi.ts';

const read = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
// Our own file.
// eslint-disable-next-line typescript/no-unsafe-type-assertion
const { version } = JSON.parse(read) as { version: string };
await writeFile(new URL('../../docs/openapi.yaml', import.meta.url), openapiText(version));
