import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { SimulatedClient } from '../../../simulations/work/client.ts';
import type { Arrival, Reader } from '../../../simulations/work/conversations.ts';
import { TimingWheel } from '../../../simulations/kernel/event-queue.ts';
import { markOf, prefixHashes, tokensText, turnText } from '../../../simulations/work/numbered-text.ts';
import { SOCKET_TOKENS, WINDOW_TOKENS } from '../../../simulations/work/reading-socket.ts';
import type { WorldEvent } from '../../../simulations/world-event.ts';
import { failure } from '../../../src/errors.ts';
import { parseModelId, parseRequestId } from '../../../src/ids.ts';
import type { ChatEvent, ChatRequest, ChatService } from '../../../src/inference/chat.ts';

const SAMPLING = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] };

function arrivalOf(number: number, reader: Reader = { type: 'prompt' }): Arrival {
  const requestId = parseRequestId(number.toString(16).padStart(32, '0'));
  const model = parseModelId('goose:8b');
  assert.ok(requestId !== undefined && model !== undefined);
  const content = turnText({ name: `${number}`, promptTokens: 50, answerTokens: 500, bytes: 200 });
  const job = { model, messages: [{ role: 'user', content } as const], sampling: SAMPLING };
  return {
    node: 4,
    request: { requestId, sessionKey: '', job },
    model: 0,
    promptTokens: 50,
    answerTokens: 500,
    reader,
  };
}

/** A chat service that the test speaks through. */
class Node implements ChatService {
  readonly asked: {
    readonly request: ChatRequest;
    readonly on: (event: ChatEvent) => void;
    granted: number;
    cancels: number;
  }[] = [];

  start(request: ChatRequest, on: (event: ChatEvent) => void) {
    const one = { request, on, granted: 0, cancels: 0 };
    this.asked.push(one);
    return {
      grant: (tokens: number) => void (one.granted += tokens),
      cancel: () => void (one.cancels += 1),
    };
  }

  say(index: number, position: number, tokens: number): void {
    const one = this.asked[index];
    assert.ok(one !== undefined);
    const text = tokensText(markOf(prefixHashes(one.request.job.messages)), position, tokens);
    one.on({ type: 'text', text, tokens });
  }

  end(index: number, completionTokens: number): void {
    const usage = { promptTokens: 50, completionTokens, cachedTokens: 0 };
    this.asked[index]?.on({ type: 'ended', finishReason: 'stop', usage });
  }
}

function setUp(mergeMs?: number) {
  const queue = new TimingWheel();
  const service = new Node();
  const seen: { readonly atMs: number; readonly event: WorldEvent }[] = [];
  const emit = (event: WorldEvent): void => void seen.push({ atMs: queue.nowMs, event });
  const client = new SimulatedClient({ node: 4, queue, service, emit, ...(mergeMs === undefined ? {} : { mergeMs }) });
  const texts = (): [atMs: number, position: number, tokens: number][] =>
    seen.flatMap(({ atMs, event }) => (event.type === 'text' ? [[atMs, event.position, event.tokens]] : []));
  const ends = () => seen.flatMap(({ event }) => (event.type === 'request-ended' ? [event] : []));
  return { queue, service, client, texts, ends };
}

