/** What the mesh is told about a prompt's beginning, and about what a node has read: `Asking` with a node of our own words. */
import assert from 'node:assert/strict';
import { type NodeId, parseRequestId } from '../../src/ids.ts';
import { Asking, type AskingPorts, type Opening } from '../../src/inference/asking.ts';
import type { Answer } from '../../src/inference/messages.ts';
import { BLOCK_BYTES } from '../../src/inference/prompt-prefixes.ts';
import type { Input } from '../../src/node/events.ts';
import { jobOf, nodeId } from './plane-world.ts';

const PROMPT = 'a goose '.repeat(400);
const [A, B] = [nodeId(1), nodeId(2)];
const ENDED: Answer = {
  type: 'ended',
  finishReason: 'stop',
  usage: { promptTokens: 800, completionTokens: 1, cachedTokens: 0 },
};

describe('what a node has read', () => {
  it('is told with the end of its try: the beginnings of the prompt, and of the answer after it', () => {
    const asked = new Asked();
    assert.deepEqual(asked.arrivedWith.length, Math.floor((PROMPT.length + 6) / BLOCK_BYTES));
    asked.hears({ type: 'accepted', digest: '' }, tokens(0, 'b'.repeat(2_000)), ENDED);
    const [end] = asked.tryEnds;
    assert.equal(end?.outcome.type, 'answered');
    assert.deepEqual(end.prefixes?.slice(0, asked.arrivedWith.length), asked.arrivedWith);
    assert.equal(end.prefixes?.length, Math.floor((PROMPT.length + 6 + 2_000 + 11) / BLOCK_BYTES));
  });

  it('is told of the node that ended the answer, not of one that failed on the way', () => {
    const asked = new Asked();
    asked.hears({ type: 'accepted', digest: '' }, tokens(0, 'b'.repeat(2_000)));
    asked.openings.at(-1)?.lost('gone');
    asked.dispatch(B);
    asked.hears({ type: 'accepted', digest: '' }, tokens(1, 'c'.repeat(2_000)), ENDED);
    const [failed, ended] = asked.tryEnds;
    assert.deepEqual([failed?.node, failed?.prefixes], [A, undefined]);
    assert.equal(ended?.node, B);
    assert.equal(ended.prefixes?.length, Math.floor((PROMPT.length + 6 + 4_000 + 11) / BLOCK_BYTES));
  });

  it('is told when the client leaves after the first token, and not before', () => {
    for (const [answers, expected] of [
      [[], false],
      [[{ type: 'accepted', digest: '' } as const, tokens(0, 'b')], true],
    ] as const) {
      const asked = new Asked();
      asked.hears(...answers);
      asked.run.cancel();
      const [end] = asked.tryEnds;
      assert.equal(end?.outcome.type, 'cancelled');
      assert.equal(end.prefixes !== undefined, expected);
    }
  });

  it('is told to nobody without a key', () => {
    const asked = new Asked({ keyed: false });
    assert.equal(asked.arrival.request.prefixes, undefined);
    asked.hears({ type: 'accepted', digest: '' }, tokens(0, 'b'), ENDED);
    assert.deepEqual(Object.keys(asked.tryEnds[0] ?? {}).includes('prefixes'), false);
  });
});

class Asked {
  readonly openings: Opening[] = [];
  readonly inputs: Input[] = [];
  readonly asking: Asking;
  readonly run;
  readonly #requestId = must(parseRequestId('1'.repeat(32)));

  constructor({ keyed }: { readonly keyed: boolean } = { keyed: true }) {
    const ports: AskingPorts = {
      clock: { nowMs: () => 0, after: () => () => undefined, soon: (call) => call() },
      open: (opening) => {
        this.openings.push(opening);
        return { credit: () => undefined, cancel: () => undefined };
      },
      report: (input) => void this.inputs.push(input),
      ended: () => undefined,
    };
    this.asking = new Asking(keyed ? { ...ports, prefixKey: new Uint8Array(32) } : ports);
    this.run = this.asking.start({ requestId: this.#requestId, sessionKey: '', job: jobOf(PROMPT) }, () => undefined);
    this.run.grant(1_000);
    this.dispatch(A);
  }

  dispatch(node: NodeId): void {
    this.asking.dispatch(this.#requestId, { ranked: [node], levelMs: 10 });
  }

  hears(...answers: readonly Answer[]): void {
    for (const answer of answers) this.openings.at(-1)?.answered(answer);
  }

  get arrival() {
    return must(this.inputs.find((input) => input.type === 'request-arrived'));
  }

  get arrivedWith(): readonly string[] {
    return this.arrival.request.prefixes ?? [];
  }

  get tryEnds() {
    return this.inputs.filter((input) => input.type === 'try-ended');
  }
}

function tokens(position: number, text: string): Answer {
  return { type: 'tokens', position, tokens: 1, tokenIds: [], text };
}

function must<T>(value: T | undefined): T {
  assert.ok(value !== undefined);
  return value;
}
