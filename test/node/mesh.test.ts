import assert from 'node:assert/strict';
import { parseModelId, parseRequestId, type ModelId, type NodeId, type RequestId } from '../../src/ids.ts';
import type { EngineModel } from '../../src/inference/engine.ts';
import type { Effect, Input, RequestSummary } from '../../src/node/events.ts';
import { Mesh } from '../../src/node/mesh.ts';
import { GOSSIP, LIVENESS, PLACEMENT } from '../../src/params.ts';
import { Prng } from '../../src/prng.ts';
import { nodeNumber, signAs, swarm, verifyHash } from '../gossip/signing.ts';

const MODEL = must(parseModelId('m'));
const [A, B, C] = [nodeNumber(1), nodeNumber(2), nodeNumber(3)];

describe('the core of a node', () => {
  it('places a request on itself when it alone offers the model', () => {
    const node = new TestNode(A);
    node.step({ type: 'models-changed', models: [offer()] });
    assert.deepEqual(node.dispatch(1)?.plan.ranked, [A]);
  });

  it('says 404 with the models that exist for one that nobody offers', () => {
    const node = new TestNode(A);
    node.step({ type: 'models-changed', models: [offer({ model: must(parseModelId('other')) })] });
    const refusal = node.refusal(1);
    assert.equal(refusal?.failure.code, 'model-not-found');
    assert.match(refusal.failure.message, /'m' does not exist.*other/);
  });

  it('learns what another node offers, sends requests there, and says 503 when it is gone', () => {
    const [a, b] = [new TestNode(A), new TestNode(B)];
    b.step({ type: 'models-changed', models: [offer()] });
    connect(a, b);
    assert.deepEqual(a.dispatch(1)?.plan.ranked, [B]);
    a.step({ type: 'connection-lost', node: B });
    const refusal = a.refusal(2);
    assert.equal(refusal?.failure.code, 'no-node-available');
    assert.ok((refusal.failure.retryAfterMs ?? 0) > 0);
  });

  it('leaves out the nodes that were tried, and names what they answered when nobody is left', () => {
    const node = new TestNode(A);
    node.step({ type: 'models-changed', models: [offer()] });
    assert.ok(node.dispatch(1));
    node.step({ type: 'try-started', requestId: requestId(1), node: A, resumedAt: 0 });
    const failed = { type: 'failed', failure: { code: 'engine-failed', message: 'the engine fell over' } } as const;
    node.step({ type: 'try-ended', requestId: requestId(1), node: A, tokens: 0, outcome: failed });
    const effects = node.step({ type: 'replan-wanted', requestId: requestId(1), excluded: [A] });
    const refusal = effects.find((effect) => effect.type === 'refuse-request');
    assert.equal(refusal?.failure.code, 'no-node-available');
    assert.match(refusal.failure.message, /the engine fell over/);
  });

  it('refuses a prompt that cannot fit even if it were dense, and lets the engine count one that might', () => {
    const node = new TestNode(A);
    node.step({ type: 'models-changed', models: [offer({ contextTokens: 1_000 })] });
    for (const { promptBytes, placed } of [
      { promptBytes: 3_900, placed: true },
      { promptBytes: 15_000, placed: true },
      { promptBytes: 16_001, placed: false },
    ]) {
      const effects = node.arrive(promptBytes, { promptBytes });
      assert.equal(
        effects.some(({ type }) => type === 'dispatch'),
        placed,
        `${promptBytes} bytes`,
      );
      const refusal = effects.find((effect) => effect.type === 'refuse-request');
      if (!placed) assert.match(refusal?.failure.message ?? '', /maximum context length is 1000 tokens.*1002/);
    }
  });

  it('lets the engine count every prompt where the context is not known', () => {
    const node = new TestNode(A);
    node.step({ type: 'models-changed', models: [offer({ contextTokens: 0 })] });
    const effects = node.arrive(1, { promptBytes: 10_000_000 });
    assert.ok(effects.some(({ type }) => type === 'dispatch'));
  });

  it('admits as many requests as there are slots, queues some, sends the rest away with its load', () => {
    const node = new TestNode(A);
    node.step({ type: 'models-changed', models: [offer({ slots: 1 })] });
    const queued = PLACEMENT.queuePerSlotMax;
    const answers = Array.from({ length: queued + 2 }, (_, index) => node.open(index + 1, 1e9)[0]);
    assert.deepEqual(
      answers.map((effect) => effect?.type),
      ['serve', ...Array.from({ length: queued }, () => 'queue-serve'), 'refuse-serve'],
    );
    const busy = answers.at(-1);
    assert.ok(busy?.type === 'refuse-serve' && busy.failure.code === 'busy');
    assert.deepEqual({ busy: busy.load?.busy, queued: busy.load?.queued }, { busy: 1, queued });
    const next = node.endServe(1);
    assert.deepEqual(
      next.filter(({ type }) => type === 'serve'),
      [{ type: 'serve', from: B, requestId: requestId(2) }],
    );
  });

  it('refuses a model that it does not offer, so that the asker goes on to the next', () => {
    const [answer] = new TestNode(A).open(1, 0);
    assert.ok(answer?.type === 'refuse-serve' && answer.failure.code === 'model-not-ready');
  });

  it('drains: sends waiting requests away, finishes the running one, and says when it is done', () => {
    const node = new TestNode(A);
    node.step({ type: 'models-changed', models: [offer({ slots: 1 })] });
    node.open(1, 1e9);
    node.open(2, 1e9);
    const draining = node.step({ type: 'drain-requested' });
    assert.deepEqual(draining.filter(({ type }) => type === 'refuse-serve').length, 1);
    assert.ok(!draining.some(({ type }) => type === 'drained'));
    const [refused] = node.open(3, 1e9);
    assert.ok(refused?.type === 'refuse-serve' && refused.failure.code === 'draining');
    assert.ok(node.endServe(1).some(({ type }) => type === 'drained'));
  });

  it('says goodbye when it stops, and the others see that it left', () => {
    const [a, b] = [new TestNode(A), new TestNode(B)];
    b.step({ type: 'models-changed', models: [offer()] });
    connect(a, b);
    const effects = exchange(b.step({ type: 'stop-requested' }), b, a);
    assert.ok(
      effects.some((effect) => effect.type === 'member-changed' && effect.verdict === 'left' && effect.node === B),
    );
    assert.equal(a.refusal(1)?.failure.code, 'no-node-available');
  });

  it('says 503 for the model of a node that died until the dead are forgotten, then 404', () => {
    const [a, b] = [new TestNode(A), new TestNode(B)];
    b.step({ type: 'models-changed', models: [offer()] });
    connect(a, b);
    a.step({ type: 'connection-lost', node: B });
    const died = a.pass(LIVENESS.deadAfterMs + 1_000);
    assert.ok(died.some((effect) => effect.type === 'member-changed' && effect.verdict === 'dead'));
    const refusal = a.refusal(1);
    assert.equal(refusal?.failure.code, 'no-node-available');
    assert.ok((refusal.failure.retryAfterMs ?? 0) > 0);
    assert.equal(a.refusal(2, { model: must(parseModelId('other')) })?.failure.code, 'model-not-found');
    a.pass(GOSSIP.tombstoneMs);
    assert.equal(a.refusal(3)?.failure.code, 'model-not-found');
  });

  it('says 404 for a model that a living node took off its list', () => {
    const [a, b] = [new TestNode(A), new TestNode(B)];
    b.step({ type: 'models-changed', models: [offer()] });
    connect(a, b);
    assert.deepEqual(a.dispatch(1)?.plan.ranked, [B]);
    exchange(b.step({ type: 'models-changed', models: [] }), b, a);
    exchange(b.pass(2_000), b, a);
    assert.equal(a.refusal(2)?.failure.code, 'model-not-found');
  });

  it('says 503 for what it cannot know before it heard of any of the others', () => {
    const [a, b] = [new TestNode(A, ['/ip4/127.0.0.1/tcp/4100']), new TestNode(B)];
    assert.equal(a.refusal(1)?.failure.code, 'no-node-available');
    connect(a, b);
    assert.equal(a.refusal(2)?.failure.code, 'model-not-found');
  });

  it('dials its bootstrap addresses at once, and again later when nobody answered', () => {
    const node = new TestNode(A, ['/ip4/127.0.0.1/tcp/4100']);
    assert.deepEqual(dialsOf(node.first), [['/ip4/127.0.0.1/tcp/4100']]);
    node.step({ type: 'dial-failed', address: '/ip4/127.0.0.1/tcp/4100', reason: 'refused' });
    assert.deepEqual(dialsOf(node.pass(2_000)), [['/ip4/127.0.0.1/tcp/4100']]);
  });

  it('dials members of whom it knows from a snapshot only', () => {
    const [late, member, other] = [new TestNode(A), new TestNode(B), new TestNode(C)];
    other.step({ type: 'listening', addresses: ['/ip4/127.0.0.1/tcp/3'] });
    connect(member, other);
    const opened = late.step({ type: 'connection-opened', node: B, address: '/ip4/127.0.0.1/tcp/2' });
    const snapshots = [...opened, ...late.pass(100)].filter(({ type }) => type === 'request-snapshot');
    assert.equal(snapshots.length, 1);
    const caused = exchange(snapshots, late, member);
    assert.deepEqual(dialsOf([...caused, ...late.pass(2_000)]), [['/ip4/127.0.0.1/tcp/3']]);
  });

  it('dials the node of a try that it is not connected to, at once and once', () => {
    const [late, member, other] = [new TestNode(A), new TestNode(B), new TestNode(C)];
    other.step({ type: 'listening', addresses: ['/ip4/127.0.0.1/tcp/3'] });
    connect(member, other);
    const opened = late.step({ type: 'connection-opened', node: B, address: '/ip4/127.0.0.1/tcp/2' });
    exchange(
      [...opened, ...late.pass(100)].filter(({ type }) => type === 'request-snapshot'),
      late,
      member,
    );
    late.pass(2_000);
    late.step({ type: 'dial-failed', address: '/ip4/127.0.0.1/tcp/3', reason: 'refused' });
    const attempt = (node: NodeId): readonly Effect[] =>
      late.step({ type: 'try-started', requestId: requestId(1), node, resumedAt: 0 });
    assert.deepEqual(dialsOf(attempt(B)), []);
    assert.deepEqual(dialsOf(attempt(A)), []);
    assert.deepEqual(dialsOf(attempt(C)), [['/ip4/127.0.0.1/tcp/3']]);
    assert.deepEqual(dialsOf(attempt(C)), []);
  });

  it('routes nothing to others by a view that is from before a sleep', () => {
    const [a, b] = [new TestNode(A), new TestNode(B)];
    b.step({ type: 'models-changed', models: [offer()] });
    connect(a, b);
    a.sleep(60_000);
    a.step({ type: 'woke' });
    const refusal = a.refusal(1);
    assert.equal(refusal?.failure.code, 'no-node-available');
    assert.match(refusal.failure.message, /woken up/);
  });

  it('sends a request that lost its node over the sleep nowhere before it knows what is new', () => {
    const [a, b] = [new TestNode(A), new TestNode(B)];
    b.step({ type: 'models-changed', models: [offer()] });
    connect(a, b);
    assert.deepEqual(a.dispatch(1)?.plan.ranked, [B]);
    a.sleep(60_000);
    const woken = a.step({ type: 'woke' });
    const again: Input = { type: 'replan-wanted', requestId: requestId(1), excluded: [] };
    const refusal = a.step(again).find((effect) => effect.type === 'refuse-request');
    assert.match(refusal?.failure.message ?? '', /woken up/);
    exchange([...woken, ...a.pass(100)], a, b);
    assert.ok(!a.mesh.isStale);
    assert.deepEqual(
      a.step(again).flatMap((effect) => (effect.type === 'dispatch' ? effect.plan.ranked : [])),
      [B],
    );
  });
});

