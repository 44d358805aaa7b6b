/** What is asked of each engine that the benchmark compares, and what each answers with. */

export interface ArmJob {
  /** One stream for each. */
  readonly prompts: readonly string[];
  /** Of each answer. */
  readonly tokens: number;
}

export interface ArmResult {
  /** For each stream, when its tokens came, from the start of the job. */
  readonly arrivalsMs: readonly (readonly number[])[];
}

/** One of the engines, loaded and idle between jobs. */
export interface Arm {
  readonly name: string;
  run(job: ArmJob): Promise<ArmResult>;
  /** What it has used of processors so far, in all its processes; NaN where the system does not say. */
  cpuMs(): number;
  close(): Promise<void>;
}

/** Tokens a second of all streams together while all of them decode: from the last first token to the first last one. */
export function decodeRate({ arrivalsMs }: ArmResult): number {
  const startMs = Math.max(...arrivalsMs.map((times) => times[0] ?? 0));
  const endMs = Math.min(...arrivalsMs.map((times) => times.at(-1) ?? 0));
  const tokens = arrivalsMs.flat().filter((ms) => ms > startMs && ms <= endMs).length;
  return (tokens / (endMs - startMs)) * 1_000;
}

/** `count` tokens that came at once. */
export function arrivals(count: number, atMs: number): readonly number[] {
  return Array.from({ length: count }, () => atMs);
}

/** Longest wait of any stream between two of its tokens, of those that came after `fromMs`. */
export function longestGapMs({ arrivalsMs }: ArmResult, fromMs = 0): number {
  return Math.max(
    ...arrivalsMs.flatMap((times) => times.map((ms, index) => (ms < fromMs ? 0 : ms - (times[index - 1] ?? ms)))),
  );
}
