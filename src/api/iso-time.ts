/**
 * How is a moment written as text? As ISO 8601 in UTC with milliseconds ("2026-01-31T09:30:00.000Z"), from Unix milliseconds and
 * without the clock, so that answers which carry a time stay pure. Days become a date by counting in eras of 400 years,
 * which all have the same number of days; years begin in March there, so that the leap day is a year's last.
 * Limits: from 1970 to the end of the year 9999. Source: derived (Gregorian calendar).
 */

const DAY_MS = 86_400_000;
/** 0000-03-01 to 1970-01-01. */
const EPOCH_DAYS = 719_468;
const ERA_DAYS = 146_097;
const YEAR_DAYS = 365;
/** 9999-12-31T23:59:59.999Z */
const TIME_MS_MAX = 253_402_300_799_999;

export function isoTime(timeMs: number): string {
  const ms = Math.min(Math.max(0, Math.floor(timeMs)), TIME_MS_MAX);
  const ofDay = ms % DAY_MS;
  const [hours, minutes, seconds] = [ofDay / 3_600_000, (ofDay / 60_000) % 60, (ofDay / 1_000) % 60];
  const clock = [hours, minutes, seconds].map((value) => digits(Math.floor(value), 2)).join(':');
  return `${dateOf(Math.floor(ms / DAY_MS))}T${clock}.${digits(ofDay % 1_000, 3)}Z`;
}

function dateOf(daysSince1970: number): string {
  const days = daysSince1970 + EPOCH_DAYS;
  const era = Math.floor(days / ERA_DAYS);
  const ofEra = days % ERA_DAYS;
  // Without the leap days before it: one in 4 years, none in 100.
  const leaps = Math.floor(ofEra / 1_460) - Math.floor(ofEra / 36_524) + Math.floor(ofEra / 146_096);
  const yearOfEra = Math.floor((ofEra - leaps) / YEAR_DAYS);
  const ofYear = ofEra - (YEAR_DAYS * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  // From March, five months have 153 days.
  const month = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * month + 2) / 5) + 1;
  const year = era * 400 + yearOfEra + (month >= 10 ? 1 : 0);
  return `${digits(year, 4)}-${digits(month >= 10 ? month - 9 : month + 3, 2)}-${digits(day, 2)}`;
}

function digits(value: number, length: number): string {
  return String(value).padStart(length, '0');
}