/** A core with a clock that the test moves. */
class TestNode {
  readonly node: NodeId;
  readonly mesh: Mesh;
  nowMs = 1_000;
  readonly first: readonly Effect[];
  #wakeAtMs = 0;

  constructor(node: NodeId, bootstrap: readonly string[] = []) {
    this.node = node;
    this.mesh = new Mesh(
      {
        self: node,
        swarm,
        incarnation: 100,
        sign: signAs(node),
        verify: verifyHash,
        prng: new Prng(node),
        name: 'test',
        version: '0.0.0',
        bootstrap,
        knownPeers: [],
      },
      this.nowMs,
    );
    this.first = this.step({ type: 'listening', addresses: ['/ip4/127.0.0.1/tcp/1'] });
  }

  step(input: Input): readonly Effect[] {
    const { effects, wakeAtMs } = this.mesh.step(input, this.nowMs);
    this.#wakeAtMs = wakeAtMs;
    return effects;
  }

  /** Time passes, and the process is woken whenever it asked to be. */
  pass(elapsedMs: number): readonly Effect[] {
    const endMs = this.nowMs + elapsedMs;
    const effects: Effect[] = [];
    for (let wakeAtMs = this.#wakeAtMs; wakeAtMs < endMs; wakeAtMs = this.#wakeAtMs) {
      this.nowMs = Math.max(this.nowMs + 1, wakeAtMs);
      effects.push(...this.step({ type: 'woke' }));
    }
    this.nowMs = endMs;
    return effects;
  }

