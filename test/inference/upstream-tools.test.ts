import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { FinishReason, ToolUse } from '../../src/inference/engine.ts';
import { type ToolTextEvent, ToolTextReader } from '../../src/inference/tool-text.ts';
import { ToolDeltas, type ToolTexts } from '../../src/inference/upstream-tools.ts';

const TOOLS = ['look', 'find'].map((name) => ({ name, parameters: '{}' }));
const AUTO: ToolUse = { tools: TOOLS, choice: { type: 'auto' }, parallel: true };
const REQUIRED: ToolUse = { ...AUTO, choice: { type: 'required' } };

interface Said {
  readonly content?: string;
  readonly calls?: readonly unknown[];
}

/** The text of the answer, or what the server did wrong. */
function textOf(said: readonly Said[], toolUse: ToolUse = AUTO, finish: FinishReason = 'stop'): string {
  const deltas = new ToolDeltas(toolUse);
  let text = '';
  const take = (texts: ToolTexts): string | undefined => {
    if (texts.type === 'broken') return texts.what;
    text += texts.texts.join('');
    return undefined;
  };
  for (const { content, calls = [] } of said) {
    const broken = content === undefined ? undefined : take(deltas.content(content));
    if (broken !== undefined) return broken;
    for (const piece of calls) {
      const wrong = take(deltas.piece(piece));
      if (wrong !== undefined) return wrong;
    }
  }
  return take(deltas.end(finish)) ?? text;
}

interface Understood {
  content: string;
  readonly calls: { name: string; arguments: string; ended: boolean }[];
}

/** As the front door reads it. */
function understood(text: string): Understood {
  const reader = new ToolTextReader({ toolNames: new Set(['look', 'find']) });
  const events = reader.push(text);
  assert.ok(events !== undefined, text);
  const all: Understood = { content: '', calls: [] };
  for (const event of [...events, ...reader.end()]) add(all, event);
  return all;
}

function add(all: Understood, event: ToolTextEvent): void {
  if (event.type === 'content') {
    all.content += event.text;
    return;
  }
  if (event.type === 'call') all.calls.push({ name: event.name, arguments: '', ended: false });
  const called = all.calls[event.index];
  assert.ok(called);
  if (event.type === 'arguments') called.arguments += event.text;
  if (event.type === 'call-ended') called.ended = true;
}

type Piece = readonly [index: number | undefined, id: string | undefined, name: string | undefined, text: unknown];

function pieceOf([index, id, name, text]: Piece): unknown {
  return { index, id, type: 'function', function: { name, arguments: text } };
}

