/**
 * Reads the fields of a value that a peer sent: bounds and types are checked, the first problem is kept with its field's
 * name, and reading goes on with a harmless value, so that the reader of a whole job needs no branches.
 */
import { utf8 } from '../bytes.ts';

export interface Range {
  readonly path: string;
  readonly min: number;
  readonly max: number;
}

export class FieldReader {
  problem = '';

  fail(problem: string): void {
    if (this.problem === '') this.problem = problem;
  }

  record(value: unknown, path: string): Record<string, unknown> {
    if (isRecord(value)) return value;
    this.fail(`${path}: expected an object, got ${nameOf(value)}`);
    return {};
  }

  list(value: unknown, { path, min, max }: Range): readonly unknown[] {
    if (Array.isArray(value) && value.length >= min && value.length <= max) return value;
    const got = Array.isArray(value) ? `${value.length}` : nameOf(value);
    this.fail(`${path}: expected a list of ${min} to ${max}, got ${got}`);
    return [];
  }

  number(value: unknown, { path, min, max }: Range): number {
    if (typeof value === 'number' && value >= min && value <= max) return value;
    this.fail(`${path}: expected a number from ${min} to ${max}, got ${nameOf(value)}`);
    return min;
  }

  whole(value: unknown, range: Range): number {
    const number = this.number(value, range);
    if (Number.isInteger(number)) return number;
    this.fail(`${range.path}: expected a whole number, got ${number}`);
    return range.min;
  }

  text(value: unknown, { path, bytesMax }: { readonly path: string; readonly bytesMax: number }): string {
    // A UTF-16 unit is at most three bytes: most texts need no counting.
    if (typeof value === 'string' && (value.length * 3 <= bytesMax || utf8(value).length <= bytesMax)) {
      return value.isWellFormed() ? value : value.toWellFormed();
    }
    this.fail(`${path}: expected text of at most ${bytesMax} bytes, got ${nameOf(value)}`);
    return '';
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nameOf(value: unknown): string {
  if (typeof value === 'number') return `${value}`;
  if (typeof value === 'string') return `text of ${value.length} characters`;
  return value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value;
}
