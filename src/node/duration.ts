/** How many seconds is "90m"? A whole number and a unit (s, m, h, d); undefined for anything else, zero included. */
export function parseDuration(text: string): number | undefined {
  const groups = /^(?<count>[1-9]\d{0,8})(?<unit>[smhd])$/.exec(text.trim())?.groups;
  const unit = UNITS.get(groups?.['unit'] ?? '');
  return unit === undefined ? undefined : Number(groups?.['count']) * unit;
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ['s', 1],
  ['m', 60],
  ['h', 3_600],
  ['d', 86_400],
]);
