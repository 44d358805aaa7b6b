/**
 * What an option of `config-schema.ts` is called on the command line, in the parser of the command line, in the environment, and in
 * the help text: all of it follows from its flag.
 */
import type { OptionKind, OptionSpec } from './config-schema.ts';

/** The attribute under which a flag's value arrives from a parser that camel-cases: `--api-port` -> `apiPort`. */
export function flagAttribute(spec: OptionSpec): string {
  return spec.flag.slice(2).replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The environment variable of an option: `--api-port` -> `SKEIN_API_PORT`. */
export function environmentName(spec: OptionSpec): string {
  return `SKEIN_${spec.flag.slice(2).toUpperCase().replaceAll('-', '_')}`;
}

/** How help shows the flag: `--api-port <number>`, `--no-mdns`. */
export function flagUsage(spec: OptionSpec): string {
  if (spec.kind.type === 'boolean') return spec.default === true ? spec.flag.replace('--', '--no-') : spec.flag;
  return `${spec.flag} <${placeholder(spec.kind)}>`;
}

function placeholder(kind: OptionKind): string {
  if (kind.type === 'text' || kind.type === 'list') return kind.form === 'any' ? 'text' : kind.form;
  if (kind.type === 'integer') return 'number';
  return kind.type === 'upstreams' ? 'url' : kind.type;
}
