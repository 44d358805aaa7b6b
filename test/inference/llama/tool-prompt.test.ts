import assert from 'node:assert/strict';
import type { ChatMessage, ToolUse } from '../../../src/inference/engine.ts';
import { plainMessages } from '../../../src/inference/llama/tool-prompt.ts';

const TOOL_USE: ToolUse = {
  tools: [{ name: 'weather', description: 'of a city', parameters: '{\n "type": "object"}' }],
  choice: { type: 'auto' },
  parallel: true,
};
const LINE =
  '{"type":"function","function":{"name":"weather","description":"of a city","parameters":{"type":"object"}}}';

describe('messages with functions, for any chat template', () => {
  it('name the functions in the system message, a new one where there is none', () => {
    const user: ChatMessage = { role: 'user', content: 'x' };
    const [added] = plainMessages({ messages: [user], toolUse: TOOL_USE });
    assert.equal(added?.role, 'system');
    assert.match(added.content, /^# Tools\n/);
    assert.ok(added.content.includes(`<tools>\n${LINE}\n</tools>`));
    const [system] = plainMessages({ messages: [{ role: 'system', content: 'Be brief.' }, user], toolUse: TOOL_USE });
    assert.equal(system?.content, `Be brief.\n\n${added.content}`);
  });

  it('tell calls as text of the assistant, and results that follow one another in one message', () => {
    const messages: readonly ChatMessage[] = [
      {
        role: 'assistant',
        content: 'Let me see.',
        toolCalls: [
          { id: 'a', name: 'weather', arguments: '{"city":"Ulm"}' },
          { id: 'b', name: 'weather', arguments: '' },
        ],
      },
      { role: 'tool', content: 'rain', toolCallId: 'a' },
      { role: 'tool', content: 'sun', toolCallId: 'b' },
      { role: 'user', content: 'Thanks.' },
    ];
    assert.deepEqual(plainMessages({ messages }), [
      {
        role: 'assistant',
        content:
          'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city":"Ulm"}}\n</tool_call>\n' +
          '<tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call>',
      },
      { role: 'user', content: '<tool_response>\nrain\n</tool_response>\n<tool_response>\nsun\n</tool_response>' },
      { role: 'user', content: 'Thanks.' },
    ]);
  });

  it('are what they were where there are none', () => {
    const messages: readonly ChatMessage[] = [
      { role: 'system', content: 'a' },
      { role: 'user', content: 'b', name: 'Ann' },
      { role: 'assistant', content: 'c' },
    ];
    assert.deepEqual(plainMessages({ messages }), messages);
  });
});
