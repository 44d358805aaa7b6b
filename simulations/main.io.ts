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

const PROGRAM = 'npm run sim --';

/** What may be given in another way: how the program was called, and what a test wants to be its own. */
export async function main(argv: readonly string[], given: Partial<Toolbox> = {}): Promise<number> {
  const toolbox: Toolbox = {
    program: PROGRAM,
    checkers: CHECKERS,
    // Compiled code starts compiled code.
    swarmChild: new URL(`cli/swarm-child.io${extname(import.meta.url)}`, import.meta.url),
    ...given,
  };
  let exitCode = EXIT_FINE;
  const program = createProgram(toolbox, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_FINE : EXIT_USAGE;
    process.stderr.write(
      `${toolbox.program}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return EXIT_BROKEN;
  }
}

function createProgram(toolbox: Toolbox, done: (exitCode: number) => void): Command {
  const program = new Command(toolbox.program)
    .description('Runs the core of skein in a simulated world: virtual time, network, machines and faults.')
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError(`(\`${toolbox.program} --help\` lists the commands)`);
  const terminal = new Terminal();
  for (const entry of COMMANDS) {
    const command = program.command(entry.name).description(entry.summary).exitOverride();
    entry.define(command);
    command.action(async (...words: unknown[]) => {
      const options = new Options(command.opts());
      done(await entry.run({ toolbox, terminal, words: words.filter((word) => typeof word === 'string'), options }));
    });
  }
  return program;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
