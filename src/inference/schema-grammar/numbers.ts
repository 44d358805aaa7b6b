/**
 * Numbers between bounds, exactly, as digits: whole ones and decimal ones. A range of numbers is a range of digit strings,
 * cut where a digit may be free. Negative numbers are the same ranges behind a minus.
 * Limits: whole numbers have at most 18 digits, so that 64 bits hold them; between bounds there are no exponents, and at
 * most as many decimal places as a double keeps apart; without bounds an exponent keeps the number finite.
 */
import { choice, EMPTY, type Expression, literal, NOTHING, oneOf, optional, repeated, sequence } from './expression.ts';

const WHOLE_DIGITS_MAX = 18;
const WHOLE_MAX = 10n ** BigInt(WHOLE_DIGITS_MAX) - 1n;
/** Digits of the largest number that `JSON.stringify` writes without exponent. Source: spec (ECMA-262). */
const PLAIN_DIGITS_MAX = 21;
/** Decimal places of the smallest one, six zeros first. Source: spec (ECMA-262). */
const PLAIN_PLACES_MAX = 24;
/** Digits that a double keeps apart. Source: spec (IEEE 754). */
const DIGITS_MAX = 15;
/** Of a bound. Source: guess: nobody writes more. */
const BOUND_PLACES_MAX = 40;

/** One end of a range. */
export interface Bound {
  readonly value: number;
  /** The value itself is not allowed. */
  readonly isOpen: boolean;
}

export interface Range {
  readonly low?: Bound;
  readonly high?: Bound;
}

/** Digits of a bound's size, its sign aside. */
interface Magnitude {
  readonly whole: bigint;
  /** Without zeros at its end. */
  readonly places: string;
  readonly isOpen: boolean;
  readonly isNegative: boolean;
}

/** With the exponent 308. Source: spec (IEEE 754). */
const LARGEST_MANTISSA = 1.797_693_134_862_315_7;

const ZERO: Magnitude = { whole: 0n, places: '', isOpen: false, isNegative: false };

/** `NOTHING` where no number fits. */
export function wholeNumbers(range: Range): Expression {
  const low = range.low === undefined ? -WHOLE_MAX : leastOf(range.low);
  const high = range.high === undefined ? WHOLE_MAX : mostOf(range.high);
  const least = low < -WHOLE_MAX ? -WHOLE_MAX : low;
  const most = high > WHOLE_MAX ? WHOLE_MAX : high;
  const above = most >= 0n ? wholeBetween(least > 0n ? least : 0n, most) : NOTHING;
  const below = least < 0n ? wholeBetween(most < 0n ? -most : 1n, -least) : NOTHING;
  return choice([above, sequence(literal('-'), below)]);
}

function leastOf({ value, isOpen }: Bound): bigint {
  const whole = Math.ceil(value);
  return BigInt(whole) + (isOpen && whole === value ? 1n : 0n);
}

function mostOf({ value, isOpen }: Bound): bigint {
  const whole = Math.floor(value);
  return BigInt(whole) - (isOpen && whole === value ? 1n : 0n);
}

/** With at most `placesMax` decimal places, where that is given. Undefined where a bound has too many digits. */
export function decimalNumbers({ low, high }: Range, placesMax?: number): Expression | undefined {
  if (low === undefined && high === undefined) return anyNumber(placesMax);
  const ends = [low, high].map((bound) => (bound === undefined ? undefined : magnitudeOf(bound)));
  if (ends.includes('refused')) return undefined;
  const [from, to] = ends.map((end) => (end === 'refused' ? undefined : end));
  const places = placesMax ?? placesBeside([from, to].filter((end) => end !== undefined));
  return choice([positive(from, to, places), sequence(literal('-'), negative(from, to, places))]);
}

/** So many that what is written is still on the right side of each bound when it is read as a double. */
function placesBeside(bounds: readonly Magnitude[]): number {
  const wholeDigits = Math.max(...bounds.map(({ whole }) => String(whole).length));
  return Math.max(DIGITS_MAX - wholeDigits, ...bounds.map(({ places }) => places.length));
}

