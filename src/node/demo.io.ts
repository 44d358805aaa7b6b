/**
 * `skein demo`: the promise in under a minute, on one machine. Three real nodes on loopback; a question at node A,
 * which has no model; kill -9 for whichever node is answering, in the middle of the answer; and the answer goes on.
 * The second answer is compared with an undisturbed one, character for character: the exit code says whether it is equal.
 * The serving nodes are slowed to reading speed, so that there is a middle to kill in.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { styleText } from 'node:util';
import { DEFAULT_MODEL_ID } from '../inference/default-model.ts';
import { SseParser } from '../inference/sse.ts';
import { type RowSeen, stillMissing } from './demo-ready.ts';
import { type NodeProcess, startNodeProcess } from './node-process.io.ts';

/** Source: guess: a person can follow the text, and the demo ends well within its minute. */
const TOKENS_PER_SECOND = 40;

/** How long the three may take to see each other and what they serve. Source: guess, ten times what it takes on a busy machine. */
const MEET_MS_MAX = 30_000;
/** Between two looks. Source: guess: a person notices no less, and a busy machine has better things to do. */
const LOOK_MS = 50;

/** Where in the answer the serving node is killed. Source: guess. */
const KILL_AT = 0.4;

/** Source: guess, far above an event of one token. */
const EVENT_CHARACTERS_MAX = 65_536;

const QUESTION = 'What is skein?';

interface Answer {
  readonly text: string;
  readonly node: string;
  readonly requestId: string;
  readonly elapsedMs: number;
  /** The longest time between two pieces of text. */
  readonly gapMs: number;
}

interface Letters {
  readonly [node: string]: string;
}

