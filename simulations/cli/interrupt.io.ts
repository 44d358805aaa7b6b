/**
 * Ctrl-C: the first one asks whatever runs to end and to say what it has so far, the second one ends the process at once.
 * Ours for as long as a command runs; a command that was asked to end returns 130, as shells expect.
 */
import { EXIT_INTERRUPTED } from './command.io.ts';

export interface Interrupt extends Disposable {
  readonly signal: AbortSignal;
}

export function listenForInterrupt(): Interrupt {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => process.off('SIGINT', onSignal),
  };
}
