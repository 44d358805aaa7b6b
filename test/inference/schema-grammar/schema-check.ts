/**
 * Does a value fit a JSON schema? A second opinion about the schemas of these tests, written from the standard and with
 * nothing of the compiler: JavaScript's own regular expressions, its own dates, numbers as they are read.
 */
import assert from 'node:assert/strict';

type Schema = Readonly<Record<string, unknown>>;

const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && isRealDay(text),
  'date-time': (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text)) && isRealDay(text.slice(0, 10)), // prettier-ignore
  uuid: (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text),
  ipv4: (text) => /^(\d{1,3}\.){3}\d{1,3}$/.test(text) && text.split('.').every((byte) => Number(byte) < 256),
  ipv6: (text) => URL.canParse(`http://[${text}]/`),
  uri: (text) => URL.canParse(text),
  hostname: (text) =>
    text.length <= 253 && text.split('.').every((label) => /^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$/.test(label)),
  email: (text) => /^[^@\s"]{1,64}@[^@\s]+\.[^@\s]+$/.test(text) && !/\.\.|^\.|\.@|@\./.test(text),
  time: (text) => !Number.isNaN(Date.parse(`2000-01-01T${text}`)),
  duration: (text) => /^P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?)$/.test(text),
};

export function fits(root: unknown, value: unknown): boolean {
  return new SchemaCheck(root).fits(root, value);
}

class SchemaCheck {
  readonly #root: unknown;

  constructor(root: unknown) {
    this.#root = root;
  }

  fits(schema: unknown, value: unknown): boolean {
    if (typeof schema === 'boolean') return schema;
    const fields = schema as Schema;
    const isFine = Object.entries(fields).every(([keyword, word]) => this.#holds(fields, [keyword, word], value));
    return isFine;
  }

  #holds(fields: Schema, [keyword, word]: readonly [string, unknown], value: unknown): boolean {
    const number = word as number;
    const list = word as readonly unknown[];
    switch (keyword) {
      case '$ref':
        return this.fits(this.#resolve(word as string), value);
      case 'type': {
        const types = Array.isArray(word) ? word : [word];
        return types.some((type) => isOfType(type, value)) || (fields['nullable'] === true && value === null);
      }
      case 'enum':
        return list.some((one) => isEqual(one, value));
      case 'const':
        return isEqual(word, value);
      case 'allOf':
        return list.every((one) => this.fits(one, value));
      case 'anyOf':
        return list.some((one) => this.fits(one, value));
      case 'oneOf':
        return list.filter((one) => this.fits(one, value)).length === 1;
      default:
    }
    if (typeof value === 'string') return holdsForText(keyword, word, value);
    if (typeof value === 'number') return holdsForNumber(keyword, number, value);
    if (Array.isArray(value)) return this.#holdsForList(fields, keyword, value);
    return typeof value !== 'object' || value === null || this.#holdsForObject(fields, keyword, value as Schema);
  }

  #holdsForList(fields: Schema, keyword: string, value: readonly unknown[]): boolean {
    const prefix = (fields['prefixItems'] ?? []) as readonly unknown[];
    const word = fields[keyword];
    switch (keyword) {
      case 'minItems':
        return value.length >= (word as number);
      case 'maxItems':
        return value.length <= (word as number);
      case 'prefixItems':
        return value.every((one, index) => index >= prefix.length || this.fits(prefix[index], one));
      case 'items':
        return value.slice(prefix.length).every((one) => this.fits(word, one));
      default:
        return true;
    }
  }

  #holdsForObject(fields: Schema, keyword: string, value: Schema): boolean {
    const properties = (fields['properties'] ?? {}) as Schema;
    const word = fields[keyword];
    switch (keyword) {
      case 'required':
        return (word as readonly string[]).every((name) => Object.hasOwn(value, name));
      case 'properties':
        return Object.entries(properties).every(
          ([name, one]) => !Object.hasOwn(value, name) || this.fits(one, value[name]),
        );
      case 'additionalProperties':
        return Object.entries(value).every(([name, one]) => Object.hasOwn(properties, name) || this.fits(word, one));
      case 'minProperties':
        return Object.keys(value).length >= (word as number);
      case 'maxProperties':
        return Object.keys(value).length <= (word as number);
      case 'propertyNames':
        return Object.keys(value).every((name) => this.fits(word, name));
      default:
        return true;
    }
  }

  #resolve(reference: string): unknown {
    let schema = this.#root;
    for (const step of reference.slice(1).split('/').slice(1)) schema = (schema as Schema)[step];
    return schema;
  }
}

function holdsForText(keyword: string, word: unknown, value: string): boolean {
  const length = Array.from(value).length;
  switch (keyword) {
    case 'minLength':
      return length >= (word as number);
    case 'maxLength':
      return length <= (word as number);
    case 'pattern':
      return new RegExp(word as string, 'u').test(value);
    case 'format': {
      const check = FORMATS[word as string];
      assert.ok(check !== undefined);
      return check(value);
    }
    default:
      return true;
  }
}

function holdsForNumber(keyword: string, word: number, value: number): boolean {
  switch (keyword) {
    case 'minimum':
      return value >= word;
    case 'maximum':
      return value <= word;
    case 'exclusiveMinimum':
      return value > word;
    case 'exclusiveMaximum':
      return value < word;
    case 'multipleOf':
      return Number(value.toFixed(Math.round(-Math.log10(word)))) === value;
    default:
      return true;
  }
}

function isOfType(type: unknown, value: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function isEqual(left: unknown, right: unknown): boolean {
  try {
    assert.deepStrictEqual(left, right);
    return true;
  } catch {
    return false;
  }
}

function isRealDay(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.valueOf()) && date.toISOString().slice(0, 10) === text;
}
