/**
 * What an engine owes that takes on more than conversations: raw completions, calls of functions, scores of tokens, vectors and
 * scores of documents. The standing rules of `engine.contract.ts` hold for all of them (`Recording` checks them): a list of
 * vectors is granted, positioned, cancelled and resumed like an answer.
 */
import assert from 'node:assert/strict';
import { decodeScore, decodeScoredToken, decodeVector, scoredText } from '../../src/inference/answer-lines.ts';
import type { Engine, Job, Resume, Sampling, Task, ToolUse } from '../../src/inference/engine.ts';
import type { ModelId } from '../../src/ids.ts';
import { ToolTextReader } from '../../src/inference/tool-text.ts';
import { Recording } from './engine.contract.ts';

export interface OpenedTasks {
  readonly engine: Engine;
  /** Ready models; absent = the engine has none for this. */
  readonly writer: ModelId;
  readonly embedder?: ModelId;
  readonly ranker?: ModelId;
  /** A text that the writer goes on with for 12 tokens or more. */
  readonly prompt?: string;
  /** A longer text than fits into any of the models. */
  readonly longText: string;
  close(): Promise<void>;
}

const GREEDY: Sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] };
const TOKENS = 12;
const CITY = { type: 'object', properties: { city: { enum: ['Ulm', 'Bonn'] } }, required: ['city'] };
const TOOLS: ToolUse['tools'] = [
  { name: 'weather', description: 'of a city', parameters: JSON.stringify(CITY) },
  { name: 'stop-it', parameters: '{"type":"object","properties":{},"additionalProperties":false}' },
];
const INPUTS = ['the red goose flies north', 'a red goose flies south', 'tax forms are due in april'];

