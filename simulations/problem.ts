/**
 * What is wrong with something that a person wrote: a scenario, a plan of faults, a saved run, a list of seeds. Every
 * problem names the field, what was expected and what was found, and all of them are reported at once, because a file is
 * mended once and not word by word. Shapes are zod schemas whose messages are the expectation ("a whole number from 1 to
 * 9") and nothing else; what was found is read from the input itself. Limit: long values are cut.
 */
import { z } from 'zod';

export interface Problem {
  /** `workload.load`, `plan[3].node`; empty for the whole. */
  readonly field: string;
  readonly expected: string;
  readonly got: string;
}

export type Checked<Value> =
  | { readonly type: 'valid'; readonly value: Value }
  | { readonly type: 'invalid'; readonly problems: readonly Problem[] };

/** Characters of a value that a message shows. Source: guess: a line of a terminal. */
const SHOWN_MAX = 60;

export function describeProblem(problem: Problem): string {
  const field = problem.field === '' ? '' : `${problem.field}: `;
  return `${field}expected ${problem.expected}, got ${problem.got}`;
}

/** Valid where nothing is wrong with it. */
export function checked<Value>(value: Value, problems: readonly Problem[]): Checked<Value> {
  return problems.length === 0 ? { type: 'valid', value } : { type: 'invalid', problems };
}

/** Does the value have this shape? Only the shape: what fields mean together is for the caller. */
export function checkShape<Schema extends z.ZodType>(schema: Schema, input: unknown): Checked<z.output<Schema>> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return { type: 'valid', value: parsed.data };
  return { type: 'invalid', problems: parsed.error.issues.flatMap((issue) => toProblems(issue, input)) };
}

/** The same problems, of a value that is a part of something greater. */
export function within(field: string, problems: readonly Problem[]): readonly Problem[] {
  return problems.map((problem) => ({ ...problem, field: joinField(field, problem.field) }));
}

/** JSON, or the problem with it. */
export function readJson(text: string): Checked<unknown> {
  try {
    return { type: 'valid', value: JSON.parse(text) };
  } catch (error) {
    const got = error instanceof Error ? error.message : 'something else';
    return { type: 'invalid', problems: [{ field: '', expected: 'JSON', got }] };
  }
}

export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value) ?? typeof value;
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}...`;
}

// Schemas whose message is what they expect.

export function wholeNumber(min: number, max: number): z.ZodType<number> {
  const error = `a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

export function numberWithin(min: number, max: number): z.ZodType<number> {
  const error = `a number from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
}

export function oneOf<const Word extends string>(words: readonly Word[]): z.ZodEnum<{ [Key in Word]: Key }> {
  return z.enum(words, { error: `one of ${words.join(', ')}` });
}

/** An object with these fields and no others. */
export function exactly<Shape extends z.core.$ZodShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const names = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? `one of the fields ${names}` : `an object with ${names}`),
  });
}

function toProblems(issue: z.core.$ZodIssue, input: unknown): readonly Problem[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      field: fieldName([...issue.path, key]),
      expected: issue.message,
      got: 'another name',
    }));
  return [{ field: fieldName(issue.path), expected: issue.message, got: show(valueAt(input, issue.path)) }];
}

function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, key) => joinField(name, typeof key === 'number' ? `[${key}]` : String(key)), '');
}

function joinField(whole: string, part: string): string {
  return whole === '' || part === '' || part.startsWith('[') ? `${whole}${part}` : `${whole}.${part}`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}
