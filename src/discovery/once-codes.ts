/**
 * Which codes that work once are open, and who may still use one? A code is open until it was redeemed, its ten minutes
 * are over, or five connections tried it. Every change is one that only closes further, and the caller keeps it on disk
 * before it answers: after a crash a code may be lost, but is never handed out twice.
 * Limits: a bounded number of codes at once; closed ones are forgotten when their time is over. Source: ours.
 */
import { fromHex, toHex } from '../bytes.ts';

/** Source: guess: time to walk to the other machine, too short to be found lying around. */
export const ONCE_SECONDS = 600;
/** Source: guess: a few slips of the network; the secret itself cannot be guessed. */
export const ONCE_ATTEMPTS_MAX = 5;
/** Source: guess: nobody installs more machines at once. When full, another code is refused. */
export const ONCE_CODES_MAX = 8;

export interface OnceRecord {
  /** `onceName` of the secret. */
  readonly name: string;
  readonly secret: Uint8Array;
  /** Seconds of the wall clock. */
  readonly expiresAt: number;
  readonly attempts: number;
  readonly redeemed: boolean;
  /** Where its listener is, so that a node that starts again opens the same one. */
  readonly port: number;
}

/** Why a code is of no use. */
export type OnceRefusal = 'unknown' | 'expired' | 'redeemed' | 'too-many-attempts';

export interface OnceStep {
  readonly records: readonly OnceRecord[];
  readonly refusal: OnceRefusal | undefined;
}

/** Undefined when as many codes as may be are open. */
export function openOnce(
  records: readonly OnceRecord[],
  record: OnceRecord,
  wallSeconds: number,
): readonly OnceRecord[] | undefined {
  const kept = records.filter(({ expiresAt }) => expiresAt > wallSeconds);
  return kept.filter((one) => isOpen(one, wallSeconds)).length >= ONCE_CODES_MAX ? undefined : [...kept, record];
}

/** Somebody connects and names the code. Counted whatever comes of it. */
export function attemptOnce(records: readonly OnceRecord[], name: string, wallSeconds: number): OnceStep {
  const record = records.find((one) => one.name === name);
  const refusal = refusalOf(record, wallSeconds);
  if (record === undefined || refusal !== undefined) return { records, refusal };
  return { records: replace(records, { ...record, attempts: record.attempts + 1 }), refusal: undefined };
}

/** Somebody showed that it holds the code. The first one gets it; the attempt is counted already. */
export function redeemOnce(records: readonly OnceRecord[], name: string, wallSeconds: number): OnceStep {
  const record = records.find((one) => one.name === name);
  const refusal = record === undefined ? 'unknown' : closedBy(record, wallSeconds);
  if (record === undefined || refusal !== undefined) return { records, refusal };
  return { records: replace(records, { ...record, redeemed: true }), refusal: undefined };
}

export function isOpen(record: OnceRecord, wallSeconds: number): boolean {
  return refusalOf(record, wallSeconds) === undefined;
}

/** For a file that only this user reads: it holds the secrets of open codes. */
export function encodeOnceRecords(records: readonly OnceRecord[]): string {
  return `${JSON.stringify(records.map((record) => ({ ...record, secret: record.redeemed ? '' : toHex(record.secret) })))}\n`;
}

/** Damaged records are left out: their codes are lost, which is safe. */
export function decodeOnceRecords(text: string): readonly OnceRecord[] {
  const value = parseJson(text);
  return Array.isArray(value) ? value.slice(-64).flatMap((item: unknown) => readRecord(item) ?? []) : [];
}

function refusalOf(record: OnceRecord | undefined, wallSeconds: number): OnceRefusal | undefined {
  if (record === undefined) return 'unknown';
  const closed = closedBy(record, wallSeconds);
  return closed ?? (record.attempts >= ONCE_ATTEMPTS_MAX ? 'too-many-attempts' : undefined);
}

function closedBy({ redeemed, expiresAt }: OnceRecord, wallSeconds: number): OnceRefusal | undefined {
  if (redeemed) return 'redeemed';
  return expiresAt <= wallSeconds ? 'expired' : undefined;
}

function replace(records: readonly OnceRecord[], changed: OnceRecord): readonly OnceRecord[] {
  return records.map((record) => (record.name === changed.name ? changed : record));
}

function readRecord(item: unknown): OnceRecord | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { name, secret, expiresAt, attempts, redeemed, port }: Readonly<Record<string, unknown>> = { ...item };
  const bytes = typeof secret === 'string' ? fromHex(secret) : undefined;
  if (typeof name !== 'string' || bytes === undefined || typeof redeemed !== 'boolean') return undefined;
  if (!isCount(expiresAt) || !isCount(attempts) || !isCount(port)) return undefined;
  return { name, secret: bytes, expiresAt, attempts, redeemed, port };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // damaged: no codes
  }
}