export function engineTasksContract(name: string, open: () => Promise<OpenedTasks>): void {
  describe(`${name} at other work`, function () {
    this.timeout(30_000);
    let opened: OpenedTasks;

    before(async () => {
      opened = await open();
    });
    after(async () => {
      await opened.close();
    });

    function writing(more: Partial<Omit<Job, 'sampling'>> & { sampling?: Partial<Sampling> } = {}): Job {
      const { sampling, ...rest } = more;
      return {
        model: opened.writer,
        messages: more.task === undefined ? [{ role: 'user', content: 'Count from one to twenty.' }] : [],
        ...rest,
        sampling: { ...GREEDY, maxTokens: TOKENS, ...sampling },
      };
    }

    function listing(task: Task, resume?: Resume): Job {
      const model = task.type === 'embedding' ? opened.embedder : opened.ranker;
      assert.ok(model !== undefined);
      return { model, messages: [], sampling: GREEDY, task, ...(resume === undefined ? {} : { resume }) };
    }

    async function ended(job: Job): Promise<Recording> {
      const recording = new Recording(opened.engine, job, 3_000);
      await recording.ended();
      return recording;
    }

    describe('a completion', () => {
      it('goes on with a text, and from any point with exactly the rest', async () => {
        const whole = await ended(writing({ task: completion(opened.prompt) }));
        const end = await whole.ended();
        assert.equal(end.finishReason, 'length');
        assert.equal(end.usage.completionTokens, TOKENS);
        for (const resume of whole.resumePoints()) {
          const rest = await ended(writing({ task: completion(opened.prompt), resume }));
          assert.equal(resume.text + rest.text, whole.text, `resumed at ${resume.tokens}`);
        }
      });

      it('has no template around it: another text alone changes it', async () => {
        const [one, two] = [await ended(writing({ task: completion(opened.prompt) })), await ended(writing())];
        assert.notEqual((await one.ended()).usage.promptTokens, (await two.ended()).usage.promptTokens);
      });

      it('refuses a prompt that is too long, naming it', async () => {
        const { failure } = await new Recording(
          opened.engine,
          writing({ task: completion(opened.longText) }),
          10,
        ).failed();
        assert.equal(failure.code, 'context-length-exceeded');
        assert.equal(failure.param, 'prompt');
      });
    });

    describe('functions', () => {
      it('are called where they must be, and the call is whole', async () => {
        for (const choice of [{ type: 'required' }, { type: 'named', name: 'weather' }] as const) {
          const run = await ended(writing({ ...using(choice), sampling: { maxTokens: 2_000 } }));
          assert.equal((await run.ended()).finishReason, 'stop');
          const reader = new ToolTextReader({ toolNames: new Set(TOOLS.map((tool) => tool.name)) });
          const events = reader.push(run.text) ?? assert.fail(`malformed: ${run.text}`);
          assert.ok(reader.isWhole && reader.calls === 1, run.text);
          const [call] = events.flatMap((event) => (event.type === 'call' ? [event] : []));
          if (choice.type === 'named') assert.equal(call?.name, choice.name);
        }
      });

      it('go on from any point with exactly the rest', async () => {
        const whole = await ended(
          writing({ ...using({ type: 'named', name: 'weather' }), sampling: { maxTokens: 2_000 } }),
        );
        for (const [index, resume] of whole.resumePoints().entries()) {
          if (index % 7 !== 0) continue;
          const job = writing({ ...using({ type: 'named', name: 'weather' }), sampling: { maxTokens: 2_000 }, resume });
          assert.equal(resume.text + (await ended(job)).text, whole.text, `resumed at ${resume.tokens}`);
        }
      });
    });

    describe('scores of tokens', () => {
      it('say the same text, line by line', async () => {
        const plain = await ended(writing());
        const scored = await ended(writing({ sampling: { logprobs: 2 } }));
        assert.equal(scoredText(scored.text), plain.text);
        const lines = scored.text
          .split('\n')
          .slice(0, -1)
          .map((line) => decodeScoredToken(line));
        assert.equal(lines.length, TOKENS);
        for (const line of lines) {
          assert.ok(line !== undefined && line.logprob <= 0 && line.top.length === 2);
          assert.ok((line.top[0]?.logprob ?? 0) >= (line.top[1]?.logprob ?? 0));
        }
      });

      it('go on from any point with exactly the rest, a stop string included', async () => {
        const plain = await ended(writing());
        const stop = [plain.text.slice(9, 12)];
        for (const sampling of [{ logprobs: 0 }, { logprobs: 0, stop }]) {
          const whole = await ended(writing({ sampling }));
          if ('stop' in sampling)
            assert.equal(scoredText(whole.text), plain.text.slice(0, plain.text.indexOf(stop[0] ?? '')));
          for (const resume of whole.resumePoints().slice(0, -1)) {
            const rest = await ended(writing({ sampling, resume }));
            assert.equal(resume.text + rest.text, whole.text, `resumed at ${resume.tokens}`);
          }
        }
      });
    });

    describe('vectors', () => {
      beforeEach(function () {
        if (opened.embedder === undefined) this.skip();
      });

      it('come one for each text, of length one, the nearer the more words are common', async () => {
        const run = await ended(listing(embedding()));
        const vectors = vectorsOf(run);
        assert.equal(vectors.length, INPUTS.length);
        const [first, near, far] = vectors;
        assert.ok(first !== undefined && near !== undefined && far !== undefined);
        for (const vector of vectors) assert.ok(Math.abs(product(vector, vector) - 1) < 1e-5);
        assert.ok(product(first, near) > product(first, far) + 0.1);
        const { usage } = await run.ended();
        const tokens = linesOf(run).map((line) => decodeVector(line)?.tokens ?? 0);
        assert.equal(
          usage.promptTokens,
          tokens.reduce((sum, count) => sum + count, 0),
        );
        assert.equal(usage.completionTokens, INPUTS.length);
      });

      it('come as they are granted, go on behind any of them, and stop at a cancel', async () => {
        const whole = await ended(listing(embedding()));
        const stepped = new Recording(opened.engine, listing(embedding()), 1);
        await stepped.until('the first', () => stepped.tokens === 1);
        await ended(listing(embedding(['x'])));
        assert.equal(stepped.tokens, 1);
        stepped.cancel();
        stepped.run.grant(10);
        for (const resume of whole.resumePoints()) {
          const rest = await ended(listing(embedding(), resume));
          assert.equal(resume.text + rest.text, whole.text);
          assert.deepEqual((await rest.ended()).usage, (await whole.ended()).usage);
        }
        stepped.verify();
      });

      it('are refused for an empty or a too long text, with its number', async () => {
        for (const { text, code } of [
          { text: '', code: 'invalid-request' },
          { text: opened.longText, code: 'context-length-exceeded' },
        ]) {
          const { failure } = await new Recording(opened.engine, listing(embedding(['a goose', text])), 10).failed();
          assert.equal(failure.code, code);
          assert.equal(failure.param, 'input');
          assert.match(failure.message, /input\[1\]/);
        }
      });
    });

    describe('scores of documents', () => {
      const rerank: Task = { type: 'rerank', query: 'red goose', documents: [INPUTS[2] ?? '', INPUTS[0] ?? ''] };

      beforeEach(function () {
        if (opened.ranker === undefined) this.skip();
      });

      it('come in the order of the documents, the greater the better they fit', async () => {
        const run = await ended(listing(rerank));
        const scores = linesOf(run).map((line) => decodeScore(line)?.score ?? Number.NaN);
        assert.equal(scores.length, 2);
        assert.ok(scores.every((score) => score >= 0 && score <= 1));
        assert.ok((scores[1] ?? 0) > (scores[0] ?? 1) + 0.1, scores.join(' '));
      });

      it('go on behind any of them', async () => {
        const whole = await ended(listing(rerank));
        for (const resume of whole.resumePoints())
          assert.equal(resume.text + (await ended(listing(rerank, resume))).text, whole.text);
      });
    });
  });
}

function completion(prompt = 'Once upon a time'): Task {
  return { type: 'completion', prompt };
}

function embedding(inputs: readonly string[] = INPUTS): Task {
  return { type: 'embedding', inputs };
}

function using(choice: ToolUse['choice'], parallel = false): Partial<Pick<Job, 'toolUse'>> {
  return { toolUse: { tools: TOOLS, choice, parallel } };
}

function linesOf(run: Recording): readonly string[] {
  return run.text
    .split('\n')
    .slice(0, -1)
    .map((line) => `${line}\n`);
}

function vectorsOf(run: Recording): readonly Float32Array[] {
  return linesOf(run).map((line) => decodeVector(line)?.vector ?? assert.fail(line));
}

function product(left: Float32Array, right: Float32Array): number {
  return left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0);
}
