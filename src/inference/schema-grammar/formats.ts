/**
 * The formats of strings that are enforced, as patterns. None is looser than its standard; narrower are: no leap second,
 * `email` and `hostname` in ASCII without quoting, names of at most four labels of 24 characters, the last of which begins with a letter, `uri` and `url` with
 * http or https only, periods of `duration` without fractions, no zone in an `ipv6` address.
 * Source: spec (RFC 3339, 9562, 5321, 1123, 2673, 4291, 3986; JSON Schema 7.3).
 */

const DAY_OF_YEAR =
  '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))';
const LEAP_YEAR = '(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)';
const DATE = `(?:\\d{4}-${DAY_OF_YEAR}|${LEAP_YEAR}-02-29)`;
const CLOCK = '(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?';
const ZONE = '(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)';
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,22}[A-Za-z0-9])?';
const LAST_LABEL = '[A-Za-z](?:[A-Za-z0-9-]{0,22}[A-Za-z0-9])?';
const HOST_NAME = `(?:${LABEL}\\.){0,3}${LAST_LABEL}`;
const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = `${BYTE}(?:\\.${BYTE}){3}`;
const GROUP = '[0-9a-fA-F]{1,4}';
const URI_PART = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
const URI = `https?://${HOST_NAME}(?::\\d{1,4})?(?:/${URI_PART}*)*(?:\\?(?:${URI_PART}|[/?])*)?(?:#(?:${URI_PART}|[/?])*)?`;
const TIME_SPAN = 'T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S)';
const DATE_SPAN = '(?:\\d{1,9}Y(?:\\d{1,9}M(?:\\d{1,9}D)?)?|\\d{1,9}M(?:\\d{1,9}D)?|\\d{1,9}D)';

/** All ways to leave out one run of groups that are zero. */
const IPV6 = [
  `(?:${GROUP}:){7}${GROUP}`,
  `(?:${GROUP}:){1,7}:`,
  ...[1, 2, 3, 4, 5, 6].map((after) => `(?:${GROUP}:){1,${7 - after}}(?::${GROUP}){${after}}`),
  `:(?::${GROUP}){1,7}`,
  '::',
].join('|');

const PATTERNS: Readonly<Record<string, string>> = {
  date: DATE,
  time: `${CLOCK}${ZONE}`,
  'date-time': `${DATE}T${CLOCK}${ZONE}`,
  duration: `P(?:${DATE_SPAN}(?:${TIME_SPAN})?|${TIME_SPAN}|\\d{1,9}W)`,
  uuid: '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}',
  // Without a dot before or after the at sign, and without two in a row.
  email: `[A-Za-z0-9_+-]{1,24}(?:\\.[A-Za-z0-9_+-]{1,24}){0,1}@(?:${LABEL}\\.){1,3}${LAST_LABEL}`,
  hostname: HOST_NAME,
  ipv4: IPV4,
  ipv6: IPV6,
  uri: URI,
  url: URI,
};

/** Anchored at both ends; undefined = not enforced here. */
export function patternOfFormat(format: string): string | undefined {
  const pattern = Object.hasOwn(PATTERNS, format) ? PATTERNS[format] : undefined;
  return pattern === undefined ? undefined : `^(?:${pattern})$`;
}

export const FORMATS: readonly string[] = Object.keys(PATTERNS);
