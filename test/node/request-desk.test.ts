/** Who is asked when a conversation goes on: the desk with a view of equal nodes, and no mesh around it. */
import assert from 'node:assert/strict';
import { failure } from '../../src/errors.ts';
import { type NodeId, parseRequestId, type RequestId } from '../../src/ids.ts';
import type { MemberFacts } from '../../src/node/candidates.ts';
import type { Effect, RequestSummary, TryOutcome } from '../../src/node/events.ts';
import { RequestDesk } from '../../src/node/request-desk.ts';
import { paramsFingerprint } from '../../src/params.ts';
import { MODEL, modelId, nodeId } from '../placement/candidates.ts';

const NODES = Array.from({ length: 8 }, (_, number) => nodeId(number + 1));
const OTHER = modelId('other-model');
const ANSWERED: TryOutcome = { type: 'answered' };
const LONG = { promptBytes: 12_000 };

function member(node: NodeId, busy: number): MemberFacts {
  const common = { digest: '', contextTokens: 16_384, slots: 4, loadMs: 0 };
  const load = { busy, queued: 0, slotMs: 4_000, prefillUsPerToken: 1_000, decodeMs: 30, arrivalsPerKs: 0 };
  const capability = {
    name: 'n',
    version: '1',
    params: paramsFingerprint(),
    addresses: [],
    models: [
      { model: MODEL, ...common },
      { model: OTHER, ...common },
    ],
  };
  return { node, verdict: 'alive', capability, loads: [load, load], loadsMadeAtMs: 0, rttMs: 5 };
}

class Desk {
  readonly desk = new RequestDesk({
    self: nodeId(99),
    params: paramsFingerprint(),
    arrivalsPerKsHere: () => 0,
    mayExist: () => true,
  });
  #count = 0;

  /** One request from its arrival to its end; what was planned. */
  ask(more: Partial<RequestSummary>, options: { busy?: NodeId; outcome?: TryOutcome; wrote?: readonly string[] } = {}) {
    this.#count += 1;
    const requestId = id(this.#count);
    const summary = { model: MODEL, sessionKey: '', promptHead: '', promptBytes: 5, answerTokens: 0, ...more };
    const members = NODES.map((node) => member(node, node === options.busy ? 9 : 0));
    const effect = this.desk.arrived({ requestId, summary }, members, 1_000);
    const { ranked, explain } = planOf(effect);
    const [node] = ranked;
    assert.ok(node !== undefined);
    this.desk.tryStarted({ requestId, node }, 1_000);
    const outcome = options.outcome ?? ANSWERED;
    const prefixes = options.wrote ?? more.prefixes;
    this.desk.tryEnded({ requestId, node, outcome, ...(prefixes !== undefined && { prefixes }) }, 1_000);
    this.desk.ended(requestId);
    return { node, summary: explain.summary, row: explain.considered.find(({ rank }) => rank === 1) };
  }
}

describe('the next turn of a conversation', () => {
  it('goes to the node that answered the last, by the beginning of the prompt alone', () => {
    for (let topic = 0; topic < 8; topic += 1) {
      const desk = new Desk();
      const first = desk.ask({ ...LONG, prefixes: chain(topic, 2) }, { wrote: chain(topic, 5) });
      assert.equal(first.row?.affinity, false);
      const second = desk.ask({ ...LONG, prefixes: chain(topic, 6) });
      assert.equal(second.node, first.node);
      assert.match(second.summary, /goes first because it holds about 1280 tokens of this prompt/);
      assert.equal(second.row?.heldTokens, 1_280);
    }
  });

  it('goes elsewhere while that node is too busy, and then both hold it', () => {
    const desk = new Desk();
    const first = desk.ask({ ...LONG, prefixes: chain(0, 5) });
    const second = desk.ask({ ...LONG, prefixes: chain(0, 6) }, { busy: first.node });
    assert.notEqual(second.node, first.node);
    assert.equal(second.row?.affinity, false);
    const third = desk.ask({ ...LONG, prefixes: chain(0, 7) }, { busy: second.node });
    assert.equal(third.node, first.node);
    assert.equal(third.row?.heldTokens, 1_280);
  });

  it('is known by the key of its session where the prompt is too short to tell, and only for the same model', () => {
    const desk = new Desk();
    const first = desk.ask({ sessionKey: 'tea' });
    const second = desk.ask({ sessionKey: 'tea' });
    assert.equal(second.node, first.node);
    assert.match(second.summary, /because it holds the session's prefix/);
    assert.equal(second.row?.heldTokens, undefined);
    assert.equal(desk.ask({ sessionKey: 'tea', model: OTHER }).row?.affinity, false);
  });

  it('is not taken for known by a key that several conversations share', () => {
    const desk = new Desk();
    desk.ask({ ...LONG, sessionKey: 'a client', prefixes: chain(1, 5) });
    const second = desk.ask({ ...LONG, sessionKey: 'a client', prefixes: chain(2, 5) });
    assert.equal(second.row?.affinity, false);
    const third = desk.ask({ ...LONG, sessionKey: 'a client', prefixes: chain(1, 6) });
    assert.equal(third.row?.heldTokens, 1_280);
  });

  it('is not sought where no answer came', () => {
    const desk = new Desk();
    const outcome: TryOutcome = { type: 'failed', failure: failure('engine-failed', 'it fell over') };
    desk.ask({ ...LONG, prefixes: chain(0, 5) }, { outcome, wrote: [] });
    assert.equal(desk.ask({ ...LONG, prefixes: chain(0, 6) }).row?.affinity, false);
  });
});

function chain(topic: number, blocks: number): string[] {
  return Array.from({ length: blocks }, (_, index) => `${topic}/${index}`);
}

function id(number: number): RequestId {
  const parsed = parseRequestId(number.toString(16).padStart(32, '0'));
  assert.ok(parsed !== undefined);
  return parsed;
}

function planOf(effect: Effect) {
  assert.ok(effect.type === 'dispatch');
  return effect.plan;
}