/** Zero and above. */
function positive(low: Magnitude | undefined, high: Magnitude | undefined, places: number): Expression {
  if (high?.isNegative === true) return NOTHING;
  const least = low === undefined || low.isNegative ? ZERO : low;
  return decimalBetween({ low: least, high, places });
}

/** The sizes of those below zero. A zero with a minus is a zero. */
function negative(low: Magnitude | undefined, high: Magnitude | undefined, places: number): Expression {
  if (low?.isNegative === false) return NOTHING;
  const isOpenAtZero = high !== undefined && high.whole === 0n && high.places === '' && high.isOpen;
  const least = high?.isNegative === true ? high : { ...ZERO, isOpen: isOpenAtZero };
  return decimalBetween({ low: least, high: low, places });
}

function anyNumber(placesMax: number | undefined): Expression {
  const whole = choice([literal('0'), sequence(FIRST_DIGIT, digits(0, PLAIN_DIGITS_MAX - 1))]);
  const plain = sequence(whole, fraction(digits(1, placesMax ?? PLAIN_PLACES_MAX), placesMax));
  if (placesMax !== undefined) return sequence(optional(literal('-')), plain);
  return sequence(optional(literal('-')), choice([plain, scientific()]));
}

/** Up to the largest number of all. */
function scientific(): Expression {
  const mantissa = sequence(FIRST_DIGIT, fraction(digits(1, PLAIN_PLACES_MAX), undefined));
  const most = magnitudeOf({ value: LARGEST_MANTISSA, isOpen: false });
  const largest =
    most === 'refused' ? NOTHING : decimalBetween({ low: { ...ZERO, whole: 1n }, high: most, places: 16 });
  const mark = oneOf([[0x45, 0x45], [0x65, 0x65]]); // prettier-ignore
  const plus = optional(literal('+'));
  const high = choice([digits(1, 2), sequence(digit(1, 2), digits(2, 2)), sequence(literal('30'), digit(0, 7))]);
  const low = choice([digits(1, 2), sequence(digit(1, 3), digits(2, 2))]);
  return choice([
    sequence(mantissa, mark, choice([sequence(plus, high), sequence(literal('-'), low)])),
    sequence(largest, mark, plus, literal('308')),
  ]);
}

function fraction(places: Expression, placesMax: number | undefined): Expression {
  return placesMax === 0 ? EMPTY : optional(sequence(literal('.'), places));
}

/** Both ends included, zero or more. */
function wholeBetween(low: bigint, high: bigint): Expression {
  if (low > high) return NOTHING;
  const options: Expression[] = [];
  /** The lengths of which every number fits, from the first on. */
  let free: { readonly from: number; readonly to: number } | undefined;
  for (let length = String(low).length; length <= String(high).length; length += 1) {
    const shortest = length === 1 ? 0n : 10n ** BigInt(length - 1);
    const longest = 10n ** BigInt(length) - 1n;
    if (length > 1 && low <= shortest && high >= longest) free = { from: free?.from ?? length, to: length };
    else options.push(sameLength(String(low > shortest ? low : shortest), String(high < longest ? high : longest)));
  }
  if (free !== undefined) options.push(sequence(FIRST_DIGIT, digits(free.from - 1, free.to - 1)));
  return choice(options);
}

/** Digit strings of one length between two others. */
function sameLength(low: string, high: string): Expression {
  const rest = low.length - 1;
  if (rest < 0) return EMPTY;
  const from = Number(low[0]);
  const to = Number(high[0]);
  if (from === to) return sequence(literal(low.slice(0, 1)), sameLength(low.slice(1), high.slice(1)));
  const isLowFree = /^0*$/.test(low.slice(1));
  const isHighFree = /^9*$/.test(high.slice(1));
  return choice([
    isLowFree ? NOTHING : sequence(digit(from, from), sameLength(low.slice(1), '9'.repeat(rest))),
    sequence(digit(isLowFree ? from : from + 1, isHighFree ? to : to - 1), digits(rest, rest)),
    isHighFree ? NOTHING : sequence(digit(to, to), sameLength('0'.repeat(rest), high.slice(1))),
  ]);
}

interface DecimalRange {
  readonly low: Magnitude;
  /** Absent: as many digits as there may be. */
  readonly high: Magnitude | undefined;
  /** Decimal places at most. */
  readonly places: number;
}

