/**
 * What is told when a model cannot serve, and what mends it: sentences for people, in one place, each naming the path or
 * the command. The platform table names the package that carries llama.cpp's binary. Pure.
 * Source: the optional dependencies of node-llama-cpp (copied).
 */
import { type Failure, failure } from '../../errors.ts';
import type { ModelId } from '../../ids.ts';
import type { Task } from '../engine.ts';

/** The plain package of each platform; graphics cards add to it. Source: copied, node-llama-cpp's package.json. */
const ENGINE_PACKAGES: Readonly<Record<string, string>> = {
  'darwin-arm64': 'mac-arm64-metal',
  'darwin-x64': 'mac-x64',
  'linux-arm': 'linux-armv7l',
  'linux-arm64': 'linux-arm64',
  'linux-riscv64': 'linux-riscv64',
  'linux-x64': 'linux-x64',
  'win32-arm64': 'win-arm64',
  'win32-x64': 'win-x64',
};

export interface Platform {
  readonly platform: string;
  readonly architecture: string;
}

/** The binaries belong to one version of the engine. Source: copied, package.json; a test compares them. */
export const ENGINE_VERSION = '3.22.1';

/**
 * The line that a person types, in the folder of the project and in any shell, to get the engine's binary for this
 * machine. Not `npm install`: the checkout overrides these packages with empty ones, and npm refuses both at once.
 */
export function engineMend({ platform, architecture }: Platform): string {
  const name = ENGINE_PACKAGES[`${platform}-${architecture}`];
  if (name === undefined)
    return `there is no prebuilt engine for ${platform} on ${architecture}; use an upstream server`;
  const target = `@node-llama-cpp/${name}`;
  return `tar -xzf $(npm pack --silent ${target}@${ENGINE_VERSION}) -C node_modules/${target} --strip-components=1`;
}

export function noEngineProblem(platform: Platform, detail: string): string {
  return `no llama.cpp engine for this machine was found (${detail}); mend: ${engineMend(platform)}`;
}

export function loadProblem(path: string, detail: string): string {
  return `${path} could not be loaded: ${detail}; replace the file or remove it`;
}

export function memoryProblem(path: string, detail: string): string {
  return `${path} does not fit into memory: ${detail}; free some, or use a smaller model or context`;
}

export function quarantineProblem(path: string, deaths: number, detail: string): string {
  return `${path} ended its process ${deaths} times within minutes (${detail}); replace the file, then start the node again`;
}

export interface Death {
  /** Exit code or signal, or why we ended it, and its last words. */
  readonly detail: string;
  /** Answers that were under way in it. */
  readonly answers: number;
  /** Until it may be started again. */
  readonly waitMs: number;
}

export function diedProblem(model: ModelId, { detail, answers, waitMs }: Death): string {
  const cut =
    answers === 0
      ? ''
      : `, and ${answers === 1 ? 'the answer' : `the ${answers} answers`} under way may only go on at another node that has the model`;
  const pause = waitMs > 0 ? `after a pause of ${Math.ceil(waitMs)} ms ` : '';
  return `the process that runs ${model} ended: ${detail}${cut}; ${pause}the next request starts it again`;
}

/** `position`: of the input or document that was too long. */
export function contextFailure(
  { promptTokens, contextTokens }: { readonly promptTokens: number; readonly contextTokens: number },
  task?: Task,
  position = 0,
): Failure {
  const { param, what } = subjectOf(task, position);
  return failure(
    'context-length-exceeded',
    `This model's maximum context length is ${contextTokens} tokens. However, your ${what} resulted in ` +
      `${promptTokens} tokens. Please reduce the length of the ${what}.`,
    { param },
  );
}

function subjectOf(task: Task | undefined, position: number): { readonly param: string; readonly what: string } {
  switch (task?.type) {
    case 'completion':
      return { param: 'prompt', what: 'prompt' };
    case 'embedding':
      return { param: 'input', what: `input[${position}]` };
    case 'rerank':
      return { param: 'documents', what: `query with documents[${position}]` };
    default:
      return { param: 'messages', what: 'messages' };
  }
}

export function diedFailure(model: ModelId, detail: string): Failure {
  return failure('engine-failed', `the process that runs ${model} ended: ${detail}`);
}
