/**
 * Random schemas together with random values that fit them, for properties. A value is drawn along its schema, so that it
 * fits by construction; members stand in the order of the schema and no others are added, as the grammar writes them.
 */
import * as fc from 'fast-check';

export interface Drawn {
  readonly schema: unknown;
  readonly value: fc.Arbitrary<unknown>;
}

/** Patterns with what fits them. Both sides of each alternative appear. */
const PATTERNS: readonly (readonly [string, fc.Arbitrary<string>])[] = [
  [
    '^[A-Z]{3}-\\d{1,4}$',
    fc.tuple(fc.stringMatching(/^[A-Z]{3}$/), fc.nat(9_999)).map(([name, id]) => `${name}-${id}`),
  ],
  ['^(?:a|bc)*$', fc.array(fc.constantFrom('a', 'bc'), { maxLength: 5 }).map((parts) => parts.join(''))],
  ['\\d', fc.string().map((text) => `${text.toWellFormed()}7`)],
  ['^(?!0)\\w+$', fc.stringMatching(/^[a-z1-9]\w{0,5}$/)],
  ['^[^\\s"]+$', fc.constantFrom('é', '\\', '🦢/', '\u0001')],
  ['^(?=.*[a-z])(?=.*\\d).{2,8}$', fc.constantFrom('a1', '1a', 'xx9🦢')],
];

const FORMATS: readonly (readonly [string, fc.Arbitrary<string>])[] = [
  ['date', fc.date({ noInvalidDate: true, min: new Date('0001-01-01'), max: new Date('9999-12-31') }).map((date) => date.toISOString().slice(0, 10))], // prettier-ignore
  ['date-time', fc.date({ noInvalidDate: true, min: new Date('0001-01-01'), max: new Date('9999-12-31') }).map((date) => date.toISOString())], // prettier-ignore
  ['uuid', fc.uuid()],
  ['ipv4', fc.ipV4()],
  ['time', fc.constantFrom('00:00:00Z', '23:59:59.25+01:30')],
  ['duration', fc.constantFrom('P1Y', 'P3W', 'PT15M', 'P1DT12H', 'P2Y3M4DT5H6M7S')],
  ['email', fc.constantFrom('a@b.co', 'first.last@mail.example.org')],
  ['hostname', fc.constantFrom('localhost', 'a-b.example.com')],
  ['ipv6', fc.constantFrom('::', '::1', 'fe80::1', '2001:db8:0:1:1:1:1:1', '1::8', '1:2:3:4:5:6:7::')],
  ['uri', fc.constantFrom('https://example.com', 'http://a.b:80/c%20d?e=f#g')],
];

const character = fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), fc.constantFrom('"', '\\', '\n', '\u001f', '\u007f', '🦢')); // prettier-ignore

function leaf(schema: unknown, value: fc.Arbitrary<unknown>): Drawn {
  return { schema, value };
}

const text: fc.Arbitrary<Drawn> = fc
  .record({ min: fc.nat(4), more: fc.nat(5), bounded: fc.constantFrom('none', 'min', 'max', 'both') })
  .map(({ min, more, bounded }) => {
    const low = bounded === 'min' || bounded === 'both';
    const high = bounded === 'max' || bounded === 'both';
    const value = fc
      .array(character, { minLength: low ? min : 0, maxLength: min + more })
      .map((characters) => characters.join('').toWellFormed());
    const schema = { type: 'string', ...(low ? { minLength: min } : {}), ...(high ? { maxLength: min + more } : {}) };
    return leaf(schema, value);
  });

const whole: fc.Arbitrary<Drawn> = fc
  .record({
    low: fc.integer({ min: -12_000, max: 12_000 }),
    width: fc.nat(30_000),
    ends: fc.constantFrom('none', 'low', 'high', 'both', 'open'),
  })
  .map(({ low, width, ends }) => {
    const high = low + width + 2;
    const bounds = {
      none: {},
      low: { minimum: low },
      high: { maximum: high },
      both: { minimum: low, maximum: high },
      open: { exclusiveMinimum: low, exclusiveMaximum: high },
    }[ends];
    const value = fc.integer({ min: low + 1, max: high - 1 });
    return leaf({ type: 'integer', ...bounds }, value);
  });

