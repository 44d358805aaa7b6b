/**
 * How does one call end that may never return by itself? Chat templates come from model files: they are programs, and loop
 * as long as they like. Here such a call gets a time; after it V8 ends the call wherever it stands, nothing in it can catch
 * that, and the process goes on with everything else. Memory is bounded by the heap of the child, which dies of it alone.
 * Limits: JavaScript only, synchronous only; whoever waits in this process waits along, so the times are short. A call costs
 * up to a millisecond, for the thread that watches. Source: `vm` of Node.js (`timeout`).
 */
import { createContext, Script } from 'node:vm';

const sandbox: { work: (() => void) | undefined } = { work: undefined };
const context = createContext(sandbox);
const script = new Script('work()');

export type Limited<Value> =
  | { readonly type: 'done'; readonly value: Value }
  /** It was ended in the middle: what it had begun to change may be half changed. */
  | { readonly type: 'too-slow' };

/** What `work` throws comes out as it is. Not to be nested. */
export function withinTime<Value>(limitMs: number, work: () => Value): Limited<Value> {
  let result: Limited<Value> = { type: 'too-slow' };
  sandbox.work = () => {
    result = { type: 'done', value: work() };
  };
  try {
    script.runInContext(context, { timeout: limitMs });
  } catch (error) {
    if (!isTimeout(error)) throw error;
  } finally {
    sandbox.work = undefined;
  }
  return result;
}

/** Made in another context, so that it is no `Error` of ours. */
function isTimeout(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
  );
}
