/**
 * Is there a process with this id, whoever it belongs to? For what a process that was killed leaves behind. Ids are used again:
 * a yes may be somebody else's.
 */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
