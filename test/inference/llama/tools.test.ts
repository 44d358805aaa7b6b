/** Calls of functions, scores of tokens and biases through the real engine: the sampler obeys, also where another engine began. */
import assert from 'node:assert/strict';
import { decodeScoredToken, scoredText } from '../../../src/inference/answer-lines.ts';
import { defaultModelText, defaultModelTokenIds } from '../../../src/inference/default-model.ts';
import type { Job, Sampling, ToolUse } from '../../../src/inference/engine.ts';
import { LlamaEngine } from '../../../src/inference/llama/llama-engine.io.ts';
import { ToolTextReader } from '../../../src/inference/tool-text.ts';
import { Recording } from '../../contract/engine.contract.ts';
import { fits } from '../schema-grammar/schema-check.ts';
import { type Hello, openHello } from './hello.ts';

const GREEDY: Sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] };

const WEATHER = {
  type: 'object',
  properties: { city: { enum: ['Ulm', 'Köln 🦢'] }, days: { type: 'integer', minimum: 1, maximum: 7 } },
  required: ['city', 'days'],
  additionalProperties: false,
};
const ADD = { type: 'object', properties: { a: { type: 'boolean' } }, additionalProperties: false };
const TOOLS = [
  { name: 'weather', description: 'of a city', parameters: JSON.stringify(WEATHER) },
  { name: 'weather_soon', parameters: JSON.stringify(ADD) },
];
const SCHEMAS: Readonly<Record<string, unknown>> = { weather: WEATHER, weather_soon: ADD };

