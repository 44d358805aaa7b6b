import * as fc from 'fast-check';
import assert from 'node:assert/strict';
import { Grammars } from '../../src/inference/answer-format.ts';
import type { ToolUse } from '../../src/inference/engine.ts';
import { compileTools } from '../../src/inference/tool-grammar.ts';
import { encodeToolCall, ToolTextReader } from '../../src/inference/tool-text.ts';
import { LIMITS } from '../../src/params.ts';
import { Prng } from '../../src/prng.ts';
import { Gbnf } from './schema-grammar/gbnf.ts';

const CITY =
  '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}';
const TOOLS: ToolUse['tools'] = [
  { name: 'weather', parameters: CITY },
  {
    name: 'weather_soon',
    parameters: '{"type":"object","properties":{"in":{"$ref":"#/$defs/days"}},"$defs":{"days":{"enum":[1,2]}}}',
  },
  { name: 'add', parameters: '{}' },
];
const NAMES = new Set(TOOLS.map(({ name }) => name));
const ULM = encodeToolCall('weather', '{"city":"Ulm"}');
const SOON = encodeToolCall('weather_soon', '{"in":2}');

function grammar(choice: ToolUse['choice'], parallel = true, tools = TOOLS): Gbnf {
  const compiled = compileTools({ tools, choice, parallel });
  assert.ok(compiled.type === 'grammar', JSON.stringify(compiled));
  return new Gbnf(compiled.text);
}

