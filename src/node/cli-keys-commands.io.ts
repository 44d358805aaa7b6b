/** The words of `skein keys`: which there are, what they take, and what help says about them. The work is in `cli-keys.io.ts`. */
import type { Command } from 'commander';
import type { CommandHouse } from './cli-trust-commands.io.ts';

const HELP = `
A node without keys answers everybody who reaches its API, and its API is reached from this machine only. With keys every request
needs one ("authorization: Bearer <key>", or "x-api-key"), and the API may be bound to other addresses: \`skein up --api-host 0.0.0.0\`.
Limits count on this node alone and begin anew when it starts. A running node follows changes within a second.`;

export function addKeyCommands(program: Command, { query, done, flagsOf, isJson }: CommandHouse): void {
  const keys = program
    .command('keys')
    .description('API keys: who may use this node')
    .exitOverride()
    .addHelpText('after', HELP);
  query(keys, 'create', 'make a key and print it, once; only its hash is kept')
    .argument('<name>', 'whose it is: letters, digits and . _ -')
    .option('--scope <scope>', 'infer (ask for answers) or read (status); repeatable, default infer', listed)
    .option('--model <pattern>', 'only these models, with * for any text; repeatable', listed)
    .option('--ttl <time>', 'how long it is good for, such as 12h or 30d (default: for ever)')
    .option('--requests-per-minute <count>', 'at most so many requests')
    .option('--tokens-per-minute <count>', 'at most so many tokens, prompts included')
    .option('--tokens-per-day <count>', 'at most so many tokens, prompts included')
    .option('--at-once <count>', 'at most so many requests under way')
    .action(async (name: string, _, command: Command) => {
      const { createKey } = await import('./cli-keys.io.ts');
      done(await createKey({ flags: flagsOf(command), json: isJson(command), name, wishes: wishesOf(command.opts()) }));
    });
  query(keys, 'list', 'show the keys: names, rights and limits').action(async (_, command: Command) => {
    const { listKeys } = await import('./cli-keys.io.ts');
    done(await listKeys({ flags: flagsOf(command), json: isJson(command) }));
  });
  query(keys, 'revoke', 'take a key back; it stops working within a second')
    .argument('<which>', 'its id or name')
    .action(async (which: string, _, command: Command) => {
      const { revokeKey } = await import('./cli-keys.io.ts');
      done(await revokeKey({ flags: flagsOf(command), json: isJson(command), which }));
    });
}

function wishesOf(options: Readonly<Record<string, unknown>>): {
  readonly scope?: readonly string[];
  readonly model?: readonly string[];
  readonly ttl?: string;
  readonly limits: Record<
    'requestsPerMinute' | 'tokensPerMinute' | 'tokensPerDay' | 'concurrentMax',
    string | undefined
  >;
} {
  const text = (name: string): string | undefined => {
    const value = options[name];
    return typeof value === 'string' ? value : undefined;
  };
  const list = (name: string): readonly string[] | undefined => {
    const value = options[name];
    return Array.isArray(value) ? value.map(String) : undefined;
  };
  const scope = list('scope');
  const model = list('model');
  const ttl = text('ttl');
  return {
    ...(scope === undefined ? {} : { scope }),
    ...(model === undefined ? {} : { model }),
    ...(ttl === undefined ? {} : { ttl }),
    limits: {
      requestsPerMinute: text('requestsPerMinute'),
      tokensPerMinute: text('tokensPerMinute'),
      tokensPerDay: text('tokensPerDay'),
      concurrentMax: text('atOnce'),
    },
  };
}

function listed(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
