import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { parseModelId } from '../../../src/ids.ts';
import type { EngineEvent, Resume, Task } from '../../../src/inference/engine.ts';
import { ModelRun, type RunMessage } from '../../../src/inference/llama/model-run.ts';
import { ENGINE_VERSION, engineMend } from '../../../src/inference/llama/problems.ts';

describe('a run as the parent keeps it', () => {
  it('passes on tokens up to the grant, and names the rule that is broken', () => {
    for (const { messages, broken } of [
      { messages: [tokens(0, 2), tokens(2), ended(3)], broken: undefined },
      { messages: [tokens(0, 2), tokens(2, 2)], broken: /more than was granted/ },
      { messages: [tokens(1)], broken: /skip/ },
      { messages: [tokens(0), tokens(0)], broken: /skip/ },
      { messages: [tokens(0), ended(2)], broken: /usage/ },
      { messages: [{ type: 'released', runId: 0 } as const], broken: /not cancelled/ },
    ]) {
      const { run } = start();
      run.grant(3);
      const last = messages.map((message) => run.accept(message)).at(-1);
      if (broken === undefined) assert.equal(last, undefined);
      else assert.match(last ?? '', broken);
    }
  });

  it('counts from where a resume ends', () => {
    const { run } = start({ tokens: 10, tokenIds: [], text: '' });
    run.grant(1);
    assert.equal(run.accept(tokens(10)), undefined);
    assert.match(run.accept(tokens(11)) ?? '', /granted/);
    assert.equal(run.accept(ended(11)), undefined);
  });

  it('says nothing after its end or a cancel, and still takes what was on its way', () => {
    for (const end of ['ended', 'cancelled'] as const) {
      const { run, events } = start();
      run.grant(5);
      run.accept(tokens(0));
      if (end === 'ended') run.accept(ended(1));
      else run.close();
      const before = events.length;
      for (const message of [tokens(1), ended(2), { type: 'failed', runId: 0, detail: '' } as const])
        assert.equal(run.accept(message), undefined);
      run.waiting();
      assert.equal(run.accept({ type: 'released', runId: 0 }), undefined);
      assert.equal(events.length, before);
    }
  });

  it('gives signs of life between the lines of a list, whose tokens have no ids, and names the text that is too long', () => {
    for (const { task, param, what } of [
      { task: { type: 'embedding', inputs: ['a', 'b', 'c'] }, param: 'input', what: 'input[1]' },
      { task: { type: 'rerank', query: 'q', documents: ['a', 'b'] }, param: 'documents', what: 'documents[1]' },
    ] as const) {
      const { run, events } = start(undefined, task);
      run.grant(3);
      run.accept(tokens(0));
      run.waiting();
      run.accept({ type: 'too-long', runId: 0, promptTokens: 9, contextTokens: 8 });
      const [line, sign, end] = events;
      assert.ok(line?.type === 'tokens' && line.tokens === 1 && line.tokenIds.length === 0);
      assert.equal(sign?.type, 'progress');
      assert.ok(end?.type === 'failed' && end.failure.code === 'context-length-exceeded');
      assert.equal(end.failure.param, param);
      assert.ok(end.failure.message.includes(what), end.failure.message);
    }
  });

  it('blames the request for what the model is not made for', () => {
    const { run, events } = start();
    run.accept({ type: 'refused', runId: 0, reason: 'unsupported-feature', detail: 'no' });
    assert.deepEqual(events, [{ type: 'failed', failure: { code: 'unsupported-feature', message: 'no' } }]);
  });

  it('gives signs of life until the first token', () => {
    const { run, events } = start();
    run.waiting();
    run.accept({ type: 'progress', runId: 0, promptTokensDone: 4, promptTokens: 9, cachedTokens: 2 });
    run.waiting();
    run.grant(1);
    run.accept(tokens(0));
    run.waiting();
    assert.deepEqual(
      events.map((event) => (event.type === 'progress' ? event.promptTokensDone : event.type)),
      [0, 4, 4, 'tokens'],
    );
  });
});

describe('a machine without an engine binary', () => {
  it('is told the version that the project uses', async () => {
    const text = await readFile(new URL('../../../package.json', import.meta.url), 'utf8');
    assert.ok(text.includes(`"node-llama-cpp": "${ENGINE_VERSION}"`));
  });

  it('is told the one line that brings it', () => {
    for (const { platform, architecture, expected } of [
      { platform: 'darwin', architecture: 'arm64', expected: '@node-llama-cpp/mac-arm64-metal' },
      { platform: 'win32', architecture: 'x64', expected: '@node-llama-cpp/win-x64' },
      { platform: 'linux', architecture: 'arm', expected: '@node-llama-cpp/linux-armv7l' },
    ])
      assert.equal(
        engineMend({ platform, architecture }),
        `tar -xzf $(npm pack --silent ${expected}@${ENGINE_VERSION}) -C node_modules/${expected} --strip-components=1`,
      );
    assert.match(engineMend({ platform: 'aix', architecture: 'ppc64' }), /no prebuilt engine for aix/);
  });
});

function start(resume?: Resume, task?: Task): { run: ModelRun; events: EngineEvent[] } {
  const events: EngineEvent[] = [];
  const model = parseModelId('m');
  assert.ok(model !== undefined);
  const sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] };
  const job = {
    model,
    messages: [],
    sampling,
    ...(resume === undefined ? {} : { resume }),
    ...(task === undefined ? {} : { task }),
  };
  return { run: new ModelRun(0, { job, command: job }, (event) => events.push(event)), events };
}

function tokens(position: number, count = 1): RunMessage {
  return {
    type: 'tokens',
    runId: 0,
    position,
    tokenIds: Array.from({ length: count }, () => 7),
    text: 'x',
  };
}
function ended(completionTokens: number): RunMessage {
  return {
    type: 'ended',
    runId: 0,
    finishReason: 'stop',
    usage: { promptTokens: 1, completionTokens, cachedTokens: 0 },
  };
}