describe('the grammar of calls', () => {
  it('lets through what the choice allows, and nothing else', () => {
    for (const { choice, parallel, text, expected } of [
      { choice: { type: 'required' }, parallel: true, text: ULM, expected: true },
      { choice: { type: 'required' }, parallel: true, text: ` ${ULM}\n${SOON}\n${ULM}`, expected: true },
      { choice: { type: 'required' }, parallel: false, text: `${ULM}\n${SOON}`, expected: false },
      { choice: { type: 'required' }, parallel: true, text: `Well. ${ULM}`, expected: false },
      { choice: { type: 'required' }, parallel: true, text: '', expected: false },
      { choice: { type: 'named', name: 'weather' }, parallel: true, text: ULM, expected: true },
      { choice: { type: 'named', name: 'weather' }, parallel: true, text: SOON, expected: false },
      { choice: { type: 'auto' }, parallel: true, text: '', expected: true },
      { choice: { type: 'auto' }, parallel: true, text: 'Any <tool_cal> <<tool_call text ü 🦢\n', expected: true },
      { choice: { type: 'auto' }, parallel: true, text: `Well.\n<<${ULM}`, expected: true },
      { choice: { type: 'auto' }, parallel: true, text: `${ULM}\n${SOON}`, expected: true },
      { choice: { type: 'auto' }, parallel: false, text: `Well.${ULM}`, expected: true },
      { choice: { type: 'auto' }, parallel: false, text: `${ULM}\n${SOON}`, expected: false },
      { choice: { type: 'auto' }, parallel: true, text: `${ULM} and`, expected: false },
      { choice: { type: 'auto' }, parallel: true, text: 'Well <tool_call>', expected: false },
      { choice: { type: 'auto' }, parallel: true, text: encodeToolCall('weather', '{"town":"Ulm"}'), expected: false },
      { choice: { type: 'auto' }, parallel: true, text: encodeToolCall('weather_soon', '{"in":3}'), expected: false },
      { choice: { type: 'auto' }, parallel: true, text: encodeToolCall('add', '{"any":[1,{}]}'), expected: true },
      { choice: { type: 'auto' }, parallel: true, text: encodeToolCall('add', '[1]'), expected: false },
    ] as const)
      assert.equal(grammar(choice, parallel).accepts(text), expected, `${choice.type} ${parallel}: ${text}`);
  });

  it('makes only what the reader of calls understands', () => {
    const may = grammar({ type: 'auto' });
    const must = grammar({ type: 'required' });
    fc.assert(
      fc.property(fc.string(), (seed) => {
        for (const one of [may, must]) {
          const text = one.member(new Prng(seed), 40);
          const reader = new ToolTextReader({ toolNames: NAMES });
          assert.ok(reader.push(text) !== undefined && reader.isWhole, text);
          if (one === must) assert.ok(reader.calls > 0);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('knows any text without the word, and takes the word for a call', () => {
    const may = grammar({ type: 'auto' });
    const pieces = fc.array(fc.constantFrom('<tool_call', '<tool_', '<', '>', 'x', '\n', 'tool_call>'), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(pieces, (parts) => {
        const text = parts.join('');
        assert.equal(may.accepts(text), !text.includes('<tool_call>'), text);
        if (!text.includes('<tool_call>')) assert.ok(may.accepts(`${text}!${ULM}`));
      }),
    );
  });

  it('is for calls or for a value of the format, from the first character on', () => {
    const schema = '{"type":"object","properties":{"say":{"type":"string"}},"required":["say"]}';
    const value = '{"say": "<tool_call>"}';
    const use = { tools: TOOLS, choice: { type: 'auto' }, parallel: true } as const;
    for (const { format, texts } of [
      {
        format: { type: 'json-schema', name: 'say', strict: true, schema },
        texts: [
          [value, true],
          ['{"a": 1}', false],
        ],
      },
      {
        format: { type: 'json-object' },
        texts: [
          [value, true],
          ['{"a": 1}', true],
          ['1', false],
        ],
      },
    ] as const) {
      const compiled = compileTools(use, format);
      assert.ok(compiled.type === 'grammar', JSON.stringify(compiled));
      const gbnf = new Gbnf(compiled.text);
      for (const [text, expected] of [
        ...texts,
        [ULM, true],
        [` ${ULM}\n${SOON}`, true],
        [`Well. ${ULM}`, false],
        [`${value}${ULM}`, false],
        [`${ULM}${value}`, false],
        ['', false],
      ] as const)
        assert.equal(gbnf.accepts(text), expected, `${format.type}: ${text}`);
      for (let seed = 0; seed < 40; seed += 1) {
        const text = gbnf.member(new Prng(`either ${seed}`), 40);
        const reader = new ToolTextReader({ toolNames: NAMES, isFormatted: true });
        const events = [...(reader.push(text) ?? assert.fail(text)), ...reader.end()];
        assert.ok(reader.isWhole, text);
        const said = events.map((event) => (event.type === 'content' ? event.text : '')).join('');
        if (reader.calls === 0) assert.equal(typeof JSON.parse(said), 'object');
        else assert.equal(said, '');
      }
    }
    const refused = compileTools(use, { type: 'json-schema', name: 'say', strict: true, schema: '{"not":{}}' });
    assert.ok(refused.type === 'refused');
    assert.equal(refused.failure.param, 'response_format');
    assert.equal(
      compileTools({ ...use, choice: { type: 'required' } }, { type: 'json-object' }).type,
      'grammar',
      'where a function must be called, no text is left to have a format',
    );
  });

  it('keeps functions apart whose names begin alike, many of them too', () => {
    const tools = Array.from({ length: LIMITS.tools }, (_, index) => ({
      name: `mcp__server__${index % 3}_tool_${index}`,
      parameters: `{"type":"object","properties":{"n":{"const":${index}}},"required":["n"]}`,
    }));
    const many = grammar({ type: 'required' }, false, tools);
    for (const index of [0, 1, 77, LIMITS.tools - 1]) {
      const { name } = tools[index] ?? { name: '' };
      assert.ok(many.accepts(encodeToolCall(name, `{"n":${index}}`)));
      assert.ok(!many.accepts(encodeToolCall(name, `{"n":${index + 1}}`)));
    }
  });

  it('is refused where a schema cannot be followed, naming the function', () => {
    for (const { parameters, message } of [
      { parameters: '{', message: 'tools[1].function.parameters: the schema is not valid JSON' },
      { parameters: '{"type":"string"}', message: 'tools[1].function.parameters: the schema at # fits no value' },
      {
        parameters: '{"type":"object","properties":{"a":{"if":{}}}}',
        message: 'tools[1].function.parameters: the schema at #/properties/a/if is not supported',
      },
    ]) {
      const tools = [...TOOLS.slice(0, 1), { name: 'odd', parameters }];
      const compiled = compileTools({ tools, choice: { type: 'auto' }, parallel: true });
      assert.ok(compiled.type === 'refused');
      assert.deepEqual(compiled.failure, {
        code: 'invalid-request',
        message,
        param: 'tools[1].function.parameters',
      });
      // A function that cannot be called needs no grammar.
      const named = { type: 'named', name: 'weather' } as const;
      assert.equal(compileTools({ tools, choice: named, parallel: true }).type, 'grammar');
    }
  });

  it('is remembered', () => {
    const grammars = new Grammars();
    const use: ToolUse = { tools: TOOLS, choice: { type: 'auto' }, parallel: true };
    assert.equal(grammars.ofTools(use), grammars.ofTools(structuredClone(use)));
    assert.notEqual(grammars.ofTools(use), grammars.ofTools({ ...use, parallel: false }));
  });
});
