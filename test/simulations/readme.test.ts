/** What `simulations/README.md` shows can be done: its quick commands are run, and the bug that it plants can still be planted. */
import assert from 'node:assert/strict';
import { SCENARIOS } from '../../simulations/scenarios/index.ts';
import { consoleCommands } from '../architecture/documents.ts';
import { readSource } from '../architecture/repository.ts';
import { runHere } from './cli/program.ts';

const PREFIX = 'npm run sim -- ';
/** Those that take a moment. */
const QUICK = /^run smoke\b|^determinism$|^scenarios$/;

const document = readSource('simulations/README.md');
const commands = consoleCommands(document);
const quick = commands
  .filter((line) => line.startsWith(PREFIX))
  .map((line) => line.slice(PREFIX.length))
  .filter((line) => QUICK.test(line));

describe('the README of the simulator', function () {
  this.timeout(30_000);

  it('shows a run and a comparison that can be tried at once', () => {
    assert.ok(quick.length >= 2, quick.join());
  });

  for (const line of quick)
    it(`can be followed: ${line}`, async () => {
      const { code, out, err } = await runHere(line.split(/\s+/));
      assert.equal(code, 0, out + err);
    });

  it('plants a bug in text that is there exactly once', () => {
    const planting = commands.find((line) => line.startsWith('sed -i ')) ?? '';
    const { script = '', path = '' } = /^sed -i '(?<script>[^']*)' (?<path>\S+)$/.exec(planting)?.groups ?? {};
    const found = [...script.matchAll(/s\/(?<text>[^/]*)\/[^/]*\//g)].map(({ groups }) => groups?.['text'] ?? '');
    assert.equal(found.length, 2, planting);
    const { text } = readSource(path);
    for (const one of found) assert.equal(text.split(one).length, 2, one);
  });

  it('names every scenario with its question', () => {
    for (const { name, question } of SCENARIOS.values()) {
      const row = document.text.split('\n').find((line) => line.startsWith(`| \`${name}\` |`)) ?? '';
      assert.ok(row.endsWith(`| ${question} |`), name);
    }
  });
});
