/**
 * A chat service and a status source for API tests. The fake service records what is asked of it; the test says what it
 * answers. `record` waits are events: nothing here polls or sleeps.
 */
import { hashApiKey } from '../../src/api/key-record.ts';
import { KeyRing } from '../../src/api/key-ring.ts';
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { ApiLogEvent, ApiOptions } from '../../src/api/api-options.ts';
import type { ExplainRecord } from '../../src/api/explain-record.ts';
import { type ApiServer, createApiServer } from '../../src/api/server.io.ts';
import type { StatusSource } from '../../src/api/status.ts';
import {
  type ModelId,
  type NodeId,
  parseModelId,
  parseNodeId,
  parseRequestId,
  parseSwarmFingerprint,
  type RequestId,
} from '../../src/ids.ts';
import type { ChatEvent, ChatRequest, ChatRun, ChatService } from '../../src/inference/chat.ts';

export const MODEL: ModelId = known(parseModelId('org/tiny:Q4'));
export const NODE: NodeId = known(parseNodeId(`12D3KooW${'a'.repeat(44)}`));
export const OTHER_NODE: NodeId = known(parseNodeId(`12D3KooW${'b'.repeat(44)}`));
export const USAGE = { promptTokens: 5, completionTokens: 2, cachedTokens: 1 };
export const ENDED: ChatEvent = { type: 'ended', finishReason: 'stop', usage: USAGE };
export const SERVING: ChatEvent = { type: 'serving', node: NODE, resumedAt: 0 };

export function text(piece: string, tokens: number = 1): ChatEvent {
  return { type: 'text', text: piece, tokens };
}

/** One run of the fake: what the API did to it, and the way to send events into it. */
class FakeRun implements ChatRun {
  readonly request: ChatRequest;
  readonly emit: (event: ChatEvent) => void;
  readonly events = new EventEmitter();
  granted = 0;
  cancelled = false;

  constructor(request: ChatRequest, on: (event: ChatEvent) => void) {
    this.request = request;
    this.emit = (event) => {
      if (!this.cancelled) on(event);
    };
  }

  grant(tokens: number): void {
    assert.ok(Number.isSafeInteger(tokens) && tokens > 0);
    this.granted += tokens;
    this.events.emit('granted');
  }

  cancel(): void {
    this.cancelled = true;
    this.events.emit('cancelled');
  }

  async untilCancelled(): Promise<void> {
    if (!this.cancelled) await once(this.events, 'cancelled');
  }
}

/** Answers as `script` says, inside `start`; without a script the test drives the runs. */
class FakeChat implements ChatService {
  readonly runs: FakeRun[] = [];
  script: readonly ChatEvent[] | undefined;
  readonly #started = new EventEmitter();

  start(request: ChatRequest, on: (event: ChatEvent) => void): ChatRun {
    const run = new FakeRun(request, on);
    this.runs.push(run);
    for (const event of this.script ?? []) run.emit(event);
    this.#started.emit('started');
    return run;
  }

  /** The run with this index, as soon as it was started. */
  async run(index: number = 0): Promise<FakeRun> {
    // Several runs may start before the one that is waited for.
    // eslint-disable-next-line no-await-in-loop
    while (this.runs.length <= index) await once(this.#started, 'started');
    const run = this.runs[index];
    assert.ok(run);
    return run;
  }
}

export const RECORD: ExplainRecord = {
  requestId: requestIdOf(7),
  model: MODEL,
  arrivedAtMs: 1_700_000_000_000,
  result: 'answered',
  summary: 'placed',
  levelMs: 10,
  ranked: [NODE],
  considered: [{ node: NODE, expectedMs: 3, costMs: 4, weight: 5, affinity: false }],
  refused: [{ node: OTHER_NODE, why: 'does not answer' }],
  tries: [{ node: NODE, startedAfterMs: 1, outcome: 'answered', resumedAt: 0, tokens: 2 }],
};

export const STATUS: StatusSource = {
  models: () => [
    { model: MODEL, node: OTHER_NODE, state: 'on-disk', contextTokens: 2_048 },
    { model: MODEL, node: NODE, state: 'ready', contextTokens: 4_096 },
  ],
  status: () => ({
    self: NODE,
    name: 'test',
    version: '0.0.0',
    swarm: known(parseSwarmFingerprint('0123456789abcdef')),
    uptimeMs: 1,
    draining: false,
    unreached: [],
    sandbox: { layers: 'none' },
    nodes: [],
    requests: [],
    counters: { answered: 1 },
  }),
  request: (requestId) => (requestId === RECORD.requestId ? RECORD : undefined),
  readiness: () => ({ ready: true, reasons: [] }),
};

export interface TestApi {
  readonly api: ApiServer;
  readonly chat: FakeChat;
  readonly url: string;
  readonly port: number;
  readonly log: readonly ApiLogEvent[];
  /** The next log event of this type. */
  readonly logged: <Type extends ApiLogEvent['type']>(type: Type) => Promise<Extract<ApiLogEvent, { type: Type }>>;
}

const open: ApiServer[] = [];

function ringOf(keys: readonly string[]): KeyRing {
  return new KeyRing({ hashes: keys.map(hashApiKey), isExposed: false });
}

/** `keys`: texts of keys with full rights, or a ring of keys. */
export async function startApi(
  { keys, ...options }: Partial<ApiOptions> & { readonly keys?: readonly string[] | KeyRing } = {},
  status: StatusSource = STATUS,
): Promise<TestApi> {
  const chat = new FakeChat();
  const log: ApiLogEvent[] = [];
  const events = new EventEmitter();
  let requests = 0;
  const api = createApiServer({
    chat,
    status,
    newRequestId: () => requestIdOf((requests += 1)),
    log: (event) => {
      log.push(event);
      events.emit(event.type, event);
    },
    options: { port: 0, version: '0.0.0', ...options },
    ...(keys === undefined ? {} : { keys: keys instanceof KeyRing ? keys : ringOf(keys) }),
  });
  open.push(api);
  const { url, port } = await api.listen();
  return {
    api,
    chat,
    url,
    port,
    log,
    logged: async (type) => {
      const [event] = await once(events, type);
      return event;
    },
  };
}

/** The JSON of an answer, whose fields the tests assert one by one. */
export async function jsonOf(response: Response): Promise<ReturnType<typeof JSON.parse>> {
  return JSON.parse(await response.text());
}

/** For `afterEach`. */
export async function closeApis(): Promise<void> {
  await Promise.all(open.splice(0).map(async (api) => api.close()));
}

export function requestIdOf(number: number): RequestId {
  return known(parseRequestId(number.toString(16).padStart(32, '0')));
}

function known<Value>(value: Value | undefined): Value {
  assert.ok(value !== undefined);
  return value;
}
