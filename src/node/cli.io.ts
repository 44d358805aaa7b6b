/**
 * The command line: `skein up`, `join`, `invite`, `trust`, `key`, `keys`, `status`, `doctor`, `config print`, `demo`, `simulate`. Flags come from the
 * option table, so that help, configuration and documents agree. Commands are loaded when they run: `skein --help` loads
 * nothing else.
 * Rules: data goes to stdout, messages to stderr; exit codes are 0, 1 (failed), 2 (usage), 69 (unavailable), 78 (settings).
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { packageRoot } from '../package-root.io.ts';
import { addKeyCommands } from './cli-keys-commands.io.ts';
import { addLookCommands } from './cli-look-commands.io.ts';
import { addTrustCommands, join } from './cli-trust-commands.io.ts';
import { OPTION_KEYS, OPTIONS, type OptionSpec } from './config-schema.ts';
import { flagAttribute, flagUsage } from './option-names.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Runs one command; resolves with the exit code when it is over. */
export async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    process.stderr.write(`skein: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return EXIT_FAILED;
  }
}

export function version(): string {
  const text = readFileSync(new URL('package.json', packageRoot()), 'utf8');
  const fields: unknown = JSON.parse(text);
  return typeof fields === 'object' && fields !== null && 'version' in fields ? String(fields.version) : 'unknown';
}

function createProgram(done: (exitCode: number) => void): Command {
  const program = new Command('skein')
    .description('Joins the machines you own into one inference service, with no coordinator.')
    .version(version())
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('(`skein --help` lists the commands)')
    .addHelpText(
      'after',
      '\nStart a node with `skein up`, then run the `skein join` line that it prints on your other machines.',
    );
  nodeCommand(program, 'up', 'start a node: creates what is missing, joins its swarm, serves the API').action(
    async (_, command: Command) => {
      done(
        await (
          await import('./cli-up.io.ts')
        ).up({ flags: flagsOf(command), version: version(), json: isJson(command) }),
      );
    },
  );
  nodeCommand(program, 'join', 'start a node in the swarm of an invite link')
    .argument('[link]', 'what `skein invite` printed; without it, or with -, it is read from stdin')
    .option('--file <path>', 'read the link from a file')
    .option('--force', 'leave the swarm that this machine is in')
    .option('--no-start', 'join, and start no node')
    .action(async (link: string | undefined, _, command: Command) => {
      done(await join(link, command, { version: version(), flagsOf, isJson }));
    });
  const house = { query: queryCommand, done, flagsOf, isJson };
  addTrustCommands(program, house);
  addKeyCommands(program, house);
  addLookCommands(program, house);
  const config = program.command('config').description('look at the settings of this machine').exitOverride();
  queryCommand(config, 'print', 'print every setting, its value and who said so').action(
    async (_, command: Command) => {
      done(await (await import('./cli-query.io.ts')).printConfig({ flags: flagsOf(command), json: isJson(command) }));
    },
  );
  program
    .command('demo')
    .description('three nodes on this machine; kill the one that answers, and the answer goes on')
    .exitOverride()
    .action(async () => {
      done(await (await import('./demo.io.ts')).runDemo());
    });
  simulateCommand(program).action(async (words: readonly string[]) => {
    done(await (await import('../../simulations/main.io.ts')).main(words, { program: 'skein simulate' }));
  });
  return program;
}

/** The simulator reads its own words, `--help` too. */
function simulateCommand(program: Command): Command {
  return program
    .command('simulate')
    .description('run this very core in a simulated world; `skein simulate --help` lists what it can do')
    .argument('[words...]')
    .exitOverride()
    .helpOption(false)
    .allowUnknownOption();
}

/** A command that takes every option of a node. */
function nodeCommand(program: Command, name: string, description: string): Command {
  return withOptions(
    program.command(name).description(description),
    OPTION_KEYS.map((key): OptionSpec => OPTIONS[key]),
  );
}

/** A command that only has to find the node of this machine. */
function queryCommand(program: Command, name: string, description: string): Command {
  return withOptions(program.command(name).description(description), [OPTIONS.home, OPTIONS.config]);
}

function withOptions(command: Command, specs: readonly OptionSpec[]): Command {
  command.exitOverride().option('--json', 'print JSON lines for programs instead of text for people');
  for (const spec of specs) {
    const option = new Option(flagUsage(spec), spec.help);
    const repeatable = spec.kind.type === 'list' || spec.kind.type === 'upstreams';
    if (repeatable)
      option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
    command.addOption(option);
  }
  return command;
}

/** Only what was written on the command line: defaults are the configuration's business. */
function flagsOf(command: Command): Readonly<Record<string, unknown>> {
  const given = Object.entries(command.opts()).filter(
    ([name]) => command.getOptionValueSource(name) === 'cli' && isNodeOption(name),
  );
  return Object.fromEntries(given);
}

/** The others belong to one command only. */
function isNodeOption(attribute: string): boolean {
  return OPTION_KEYS.some((key) => flagAttribute(OPTIONS[key]) === attribute);
}

function isJson(command: Command): boolean {
  return command.opts()['json'] === true;
}