function decimalBetween({ low, high, places }: DecimalRange): Expression {
  const lowest = literal(String(low.whole));
  if (low.whole === high?.whole) return sequence(lowest, behindPoint({ low, high, places }));
  if (low.whole > (high?.whole ?? WHOLE_MAX)) return NOTHING;
  const between = wholeBetween(low.whole + 1n, high === undefined ? WHOLE_MAX : high.whole - 1n);
  return choice([
    sequence(lowest, behindPoint({ low, places })),
    sequence(between, behindPoint({ places })),
    high === undefined ? NOTHING : sequence(literal(String(high.whole)), behindPoint({ high, places })),
  ]);
}

interface PlacesRange {
  /** Absent: zero, included. */
  readonly low?: Magnitude | undefined;
  /** Absent: one, not included. */
  readonly high?: Magnitude | undefined;
  readonly places: number;
}

/** The point and what follows, where only the places still decide. */
function behindPoint(range: PlacesRange): Expression {
  const some = sequence(literal('.'), placesOf(range));
  return mayEnd(range) ? optional(some) : some;
}

/** No digit more: the rest is zero. */
function mayEnd({ low, high }: PlacesRange): boolean {
  const isHighEnough = low === undefined || (low.places === '' && !low.isOpen);
  return isHighEnough && (high === undefined || high.places !== '' || !high.isOpen);
}

/** At least one digit. */
function placesOf(range: PlacesRange): Expression {
  const { high, places } = range;
  const low = range.low?.places === '' && !range.low.isOpen ? undefined : range.low;
  if (places === 0) return NOTHING;
  if (low === undefined && high === undefined) return digits(1, places);
  // Nothing but zeros is left, and only where both ends are included.
  if (high?.places === '') return mayEnd(range) ? repeated(literal('0'), { min: 1, max: places }) : NOTHING;
  return placesByFirst({ low, high, places });
}

/** The first digit decides, or it is that of a bound and the next ones do. */
function placesByFirst({ low, high, places }: PlacesRange): Expression {
  const from = low === undefined ? -1 : Number(low.places[0] ?? '0');
  const to = high === undefined ? 10 : Number(high.places[0]);
  const rest = { low: behindFirst(low), high: behindFirst(high), places: places - 1 };
  if (Math.max(from, 0) > to) return NOTHING;
  if (from === to) return digitThen(from, rest);
  return choice([
    low === undefined ? NOTHING : digitThen(from, { ...rest, high: undefined }),
    sequence(digit(from + 1, to - 1), digits(0, places - 1)),
    high === undefined ? NOTHING : digitThen(to, { ...rest, low: undefined }),
  ]);
}

function behindFirst(bound: Magnitude | undefined): Magnitude | undefined {
  return bound === undefined ? undefined : { ...bound, places: bound.places.slice(1) };
}

function digitThen(head: number, rest: PlacesRange): Expression {
  const more = placesOf(rest);
  return sequence(digit(head, head), mayEnd(rest) ? optional(more) : more);
}

function magnitudeOf({ value, isOpen }: Bound): Magnitude | 'refused' {
  const [mantissa = '', exponent = '0'] = String(Math.abs(value)).split('e');
  const [before = '', behind = ''] = mantissa.split('.');
  const point = before.length + Number(exponent);
  if (point > PLAIN_DIGITS_MAX + 1 || -point > BOUND_PLACES_MAX) return 'refused';
  const all = before + behind;
  const padded = point < 0 ? '0'.repeat(-point) + all : all.padEnd(point, '0');
  const at = Math.max(0, point);
  const places = padded.slice(at).replace(/0+$/, '');
  return { whole: BigInt(padded.slice(0, at) || '0'), places, isOpen, isNegative: value < 0 };
}

const FIRST_DIGIT: Expression = digit(1, 9);

function digit(from: number, to: number): Expression {
  if (from > to) return NOTHING;
  return from === to ? literal(String(from)) : oneOf([[0x30 + from, 0x30 + to]]);
}

function digits(min: number, max: number): Expression {
  return max < 1 ? EMPTY : repeated(digit(0, 9), { min, max });
}
