/**
 * `skein config print`: every setting with its value, and who said so: a flag, the environment, the file, or nobody. Data
 * goes to stdout, as a table for people or as JSON lines for programs; warnings go to stderr. Needs no running node.
 */
import { describeOrigin } from './config.ts';
import { OPTION_KEYS } from './config-schema.ts';
import { fail } from './exit.io.ts';
import { readSettings } from './settings.io.ts';

export interface QueryCommand {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly json: boolean;
}

export async function printConfig({ flags, json }: QueryCommand): Promise<number> {
  const settings = await readSettings(flags);
  if (settings.type === 'unusable') return fail(settings.problems, settings.exitCode);
  for (const warning of settings.warnings) process.stderr.write(`skein: ${warning}\n`);
  for (const option of OPTION_KEYS) {
    const value = settings.options[option];
    const origin = describeOrigin(settings.origins[option]);
    process.stdout.write(
      json
        ? `${JSON.stringify({ option, value, origin })}\n`
        : `${option.padEnd(24)} ${(value === undefined ? '(not set)' : JSON.stringify(value)).padEnd(36)} ${origin}\n`,
    );
  }
  return 0;
}
