/**
 * The behaviour that every engine owes the mesh (`src/inference/engine.ts`), written once and run against each one.
 * A `Recording` checks the standing rules at every event: no more tokens than granted, positions without a gap or a
 * repeat, one terminal event, nothing after it or after a cancel. The cases below only bring about situations.
 * Nothing sleeps: "no event came" is shown by letting a whole other answer pass meanwhile.
 */
import assert from 'node:assert/strict';
import type { Job, Engine, EngineEvent, EngineModel, EngineRun, Resume, Sampling } from '../../src/inference/engine.ts';
import { type ModelId, parseModelId } from '../../src/ids.ts';
import { shortestMs } from '../shortest.ts';

export interface OpenedEngine {
  readonly engine: Engine;
  /** A ready model with at least two slots. */
  readonly model: ModelId;
  /** Equal prompts give equal answers at temperature 0, and a resumed answer goes on exactly where it stopped. */
  readonly exact: boolean;
  /** It may end at a stop string without telling at which. */
  readonly hidesStops?: boolean;
  /** Two prompts that are answered with `ANSWER_TOKENS` tokens or more. */
  readonly prompts?: readonly [string, string];
  close(): Promise<void>;
}

type Ended = Extract<EngineEvent, { type: 'ended' }>;
type Failed = Extract<EngineEvent, { type: 'failed' }>;
type Tokens = Extract<EngineEvent, { type: 'tokens' }>;

const ANSWER_TOKENS = 12;
const WAIT_MS = 10_000;
/** Promised by `EngineRun.cancel`. */
const SLOT_FREE_MS = 250;
const GREEDY: Sampling = { temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, stop: [] };

/** One run and all that it said. */
export class Recording {
  readonly events: EngineEvent[] = [];
  readonly run: EngineRun;
  #granted = 0;
  #tokens = 0;
  #next: number;
  #closed = false;
  #waiting: { readonly done: () => boolean; readonly resolve: () => void }[] = [];
  #violation: string | undefined;

  constructor(engine: Engine, job: Job, granted = 0) {
    this.#next = job.resume?.tokens ?? 0;
    this.run = engine.start(job, (event) => this.#accept(event));
    if (granted > 0) this.grant(granted);
  }

  get text(): string {
    return this.#tokenEvents().reduce((text, event) => text + event.text, '');
  }

  /** Produced by this run, without what a resume brought along. */
  get tokens(): number {
    return this.#tokens;
  }

  get terminal(): Ended | Failed | undefined {
    return this.events.find((event) => event.type === 'ended' || event.type === 'failed');
  }

  grant(tokens: number): void {
    this.#granted += tokens;
    this.run.grant(tokens);
  }

  cancel(): void {
    this.#closed = true;
    this.run.cancel();
  }

  async until(what: string, done: () => boolean): Promise<void> {
    if (!done() && this.#violation === undefined) await this.#wait(what, done);
    this.verify();
  }

  async finished(): Promise<Ended | Failed> {
    await this.until('the end', () => this.terminal !== undefined);
    const terminal = this.terminal;
    assert.ok(terminal !== undefined);
    return terminal;
  }

  async ended(): Promise<Ended> {
    const terminal = await this.finished();
    assert.equal(terminal.type, 'ended', `expected an answer, got ${JSON.stringify(terminal)}`);
    assert.ok(terminal.type === 'ended');
    return terminal;
  }

  async failed(): Promise<Failed> {
    const terminal = await this.finished();
    assert.equal(terminal.type, 'failed', `expected a failure, got ${JSON.stringify(terminal)}`);
    assert.ok(terminal.type === 'failed');
    return terminal;
  }

  /** Throws when a standing rule was broken, whenever that was. */
  verify(): void {
    assert.equal(this.#violation, undefined);
  }

  /** What another engine would be given after each event of this run: where it may go on. */
  resumePoints(): Resume[] {
    let point: Resume = { tokens: 0, tokenIds: [], text: '' };
    return this.#tokenEvents().map((event) => {
      const tokenIds = [...point.tokenIds, ...event.tokenIds];
      point = { tokens: point.tokens + event.tokens, tokenIds, text: point.text + event.text };
      return point;
    });
  }

  #tokenEvents(): Tokens[] {
    return this.events.filter((event) => event.type === 'tokens');
  }

