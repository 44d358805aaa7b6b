import assert from 'node:assert/strict';
import {
  compareIds,
  parseModelId,
  parseNodeId,
  parseParamsFingerprint,
  parseRequestId,
  parseSwarmFingerprint,
  shortNodeId,
} from '../src/ids.ts';

const NODE = '12D3KooWGRUfjuVKKEmWCGVvM5wVDJWmmjBN9GkBjgVuUTgDeFqb';

interface Parser {
  readonly name: string;
  readonly parse: (text: unknown) => string | undefined;
  readonly good: readonly string[];
  readonly bad: readonly unknown[];
}

const hex = (length: number): string => '0123456789abcdef'.repeat(3).slice(0, length);

const parsers: readonly Parser[] = [
  {
    name: 'a node id',
    parse: parseNodeId,
    good: [NODE],
    bad: [
      '',
      NODE.slice(0, -1),
      `${NODE}a`,
      `${NODE}\n`,
      ` ${NODE}`,
      NODE.replace('12D3', '12d3'),
      NODE.replace('q', '0'),
      NODE.replace('q', 'l'),
      7,
      null,
      [NODE],
    ],
  },
  {
    name: 'a request id',
    parse: parseRequestId,
    good: [hex(32)],
    bad: ['', hex(31), hex(33), hex(32).toUpperCase(), `${hex(32)}\n`, `${hex(31)}g`, undefined, {}],
  },
  {
    name: 'a model id',
    parse: parseModelId,
    good: ['a', 'llama3.2:1b', 'hf.co/org/repo', 'A'.repeat(128), 'a@b+c_d-e'],
    bad: ['', 'A'.repeat(129), '.hidden', '/etc', '-flag', 'a b', 'a\u0000', 'ä', 'a\n', '<img>', 1],
  },
  {
    name: 'a swarm fingerprint',
    parse: parseSwarmFingerprint,
    good: [hex(16)],
    bad: ['', hex(15), hex(17), hex(16).toUpperCase(), 0],
  },
  {
    name: 'a params fingerprint',
    parse: parseParamsFingerprint,
    good: [hex(16)],
    bad: ['', hex(15), hex(17), hex(16).toUpperCase(), 0],
  },
];

describe('ids', () => {
  for (const { name, parse, good, bad } of parsers) {
    it(`take ${name} as it is`, () => {
      for (const text of good) assert.equal(parse(text), text);
    });
    it(`refuse what is not ${name}`, () => {
      for (const text of bad) assert.equal(parse(text), undefined, JSON.stringify(text));
    });
  }

  it('are ordered by code units, not by language', () => {
    assert.deepEqual(['a', 'B', 'Z', 'b', '10', '9', 'ä'].toSorted(compareIds), ['10', '9', 'B', 'Z', 'a', 'b', 'ä']);
    assert.equal(compareIds('a', 'a'), 0);
  });

  it('are shown by their last eight characters', () => {
    const node = parseNodeId(NODE) ?? assert.fail();
    assert.equal(shortNodeId(node), 'gDeFqb'.padStart(8, NODE.slice(-8, -6)));
  });
});
