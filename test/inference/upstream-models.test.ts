import assert from 'node:assert/strict';
import {
  modelIdOf,
  parseLlamaServerProps,
  parseLmStudioModels,
  parseModelList,
  parseOllamaShow,
} from '../../src/inference/upstream-models.ts';

describe('the models of an upstream', () => {
  it('are read from the list, sorted and without repeats', () => {
    const models = parseModelList({
      data: [{ id: 'b', max_model_len: 8_192 }, { id: 'a', meta: { n_ctx_train: 512 } }, { id: 'b' }, {}, 7, { id: 5 }],
    });
    assert.deepEqual(models, [
      { model: 'a', upstreamName: 'a', contextTokens: 512, limitListed: false },
      { model: 'b', upstreamName: 'b', contextTokens: 8_192, limitListed: true },
    ]);
  });

  it('are none where the list is empty, and unknown where it is no list', () => {
    assert.deepEqual(parseModelList({ data: [] }), []);
    assert.deepEqual(parseModelList({ data: null }), []);
    for (const value of [undefined, null, [], {}, { data: 'x' }, '<html>'])
      assert.equal(parseModelList(value), undefined, JSON.stringify(value));
  });

  it('are at most as many as a node may offer', () => {
    const data = Array.from({ length: 1_000 }, (_, index) => ({ id: `m${index}` }));
    assert.equal(parseModelList({ data })?.length, 64);
  });

  it('get an id of ours where theirs cannot be one', () => {
    for (const { name, expected } of [
      { name: 'qwen3:8b', expected: 'qwen3:8b' },
      { name: 'org/name', expected: 'org/name' },
      { name: '/models/Qwen 3.gguf', expected: 'Qwen-3.gguf' },
      { name: 'C:\\models\\a b.gguf', expected: 'a-b.gguf' },
      { name: '///', expected: undefined },
      { name: '<img onerror=x>', expected: 'img-onerror-x-' },
    ])
      assert.equal(modelIdOf(name), expected, name);
  });

  it('tell their limits in the way of llama-server', () => {
    const props = { default_generation_settings: { n_ctx: 4_096 }, total_slots: 2 };
    assert.deepEqual(parseLlamaServerProps(props), { contextTokens: 4_096, slots: 2, chats: true });
    assert.equal(parseLlamaServerProps({ error: 'x' }), undefined);
  });

  it('tell their limits in the way of LM Studio, what is loaded before what is possible', () => {
    const limits = parseLmStudioModels({
      data: [
        { id: 'a', type: 'llm', max_context_length: 32_768, loaded_context_length: 4_096 },
        { id: 'b', type: 'embeddings', max_context_length: 512 },
      ],
    });
    assert.deepEqual(limits?.get('a'), { contextTokens: 4_096, slots: 0, chats: true });
    assert.deepEqual(limits?.get('b'), { contextTokens: 512, slots: 0, chats: false });
  });

  it('tell their limits in the way of Ollama, num_ctx before what the model can', () => {
    const info = { 'general.architecture': 'qwen3', 'qwen3.context_length': 40_960 };
    for (const { value, expected } of [
      { value: { model_info: info }, expected: { contextTokens: 40_960, slots: 0, chats: true } },
      {
        value: { model_info: info, parameters: 'stop "x"\nnum_ctx    8192\n' },
        expected: { contextTokens: 8_192, slots: 0, chats: true },
      },
      { value: { capabilities: ['embedding'] }, expected: { contextTokens: 0, slots: 0, chats: false } },
      { value: { capabilities: ['completion', 'tools'] }, expected: { contextTokens: 0, slots: 0, chats: true } },
    ])
      assert.deepEqual(parseOllamaShow(value), expected);
  });
});
