/**
 * Is one value what its option needs? A schema for each kind of option, and answers that say what was expected and what
 * was found instead, with the place inside the value. Apart from the merge, so that each stays on a screen.
 */
import { z } from 'zod';
import { unreachable } from '../assert.ts';
import { parseUpstreamUrl } from '../inference/upstream-request.ts';
import { INFERENCE } from '../params.ts';
import {
  OPTION_KEYS,
  OPTIONS,
  type OptionKey,
  type OptionKind,
  type OptionSpec,
  type TextForm,
  UPSTREAM_SLOTS_DEFAULT,
} from './config-schema.ts';
import type { NodeOptions } from './node-options.ts';

export type Checked =
  { readonly type: 'fits'; readonly value: unknown } | { readonly type: 'wrong'; readonly message: string };

/** Longest shown part of a wrong value. Source: guess: enough to recognise it. */
const SHOWN_CHARACTERS_MAX = 80;

/** Requests at once at one upstream: more cannot come over one link. Source: `INFERENCE.requestsPerLinkMax`. */
const UPSTREAM_SLOTS_MAX = INFERENCE.requestsPerLinkMax;

/** The value as the program uses it, or one sentence on what is wrong with it. */
export function checkValue(spec: OptionSpec, value: unknown): Checked {
  if (value === undefined && spec.default === undefined) return { type: 'fits', value };
  const checked = schemaOf(spec.kind).safeParse(spec.kind.type === 'upstreams' ? camelCaseItems(value) : value);
  if (checked.success) return { type: 'fits', value: checked.data };
  const [issue] = checked.error.issues;
  return { type: 'wrong', message: issue === undefined ? 'is not usable' : describe(spec.kind, value, issue) };
}

/** True when every option is there and fits: the merge has built what the program is promised. */
export function isNodeOptions(values: Partial<Record<OptionKey, unknown>>): values is NodeOptions {
  return OPTION_KEYS.every((key) => checkValue(OPTIONS[key], values[key]).type === 'fits');
}

function describe(kind: OptionKind, value: unknown, issue: z.core.$ZodIssue): string {
  if (kind.type === 'upstreams') return describeUpstream(kind, value, issue);
  const [index] = issue.path;
  if (kind.type === 'list' && typeof index === 'number' && Array.isArray(value))
    return `expected each entry to be ${FORMS[kind.form].expected}, got ${show(value[index])} as entry ${index + 1}`;
  return `expected ${expected(kind)}, got ${kind.type === 'list' && Array.isArray(value) ? `${value.length} entries` : show(value)}`;
}

function describeUpstream(kind: OptionKind, value: unknown, issue: z.core.$ZodIssue): string {
  const [index, ...inner] = issue.path;
  if (typeof index !== 'number' || !Array.isArray(value)) return `expected ${expected(kind)}, got ${show(value)}`;
  const item: unknown = value[index];
  if (issue.code === 'unrecognized_keys')
    return `entry ${index + 1} has the unknown field ${issue.keys.map(kebabCase).join(', ')}: expected ${UPSTREAM_FIELDS}`;
  if (inner.length === 0) return `expected entry ${index + 1} to be a table with ${UPSTREAM_FIELDS}, got ${show(item)}`;
  const field = kebabCase(inner.join('.'));
  // The message of the schema names what it wanted; the value is shown from our side, cut to a length.
  return `entry ${index + 1}, field ${field}: ${issue.message}, got ${show(valueAt(camelCaseKeys(item), inner))}`;
}

function expected(kind: OptionKind): string {
  switch (kind.type) {
    case 'text':
      return FORMS[kind.form].expected;
    case 'list':
      return `a list of at most ${kind.itemsMax} entries`;
    case 'integer':
      return `a whole number from ${kind.min} to ${kind.max}`;
    case 'boolean':
      return 'true or false';
    case 'choice':
      return `one of ${kind.choices.join(', ')}`;
    case 'upstreams':
      return `at most ${kind.itemsMax} tables with ${UPSTREAM_FIELDS}`;
    default:
      return unreachable(kind);
  }
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  // A password in an address is not for a log.
  const text = JSON.stringify(value).replaceAll(/\/\/[^/@"]*@/g, '//...@');
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}...` : text;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, step) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, step) : undefined),
    value,
  );
}

const FORMS: Readonly<Record<TextForm, { readonly pattern: RegExp; readonly expected: string }>> = {
  any: { pattern: /^[^\0]{1,4096}$/, expected: 'a text' },
  path: { pattern: /^[^\0]{1,4096}$/, expected: 'a path' },
  name: { pattern: /^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u, expected: '1 to 64 printable characters' },
  address: {
    pattern: /^\/(?:ip4|ip6|dns|dns4|dns6|dnsaddr)\/[^/\s]{1,253}(?:\/[^/\s]{1,128}){0,8}$/,
    expected: 'a multiaddr such as /ip4/192.168.1.20/tcp/4100',
  },
  host: {
    pattern: /^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,252}|[0-9A-Fa-f:.]{2,45})$/,
    expected: 'an IP address or a host name',
  },
  origin: {
    pattern: /^https?:\/\/[A-Za-z0-9._[\]:-]{1,260}$/,
    expected: 'an origin such as https://chat.example (no path, no slash at the end)',
  },
  node: {
    pattern: /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/,
    expected: 'the id of a node (12D3KooW...), as `skein status --json` shows it',
  },
  'key-hash': {
    pattern: /^[0-9a-f]{64}$/,
    expected: 'the SHA-256 of a key as 64 lower-case hex digits, never the key itself',
  },
};

function schemaOf(kind: OptionKind): z.ZodType {
  switch (kind.type) {
    case 'text':
      return z.string().regex(FORMS[kind.form].pattern);
    case 'list':
      return z.array(z.string().regex(FORMS[kind.form].pattern)).max(kind.itemsMax);
    case 'integer':
      return z.int().min(kind.min).max(kind.max);
    case 'boolean':
      return z.boolean();
    case 'choice':
      return z.enum(kind.choices);
    case 'upstreams':
      return z.array(UPSTREAM).max(kind.itemsMax);
    default:
      return unreachable(kind);
  }
}

const UPSTREAM_FIELDS = 'name, url, api-key-file, api-key-env, slots, context-tokens, models';

const UPSTREAM = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  url: z.string().superRefine((text, context) => {
    const parsed = parseUpstreamUrl(text);
    if (parsed.type === 'invalid') context.addIssue(parsed.failure.message);
  }),
  apiKeyFile: z.string().regex(FORMS.path.pattern).optional(),
  apiKeyEnv: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/)
    .optional(),
  slots: z.int().min(1).max(UPSTREAM_SLOTS_MAX).default(UPSTREAM_SLOTS_DEFAULT),
  contextTokens: z.int().min(1).max(1_048_576).optional(),
  models: z.array(z.string().min(1).max(128)).max(64).optional(),
});

/** The names of the file are `api-key-file`; those of the program are `apiKeyFile`. */
function camelCaseKeys(table: unknown): unknown {
  if (typeof table !== 'object' || table === null || Array.isArray(table)) return table;
  return Object.fromEntries(
    Object.entries(table).map(([name, value]: [string, unknown]) => [
      name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );
}

function camelCaseItems(value: unknown): unknown {
  return Array.isArray(value) ? value.map(camelCaseKeys) : value;
}

function kebabCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