const decimal: fc.Arbitrary<Drawn> = fc
  .record({
    low: fc.integer({ min: -2_000, max: 2_000 }),
    width: fc.nat(2_500),
    scale: fc.constantFrom(1, 10, 1_000),
    ends: fc.constantFrom('none', 'low', 'high', 'both', 'open', 'cents'),
  })
  .map(({ low, width, scale, ends }) => {
    const high = low + width + 2;
    const bounds = {
      none: {},
      low: { minimum: low / scale },
      high: { maximum: high / scale },
      both: { minimum: low / scale, maximum: high / scale },
      open: { exclusiveMinimum: low / scale, exclusiveMaximum: high / scale },
      cents: { minimum: low / scale, multipleOf: 0.001 },
    }[ends];
    const value =
      ends === 'none'
        ? fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e307, max: 1e307 })
        : fc.integer({ min: low + 1, max: high - 1 }).map((number) => number / scale);
    return leaf({ type: 'number', ...bounds }, value);
  });

const scalarValue = fc.oneof(
  fc.string().map((one) => one.toWellFormed()),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);

const constants: fc.Arbitrary<Drawn> = fc.oneof(
  fc.uniqueArray(scalarValue, { minLength: 1, maxLength: 5, comparator: 'SameValueZero' }).map((values) => leaf({ enum: values }, fc.constantFrom(...values))), // prettier-ignore
  fc
    .oneof(scalarValue, fc.constant({ a: [1, { b: 'ü"' }] }))
    .map((value) => leaf({ const: value }, fc.constant(value))),
);

const shaped: fc.Arbitrary<Drawn> = fc.oneof(
  fc.constantFrom(...PATTERNS).map(([pattern, value]) => leaf({ type: 'string', pattern }, value)),
  fc.constantFrom(...FORMATS).map(([format, value]) => leaf({ type: 'string', format }, value)),
);

const plain: fc.Arbitrary<Drawn> = fc.constantFrom(
  leaf({ type: 'boolean' }, fc.boolean()),
  leaf({ type: 'null' }, fc.constant(null)),
  leaf({ type: ['string', 'null'] }, fc.constantFrom('x', '', null)),
  leaf({ type: 'integer', nullable: true, minimum: 3 }, fc.constantFrom(3, 4, null)),
  leaf({}, fc.constantFrom(0, 'x', [], {}, { a: [null] })),
  leaf(true, fc.constantFrom(1.5, false)),
);

/** None is a single escaped character: V8 13.6 sometimes reads such a name as another (after a name that is one backslash). */
const NAMES = ['a', 'b', 'ab', 'name', 'q"', 'é', '__proto__', ''];

type Entry = readonly [string, unknown];

function objectOf(child: fc.Arbitrary<Drawn>): fc.Arbitrary<Drawn> {
  return fc
    .record({
      names: fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 5 }),
      required: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
      children: fc.array(child, { minLength: 5, maxLength: 5 }),
      additional: fc.option(child, { nil: undefined, freq: 4 }),
    })
    .map(({ names, required, children, additional }) => {
      const members = names.flatMap((name, index) => {
        const drawn = children[index];
        return drawn === undefined ? [] : [{ name, drawn, isRequired: required[index] === true }];
      });
      const schema = {
        type: 'object',
        properties: fromEntries(members.map(({ name, drawn }) => [name, drawn.schema])),
        required: members.filter(({ isRequired }) => isRequired).map(({ name }) => name),
        additionalProperties: additional?.schema ?? false,
      };
      const fields = members.map(({ name, drawn, isRequired }) => {
        const some = drawn.value.map((value): readonly Entry[] => [[name, value]]);
        return isRequired ? some : fc.option(some, { nil: [] });
      });
      const more = additional === undefined ? fc.constant({}) : fc.dictionary(fc.constantFrom('abc', 'n', 'namer', 'ö"'), additional.value); // prettier-ignore
      const value = fc
        .tuple(fc.tuple(...fields), more)
        .map(([found, extra]) => fromEntries([...found.flat(), ...Object.entries(extra)]));
      return leaf(schema, value);
    });
}

