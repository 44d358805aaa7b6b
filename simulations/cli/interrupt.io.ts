/**
 * Ctrl-C: the first one asks whatever runs to end and to say what it has so far, the second one ends the process at once.
 * SIGTERM, which a time limit of continuous integration sends, does the same. Ours for as long as a command runs; a command
 * that was asked to end returns 130, as shells expect.
 */
import { EXIT_INTERRUPTED } from './command.io.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export interface Interrupt extends Disposable {
  readonly signal: AbortSignal;
}

export function listenForInterrupt(): Interrupt {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}