describe('the llama engine with functions', function () {
  this.timeout(30_000);
  let hello: Hello;
  let engine: LlamaEngine;

  before(async () => {
    hello = await openHello();
    engine = new LlamaEngine({ models: [hello.stored], slots: 2, maxThreads: 1, contextTokens: 4_096 });
    await engine.ready(hello.stored.model);
  });
  after(async () => {
    await engine.close();
    await hello.remove();
  });

  function job(choice: ToolUse['choice'], more: Partial<Job> & { parallel?: boolean } = {}): Job {
    const { parallel = true, ...rest } = more;
    return {
      model: hello.stored.model,
      messages: [{ role: 'user', content: 'x' }],
      sampling: GREEDY,
      toolUse: { tools: TOOLS, choice, parallel },
      ...rest,
    };
  }

  it('calls what it must, with arguments that fit, however hot, and ends by itself', async () => {
    for (const [choice, seed] of [
      [{ type: 'required' }, 1],
      [{ type: 'required' }, 2],
      [{ type: 'named', name: 'weather_soon' }, 3],
      [{ type: 'named', name: 'weather' }, 4],
    ] as const) {
      const sampling = { ...GREEDY, temperature: 2, seed };
      const run = new Recording(engine, job(choice, { sampling, parallel: false }), 2_000);
      const ended = await run.ended();
      assert.equal(ended.finishReason, 'stop', run.text);
      const calls = callsIn(run.text);
      assert.equal(calls.length, 1, run.text);
      for (const { name, value } of calls) {
        assert.ok(fits(SCHEMAS[name], value), run.text);
        if (choice.type === 'named') assert.equal(name, choice.name);
      }
    }
  });

  it("calls several times only where that is wanted, and a client's stop string cuts no call", async () => {
    const sampling = { ...GREEDY, temperature: 1, seed: 5, stop: ['\n', 'weather'] };
    const counts: number[] = [];
    for (const parallel of [true, false])
      for (const seed of [1, 2, 3]) {
        const run = new Recording(
          engine,
          job({ type: 'required' }, { sampling: { ...sampling, seed, maxTokens: 900 }, parallel }),
          2_000,
        );
        const ended = await run.ended();
        if (ended.finishReason === 'length') continue;
        counts.push(callsIn(run.text).length);
        if (!parallel) assert.equal(counts.at(-1), 1);
      }
    assert.ok(counts.length > 0);
  });

  it('says what it likes where it need not call', async () => {
    const run = new Recording(engine, job({ type: 'auto' }), 2_000);
    await run.ended();
    assert.equal(run.text, defaultModelText);
    const stop = defaultModelText.slice(40, 44);
    const stopped = new Recording(engine, job({ type: 'auto' }, { sampling: { ...GREEDY, stop: [stop] } }), 2_000);
    await stopped.ended();
    assert.equal(stopped.text, defaultModelText.slice(0, defaultModelText.indexOf(stop)));
  });

  it('calls, or says a value of the format, and goes on with either from any token', async () => {
    const schema = '{"type":"object","properties":{"say":{"enum":["<tool_call>","honk"]}},"required":["say"]}';
    const format = { type: 'json-schema', name: 'say', strict: true, schema } as const;
    const either = (more: object): Job => ({ ...job({ type: 'auto' }, more), format });
    const whole = new Recording(engine, either({}), 2_000);
    await whole.ended();
    assert.match(whole.text, /^ ?(\{[\s\S]*\}|<tool_call>[\s\S]*<\/tool_call>)$/);
    for (const begun of ['{"say"', ' <tool_call>\n{"name": "weather"']) {
      const resume = { tokens: 3, tokenIds: [], text: begun };
      const rest = new Recording(engine, either({ resume }), 2_000);
      await rest.ended();
      const text = begun + rest.text;
      if (begun.startsWith('{')) assert.ok(['<tool_call>', 'honk'].includes(JSON.parse(text).say), text);
      else
        assert.ok(
          callsIn(text).every(({ name, value }) => fits(SCHEMAS[name], value)),
          text,
        );
    }
    const { failure } = await new Recording(
      engine,
      either({ resume: { tokens: 3, tokenIds: [], text: 'Well' } }),
      10,
    ).failed();
    assert.match(failure.message, /leaves the format/);
  });

  it('is held to calls once it began one, wherever another engine stopped', async () => {
    const begun = 'Let me see. <tool_call>\n{"name": "weather", "arguments": {"city": "Ulm", "days": 3}}\n</tool_call>';
    for (const [text, least] of [
      ['Let me see. <tool_call>', 1],
      ['Let me see. <tool_call>\n{"name": "weather_', 1],
      ['Let me see. <tool_call>\n{"name": "weather", "arguments": {"city": "K\u00f6', 1],
      [begun, 1],
      [`${begun}\n<tool_c`, 2],
    ] as const) {
      const resume = { tokens: 20, tokenIds: [], text };
      const run = new Recording(
        engine,
        job({ type: 'auto' }, { resume, parallel: true, sampling: { ...GREEDY, stop: ['\n'] } }),
        4_000,
      );
      await run.finished();
      const calls = callsIn(text + run.text);
      assert.ok(calls.length >= least, run.text);
      for (const { name, value } of calls) assert.ok(fits(SCHEMAS[name], value), run.text);
    }
    for (const text of ['<tool_call>x', '<tool_call>\n{"name": "unknown"', `${begun} and`]) {
      const resume = { tokens: 5, tokenIds: [], text };
      const { failure } = await new Recording(engine, job({ type: 'auto' }, { resume }), 10).failed();
      assert.match(failure.message, /leaves the format/);
    }
  });

  it('goes on with calls that it must make from any token, by ids or by text', async () => {
    const whole = new Recording(engine, job({ type: 'named', name: 'weather' }), 2_000);
    await whole.ended();
    for (const point of whole.resumePoints().filter((_, index) => index % 9 === 0))
      for (const tokenIds of [point.tokenIds, []]) {
        const resume = { ...point, tokenIds };
        const rest = new Recording(engine, job({ type: 'named', name: 'weather' }, { resume }), 2_000);
        await rest.ended();
        assert.equal(callsIn(point.text + rest.text).length >= 1, true, `resumed at ${point.tokens}`);
      }
  });

  it('reads a conversation with calls and their results', async () => {
    const messages: Job['messages'] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: '',
        toolCalls: [{ id: 'a', name: 'weather', arguments: '{"city":"Ulm","days":1}' }],
      },
      { role: 'tool', content: 'rain', toolCallId: 'a' },
    ];
    const run = new Recording(engine, job({ type: 'auto' }, { messages }), 2_000);
    const ended = await run.ended();
    assert.equal(run.text, defaultModelText);
    assert.ok(ended.usage.promptTokens > 600, String(ended.usage.promptTokens));
  });

  it('refuses a function whose arguments no grammar can follow, with its place', async () => {
    const tools = [...TOOLS, { name: 'odd', parameters: '{"type":"object","properties":{"a":{"not":{}}}}' }];
    const toolUse = { tools, choice: { type: 'auto' }, parallel: true } as const;
    const { failure } = await new Recording(engine, job({ type: 'auto' }, { toolUse }), 10).failed();
    assert.deepEqual(failure, {
      code: 'invalid-request',
      message: 'tools[2].function.parameters: the schema at #/properties/a/not is not supported',
      param: 'tools[2].function.parameters',
    });
  });
});

