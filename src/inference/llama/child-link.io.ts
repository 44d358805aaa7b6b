/**
 * One child process as its parent sees it: started in its sandbox with a bare environment, watched, and ended. It reports parsed messages
 * and, exactly once, its death with a reason for people. The watch counts its own ticks without a word of the child, not
 * time, so that a machine that slept does not kill its engines on waking.
 * Limits: the JavaScript heap of the child is bounded, its native memory is not; its last words are kept up to a bound.
 */
import type { ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import {
  type ChildMessage,
  cleanDetail,
  type LoadPhase,
  type ParentMessage,
  parseChildMessages,
} from './child-protocol.ts';
import { type SandboxedChild, startSandboxed } from './sandbox.io.ts';

export interface ChildLinkOptions {
  readonly sandbox: Pick<SandboxedChild, 'layers' | 'probe' | 'files' | 'writable' | 'memoryBytesMax'>;
  readonly onMessage: (message: ChildMessage) => void;
  /** Once; nothing comes after it. */
  readonly onDeath: (detail: string) => void;
  /** Between two looks at the child. Source: guess, the child says something every second. */
  readonly watchTickMs?: number;
}

/** Ticks without a word before the child is ended. Source: guess: seven missed signs; loading may block on drivers. */
const SILENT_TICKS_MAX: Readonly<Record<LoadPhase | 'serving', number>> = {
  engine: 60,
  weights: 60,
  // The child ends it before; this is for what it cannot end.
  template: 10,
  context: 60,
  serving: 6,
};

/** Enough for a vocabulary of 256,000 in JavaScript; a template that eats memory ends here. Source: guess. */
const CHILD_HEAP_MEGABYTES = 1_024;
/** For writing what is in its slots. Source: guess: a gigabyte is written and hashed in three seconds (measured in parts). */
const LEAVE_MS_MAX = 5_000;
const LAST_WORDS_LENGTH_MAX = 2_000;
/** How long after its end its last words may come. Source: guess. */
const LAST_WORDS_MS_MAX = 200;

/** What a graphics driver or loader may need; no secret of the node is among them. Source: guess. */
const PASSED_ENVIRONMENT =
  /^(?:PATH|HOME|USERPROFILE|APPDATA|LOCALAPPDATA|PROGRAM\w*|SYSTEMROOT|WINDIR|TEMP|TMP|TMPDIR|LANG|LD_LIBRARY_PATH|DYLD_\w+|XDG_RUNTIME_DIR|CUDA_\w+|NVIDIA_\w+|HIP_\w+|ROCR_\w+|HSA_\w+|GGML_\w+|VK_\w+)$/i;

export class ChildLink {
  readonly #options: ChildLinkOptions;
  readonly #child: ChildProcess;
  readonly #watch: NodeJS.Timeout;
  #silentTicks = 0;
  #phase: LoadPhase | 'serving' = 'engine';
  /** Why we ended it, if we did. */
  #killReason: string | undefined;
  #lastWords = '';
  #dead = false;
  #onDead: (() => void)[] = [];
  #onLeft: (() => void) | undefined;

  constructor(options: ChildLinkOptions) {
    this.#options = options;
    this.#child = startSandboxed({
      ...options.sandbox,
      // Compiled, this file and the child end in .js.
      module: new URL(`llama-child.io${extname(import.meta.url)}`, import.meta.url),
      nodeOptions: [`--max-old-space-size=${CHILD_HEAP_MEGABYTES}`],
      environment: childEnvironment(),
    });
    this.#child.stderr?.setEncoding('utf8');
    this.#child.stderr?.on('data', (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS_LENGTH_MAX);
    });
    this.#child.on('message', (value) => this.#receive(value));
    this.#child.on('error', (error) => this.#die(error.message));
    // Without a channel it is of no use; a process that died comes by here too, so that no reason is noted.
    this.#child.on('disconnect', () => this.#child.kill('SIGKILL'));
    // `close` comes after its last words were read, unless a process of its own keeps its pipe open.
    this.#child.on('close', (code, signal) => this.#die(this.#describeExit(code, signal)));
    this.#child.on('exit', (code, signal) => {
      setTimeout(() => this.#die(this.#describeExit(code, signal)), LAST_WORDS_MS_MAX);
    });
    this.#watch = setInterval(() => this.#look(), options.watchTickMs ?? 1_000);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: ParentMessage): void {
    if (this.#dead || !this.#child.connected) return;
    this.#child.send(message, (error) => {
      if (error !== null) this.kill(`it could not be reached: ${error.message}`);
    });
  }

  /** Idempotent; `onDeath` follows when the process is gone. */
  kill(reason: string): void {
    if (this.#dead) return;
    this.#killReason ??= reason;
    this.#child.kill('SIGKILL');
  }

  /** Until it has kept what it can, or its time is over, or it is gone. */
  async leave(): Promise<void> {
    const { promise: left, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => resolve(undefined), LEAVE_MS_MAX);
    this.#onLeft = () => resolve(undefined);
    this.send({ type: 'leave' });
    await Promise.race([left, this.ended()]);
    clearTimeout(timer);
  }

  /** When the process is gone. */
  async ended(): Promise<void> {
    if (this.#dead) return;
    await new Promise<void>((resolve) => {
      this.#onDead.push(resolve);
    });
  }

  #receive(value: unknown): void {
    if (this.#dead || this.#killReason !== undefined) return;
    this.#silentTicks = 0;
    const messages = parseChildMessages(value);
    if (messages === undefined) {
      this.kill('it sent something that is no message');
      return;
    }
    for (const message of messages) {
      if (message.type === 'phase') this.#phase = message.phase;
      if (message.type === 'ready') this.#phase = 'serving';
      if (message.type === 'left') this.#onLeft?.();
      this.#options.onMessage(message);
    }
  }

  #look(): void {
    this.#silentTicks += 1;
    if (this.#silentTicks <= SILENT_TICKS_MAX[this.#phase]) return;
    this.kill(this.#phase === 'template' ? 'its chat template does not end' : 'it stopped answering');
  }

  #die(detail: string): void {
    if (this.#dead) return;
    this.#dead = true;
    clearInterval(this.#watch);
    this.#options.onDeath(cleanDetail(detail));
    for (const resolve of this.#onDead) resolve();
    this.#onDead = [];
  }

  #describeExit(code: number | null, signal: NodeJS.Signals | null): string {
    if (this.#killReason !== undefined) return this.#killReason;
    const how = signal === null ? `with exit code ${code ?? 'unknown'}` : `by ${signal}`;
    const line = this.#lastWords.trim().split('\n').at(-1) ?? '';
    return line === '' ? how : `${how}: ${line}`;
  }
}

function childEnvironment(): Readonly<Record<string, string>> {
  const passed = Object.entries(process.env).filter(
    (entry): entry is [string, string] => PASSED_ENVIRONMENT.test(entry[0]) && entry[1] !== undefined,
  );
  return { ...Object.fromEntries(passed), NODE_LLAMA_CPP_SKIP_DOWNLOAD: 'true' };
}