/** Runs the demo; the exit code. */
export async function runDemo(): Promise<number> {
  const home = await mkdtemp(join(tmpdir(), 'skein-demo-'));
  const nodes: NodeProcess[] = [];
  try {
    return await play(home, nodes);
  } finally {
    await Promise.all(nodes.map(async (node) => node.end('SIGTERM')));
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function play(home: string, nodes: NodeProcess[]): Promise<number> {
  const [front, ...serving] = await meet(home, nodes);
  if (front === undefined) throw new Error('the demo has no first node');
  const letters: Letters = Object.fromEntries(nodes.map(({ node, name }) => [node, name]));

  say('2', `Asking node ${front.name}, which has no model: "${QUESTION}"`);
  const undisturbed = await ask(front, (piece) => print(styleText('dim', piece)));
  print('\n\n');
  await explain(front, undisturbed, letters);

  // On a busy machine one may have been suspected meanwhile.
  await untilReady(front, serving);
  say('3', 'The same question again, and kill -9 for the node that answers, in the middle');
  const startedMs = performance.now();
  let killedAtMs: number | undefined;
  const disturbed = await ask(front, (piece, { text, node }) => {
    print(killedAtMs === undefined ? styleText('dim', piece) : styleText('green', piece));
    if (killedAtMs !== undefined || text.length < undisturbed.text.length * KILL_AT) return;
    const victim = serving.find((one) => one.node === node);
    if (victim === undefined) return;
    victim.signal('SIGKILL');
    killedAtMs = performance.now() - startedMs;
    print(styleText(['red', 'bold'], `[kill -9 node ${victim.name}]`));
  });
  print('\n\n');
  await explain(front, disturbed, letters);

  const equal = disturbed.text === undisturbed.text;
  say('4', 'Summary');
  line('nodes', `${nodes.length} started, 1 killed ${Math.round(killedAtMs ?? 0)} ms into its answer`);
  line(
    'longest pause',
    `${Math.round(undisturbed.gapMs)} ms undisturbed, ${Math.round(disturbed.gapMs)} ms with the kill`,
  );
  line('text', equal ? `equal, all ${disturbed.text.length} characters` : 'NOT EQUAL');
  line('client', 'one HTTP response, no error, no retry');
  return equal && killedAtMs !== undefined ? 0 : 1;
}

async function meet(home: string, nodes: NodeProcess[]): Promise<readonly NodeProcess[]> {
  say('1', 'Starting three nodes on this machine');
  const startedMs = performance.now();
  nodes.push(await startNodeProcess({ home: join(home, 'A'), args: ['--name', 'A', '--no-default-model'] }));
  const [front] = nodes;
  if (front === undefined) throw new Error('the demo has no first node');
  const slow = ['--tokens-per-second-max', String(TOKENS_PER_SECOND)];
  const others = ['B', 'C'].map(async (name) => {
    nodes.push(
      await startNodeProcess({
        home: join(home, name),
        command: ['join', front.invite],
        args: ['--name', name, ...slow],
      }),
    );
  });
  await Promise.all(others);
  nodes.sort((left, right) => (left.name < right.name ? -1 : 1));
  const [, ...serving] = nodes;
  await untilReady(front, serving);
  for (const node of nodes)
    line(
      `node ${node.name}`,
      `${node.api}  ${node.models.length > 0 ? `serves ${node.models.join(', ')}` : 'has no model'}`,
    );
  line('swarm', `${front.swarm}, together after ${Math.round(performance.now() - startedMs)} ms`);
  return nodes;
}

/** Until `front` sees all who serve, with what it will ask for: the one that is killed and the one that goes on. */
async function untilReady(front: NodeProcess, serving: readonly NodeProcess[]): Promise<void> {
  const deadlineMs = performance.now() + MEET_MS_MAX;
  for (;;) {
    // eslint-disable-next-line no-await-in-loop
    const status = await getJson(`${front.api}/api/status`);
    // Our own node's answer, of our own version.
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    const rows = Array.isArray(status['nodes']) ? (status['nodes'] as readonly RowSeen[]) : [];
    const missing = stillMissing(rows, serving, DEFAULT_MODEL_ID);
    if (missing.length === 0) return;
    if (performance.now() > deadlineMs)
      throw new Error(
        `not ready after ${MEET_MS_MAX / 1_000} s (${missing.join('; ')}); the machine may be too busy: try again.\n${front.errors()}`,
      );
    // eslint-disable-next-line no-await-in-loop
    await delay(LOOK_MS);
  }
}

async function ask(
  front: NodeProcess,
  onText: (piece: string, soFar: { text: string; node: string }) => void,
): Promise<Answer> {
  const startedMs = performance.now();
  const response = await fetch(`${front.api}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: DEFAULT_MODEL_ID,
      stream: true,
      temperature: 0,
      messages: [{ role: 'user', content: QUESTION }],
    }),
  });
  if (!response.ok || response.body === null)
    throw new Error(`node A answered ${response.status}: ${await response.text()}`);
  const node = response.headers.get('x-skein-node') ?? '';
  const pieces: string[] = [];
  let lastMs = performance.now();
  let gapMs = 0;
  for await (const piece of contentOf(response.body)) {
    gapMs = Math.max(gapMs, performance.now() - lastMs);
    lastMs = performance.now();
    pieces.push(piece);
    onText(piece, { text: pieces.join(''), node });
  }
  return {
    text: pieces.join(''),
    node,
    requestId: response.headers.get('x-request-id') ?? '',
    elapsedMs: performance.now() - startedMs,
    gapMs,
  };
}

/** The pieces of content of an event stream; throws when the stream carries an error. */
async function* contentOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const parser = new SseParser(EVENT_CHARACTERS_MAX);
  for await (const bytes of body) {
    const parsed = parser.push(bytes);
    if (parsed.type === 'too-long') throw new Error('the stream carried an event without an end');
    for (const event of parsed.events) {
      const piece = event.data === '[DONE]' ? '' : pieceOf(JSON.parse(event.data));
      if (piece !== '') yield piece;
    }
  }
}

function pieceOf(event: unknown): string {
  if (typeof event !== 'object' || event === null) return '';
  if ('error' in event) throw new Error(`the stream carried an error: ${JSON.stringify(event.error)}`);
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  const chunk = event as { readonly choices?: readonly { readonly delta?: { readonly content?: string } }[] };
  return chunk.choices?.[0]?.delta?.content ?? '';
}

/** Prints why this node: the explain record that the asking node keeps. */
async function explain(front: NodeProcess, answer: Answer, letters: Letters): Promise<void> {
  const record = await getJson(`${front.api}/api/requests/${answer.requestId}`);
  const name = (node: unknown): string => `node ${letters[String(node)] ?? String(node)}`;
  const rows = (key: string): readonly Record<string, unknown>[] =>
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    Array.isArray(record[key]) ? (record[key] as readonly Record<string, unknown>[]) : [];
  for (const row of rows('considered'))
    line(
      name(row['node']),
      `first token expected in ${String(row['expectedMs'])} ms, ${Number(row['sharePerMille']) / 10} % of such requests go there first`,
    );
  for (const row of rows('refused')) line(name(row['node']), `refused: ${String(row['why'])}`);
  for (const row of rows('tries')) {
    const why = typeof row['why'] === 'string' ? ` (${row['why']})` : '';
    line(`tried ${name(row['node'])}`, `${String(row['outcome'])} after ${String(row['tokens'])} tokens${why}`);
  }
}

async function getJson(url: string): Promise<Record<string, unknown>> {
  const response = await fetch(url);
  // Our own node's answer; every field is read as unknown.
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  return (await response.json()) as Record<string, unknown>;
}

function say(step: string, text: string): void {
  print(`\n${styleText('bold', `${step}  ${text}`)}\n\n`);
}

function line(label: string, text: string): void {
  print(`   ${label.padEnd(16)} ${text}\n`);
}

function print(text: string): void {
  process.stdout.write(text);
}