  /** Time passes while the machine sleeps. */
  sleep(elapsedMs: number): void {
    this.nowMs += elapsedMs;
  }

  arrive(number: number, more: Partial<RequestSummary> = {}): readonly Effect[] {
    const request = { model: MODEL, sessionKey: '', promptHead: 'hello', promptBytes: 5, answerTokens: 0, ...more };
    return this.step({ type: 'request-arrived', requestId: requestId(number), request });
  }

  dispatch(number: number): Extract<Effect, { type: 'dispatch' }> | undefined {
    return this.arrive(number).find((effect) => effect.type === 'dispatch');
  }

  refusal(number: number, more: Partial<RequestSummary> = {}): Extract<Effect, { type: 'refuse-request' }> | undefined {
    return this.arrive(number, more).find((effect) => effect.type === 'refuse-request');
  }

  open(number: number, levelMs: number): readonly Effect[] {
    const open = { model: MODEL, promptBytes: 5, levelMs };
    return this.step({ type: 'open-received', from: B, requestId: requestId(number), open }).filter(({ type }) =>
      type.endsWith('serve'),
    );
  }

  endServe(number: number): readonly Effect[] {
    return this.step({
      type: 'serve-ended',
      from: B,
      requestId: requestId(number),
      completionTokens: 3,
      decodeElapsedMs: 10,
    });
  }
}

