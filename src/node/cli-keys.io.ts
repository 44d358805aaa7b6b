/**
 * `skein keys create|list|revoke`: the API keys of this machine's node. A key is shown once, when it is made; only its hash
 * is kept. A running node follows within a second, so that neither command needs it to be reachable.
 */
import { randomBytes } from 'node:crypto';
import {
  checkKey,
  hashApiKey,
  isExpired,
  type KeyLimits,
  type KeyRecord,
  KEYS_MAX,
  makeKey,
} from '../api/key-record.ts';
import { parseDuration } from './duration.ts';
import { fail } from './exit.io.ts';
import { keyFilePath, readKeyFile, writeKeyFile } from './key-file.io.ts';
import { readSettings } from './settings.io.ts';
import { table } from './table.ts';

const EXIT_USAGE = 2;
const EXIT_CONFIG = 78;

interface KeysCommand {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly json: boolean;
}

export interface CreateKeyCommand extends KeysCommand {
  readonly name: string;
  /** As they were written; the limits are numbers in text. */
  readonly wishes: {
    readonly scope?: readonly string[];
    readonly model?: readonly string[];
    readonly ttl?: string;
    readonly limits: Readonly<Record<keyof KeyLimits, string | undefined>>;
  };
}

export async function createKey({ flags, json, name, wishes }: CreateKeyCommand): Promise<number> {
  const opened = await openKeys(flags);
  if (typeof opened === 'number') return opened;
  const { path, keys } = opened;
  if (keys.length >= KEYS_MAX)
    return fail([`there are ${KEYS_MAX} keys already: revoke one with \`skein keys revoke <id>\``], EXIT_CONFIG);
  if (keys.some((one) => one.name === name))
    return fail([`there is a key named ${name} already: choose another name, or revoke that one`], EXIT_USAGE);
  const { id, text } = makeKey(name, randomBytes(36));
  const nowS = Math.floor(Date.now() / 1_000);
  const wish = wished({ id, name, hash: hashApiKey(text), createdS: nowS }, wishes);
  if (wish === undefined)
    return fail([`--ttl ${wishes.ttl}: expected a number and s, m, h or d, as in 30d`], EXIT_USAGE);
  const checked = checkKey(wish);
  if (checked.type === 'wrong') return fail([`this key cannot be made: ${checked.reason}`], EXIT_USAGE);
  await writeKeyFile(path, [...keys, checked.key]);
  if (json) process.stdout.write(`${JSON.stringify({ ...shown(checked.key), key: text })}\n`);
  else {
    process.stdout.write(`${text}\n`);
    process.stderr.write('skein: this is the only time that the key is shown; only its hash is kept\n');
  }
  return 0;
}

export async function listKeys({ flags, json }: KeysCommand): Promise<number> {
  const opened = await openKeys(flags);
  if (typeof opened === 'number') return opened;
  const { keys } = opened;
  if (json) {
    for (const key of keys) process.stdout.write(`${JSON.stringify(shown(key))}\n`);
    return 0;
  }
  if (keys.length === 0) {
    process.stderr.write('skein: there are no API keys: make one with `skein keys create <name>`\n');
    return 0;
  }
  const nowS = Date.now() / 1_000;
  const rows = keys.map((key) => [
    key.id,
    key.name,
    key.scopes.join(','),
    key.models?.join(',') ?? 'all',
    limitsText(key.limits),
    key.expiresS === undefined ? 'never' : `${dateOf(key.expiresS)}${isExpired(key, nowS) ? ' (expired)' : ''}`,
  ]);
  process.stdout.write(`${table([['ID', 'NAME', 'MAY', 'MODELS', 'LIMITS', 'EXPIRES'], ...rows])}\n`);
  return 0;
}

export async function revokeKey({ flags, json, which }: KeysCommand & { readonly which: string }): Promise<number> {
  const opened = await openKeys(flags);
  if (typeof opened === 'number') return opened;
  const { path, keys } = opened;
  const revoked = keys.filter(({ id, name }) => id === which || name === which);
  if (revoked.length === 0)
    return fail([`no API key has the id or name ${which}: \`skein keys list\` shows them`], EXIT_USAGE);
  await writeKeyFile(
    path,
    keys.filter((key) => !revoked.includes(key)),
  );
  for (const key of revoked)
    process.stdout.write(json ? `${JSON.stringify({ revoked: key.id })}\n` : `revoked ${key.id} (${key.name})\n`);
  if (keys.length === revoked.length)
    process.stderr.write(
      'skein: that was the last key: a node that only this machine can reach lets everybody in again, one that others can reach nobody\n',
    );
  return 0;
}

async function openKeys(
  flags: KeysCommand['flags'],
): Promise<{ readonly path: string; readonly keys: readonly KeyRecord[] } | number> {
  const settings = await readSettings(flags);
  if (settings.type === 'unusable') return fail(settings.problems, settings.exitCode);
  const path = keyFilePath(settings.paths.state);
  const read = await readKeyFile(path);
  return read.type === 'keys' ? { path, keys: read.keys } : fail([read.problem], EXIT_CONFIG);
}

/** The wishes as a record that still has to be checked; undefined when the time is none. */
function wished(
  base: Pick<KeyRecord, 'id' | 'name' | 'hash' | 'createdS'>,
  { scope = ['infer'], model, ttl, limits }: CreateKeyCommand['wishes'],
): unknown {
  const ttlS = ttl === undefined ? undefined : parseDuration(ttl);
  if (ttl !== undefined && ttlS === undefined) return undefined;
  const bounds = Object.entries(limits).flatMap(([name, text]) => (text === undefined ? [] : [[name, Number(text)]]));
  return {
    ...base,
    scopes: scope,
    ...(model === undefined ? {} : { models: model }),
    ...(bounds.length === 0 ? {} : { limits: Object.fromEntries(bounds) as unknown }),
    ...(ttlS === undefined ? {} : { expiresS: base.createdS + ttlS }),
  };
}

/** Everything but the hash. */
function shown(key: KeyRecord): Readonly<Record<string, unknown>> {
  return { ...key, hash: undefined };
}

function limitsText(limits: KeyLimits = {}): string {
  const words = [
    [limits.requestsPerMinute, 'requests/min'],
    [limits.tokensPerMinute, 'tokens/min'],
    [limits.tokensPerDay, 'tokens/day'],
    [limits.concurrentMax, 'at once'],
  ].flatMap(([limit, unit]) => (limit === undefined ? [] : [`${limit} ${unit}`]));
  return words.length === 0 ? '-' : words.join(', ');
}

function dateOf(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().slice(0, 16).replace('T', ' ');
}