describe('the calls that an upstream streams', () => {
  const two = [
    { name: 'look', arguments: '{"at": [1, "}"]}', ended: true },
    { name: 'find', arguments: '{}', ended: true },
  ];

  it('mean the same from every kind of server', () => {
    const servers: Readonly<Record<string, readonly Said[]>> = {
      'OpenAI, piece by piece': [
        { content: 'I look.' },
        { calls: [pieceOf([0, 'a', 'look', ''])] },
        { calls: [pieceOf([0, undefined, undefined, '{"at": [1,'])] },
        { calls: [pieceOf([0, undefined, undefined, ' "}"]}'])] },
        { calls: [pieceOf([1, 'b', 'find', ''])] },
        { calls: [pieceOf([1, undefined, undefined, '{}'])] },
      ],
      'whole calls in one chunk': [
        { content: 'I look.', calls: [pieceOf([0, 'a', 'look', '{"at": [1, "}"]}']), pieceOf([1, 'b', 'find', '{}'])] },
      ],
      'all numbered 0, with ids': [
        { content: 'I look.' },
        { calls: [pieceOf([0, 'a', 'look', '{"at": [1, "}"]}'])] },
        { calls: [pieceOf([0, 'b', 'find', '{}'])] },
      ],
      'neither numbers nor ids': [
        { content: 'I look.' },
        { calls: [pieceOf([undefined, undefined, 'look', '{"at": [1, "}"]}'])] },
        { calls: [pieceOf([undefined, undefined, 'find', ''])] },
      ],
      'the name with each piece': [
        { content: 'I look.' },
        { calls: [pieceOf([0, 'a', 'look', '{"at": [1, '])] },
        { calls: [pieceOf([0, 'a', 'look', '"}"]}'])] },
        { calls: [pieceOf([0, 'a', 'look', ''])] },
        { calls: [pieceOf([1, 'b', 'find', '{}'])] },
      ],
      'white space around the arguments, words behind the call': [
        { content: 'I look.' },
        { calls: [pieceOf([0, 'a', 'look', ' \n'])] },
        { calls: [pieceOf([0, undefined, undefined, '{"at": [1, "}"]'])] },
        { calls: [pieceOf([0, undefined, undefined, '}\n'])] },
        { content: '\n\n' },
        { calls: [pieceOf([1, 'b', 'find', '{} '])] },
        { content: 'Done.' },
      ],
    };
    for (const [name, said] of Object.entries(servers))
      assert.deepEqual(understood(textOf(said)), { content: 'I look.', calls: two }, name);
    const asObject = textOf([{ calls: [pieceOf([0, 'a', 'look', { at: [1, '}'] }])] }]);
    assert.deepEqual(understood(asObject).calls, [{ name: 'look', arguments: '{"at":[1,"}"]}', ended: true }]);
  });

  it('mean the same however the arguments are cut', () => {
    const text = JSON.stringify({ a: '"}{\\', b: { c: [null, 1.5, '\n'] } });
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 6 }), (cuts) => {
        const edges = [0, ...cuts.toSorted((left, right) => left - right), text.length];
        const pieces = edges.slice(1).map((edge, index) => text.slice(edges[index], edge));
        const said = [
          { calls: [pieceOf([0, 'a', 'look', ''])] },
          ...pieces.map((piece) => ({ calls: [pieceOf([0, undefined, undefined, piece])] })),
        ];
        assert.deepEqual(understood(textOf(said)).calls, [{ name: 'look', arguments: text, ended: true }]);
      }),
    );
  });

  it('are a failure where they cannot be understood', () => {
    const cases: readonly (readonly [said: readonly Said[], expected: RegExp])[] = [
      [[{ calls: [pieceOf([0, 'a', 'other', '{}'])] }], /may not call/],
      [[{ calls: [pieceOf([0, 'a', 'look', '[]'])] }], /no object/],
      [[{ calls: [pieceOf([0, 'a', 'look', '{"a":'])] }], /no JSON object/],
      [[{ calls: [pieceOf([0, 'a', 'look', '{}}'])] }], /no JSON object/],
      [[{ calls: [pieceOf([0, 'a', 'look', 7])] }], /no text/],
      [[{ calls: [pieceOf([0, undefined, undefined, '{}'])] }], /no call/],
      [[{ calls: [null] }], /no call/],
      [[{ calls: [pieceOf([0, 'a', 'look', '{']), pieceOf([1, 'b', 'find', '{}'])] }], /no JSON object/],
      [
        [
          {
            calls: [
              pieceOf([0, 'a', 'look', '{}']),
              pieceOf([1, 'b', 'find', '{']),
              pieceOf([0, undefined, undefined, '}']),
            ],
          },
        ],
        /mixed/,
      ],
    ];
    for (const [said, expected] of cases) assert.match(textOf(said), expected, JSON.stringify(said));
  });

  it('must come where one is required, and nothing leaves before', () => {
    assert.match(textOf([{ content: 'I would rather talk.' }], REQUIRED), /called none/);
    assert.match(textOf([], REQUIRED), /called none/);
    assert.match(textOf([{ content: 'x'.repeat(65_537) }], REQUIRED), /called none/);
    const deltas = new ToolDeltas(REQUIRED);
    assert.deepEqual(deltas.content('Let me '), { type: 'texts', texts: [] });
    assert.deepEqual(understood(textOf([{ content: 'Well:' }, { calls: [pieceOf([0, 'a', 'find', ''])] }], REQUIRED)), {
      content: 'Well:',
      calls: [{ name: 'find', arguments: '{}', ended: true }],
    });
    const named: ToolUse = { ...AUTO, choice: { type: 'named', name: 'find' } };
    assert.match(textOf([{ calls: [pieceOf([0, 'a', 'look', '{}'])] }], named), /may not call/);
  });

  it('are one where one is wanted', () => {
    const said = [
      { calls: [pieceOf([0, 'a', 'look', '{}']), pieceOf([1, 'b', 'find', '{"a":1}']), pieceOf([1, '', '', '{'])] },
    ];
    assert.deepEqual(understood(textOf(said, { ...AUTO, parallel: false })).calls, [
      { name: 'look', arguments: '{}', ended: true },
    ]);
  });

  it('may be cut by the limit of tokens, and by nothing else', () => {
    const said = [{ calls: [pieceOf([0, 'a', 'look', '{"a": "b'])] }];
    assert.deepEqual(understood(textOf(said, AUTO, 'length')).calls, [
      { name: 'look', arguments: '{"a": "b', ended: false },
    ]);
    const whole = [{ calls: [pieceOf([0, 'a', 'look', '{}'])] }];
    assert.equal(understood(textOf(whole, AUTO, 'length')).calls[0]?.ended, true);
    assert.equal(textOf([{ content: 'I was about to' }], REQUIRED, 'length'), 'I was about to');
  });

  it('never throw, whatever a server sends', () => {
    const piece = fc.record({
      index: fc.oneof(fc.nat(2), fc.jsonValue()),
      id: fc.oneof(fc.constantFrom('a', 'b', ''), fc.jsonValue()),
      function: fc.oneof(
        fc.record({ name: fc.constantFrom('look', 'find', 'no'), arguments: fc.string() }),
        fc.jsonValue(),
      ),
    });
    const said = fc.record({ content: fc.string(), calls: fc.array(fc.oneof(piece, fc.jsonValue())) });
    fc.assert(fc.property(fc.array(said), (all) => void textOf(all)));
  });
});
