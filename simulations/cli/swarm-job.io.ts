/**
 * One job of a swarm, seen from its parent: a child process that works off one task after the other. Whatever happens to the
 * child, each task gets an outcome: a child that dies or falls silent has crashed on the seed that it had, and the next
 * task starts another one. Of what it wrote to stderr the end is kept, because that is where a reason stands.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readAnswer } from './swarm-message.ts';
import type { SwarmOutcome, SwarmTask } from './swarm-ledger.ts';

/** Without a sign of life for this long it is stuck. Source: guess: a hundred times a slow machine's longest piece. */
const SILENT_MS_MAX = 180_000;
const STDERR_CHARACTERS_MAX = 2_000;

export class SwarmJob {
  readonly #program: URL;
  #child: ChildProcess | undefined;
  #stderr = '';

  constructor(program: URL) {
    this.#program = program;
  }

  /** Never rejects. */
  async work(task: SwarmTask): Promise<SwarmOutcome> {
    const child = (this.#child ??= this.#start());
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const end = (outcome: SwarmOutcome): void => {
        clearTimeout(timer);
        child.off('message', onMessage).off('close', onClose).off('error', onError);
        resolve(outcome);
      };
      const crash = (reason: string): void => {
        this.#giveUp(child);
        end({ type: 'crashed', reason: `${reason}${this.#stderr === '' ? '' : `\n${this.#stderr.trimEnd()}`}` });
      };
      const wait = (): void => {
        clearTimeout(timer);
        timer = setTimeout(() => crash(`its process said nothing for ${SILENT_MS_MAX / 1_000} s`), SILENT_MS_MAX);
      };
      const onMessage = (message: unknown): void => {
        const answer = readAnswer(message);
        wait();
        if (answer?.type === 'end' && answer.number === task.number) end(answer.outcome);
      };
      const onClose = (code: number | null, signal: string | null): void =>
        crash(`its process ended with ${signal ?? `exit code ${code}`}`);
      const onError = (error: Error): void => crash(`its process: ${error.message}`);
      child.on('message', onMessage).on('close', onClose).on('error', onError);
      wait();
      child.send({ type: 'task', ...task }, (error) => {
        if (error !== null) crash(`its process cannot be told: ${error.message}`);
      });
    });
  }

  /** What it was working on has crashed. */
  end(): void {
    if (this.#child !== undefined) this.#giveUp(this.#child);
  }

  #start(): ChildProcess {
    this.#stderr = '';
    const child = fork(this.#program, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-STDERR_CHARACTERS_MAX);
    });
    return child;
  }

  #giveUp(child: ChildProcess): void {
    if (this.#child === child) this.#child = undefined;
    child.kill('SIGKILL');
  }
}
