/**
 * The words of `skein status` and `skein doctor`: what they take, and what help says about them. The work is in a file for
 * each, which is loaded when its command runs.
 */
import type { Command } from 'commander';
import type { CommandHouse } from './cli-trust-commands.io.ts';

export function addLookCommands(program: Command, { query, done, flagsOf, isJson }: CommandHouse): void {
  query(program, 'status', 'show the nodes of the mesh, the paths to them, models and requests, as this node sees them')
    .option('--watch', 'again every second, until Ctrl-C')
    .action(async (_, command: Command) => {
      const { status } = await import('./cli-status.io.ts');
      const watch = command.opts()['watch'] === true;
      done(await status({ flags: flagsOf(command), json: isJson(command), watch }));
    });
  query(program, 'doctor', 'check this machine and its place in the network, and say what to change').action(
    async (_, command: Command) => {
      const { doctor } = await import('./cli-doctor.io.ts');
      done(await doctor({ flags: flagsOf(command), json: isJson(command) }));
    },
  );
}
