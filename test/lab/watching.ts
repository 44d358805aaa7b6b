/**
 * How the laboratory's tests look at nodes: ask for an answer and measure its gaps, wait until nodes see each other, read
 * what a node says of itself. Everything through the API, as a person would.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI from 'openai';
import type { NodeRow, NodeStatus } from '../../src/api/status.ts';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { newHome, statusOf, until, verdictOf } from '../e2e/harness.ts';

export interface Answer {
  readonly text: string;
  /** Who answered first. */
  readonly node: string;
  readonly requestId: string;
  /** The longest wait between two pieces of text. */
  readonly longestGapMs: number;
}

export type OnText = (text: string, node: string) => Promise<void>;

/** Asks the default model, which says the same thing every time. */
export async function ask(front: NodeProcess, onText: OnText = async () => undefined): Promise<Answer> {
  return askFor({ front, model: 'skein-hello' }, onText);
}

export async function askFor(
  { front, model, tokens }: { readonly front: NodeProcess; readonly model: string; readonly tokens?: number },
  onText: OnText = async () => undefined,
): Promise<Answer> {
  const client = new OpenAI({ baseURL: `${front.api}/v1`, apiKey: 'none', maxRetries: 0, timeout: 45_000 });
  const { data: stream, response } = await client.chat.completions
    .create({
      model,
      stream: true,
      temperature: 0,
      messages: [{ role: 'user', content: 'hello' }],
      ...(tokens === undefined ? {} : { max_tokens: tokens }),
    })
    .withResponse();
  const node = response.headers.get('x-skein-node') ?? '';
  let [text, longestGapMs, grewAtMs] = ['', 0, performance.now()];
  for await (const chunk of stream) {
    const piece = chunk.choices[0]?.delta.content ?? '';
    if (piece === '') continue;
    text += piece;
    longestGapMs = Math.max(longestGapMs, Math.round(performance.now() - grewAtMs));
    grewAtMs = performance.now();
    await onText(text, node);
  }
  return { text, node, requestId: response.headers.get('x-request-id') ?? '', longestGapMs };
}

/** Polls until each sees all others alive and connected; the time it took. Says who did not. */
export async function untilMet(nodes: readonly NodeProcess[], limitMs: number): Promise<number> {
  const times = await Promise.all(nodes.map(async (node) => untilSeesAll(node, nodes, limitMs)));
  return Math.max(...times);
}

async function untilSeesAll(node: NodeProcess, nodes: readonly NodeProcess[], limitMs: number): Promise<number> {
  let missing: readonly string[] = [];
  try {
    return await until(
      'it sees everybody',
      async () => (missing = await missingFrom(node, nodes)).length === 0,
      limitMs,
    );
  } catch (error) {
    throw new Error(`${node.name} missed ${missing.join(', ')} for ${limitMs} ms`, { cause: error });
  }
}

async function missingFrom(node: NodeProcess, nodes: readonly NodeProcess[]): Promise<readonly string[]> {
  const rows = (await statusOf(node)).nodes;
  return nodes.flatMap(({ name, node: id }) => {
    const row = rows.find((one) => one.node === id);
    if (row?.verdict === 'alive' && row.connected) return [];
    return [`${name} (${row?.verdict ?? 'unknown'}${row?.connected === true ? ', connected' : ''})`];
  });
}

export async function isAlive(target: NodeProcess, seenBy: NodeProcess): Promise<boolean> {
  await delay(10);
  return (await verdictOf(target, seenBy)) === 'alive';
}

export async function nodesSeenBy(node: NodeProcess): Promise<readonly string[]> {
  return (await statusOf(node)).nodes.map((row) => row.node).toSorted();
}

export async function rowOf(target: NodeProcess, seenBy: NodeProcess): Promise<NodeRow | undefined> {
  return (await fullStatusOf(seenBy)).nodes.find((row) => row.node === target.node);
}

/** That of the path in use: the port is the other's own where this node dialled, else any. */
export async function addressSeenBy(node: NodeProcess, target: NodeProcess): Promise<string> {
  return (await rowOf(target, node))?.address ?? 'unknown';
}

/** What `/api/status` of our own node answers. */
export async function fullStatusOf(node: NodeProcess): Promise<NodeStatus> {
  return (await getJson(`${node.api}/api/status`)) as NodeStatus;
}

export async function triesOf(node: NodeProcess, requestId: string): Promise<{ outcome: string; tokens: number }[]> {
  const record = (await getJson(`${node.api}/api/requests/${requestId}`)) as {
    tries: { outcome: string; tokens: number }[];
  };
  return record.tries;
}

async function getJson(url: string): Promise<unknown> {
  return (await fetch(url)).json();
}

export function theOne<Row extends { readonly node: NodeProcess }>(rows: readonly Row[], node: string): Row {
  const found = rows.find((row) => row.node.node === node);
  assert.ok(found, `${node} is one of the serving nodes`);
  return found;
}

export async function newSwarmKey(): Promise<string> {
  const path = join(await newHome(), 'lab.key');
  await writeFile(path, `/key/swarm/psk/1.0.0/\n/base16/\n${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  return path;
}

export function print(line: string): void {
  process.stdout.write(`      ${line}\n`);
}
