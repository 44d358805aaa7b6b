import assert from 'node:assert/strict';
import { firstDifferingSecond, TraceHash } from '../../../simulations/kernel/trace-hash.ts';
import type { WorldEvent } from '../../../simulations/world-event.ts';

const sample = {
  alive: 9,
  suspect: 1,
  viewAgeMs: 512.25,
  isStale: false,
  connections: 8,
  running: 2,
  queued: 3,
  asked: 4,
  slots: 5,
  bufferedBytes: 6_000,
  gossipBytes: 7_000,
  heartbeatBytes: 8_000,
  requestBytes: 9_000,
  viewHash: 0xfedcba98,
};
const failure = { code: 'stalled', message: 'nobody answered' } as const;
const plan = { ranked: ['node-a', 'node-b'], levelMs: 120, explain: {} };
const common = { node: 3, requestId: '0123456789abcdef0123456789abcdef' };

/** One of each, with every field that it has. */
const EVENTS = {
  started: { node: 3, incarnation: 7 },
  stopped: { node: 3, how: 'crashed' },
  resumed: { node: 3 },
  'fault-began': { fault: 2 },
  'fault-ended': { fault: 2 },
  healed: {},
  connected: { node: 3, peer: 4 },
  disconnected: { node: 3, peer: 4 },
  verdict: { node: 3, target: 4, verdict: 'suspect', reason: 'silent' },
  'view-asked': { node: 3, peer: 4, everything: true },
  'view-taken': { node: 3, peer: 4, messages: 5 },
  judged: {
    node: 3,
    way: 'gossip',
    author: 4,
    incarnation: 5,
    sequence: 6,
    body: 'load',
    verdict: 'accept',
    reason: 'news',
    madeAtMs: 1_234.5,
    forged: false,
  },
  'request-arrived': { ...common, model: 1, promptTokens: 300, answerTokens: 120, feasible: 4 },
  placed: { ...common, plan },
  'try-started': { ...common, server: 4, resumedAt: 0 },
  'try-ended': { ...common, server: 4, outcome: 'busy', code: 'busy', load: { queued: 7, slotMs: 400 } },
  text: { ...common, position: 17, tokens: 3 },
  'request-ended': { ...common, result: 'failed', failure, tokens: 20, completionTokens: 21 },
  offered: { ...common, from: 4, answer: 'queued', code: '' },
  'run-started': { ...common, from: 4, resumedAt: 5 },
  'run-ended': { ...common, from: 4 },
  sampled: { node: 3, sample },
} as const satisfies Record<WorldEvent['type'], object>;

const ALL = Object.entries(EVENTS).map(([type, fields]) => ({ type, ...fields }) as unknown as WorldEvent);

/** The value, another one, for every kind of value that an event holds. */
function other(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'string') return `${value}!`;
  return !(value as boolean);
}

/** Copies of a record, each with one of its numbers, words and flags changed, however deep. */
function variants(record: object): readonly { readonly where: string; readonly value: object }[] {
  return Object.entries(record).flatMap(([key, value]) => {
    if (typeof value !== 'object' || value === null) return [{ where: key, value: { ...record, [key]: other(value) } }];
    const copies = variants(value as object);
    const rebuild = (inner: object): unknown => (Array.isArray(value) ? Object.values(inner) : inner);
    return copies.map((copy) => ({ where: `${key}.${copy.where}`, value: { ...record, [key]: rebuild(copy.value) } }));
  });
}

function digestOf(events: readonly WorldEvent[], atMs = 10): string {
  const hash = new TraceHash();
  for (const event of events) hash.fold(event, atMs);
  return hash.digest();
}

describe('the trace hash', () => {
  it('is 16 hex digits, equal for equal traces', () => {
    assert.match(digestOf(ALL), /^[0-9a-f]{16}$/);
    assert.equal(digestOf(ALL), digestOf(structuredClone(ALL)));
    assert.notEqual(digestOf(ALL), digestOf([]));
  });

  for (const [type, fields] of Object.entries(EVENTS))
    it(`sees every field of ${type}, and its type`, () => {
      const event = { type, ...fields } as unknown as WorldEvent;
      const whole = digestOf([event]);
      for (const { where, value } of variants(fields))
        assert.notEqual(digestOf([{ type, ...value } as unknown as WorldEvent]), whole, where);
      const same = ALL.filter((one) => digestOf([one]) === whole);
      assert.deepEqual(same, [event]);
    });

  it('sees a failure that is missing, and a ranking that is shorter', () => {
    const ended = { type: 'request-ended', ...EVENTS['request-ended'] } as const;
    const placed = { type: 'placed', ...common, plan: { ...plan, ranked: ['node-a'] } } as unknown as WorldEvent;
    assert.notEqual(digestOf([{ ...ended, failure: undefined }]), digestOf([ended]));
    assert.notEqual(digestOf([placed]), digestOf(ALL.filter(({ type }) => type === 'placed')));
  });

  it('sees the order, the time, and letters that move from one word to the next', () => {
    const [first, second] = [ALL[0], ALL[6]] as [WorldEvent, WorldEvent];
    assert.notEqual(digestOf([first, second]), digestOf([second, first]));
    assert.notEqual(digestOf([first], 10), digestOf([first], 11));
    const verdict = EVENTS.verdict;
    const shifted = { type: 'verdict', ...verdict, verdict: 'suspects', reason: 'ilent' } as unknown as WorldEvent;
    assert.notEqual(digestOf([shifted]), digestOf([{ type: 'verdict', ...verdict }]));
  });

  it('keeps one digest for each whole second that is over, also for quiet ones', () => {
    const hash = new TraceHash();
    hash.fold({ type: 'resumed', node: 1 }, 999);
    const first = hash.digest();
    hash.fold({ type: 'resumed', node: 2 }, 3_000);
    assert.deepEqual(hash.checkpoints(3_999), [first, first, first]);
    assert.deepEqual(hash.checkpoints(4_000), [first, first, first, hash.digest()]);
  });

  for (const [atMs, second] of [
    [1_999, 1],
    [2_000, 2],
  ] as const)
    it(`finds the second ${second} when two runs part at ${atMs} ms`, () => {
      const runs = [1, 2].map((node) => {
        const hash = new TraceHash();
        hash.fold({ type: 'resumed', node: 0 }, 500);
        hash.fold({ type: 'resumed', node }, atMs);
        return hash.checkpoints(5_000);
      });
      assert.equal(firstDifferingSecond(runs[0] ?? [], runs[1] ?? []), second);
    });

  it('finds nothing between equal runs', () => {
    assert.equal(firstDifferingSecond(['a', 'b'], ['a', 'b']), undefined);
    assert.equal(firstDifferingSecond(['a', 'b'], ['a']), undefined);
  });
});