function listOf(child: fc.Arbitrary<Drawn>): fc.Arbitrary<Drawn> {
  return fc
    .record({
      child,
      prefix: fc.array(child, { maxLength: 2 }),
      min: fc.nat(2),
      more: fc.nat(3),
      kind: fc.constantFrom('items', 'tuple', 'both'),
    })
    .map(({ child: items, prefix, min, more, kind }) => {
      const tuple = kind === 'items' ? [] : prefix;
      const isOpen = kind !== 'tuple' || tuple.length === 0;
      const bounds = isOpen ? { minItems: tuple.length + min, maxItems: tuple.length + min + more } : {};
      const schema = {
        type: 'array',
        ...(tuple.length === 0 ? {} : { prefixItems: tuple.map(({ schema: one }) => one) }),
        ...(isOpen ? { items: items.schema } : {}),
        ...bounds,
      };
      const rest = isOpen ? fc.array(items.value, { minLength: min, maxLength: min + more }) : fc.constant([]);
      const value = fc
        .tuple(fc.tuple(...tuple.map((one) => one.value)), rest)
        .map(([first, last]) => [...first, ...last]);
      return leaf(schema, value);
    });
}

function unionOf(child: fc.Arbitrary<Drawn>): fc.Arbitrary<Drawn> {
  return fc
    .array(child, { minLength: 1, maxLength: 3 })
    .map((branches) =>
      leaf({ anyOf: branches.map(({ schema }) => schema) }, fc.oneof(...branches.map(({ value }) => value))),
    );
}

/** A recursive list and a recursive tree, of a drawn value each. */
function recursiveOf(child: fc.Arbitrary<Drawn>): fc.Arbitrary<Drawn> {
  return child.map((item) => {
    const schema = {
      $defs: {
        node: {
          type: 'object',
          properties: {
            kind: { const: 'node' },
            item: item.schema,
            children: { type: 'array', items: { $ref: '#/$defs/tree' } },
          },
          required: ['kind', 'item', 'children'],
          additionalProperties: false,
        },
        leaf: {
          type: 'object',
          properties: { kind: { const: 'leaf' } },
          required: ['kind'],
          additionalProperties: false,
        },
        tree: { oneOf: [{ $ref: '#/$defs/node' }, { $ref: '#/$defs/leaf' }] },
      },
      $ref: '#/$defs/tree',
    };
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ maxDepth: 3 }, fc.constant({ kind: 'leaf' }), fc.record({ kind: fc.constant('node'), item: item.value, children: fc.array(tie('tree'), { maxLength: 2 }) }).map(({ kind, item: one, children }) => ({ kind, item: one, children }))), // prettier-ignore
    }));
    return leaf(schema, tree);
  });
}

const scalars = fc.oneof(text, whole, decimal, constants, shaped, plain);

const nested: fc.Arbitrary<Drawn> = fc.letrec<{ any: Drawn }>((tie) => ({
  any: fc.oneof({ maxDepth: 3, withCrossShrink: true }, scalars, objectOf(tie('any')), listOf(tie('any')), unionOf(tie('any'))), // prettier-ignore
})).any;

export const drawnSchemas: fc.Arbitrary<Drawn> = fc.oneof(nested, recursiveOf(scalars));

/** Also with the name "__proto__". */
function fromEntries(entries: readonly Entry[]): Record<string, unknown> {
  return JSON.parse(`{${entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`) as Record<string, unknown>; // prettier-ignore
}