describe('a simulated client', () => {
  it('reports the first text at once and the rest in pieces', () => {
    const { queue, service, client, texts, ends } = setUp();
    client.ask(arrivalOf(1));
    for (const [atMs, position, tokens] of [
      [1_000, 0, 1],
      [1_100, 1, 3],
      [1_200, 4, 3],
      [1_600, 7, 1],
      // After a silence.
      [5_000, 8, 2],
      [5_100, 10, 2],
    ] as const) {
      queue.run(atMs);
      service.say(0, position, tokens);
    }
    service.end(0, 12);
    assert.deepEqual(texts(), [
      [1_000, 0, 1],
      [1_600, 1, 6],
      [2_100, 7, 1],
      [5_000, 8, 2],
      [5_100, 10, 2],
    ]);
    assert.equal(ends().length, 1);
    const { result, tokens, completionTokens, node, failure: reason } = ends()[0] ?? assert.fail();
    assert.deepEqual(
      { result, tokens, completionTokens, node, reason },
      { result: 'answered', tokens: 12, completionTokens: 12, node: 4, reason: undefined },
    );
    assert.equal(client.open, 0);
    queue.run(100_000);
    assert.equal(queue.pending, 0);
  });

  it('shows a gap, a repeat and a stranger where they come', () => {
    const { service, client, texts, ends } = setUp();
    client.ask(arrivalOf(1));
    service.say(0, 0, 3);
    service.say(0, 3, 2);
    service.say(0, 7, 2);
    service.say(0, 8, 2);
    service.asked[0]?.on({ type: 'text', text: 'w10.foreign ', tokens: 1 });
    service.say(0, 10, 1);
    service.end(0, 11);
    assert.deepEqual(
      texts().map(([, position, tokens]) => [position, tokens]),
      [
        [0, 3],
        [3, 2],
        [7, 2],
        [8, 2],
        [-1, 1],
        [10, 1],
      ],
    );
    assert.equal(ends()[0]?.tokens, 11);
  });

  it('reports what comes after the end too', () => {
    const { service, client, texts, ends } = setUp();
    client.ask(arrivalOf(1));
    service.end(0, 0);
    service.say(0, 0, 2);
    service.end(0, 2);
    assert.equal(ends().length, 2);
    assert.equal(texts().length, 1);
  });

  it('says why a request failed', () => {
    const { service, client, ends } = setUp();
    client.ask(arrivalOf(1));
    const reason = failure('no-node-available', 'nobody');
    service.asked[0]?.on({ type: 'failed', failure: reason });
    assert.equal(ends()[0]?.result, 'failed');
    assert.deepEqual(ends()[0]?.failure, reason);
  });

  it('grants a window, and again in halves of it as it reads', () => {
    const { service, client } = setUp();
    client.ask(arrivalOf(1));
    const one = service.asked[0];
    assert.equal(one?.granted, WINDOW_TOKENS);
    service.say(0, 0, WINDOW_TOKENS / 2 - 1);
    assert.equal(one?.granted, WINDOW_TOKENS);
    service.say(0, WINDOW_TOKENS / 2 - 1, 1);
    assert.equal(one?.granted, WINDOW_TOKENS * 1.5);
  });

  it('lets a slow reader slow its answer down once its buffers are full', () => {
    const { queue, service, client } = setUp();
    client.ask(arrivalOf(1, { type: 'slow', tokensPerSecond: 10 }));
    const one = service.asked[0];
    assert.ok(one !== undefined);
    let sent = 0;
    const sendAll = (): void => {
      while (one.granted > sent) {
        const tokens = one.granted - sent;
        service.say(0, sent, tokens);
        sent += tokens;
      }
    };
    sendAll();
    const atOnce = sent;
    assert.ok(atOnce >= SOCKET_TOKENS && atOnce <= SOCKET_TOKENS + WINDOW_TOKENS, `${atOnce}`);
    for (let second = 1; second <= 100; second += 1) {
      queue.run(second * 1_000);
      sendAll();
      assert.ok(sent <= SOCKET_TOKENS + WINDOW_TOKENS + second * 10);
    }
    assert.ok(sent >= atOnce + 800, `${sent}`);
  });

  it('goes away a minute after it stopped reading, with its buffers full', () => {
    const { queue, service, client, ends } = setUp();
    client.ask(arrivalOf(1, { type: 'stops', afterTokens: 10 }));
    for (let position = 0; position < 1_000 && (service.asked[0]?.granted ?? 0) > position; position += 1)
      service.say(0, position, 1);
    const granted = service.asked[0]?.granted ?? 0;
    assert.ok(granted <= SOCKET_TOKENS + WINDOW_TOKENS + 10, `${granted}`);
    queue.run(59_999);
    assert.equal(ends().length, 0);
    queue.run(60_000);
    assert.equal(ends()[0]?.result, 'client-gone');
    assert.equal(service.asked[0]?.cancels, 1);
  });

  it('closes the window in the middle of an answer, unless it is over', () => {
    const { queue, service, client, ends } = setUp();
    client.ask(arrivalOf(1, { type: 'leaves', afterMs: 3_000 }));
    client.ask(arrivalOf(2, { type: 'leaves', afterMs: 3_000 }));
    service.say(0, 0, 5);
    service.end(1, 0);
    queue.run(10_000);
    assert.deepEqual(
      ends().map(({ result, tokens }) => [result, tokens]),
      [
        ['answered', 0],
        ['client-gone', 5],
      ],
    );
    assert.deepEqual(
      service.asked.map(({ cancels }) => cancels),
      [1, 0],
    );
  });

  it('loses all its requests with the node, and none twice', () => {
    const { queue, service, client, ends } = setUp();
    for (const number of [1, 2, 3]) client.ask(arrivalOf(number, { type: 'leaves', afterMs: 5_000 }));
    service.end(1, 0);
    client.nodeLost();
    client.nodeLost();
    service.say(0, 0, 1);
    service.end(0, 1);
    client.ask(arrivalOf(4));
    queue.run(60_000);
    assert.deepEqual(
      ends().map(({ result }) => result),
      ['answered', 'node-lost', 'node-lost', 'node-lost'],
    );
    assert.equal(service.asked.length, 3);
    assert.equal(queue.pending, 0);
  });

  it('waits while the node stands still: nothing reaches it before it goes on', () => {
    const { queue, service, client, ends } = setUp();
    client.ask(arrivalOf(1, { type: 'leaves', afterMs: 1_000 }));
    client.pause();
    client.ask(arrivalOf(2));
    queue.run(5_000);
    assert.equal(service.asked.length, 1);
    assert.equal(service.asked[0]?.cancels, 0);
    assert.equal(client.open, 2);
    client.resume();
    assert.equal(service.asked.length, 2);
    assert.equal(service.asked[0]?.cancels, 1);
    assert.equal(ends()[0]?.result, 'client-gone');
  });

  it('is turned away when more wait than a kernel keeps', () => {
    const { client, ends } = setUp();
    client.pause();
    for (let number = 0; number < 511; number += 1) client.ask(arrivalOf(number));
    assert.equal(ends().length, 0);
    client.ask(arrivalOf(511));
    assert.equal(ends()[0]?.result, 'failed');
  });

  it('reports every token once, however texts are cut and timed', () => {
    const piece = fc.record({ tokens: fc.integer({ min: 1, max: 5 }), waitMs: fc.integer({ min: 0, max: 800 }) });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.constantFrom(0, 100, 500), (pieces, mergeMs) => {
        const { queue, service, client, texts, ends } = setUp(mergeMs);
        client.ask(arrivalOf(1));
        let sent = 0;
        for (const { tokens, waitMs } of pieces) {
          queue.run(queue.nowMs + waitMs);
          service.say(0, sent, tokens);
          sent += tokens;
        }
        service.end(0, sent);
        let next = 0;
        for (const [, position, tokens] of texts()) {
          assert.equal(position, next);
          next += tokens;
        }
        assert.equal(next, sent);
        assert.equal(ends()[0]?.tokens, sent);
      }),
      { numRuns: 100 },
    );
  });
});
