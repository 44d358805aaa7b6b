/**
 * How are the fields of a client's JSON read? Only own ones count (`__proto__` and `constructor` are fields like any other),
 * and `null` counts as absent, because most client libraries write it for what was not set. Nothing is ever merged.
 */

/** A request body, or any object in one. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own field, `null` counted as absent. */
export function field(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? (object[name] ?? undefined) : undefined;
}

/** False for everything that clients send to say "no": absent, false, '', 0 and empty lists and objects. */
export function isWish(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '' || value === 0) return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

/** The object that a text is; undefined where it is none. */
export function parseJsonObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
