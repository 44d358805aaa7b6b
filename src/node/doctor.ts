/**
 * What is wrong with this machine as a node, why, and what mends it? Facts that somebody collected go in, findings come out:
 * one for each thing that was looked at, so that what is fine is said as well. What could not be looked at (no node runs,
 * another system) is left out or said to be unknown: never guessed. The checks are in
 * `doctor-files.ts`, `doctor-machine.ts` and `doctor-mesh.ts`; here are the words of all three, and the report.
 * Limits: each check sees its own facts only.
 */
import type { NodeStatus } from '../api/status.ts';

export type Level = 'ok' | 'warning' | 'problem';

export interface Finding {
  /** What was looked at: a name for programs. */
  readonly check: string;
  readonly level: Level;
  /** One sentence. */
  readonly what: string;
  readonly why?: string;
  readonly mend?: string;
}

export interface PathFact {
  /** "state directory", "swarm key". */
  readonly what: string;
  readonly path: string;
  /** absent = it will be made; problem = the file system refused, in words. */
  readonly found:
    | { readonly type: 'absent' }
    | { readonly type: 'problem'; readonly problem: string }
    | {
        readonly type: 'there';
        readonly isDirectory: boolean;
        /** The nine permission bits. */
        readonly mode: number;
        readonly isOurs: boolean;
        readonly isWritable: boolean;
      };
  /** private = nobody else may read it; shared = nobody else may write it. */
  readonly rule: 'private' | 'shared';
}

export interface KeyFact {
  readonly what: string;
  readonly found:
    | { readonly type: 'loaded'; readonly warnings: readonly string[] }
    | { readonly type: 'missing' }
    /** Path, what is wrong and how to mend it, in one sentence with a semicolon. */
    | { readonly type: 'refused'; readonly message: string };
}

export interface PortFact {
  /** "mesh", "API". */
  readonly what: string;
  readonly port: number;
  readonly found: 'free' | 'ours' | 'taken' | 'forbidden' | 'unknown';
  /** The port was asked for, so that nothing else will do. */
  readonly isFixed: boolean;
}

export interface DiskFact {
  readonly what: string;
  readonly path: string;
  readonly freeBytes: number;
}

export interface SandboxFact {
  readonly mode: 'require' | 'auto' | 'off';
  /** Why bubblewrap does not work; undefined: it does. */
  readonly problem?: string | undefined;
  /** The kernel's switches that forbid its namespaces, where they could be read. */
  readonly namespacesForbiddenBy?: 'apparmor' | 'kernel' | undefined;
}

export type EngineFact =
  | { readonly type: 'loads'; readonly detail: string }
  | { readonly type: 'fails'; readonly reason: string; readonly mend: string }
  | { readonly type: 'slow'; readonly waitedMs: number }
  /** No model file is served here. */
  | { readonly type: 'not-needed' };

export interface MemoryFact {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly models: readonly { readonly name: string; readonly sizeBytes: number }[];
}

/** Undefined: not looked at, or not to be had on this system. */
export interface DoctorFacts {
  readonly nodeVersion: string;
  /** "24.12": the first version that does. */
  readonly nodeVersionMin: string;
  readonly settings:
    | { readonly type: 'usable'; readonly file: string | undefined; readonly warnings: readonly string[] }
    | { readonly type: 'unusable'; readonly problems: readonly string[] };
  readonly paths: readonly PathFact[];
  readonly keys: readonly KeyFact[];
  readonly ports: readonly PortFact[];
  readonly listen: readonly string[];
  readonly hasMdns: boolean;
  /** Why mDNS cannot be used here; '' = it can. */
  readonly mdnsProblem: string | undefined;
  readonly sandbox: SandboxFact | undefined;
  readonly engine: EngineFact | undefined;
  readonly memory: MemoryFact | undefined;
  readonly openFilesMax: number | undefined;
  readonly disks: readonly DiskFact[];
  /** Of the running node; undefined: none runs. */
  readonly status: NodeStatus | undefined;
  /** Why a node that runs did not answer. */
  readonly statusProblem: string | undefined;
}

/** 1 when something is broken: warnings alone are no failure. */
export function doctorExitCode(findings: readonly Finding[]): 0 | 1 {
  return findings.some(({ level }) => level === 'problem') ? 1 : 0;
}

/** For people: what needs a look first, then what is fine. */
export function doctorText(findings: readonly Finding[]): string {
  const order: readonly Level[] = ['problem', 'warning', 'ok'];
  const lines = order.flatMap((level) =>
    findings.filter((finding) => finding.level === level).flatMap((finding) => findingLines(finding)),
  );
  const [problems, warnings] = (['problem', 'warning'] as const).map(
    (level) => findings.filter((finding) => finding.level === level).length,
  );
  const end =
    problems === 0 && warnings === 0
      ? 'nothing to mend'
      : `${count(problems, 'problem')}, ${count(warnings, 'warning')}`;
  return `${lines.join('\n')}\n\n${end}\n`;
}

function findingLines({ check, level, what, why, mend }: Finding): readonly string[] {
  const first = `${level.padEnd(8)} ${check.padEnd(11)} ${what}`;
  const indent = ' '.repeat(21);
  return [
    first,
    ...(why === undefined ? [] : [`${indent}why: ${why}`]),
    ...(mend === undefined ? [] : [`${indent}do:  ${mend}`]),
  ];
}

function count(number: number | undefined, word: string): string {
  return `${number ?? 0} ${word}${number === 1 ? '' : 's'}`;
}
