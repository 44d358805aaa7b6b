/**
 * Commands in documents can be typed: scripts, commands and flags named in `console` blocks exist. The list of commands
 * here is itself held against `skein --help`, and the option table against the flags that the documents may use.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { brokenCommand, consoleCommands, type Vocabulary } from './architecture/documents.ts';
import { documents, readSource } from './architecture/repository.ts';
import { Command } from 'commander';
import { COMMANDS as SIMULATIONS } from '../simulations/cli/commands.io.ts';
import { OPTIONS, type OptionSpec } from '../src/node/config-schema.ts';
import { flagUsage } from '../src/node/option-names.ts';

const launcher = fileURLToPath(new URL('../bin/skein.js', import.meta.url));

/** What `skein` can do. */
const COMMANDS = [
  'up',
  'join',
  'invite',
  'trust',
  'key',
  'keys',
  'status',
  'doctor',
  'config',
  'demo',
  'simulate',
  'help',
];
/** Flags that are no options of a node. */
const OTHER_FLAGS = [
  '--help',
  '--version',
  '--json',
  '--origin',
  '--qr',
  '--once',
  '--ttl',
  '--once-port',
  '--watch',
  '--file',
  '--force',
  '--no-start',
  '--label',
  '--days',
  '--role',
  '--out',
  '--stage',
  '--use',
  '--finish',
  '--status',
  '--leaked',
];

const specs: readonly OptionSpec[] = Object.values(OPTIONS);
const vocabulary: Vocabulary = {
  scripts: new Set(packageKeys('scripts')),
  commands: new Set(COMMANDS),
  flags: new Set([...OTHER_FLAGS, ...specs.flatMap((spec) => [spec.flag, flagUsage(spec).split(' ')[0] ?? ''])]),
  simulations: new Map(
    SIMULATIONS.map((entry) => {
      const command = new Command(entry.name);
      entry.define(command);
      return [entry.name, new Set(command.options.flatMap(({ long }) => long ?? []))];
    }),
  ),
};

describe('the documents', () => {
  it('show commands that exist', () => {
    const problems = documents().flatMap((file) =>
      consoleCommands(file).flatMap((line) =>
        brokenCommand(line, vocabulary).map((problem) => `${file.path}: ${problem}: ${line}`),
      ),
    );
    assert.deepEqual(problems, []);
  });

  it('show how to try it, to test it and to keep it, in the README', () => {
    const commands = consoleCommands(readSource('README.md')).join('\n');
    for (const needed of ['npm ci', 'npm run demo', 'npm test', 'npm start'])
      assert.ok(commands.includes(needed), needed);
  });

  it('know the commands that the program has', () => {
    const { stdout } = spawnSync(process.execPath, [launcher, '--help'], { encoding: 'utf8', timeout: 20_000 });
    const listed = [...stdout.matchAll(/^ {2}(?<name>[a-z]+)\b/gm)].map(({ groups }) => groups?.['name'] ?? '');
    assert.deepEqual(
      listed.filter((name) => name !== 'help').toSorted(),
      COMMANDS.filter((name) => name !== 'help').toSorted(),
    );
  }).timeout(20_000);

  it('say of every dependency why it is here', () => {
    const { text } = readSource('docs/decisions/0014-dependencies.md');
    const used = ['dependencies', 'devDependencies'].flatMap((kind) => packageKeys(kind));
    assert.ok(used.length > 30);
    assert.deepEqual(
      used.filter((name) => !text.includes(`\`${name}\``)),
      [],
    );
    const named = [...text.matchAll(/^\| (?<names>`[^|]*) \|/gm)].flatMap(
      ({ groups }) => groups?.['names']?.split(', ') ?? [],
    );
    assert.deepEqual(
      named.filter((name) => !used.includes(name.replaceAll('`', ''))),
      [],
    );
  });

  it('are read in blocks marked as console, after a prompt where there is one', () => {
    const text =
      '```console\n$ skein up \\\n  --no-mdns\nready\n```\n\n```console\n# a remark\nnpm test\n```\n\n```json\nskein nothing\n```\n';
    assert.deepEqual(consoleCommands({ path: 'a.md', text }), ['skein up    --no-mdns', 'npm test']);
  });

  const lines: readonly { readonly line: string; readonly problems: readonly string[] }[] = [
    { line: 'npm ci && npm run demo', problems: [] },
    { line: 'npm run nothing', problems: ['npm has no script nothing'] },
    { line: 'npm start -- --api-port 0 --no-mdns', problems: [] },
    { line: 'npm start -- --port 0', problems: ['skein has no flag --port'] },
    { line: 'skein up --swarm-key-file F --bootstrap A', problems: [] },
    { line: 'SKEIN_HOME=/tmp/a npx skein fly', problems: ['skein has no command fly'] },
    { line: 'node bin/skein.js status --jsonn', problems: ['skein has no flag --jsonn'] },
    { line: 'skein status --json | grep node', problems: [] },
    { line: 'curl --silent http://127.0.0.1:4101/livez', problems: [] },
    { line: 'npm test; skein down # ends it', problems: ['skein has no command down'] },
    { line: 'npm run sim -- run smoke --seed 3 --set nodes=7', problems: [] },
    { line: 'npm run sim -- --help', problems: [] },
    { line: 'npm run sim -- fly', problems: ['the simulator has no command fly'] },
    { line: 'skein simulate swarm --seeds 1..9 --jobs 2', problems: [] },
    { line: 'skein simulate run smoke --jobs 2', problems: ["the simulator's run has no flag --jobs"] },
  ];
  for (const { line, problems } of lines) {
    it(`${problems.length === 0 ? 'accept' : 'refuse'} "${line}"`, () => {
      assert.deepEqual(brokenCommand(line, vocabulary), problems);
    });
  }
});

function packageKeys(field: string): readonly string[] {
  const parsed: unknown = JSON.parse(readSource('package.json').text);
  assert.ok(typeof parsed === 'object' && parsed !== null);
  const value: unknown = Reflect.get(parsed, field);
  assert.ok(typeof value === 'object' && value !== null, field);
  return Object.keys(value);
}