/** Connects two cores and lets everything that they say arrive at once. */
function connect(left: TestNode, right: TestNode): void {
  exchange(left.step({ type: 'connection-opened', node: right.node, address: '/ip4/127.0.0.1/tcp/1' }), left, right);
  exchange(right.step({ type: 'connection-opened', node: left.node, address: '/ip4/127.0.0.1/tcp/2' }), right, left);
  for (let round = 0; round < 10; round += 1) {
    exchange(left.pass(300), left, right);
    exchange(right.pass(300), right, left);
  }
}

/** Carries gossip and snapshots of one core to the other; returns what the other one did. */
function exchange(effects: readonly Effect[], from: TestNode, to: TestNode): readonly Effect[] {
  const caused: Effect[] = [];
  for (const effect of effects) {
    if (effect.type === 'publish')
      caused.push(...to.step({ type: 'message-received', messageId: 1, from: from.node, bytes: effect.bytes }));
    if (effect.type !== 'request-snapshot') continue;
    const answered = to.step({ type: 'snapshot-requested', exchangeId: 1, from: from.node, digest: effect.digest });
    for (const answer of answered) {
      if (answer.type === 'answer-snapshot')
        caused.push(...from.step({ type: 'snapshot-received', from: to.node, messages: answer.messages }));
    }
  }
  return caused;
}

function dialsOf(effects: readonly Effect[]): readonly (readonly string[])[] {
  return effects.flatMap((effect) => (effect.type === 'dial' ? [effect.addresses] : []));
}

function offer(more: Partial<EngineModel> = {}): EngineModel {
  return { model: MODEL, state: 'ready', digest: '', contextTokens: 4_096, slots: 2, loadMs: 0, ...more };
}

function requestId(number: number): RequestId {
  return must(parseRequestId(number.toString(16).padStart(32, '0')));
}

function must<Id extends ModelId | RequestId>(id: Id | undefined): Id {
  assert.ok(id !== undefined);
  return id;
}
