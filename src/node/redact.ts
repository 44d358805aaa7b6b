/**
 * What a log record must not show: fields that hold a key, or what a person asked or was answered, are blanked by name, at
 * any depth, whatever put them there. It is the second net: nobody logs such things on purpose, and the swarm key prints
 * as `[secret]` by itself. Links that are keys are blanked inside of texts too, also in the message. Limits: other secrets
 * that somebody pasted into a text are not recognised.
 */

const HIDDEN = '[secret]';

/** A link that is a key, wherever somebody put it. */
const LINK = /skein:\/\/(?<kind>join|once)\/\S*/g;

/** Depth to which log records are searched. Source: guess: ours are two deep; what is deeper is not shown at all. */
const DEPTH_MAX = 6;

/** Names of fields that hold a key, or what a person asked or was answered. Compared without case, `-` and `_`. */
const HIDDEN_FIELDS: ReadonlySet<string> = new Set([
  'authorization',
  'apikey',
  'cookie',
  'invite',
  'link',
  'memberkey',
  'memberkeys',
  'nodekey',
  'order',
  'ownerkey',
  'password',
  'privatekey',
  'psk',
  'secret',
  'setcookie',
  'swarmkey',
  'token',
  'content',
  'messages',
  'prompt',
  'prompthead',
  'text',
]);

/** A copy of a log record without what must not be shown. Objects of classes are left to their own `toJSON`. */
export function redact(record: Readonly<Record<string, unknown>>, depth = 0): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, isHidden(name) ? HIDDEN : redactValue(value, depth + 1)]),
  );
}

export function hideLinks(text: string): string {
  return text.replaceAll(LINK, `skein://$<kind>/${HIDDEN}`);
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return hideLinks(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEPTH_MAX) return '[too deep]';
  if (Array.isArray(value)) return value.map((item: unknown) => redactValue(item, depth + 1));
  return isPlain(value) ? redact(value, depth) : value;
}

function isHidden(name: string): boolean {
  return HIDDEN_FIELDS.has(name.toLowerCase().replaceAll(/[-_]/g, ''));
}

function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