  #accept(event: EngineEvent): void {
    if (this.#closed) this.#break(`a ${event.type} event came after the end or the cancel`);
    this.events.push(event);
    if (event.type === 'tokens') this.#acceptTokens(event);
    if (event.type === 'ended' || event.type === 'failed') this.#closed = true;
    this.#waiting = this.#waiting.filter((waiter) => {
      const settled = this.#violation !== undefined || waiter.done();
      if (settled) waiter.resolve();
      return !settled;
    });
  }

  #acceptTokens(event: Tokens): void {
    // No token may come with text that was held back until the model ended, and only so.
    if (event.tokens < 0 || (event.tokens === 0 && event.text === '')) this.#break('an event brought nothing');
    if (event.tokenIds.length > 0 && event.tokenIds.length !== event.tokens)
      this.#break(`${event.tokenIds.length} ids came for ${event.tokens} tokens`);
    if (event.position !== this.#next) this.#break(`position ${event.position} came where ${this.#next} was next`);
    this.#next += event.tokens;
    this.#tokens += event.tokens;
    if (this.#tokens > this.#granted) this.#break(`${this.#tokens} tokens came where ${this.#granted} were granted`);
  }

  /** The rule is reported by the test that waits, not thrown into the engine. */
  #break(rule: string): void {
    this.#violation ??= rule;
  }

  #wait(what: string, done: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no ${what} within ${WAIT_MS} ms; events so far: ${JSON.stringify(this.events).slice(-500)}`));
      }, WAIT_MS);
      this.#waiting.push({
        done,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      });
    });
  }
}