describe('the llama engine with scores of tokens', function () {
  this.timeout(30_000);
  let hello: Hello;
  let engine: LlamaEngine;

  before(async () => {
    hello = await openHello();
    engine = new LlamaEngine({ models: [hello.stored], slots: 2, maxThreads: 1, contextTokens: 2_048 });
    await engine.ready(hello.stored.model);
  });
  after(async () => {
    await engine.close();
    await hello.remove();
  });

  function job(sampling: Partial<Sampling>, more: Partial<Job> = {}): Job {
    return {
      model: hello.stored.model,
      messages: [{ role: 'user', content: 'x' }],
      sampling: { ...GREEDY, ...sampling },
      ...more,
    };
  }

  it('tells them for every token without changing the answer', async () => {
    const run = new Recording(engine, job({ logprobs: 3, maxTokens: 20 }), 2_000);
    await run.ended();
    const lines = run.text
      .split('\n')
      .slice(0, -1)
      .map((line) => decodeScoredToken(line));
    assert.equal(lines.length, 20);
    assert.ok(defaultModelText.startsWith(scoredText(run.text) ?? 'x'));
    for (const line of lines) {
      assert.ok(line !== undefined);
      assert.ok(line.logprob <= 0 && line.logprob > -1e-6, String(line.logprob));
      assert.equal(line.top.length, 3);
      assert.deepEqual(line.top[0], { bytes: line.bytes, logprob: line.logprob });
      assert.ok((line.top[1]?.logprob ?? 0) < -20);
    }
    const bytes = lines.flatMap((line) => line?.bytes ?? []);
    assert.equal(Buffer.from(bytes).toString(), scoredText(run.text));
  });

  it('holds text back as without them, and goes on behind any line', async () => {
    const stop = [defaultModelText.slice(60, 66)];
    const whole = new Recording(engine, job({ logprobs: 0, stop }), 2_000);
    await whole.ended();
    assert.equal(scoredText(whole.text), defaultModelText.slice(0, 60));
    for (const resume of whole.resumePoints().slice(0, -1)) {
      const rest = new Recording(engine, job({ logprobs: 0, stop }, { resume }), 2_000);
      await rest.ended();
      assert.equal(scoredText(resume.text + rest.text), scoredText(whole.text), `resumed at ${resume.tokens}`);
    }
    const free = new Recording(engine, job({ logprobs: 0, maxTokens: 12 }), 2_000);
    await free.ended();
    for (const resume of free.resumePoints()) {
      const rest = new Recording(
        engine,
        job({ logprobs: 0, maxTokens: 12 }, { resume: { ...resume, tokenIds: [] } }),
        2_000,
      );
      await rest.ended();
      assert.equal(resume.text + rest.text, free.text, `resumed by text at ${resume.tokens}`);
    }
  });

  it('tells them beside another answer, and beside a grammar', async () => {
    const format = { type: 'json-schema', name: 'a', schema: '{"enum":["größer"]}', strict: true } as const;
    const plain = new Recording(engine, job({ maxTokens: 40 }), 2_000);
    const scored = new Recording(engine, job({ logprobs: 1 }, { format }), 2_000);
    await scored.ended();
    await plain.ended();
    assert.equal(scoredText(scored.text)?.trim(), '"größer"');
    assert.ok(defaultModelText.startsWith(plain.text));
    const lines = scored.text
      .split('\n')
      .slice(0, -1)
      .map((line) => decodeScoredToken(line));
    assert.ok(
      lines.every((line) => line !== undefined && line.logprob < -10 && line.logprob <= (line.top[0]?.logprob ?? 0)),
    );
    assert.equal(Buffer.from(lines.flatMap((line) => line?.bytes ?? [])).toString(), scoredText(scored.text));
    assert.ok(
      lines.some((line) => line?.text === ''),
      'half a character is held back',
    );
  });

  it('lets a bias forbid a token, and prefer one', async () => {
    const [first = 0, second = 0] = defaultModelTokenIds();
    const forbidden = new Recording(engine, job({ maxTokens: 1, logitBias: [{ token: first, bias: -100 }] }), 10);
    await forbidden.ended();
    assert.ok(!defaultModelText.startsWith(forbidden.text) || forbidden.text === '');
    const preferred = new Recording(
      engine,
      job({
        maxTokens: 1,
        logitBias: [
          { token: second, bias: 1_000 },
          { token: 2 ** 31 - 1, bias: 5 },
        ],
      }),
      10,
    );
    await preferred.ended();
    assert.deepEqual(preferred.resumePoints().at(-1)?.tokenIds, [second]);
  });

  it('repeats nothing that a penalty makes dear', async () => {
    const [first = 0] = defaultModelTokenIds();
    // The same token again and again, until what was said costs more than the bias gives.
    const logitBias = [{ token: first, bias: 300 }];
    const ids: (readonly number[])[] = [];
    for (const repeatPenalty of [1, 50]) {
      const run = new Recording(engine, job({ maxTokens: 3, logitBias, repeatPenalty }), 10);
      await run.finished();
      ids.push(run.resumePoints().at(-1)?.tokenIds ?? []);
    }
    assert.deepEqual(ids[0], [first, first, first]);
    assert.equal(ids[1]?.[0], first);
    assert.notEqual(ids[1]?.[1], first);
  });

  it('refuses to go on behind something that is no line', async () => {
    const resume = { tokens: 1, tokenIds: [], text: 'Hello\n' };
    assert.equal(
      (await new Recording(engine, job({ logprobs: 1 }, { resume }), 1).failed()).failure.code,
      'invalid-request',
    );
  });
});

function callsIn(text: string): readonly { readonly name: string; readonly value: unknown }[] {
  const reader = new ToolTextReader({ toolNames: new Set(Object.keys(SCHEMAS)) });
  const events = reader.push(text);
  assert.ok(events !== undefined, `malformed: ${text}`);
  const names = events.flatMap((event) => (event.type === 'call' ? [event.name] : []));
  const ended = new Set(events.flatMap((event) => (event.type === 'call-ended' ? [event.index] : [])));
  return names.flatMap((name, index) => {
    if (!ended.has(index)) return [];
    const json = events
      .map((event) => (event.type === 'arguments' && event.index === index ? event.text : ''))
      .join('');
    return [{ name, value: JSON.parse(json) as unknown }];
  });
}
