/**
 * The simulator's command line: `npm run sim -- COMMAND` in a checkout, `skein simulate COMMAND` anywhere. Reads the words,
 * finds the command and returns its exit code; the commands themselves are in `cli/`. What is asked for wrongly is
 * said with field, expected and got, and ends with 2.
 */
import { extname } from 'node:path';
import { Command, CommanderError } from 'commander';
import { CHECKERS } from './checkers/index.ts';
import { EXIT_BROKEN, EXIT_FINE, EXIT_USAGE, Options, type Toolbox } from './cli/command.io.ts';
import { COMMANDS } from './cli/commands.io.ts';
import { Terminal } from './cli/terminal.io.ts';
import knownSeeds from './seeds.json' with { type: 'json' };

const PROGRAM = 'npm run sim --';

/** What may be another: how the program was called, and what a test wants to be its own. */
export interface Given extends Partial<Toolbox> {
  readonly terminal?: Terminal;
}

/** Resolves with the exit code when the command is over. */
export async function main(
  argv: readonly string[],
  { terminal = new Terminal(), ...tools }: Given = {},
): Promise<number> {
  const toolbox: Toolbox = {
    program: PROGRAM,
    checkers: CHECKERS,
    knownSeeds,
    // Compiled code starts compiled code.
    swarmChild: new URL(`cli/swarm-child.io${extname(import.meta.url)}`, import.meta.url),
    ...tools,
  };
  let exitCode = EXIT_FINE;
  const program = createProgram(toolbox.program, terminal);
  for (const entry of COMMANDS) {
    const command = program.command(entry.name).description(entry.summary).exitOverride();
    entry.define(command);
    command.action(async (...given: readonly unknown[]) => {
      const words = given.filter((word) => typeof word === 'string');
      exitCode = await entry.run({ toolbox, terminal, words, options: new Options(command.opts()) });
    });
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_FINE : EXIT_USAGE;
    terminal.note(`${toolbox.program}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return EXIT_BROKEN;
  }
}

function createProgram(name: string, terminal: Terminal): Command {
  return new Command(name)
    .description('Runs the core of skein in a simulated world: virtual time, network, machines and faults.')
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.note(text) })
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError(`(\`${name} --help\` lists the commands)`);
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
