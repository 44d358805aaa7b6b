/**
 * Listens inside a real node, where the simulator listens inside a simulated one: at the step of the core. Loaded into the
 * process before the node itself (`node --import`), so that the node's own code is the code that ships. Writes what
 * `tap-lines.ts` describes to the file named in the environment, each line at once, so that kill -9 loses nothing.
 * Also ends the process when its parent is gone: no node outlives a calibration that was killed itself.
 * Cost: about 20 short lines a second.
 */
import { createHash } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { decodeCanonical, toHex } from '../../src/bytes.ts';
import { parseMessage } from '../../src/gossip/message-codec.ts';
import { parseSwarmFingerprint } from '../../src/ids.ts';
import type { Effect, Input, StepResult } from '../../src/node/events.ts';
import { Mesh } from '../../src/node/mesh.ts';
import { type TapLine, writeTapLine } from './tap-lines.ts';

/** A timer that fires so much too late is written down. Source: guess: ten times the resolution of timers. */
const LATE_MS_MIN = 20;
/** How soon a node notices that its parent is gone. Source: guess. */
const PARENT_CHECK_MS = 1_000;
/** Enough of a hash to tell the messages of some minutes apart. */
const HASH_BYTES = 9;

const path = process.env['CALIBRATION_TAP'];
if (path !== undefined) {
  // Programs that this one starts are not tapped.
  delete process.env['NODE_OPTIONS'];
  listen(openSync(path, 'a'));
  endWithParent();
}

function listen(file: number): void {
  const write = (line: TapLine): void => void writeSync(file, writeTapLine(line));
  const step = Reflect.get(Mesh.prototype, 'step');
  let expectedMs: number | undefined;
  Mesh.prototype.step = function tapped(this: Mesh, input: Input, nowMs: number): StepResult {
    if (expectedMs === undefined) write({ type: 'started', atMs: monotonicMs() });
    else if (nowMs - expectedMs > LATE_MS_MIN) write({ type: 'late', atMs: monotonicMs(), lateMs: nowMs - expectedMs });
    const result = Reflect.apply(step, this, [input, nowMs]);
    expectedMs = result.wakeAtMs;
    for (const line of linesOf(input, result.effects, monotonicMs())) write(line);
    return result;
  };
}

function linesOf(input: Input, effects: readonly Effect[], atMs: number): readonly TapLine[] {
  return effects.flatMap((effect): readonly TapLine[] => {
    switch (effect.type) {
      case 'publish':
        return [{ type: 'published', atMs, message: hashOf(effect.bytes), body: bodyOf(effect.bytes) }];
      case 'judge-message':
        return input.type === 'message-received' ? [{ type: 'judged', atMs, message: hashOf(input.bytes) }] : [];
      case 'member-changed':
        return [{ type: 'changed', atMs, target: effect.node, verdict: effect.verdict, reason: effect.reason }];
      default:
        return [];
    }
  });
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest().subarray(0, HASH_BYTES).toString('base64url');
}

/** The swarm of our own message stands in it. */
function bodyOf(bytes: Uint8Array): string {
  const envelope: unknown = decodeCanonical(bytes);
  const payload: unknown = Array.isArray(envelope) ? envelope[0] : undefined;
  const fields: unknown = payload instanceof Uint8Array ? decodeCanonical(payload) : undefined;
  const fingerprint: unknown = Array.isArray(fields) ? fields[1] : undefined;
  const swarm = fingerprint instanceof Uint8Array ? parseSwarmFingerprint(toHex(fingerprint)) : undefined;
  const parsed = swarm === undefined ? undefined : parseMessage(bytes, swarm);
  return parsed?.type === 'parsed' ? parsed.message.body.type : 'unknown';
}

/** Of the machine, not of the process. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function endWithParent(): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1);
  }, PARENT_CHECK_MS).unref();
}
