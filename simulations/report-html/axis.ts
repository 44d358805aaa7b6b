/**
 * Where does a moment or a value lie in a picture? One time axis for all panels of the page, so that they can be read
 * one below the other, and two scales for values: linear from 0, and logarithmic. Ticks are at numbers that people
 * count in. Everything is in units of the view box. Source: ours.
 */
import { duration } from '../report/report-words.ts';

export const WIDTH = 1_160;
/** Room for the names of rows and values at the left. */
export const LEFT = 96;
export const RIGHT = 24;
const PLOT = WIDTH - LEFT - RIGHT;
const TIME_TICKS_MAX = 10;

const TIME_STEPS_MS = [
  100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000,
  3_600_000, 7_200_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000,
];

export interface Tick {
  readonly at: number;
  readonly label: string;
}

export interface TimeAxis {
  readonly durationMs: number;
  readonly ticks: readonly Tick[];
  x(atMs: number): number;
}

export interface ValueAxis {
  readonly ticks: readonly Tick[];
  /** 0 = bottom, 1 = top. */
  height(value: number): number;
}

export function timeAxis(durationMs: number): TimeAxis {
  const longMs = Math.max(1, durationMs);
  const x = (atMs: number): number => short(LEFT + (Math.min(longMs, Math.max(0, atMs)) / longMs) * PLOT);
  const days = Math.ceil(longMs / (86_400_000 * TIME_TICKS_MAX));
  const stepMs = TIME_STEPS_MS.find((step) => longMs / step <= TIME_TICKS_MAX) ?? days * 86_400_000;
  const ticks = Array.from({ length: Math.floor(longMs / stepMs) + 1 }, (_, index) => ({
    at: x(index * stepMs),
    label: clock(index * stepMs, stepMs),
  }));
  return { durationMs: longMs, ticks, x };
}

export function linearAxis(max: number, label: (value: number) => string): ValueAxis {
  const step = max > 0 ? niceStep(max / 3) : 1;
  const top = Math.max(step, Math.ceil(max / step) * step);
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => ({
    at: (index * step) / top,
    label: label(index * step),
  }));
  return { ticks, height: (value) => clamp(value / top) };
}

/** From `min` to `max`, both above 0, widened to whole powers of ten. */
export function logAxis(min: number, max: number, label: (value: number) => string): ValueAxis {
  const low = Math.floor(Math.log10(Math.max(min, Number.MIN_VALUE)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(max) - 1e-9));
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => ({
    at: index / (high - low),
    label: label(10 ** (low + index)),
  }));
  const height = (value: number): number => (value <= 0 ? 0 : clamp((Math.log10(value) - low) / (high - low)));
  return { ticks, height };
}

/** Two decimals: a hundredth of a pixel. */
export function short(value: number): number {
  return Math.round(value * 100) / 100;
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((one) => one * power >= rough) ?? 10;
  return factor * power;
}

/** 0, then 10 s, 2 min, 1.5 h. */
function clock(atMs: number, stepMs: number): string {
  if (atMs === 0) return '0';
  // Steps below a minute in a longer run: 1:30 says more than 1.5 min.
  if (stepMs < 60_000 && atMs >= 60_000)
    return `${Math.floor(atMs / 60_000)}:${String(Math.floor(atMs / 1_000) % 60).padStart(2, '0')}`;
  if (stepMs >= 60_000 && stepMs < 3_600_000) return `${atMs / 60_000} min`;
  return duration(atMs);
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}
