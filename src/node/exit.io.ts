/** How a command ends when it cannot do its work: one line per problem on stderr, and an exit code of sysexits.h. */

/** What is asked for cannot be had now: a taken port, no running node. Source: spec: EX_UNAVAILABLE of sysexits.h. */
export const EXIT_UNAVAILABLE = 69;

/** Says what is wrong; returns the exit code, so that a command can return it. */
export function fail(messages: readonly string[], exitCode: number): number {
  for (const message of messages) process.stderr.write(`skein: ${message}\n`);
  return exitCode;
}
