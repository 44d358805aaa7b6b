/**
 * Golden vectors: whole views with the ranked lists that every version and every machine must find in them. They change
 * only on purpose: `UPDATE_GOLDEN=1 mocha test/placement/golden.test.ts && npm run format`, with the reason for the
 * difference in the commit, because two versions that disagree must not serve one swarm.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { hashHex } from '../../src/bytes.ts';
import { parseNodeId } from '../../src/ids.ts';
import { PLACEMENT } from '../../src/params.ts';
import { place, prepare } from '../../src/placement/place.ts';
import type { Candidate } from '../../src/placement/placement.ts';
import { Prng } from '../../src/prng.ts';
import { candidate, mixedCandidate, nodeId, request } from './candidates.ts';

const FILE = new URL('../golden/placement.json', import.meta.url);

/** The order of the figures in a row. */
const COLUMNS = [
  'contextTokens',
  'slots',
  'busy',
  'queued',
  'ownInFlight',
  'slotMs',
  'prefillUsPerToken',
  'decodeMs',
  'loadMs',
  'rttMs',
  'correctionPerMille',
  'reliabilityPerMille',
  'priceMs',
] as const;

interface GoldenView {
  readonly name: string;
  readonly key: string;
  readonly keyHash: string;
  readonly promptTokens: number;
  readonly answerTokens: number;
  readonly arrivalsPerKs: number;
  readonly viewAgeMs: number;
  /** Empty = none. */
  readonly affinityNode: string;
  readonly cachedTokens: number;
  readonly excluded: readonly string[];
  readonly nodes: readonly string[];
  /** One row per node: alive (1 or 0), usable, then the figures of `COLUMNS`. */
  readonly rows: readonly (readonly number[])[];
  readonly levelMs: number;
  readonly ranked: readonly string[];
  readonly refused: readonly string[];
}

type GoldenInput = Omit<GoldenView, 'levelMs' | 'ranked' | 'refused' | 'keyHash'>;

function evaluate(input: GoldenInput): Pick<GoldenView, 'keyHash' | 'levelMs' | 'ranked' | 'refused'> {
  const candidates = input.nodes.map((text, index) => {
    const [alive = 0, usable = 0, ...figures] = input.rows[index] ?? [];
    const named = Object.fromEntries(COLUMNS.map((column, at) => [column, figures[at] ?? 0]));
    return candidate(0, { ...named, node: parsed(text), alive: alive === 1, usable: usable === 1 });
  });
  const { affinityNode, cachedTokens } = input;
  const asked = request(input.key, {
    promptTokens: input.promptTokens,
    answerTokens: input.answerTokens,
    excluded: new Set(input.excluded.map(parsed)),
    ...(affinityNode !== '' && { holders: [{ node: parsed(affinityNode), cachedTokens, knownBy: 'session' }] }),
  });
  const placement = place(asked, prepare(candidates, input), PLACEMENT);
  const refused = [...placement.refused]
    .map(([node, { reason }]) => `${node} ${reason}`)
    .toSorted((left, right) => (left < right ? -1 : 1));
  const keyHash = hashHex(asked.keyHash);
  if (placement.type === 'impossible') return { keyHash, levelMs: -1, ranked: [], refused };
  return { keyHash, levelMs: placement.levelMs, ranked: placement.ranked, refused };
}

function parsed(text: string) {
  const node = parseNodeId(text);
  assert.ok(node !== undefined);
  return node;
}

function inputOf(name: string, candidates: readonly Candidate[], more: Partial<GoldenInput> = {}): GoldenInput {
  return {
    name,
    key: `golden/${name}`,
    promptTokens: 300,
    answerTokens: 256,
    arrivalsPerKs: 0,
    viewAgeMs: 650,
    affinityNode: '',
    cachedTokens: 0,
    excluded: [],
    nodes: candidates.map(({ node }) => node),
    rows: candidates.map((one) => [Number(one.alive), Number(one.usable), ...COLUMNS.map((column) => one[column])]),
    ...more,
  };
}

function inputs(): readonly GoldenInput[] {
  const random = new Prng('golden');
  const mixed = (size: number): readonly Candidate[] =>
    Array.from({ length: size }, (_, number) => mixedCandidate(number, random));
  const equal = Array.from({ length: 8 }, (_, number) => candidate(number));
  return [
    inputOf('one node', [candidate(1)]),
    inputOf('equal nodes', equal),
    inputOf('equal nodes under load', equal, { arrivalsPerKs: 20_000 }),
    inputOf('tried before', equal, { excluded: [nodeId(3), nodeId(5)] }),
    inputOf('prefix held', equal, { affinityNode: nodeId(6), cachedTokens: 280 }),
    inputOf('prefix held by a busy node', [...equal.slice(1), candidate(0, { busy: 9 })], {
      affinityNode: nodeId(0),
      cachedTokens: 280,
    }),
    inputOf('a liar among them', [...equal, candidate(50, { slotMs: 1, prefillUsPerToken: 0, decodeMs: 0 })], {
      arrivalsPerKs: 100_000,
    }),
    inputOf('mixed, calm', mixed(12)),
    inputOf('mixed, busy', mixed(24), { arrivalsPerKs: 30_000, promptTokens: 1_700 }),
    inputOf('mixed, flood', mixed(40), { arrivalsPerKs: 5_000_000, viewAgeMs: 4_000 }),
    inputOf('contexts too short', mixed(12), { promptTokens: 9_000 }),
    inputOf('nobody can', [candidate(1, { alive: false }), candidate(2, { contextTokens: 100 })]),
  ];
}

function update(): void {
  const views = inputs().map((input) => ({ ...input, ...evaluate(input) }));
  writeFileSync(FILE, `${JSON.stringify({ columns: ['alive', 'usable', ...COLUMNS], views }, undefined, 2)}\n`);
}

describe('golden vectors of placement (S5)', () => {
  before(() => {
    if (process.env['UPDATE_GOLDEN'] === '1') update();
  });

  it('come out as they are written down', () => {
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    const golden = JSON.parse(readFileSync(FILE, 'utf8')) as { columns: unknown; views: readonly GoldenView[] };
    assert.deepEqual(golden.columns, ['alive', 'usable', ...COLUMNS]);
    assert.ok(golden.views.length >= 10);
    for (const view of golden.views) {
      const { keyHash, levelMs, ranked, refused } = view;
      assert.deepEqual(evaluate(view), { keyHash, levelMs, ranked, refused }, view.name);
    }
  });

  it('would show a difference of one ms', () => {
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    const { views } = JSON.parse(readFileSync(FILE, 'utf8')) as { views: readonly GoldenView[] };
    const view = views.find(({ name }) => name === 'one node');
    assert.ok(view !== undefined);
    const slower = view.rows.map((row) =>
      row.map((value, at) => (at === COLUMNS.indexOf('rttMs') + 2 ? value + 1 : value)),
    );
    assert.equal(evaluate({ ...view, rows: slower }).levelMs, view.levelMs + 1);
  });
});
