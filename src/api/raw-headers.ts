/**
 * What did the client really send? Node joins or drops repeated headers in `headers`; a guard must see each of them, so
 * it reads the raw list (name, value, name, value, ...) instead. Names compare without case; at most one value counts
 * as an answer wherever a header may stand only once (RFC 9110 section 5.3).
 */

/** Names and values in turn, as they came over the wire. */
export type RawHeaders = readonly string[];

export function headerValues(raw: RawHeaders, name: string): readonly string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (raw[index]?.toLowerCase() === name) values.push(raw[index + 1] ?? '');
  }
  return values;
}

/** The value of a header that came exactly once; undefined when it is absent or repeated. */
export function soleHeader(raw: RawHeaders, name: string): string | undefined {
  const values = headerValues(raw, name);
  return values.length === 1 ? values[0] : undefined;
}