export function engineContract(name: string, open: () => Promise<OpenedEngine>): void {
  describe(`${name} as an Engine`, function () {
    this.timeout(30_000);
    let opened: OpenedEngine;

    before(async () => {
      opened = await open();
    });
    after(async () => {
      await opened.close();
    });

    function job(more: { prompt?: 0 | 1; sampling?: Partial<Sampling>; resume?: Resume } = {}): Job {
      const prompts = opened.prompts ?? ['Count from one to twenty.', 'Name the days of the week.'];
      return {
        model: opened.model,
        messages: [{ role: 'user', content: prompts[more.prompt ?? 0] }],
        sampling: { ...GREEDY, maxTokens: ANSWER_TOKENS, ...more.sampling },
        ...(more.resume === undefined ? {} : { resume: more.resume }),
      };
    }

    async function answer(chatJob: Job = job()): Promise<Recording> {
      const recording = new Recording(opened.engine, chatJob, 1_000);
      await recording.ended();
      return recording;
    }

    function offered(): EngineModel {
      const model = opened.engine.models().find((candidate) => candidate.model === opened.model);
      assert.ok(model !== undefined, 'the model is listed');
      return model;
    }

    it('lists its model as ready, with room for two', () => {
      const model = offered();
      assert.equal(model.state, 'ready');
      assert.equal(model.loadMs, 0);
      assert.ok(model.slots >= 2);
      assert.match(model.digest, /^(?:[0-9a-f]{64})?$/);
    });

    it('ends with length after exactly maxTokens, without a further grant', async () => {
      for (const maxTokens of [1, 2, ANSWER_TOKENS]) {
        const recording = new Recording(opened.engine, job({ sampling: { maxTokens } }), maxTokens);
        const ended = await recording.ended();
        assert.equal(ended.finishReason, 'length');
        assert.equal(recording.tokens, maxTokens);
        assert.equal(ended.usage.completionTokens, maxTokens);
        assert.ok(recording.text.length > 0 || maxTokens < ANSWER_TOKENS);
      }
    });

    it('counts the prompt, and the cached part of it', async () => {
      const ended = await (await answer()).ended();
      assert.ok(ended.usage.promptTokens > 0);
      assert.ok(ended.usage.cachedTokens >= 0 && ended.usage.cachedTokens <= ended.usage.promptTokens);
    });

    it('produces nothing before a grant', async () => {
      const waiting = new Recording(opened.engine, job());
      await answer(job({ prompt: 1 }));
      waiting.verify();
      assert.equal(waiting.tokens, 0);
      assert.equal(waiting.terminal, undefined);
      waiting.grant(1_000);
      await waiting.ended();
    });

    it('never produces more than was granted, one token at a time', async () => {
      const whole = await answer();
      const stepped = new Recording(opened.engine, job());
      for (let granted = 1; stepped.terminal === undefined && granted <= ANSWER_TOKENS; granted += 1) {
        stepped.grant(1);
        await stepped.until(`token ${granted}`, () => stepped.terminal !== undefined || stepped.tokens === granted);
      }
      await stepped.ended();
      assert.equal(stepped.tokens, ANSWER_TOKENS);
      if (opened.exact) assert.equal(stepped.text, whole.text);
    });

    it('stays within a grant while another answer passes', async () => {
      const held = new Recording(opened.engine, job(), 3);
      await held.until('three tokens', () => held.tokens === 3);
      await answer(job({ prompt: 1 }));
      held.verify();
      assert.equal(held.tokens, 3);
      held.grant(1_000);
      await held.ended();
      assert.equal(held.tokens, ANSWER_TOKENS);
    });

    it('takes grants and cancels after the end as nothing', async () => {
      const recording = await answer();
      recording.run.grant(5);
      recording.run.cancel();
      await answer(job({ prompt: 1 }));
      recording.verify();
    });

    it('keeps a stop string out of the text, also across two tokens', async () => {
      const whole = await answer();
      const stop = stopAcrossTokens(whole);
      const stopped = await answer(job({ sampling: { stop: ['\u0007never', stop] } }));
      assert.ok(!stopped.text.includes(stop));
      if (!opened.exact) return;
      assert.equal(stopped.text, whole.text.slice(0, whole.text.indexOf(stop)));
      const { finishReason, stopIndex } = await stopped.ended();
      assert.equal(finishReason, 'stop');
      assert.ok(
        opened.hidesStops === true ? stopIndex === undefined || stopIndex === 1 : stopIndex === 1,
        `${stopIndex}`,
      );
    });

    it('leaves the text whole when the stop string never comes', async () => {
      const whole = await answer();
      // Its first character is held back again and again: the last character of the answer, then one that never follows.
      const stop = `${whole.text.at(-1) ?? 'x'}\u0007`;
      const recording = await answer(job({ sampling: { stop: [stop] } }));
      assert.equal((await recording.ended()).finishReason, 'length');
      assert.equal((await recording.ended()).stopIndex, undefined);
      if (opened.exact) assert.equal(recording.text, whole.text);
    });

    it('says nothing after a cancel, however often it is cancelled', async () => {
      const cancelled = new Recording(opened.engine, job({ sampling: { maxTokens: 1_000 } }), 4);
      await cancelled.until('a token', () => cancelled.tokens > 0);
      cancelled.cancel();
      cancelled.cancel();
      cancelled.run.grant(1_000);
      await answer(job({ prompt: 1 }));
      cancelled.verify();
    });

    it('can be cancelled from within an event', async () => {
      let events = 0;
      let cancelAtFirst: (() => void) | undefined;
      const first = new Promise<void>((resolve) => {
        const run = opened.engine.start(job(), (event) => {
          events += event.type === 'tokens' ? 1 : 0;
          if (event.type !== 'tokens') return;
          cancelAtFirst?.();
          resolve();
        });
        cancelAtFirst = () => run.cancel();
        run.grant(1_000);
      });
      await first;
      await answer(job({ prompt: 1 }));
      assert.equal(events, 1);
    });

    it('can be cancelled before any grant', async () => {
      const cancelled = new Recording(opened.engine, job());
      cancelled.cancel();
      cancelled.grant(1_000);
      await answer(job({ prompt: 1 }));
      cancelled.verify();
      assert.equal(cancelled.tokens, 0);
    });

    it('frees the slots of cancelled runs', async () => {
      const { slots } = offered();
      for (const granted of [0, 2]) {
        const freeAfterMs = await shortestMs(SLOT_FREE_MS, async () => {
          const runs = Array.from({ length: slots }, () => new Recording(opened.engine, job(), granted));
          for (const run of runs) await run.until('its tokens', () => run.tokens === granted);
          for (const run of runs) run.cancel();
          const elapsedMs = await untilFree(() => new Recording(opened.engine, job({ prompt: 1 }), 1_000));
          for (const run of runs) run.verify();
          return elapsedMs;
        });
        assert.ok(freeAfterMs < SLOT_FREE_MS, `busy for ${freeAfterMs} ms after the cancel`);
      }
    });

    it('does not mix two answers', async () => {
      const alone = [await answer(job({ prompt: 0 })), await answer(job({ prompt: 1 }))];
      const together = [0, 1].map((prompt) => new Recording(opened.engine, job({ prompt: prompt === 0 ? 0 : 1 })));
      for (let round = 0; round < ANSWER_TOKENS; round += 1) for (const recording of together) recording.grant(1);
      for (const recording of together) assert.equal((await recording.ended()).usage.completionTokens, ANSWER_TOKENS);
      if (opened.exact)
        assert.deepEqual(
          together.map((recording) => recording.text),
          alone.map((recording) => recording.text),
        );
    });

    it('goes on from any point with exactly the rest', async function () {
      if (!opened.exact) this.skip();
      const whole = await answer();
      for (const resume of whole.resumePoints()) {
        const rest = await answer(job({ resume }));
        assert.equal(resume.text + rest.text, whole.text, `resumed at ${resume.tokens}`);
        const ended = await rest.ended();
        assert.equal(ended.finishReason, 'length');
        assert.equal(ended.usage.completionTokens, ANSWER_TOKENS);
      }
    });

    it('finds a stop string on either side of a resume', async function () {
      if (!opened.exact) this.skip();
      const whole = await answer();
      const sampling = { stop: [stopAcrossTokens(whole)] };
      const stopped = await answer(job({ sampling }));
      for (const resume of stopped.resumePoints()) {
        if (resume.text === stopped.text) continue;
        const rest = await answer(job({ sampling, resume }));
        assert.equal(resume.text + rest.text, stopped.text, `resumed at ${resume.tokens}`);
      }
    });

    it('has nothing to add to an answer that is already as long as allowed', async () => {
      const whole = await answer();
      const resume = whole.resumePoints().at(-1);
      assert.ok(resume !== undefined);
      const rest = new Recording(opened.engine, job({ resume }), 1_000);
      const ended = await rest.ended();
      assert.equal(rest.tokens, 0);
      assert.equal(ended.finishReason, 'length');
      assert.equal(ended.usage.completionTokens, ANSWER_TOKENS);
    });

    it('refuses a model that it does not have', async () => {
      const model = parseModelId('no-such-model:1b');
      assert.ok(model !== undefined);
      const failed = await new Recording(opened.engine, { ...job(), model }, 1_000).failed();
      assert.equal(failed.failure.code, 'model-not-found');
    });

    it('refuses a prompt that does not fit, naming the limit', async function () {
      const { contextTokens } = offered();
      if (contextTokens === 0 || contextTokens > 65_536) this.skip();
      const content = 'goose '.repeat(contextTokens + 1);
      const failed = await new Recording(
        opened.engine,
        { ...job(), messages: [{ role: 'user', content }] },
        1_000,
      ).failed();
      assert.equal(failed.failure.code, 'context-length-exceeded');
      assert.ok(failed.failure.message.includes(String(contextTokens)), failed.failure.message);
    });
  });
}

/** Printable text around a token boundary in the middle of the answer: two characters on each side at most. */
function stopAcrossTokens(whole: Recording): string {
  const points = whole.resumePoints().map((point) => point.text.length);
  const { text } = whole;
  for (const boundary of points.slice(2)) {
    const stop = text.slice(Math.max(0, boundary - 2), boundary + 2);
    if (boundary < text.length && /^[\u0020-\u007e]{2,4}$/.test(stop)) return stop;
  }
  return assert.fail(`the answer has no printable token boundary: ${JSON.stringify(text)}`);
}

/**
 * How long a full engine says busy; 0 for one that lets the run wait. Not the time of the answer itself. Nothing but the
 * cancel can free the slots: without credit their runs never end.
 */
async function untilFree(start: () => Recording): Promise<number> {
  const cancelledMs = performance.now();
  for (;;) {
    const elapsedMs = performance.now() - cancelledMs;
    const terminal = await start().finished();
    if (terminal.type === 'ended') return elapsedMs;
    assert.equal(terminal.failure.code, 'busy');
    assert.ok(elapsedMs < WAIT_MS, `still busy ${WAIT_MS} ms after the cancel`);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
