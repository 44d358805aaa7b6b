import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { parseNodeId, parseRequestId } from '../../src/ids.ts';
import { AskedLine } from '../../src/inference/asked-line.ts';
import type { Answer, Reattach } from '../../src/inference/messages.ts';
import { type ServeEffect, type ServeInput, ServeSession } from '../../src/inference/serve-session.ts';
import { INFERENCE } from '../../src/params.ts';
import { jobOf } from './plane-world.ts';

const USAGE = { promptTokens: 10, completionTokens: 3, cachedTokens: 0 };
const ADMITTED: ServeInput = { type: 'admitted', digest: 'cd'.repeat(32) };
const HERE = { answers: 0, tokens: 0, creditTokens: 100, accepted: false };

function session(creditTokens = 100): ServeSession {
  return new ServeSession({ creditTokens, promptTokensEstimate: 5, tokensPerSecondMax: 0 }, 0);
}

function answersOf(effects: readonly ServeEffect[]): Answer[] {
  return effects.flatMap((effect) => (effect.type === 'answer' ? [effect.answer] : []));
}

function granted(effects: readonly ServeEffect[]): number {
  return effects.reduce((sum, effect) => sum + (effect.type === 'grant' ? effect.tokens : 0), 0);
}

function token(position: number, text = 'x'): ServeInput {
  return { type: 'engine-event', event: { type: 'tokens', position, tokens: 1, tokenIds: [position], text } };
}

describe('a request at the serving node whose link ended', () => {
  it('is kept for the grace and not a millisecond longer', () => {
    for (const { afterMs, over } of [
      { afterMs: INFERENCE.reattachMsMax - 1, over: false },
      { afterMs: INFERENCE.reattachMsMax, over: true },
    ]) {
      const serve = session();
      serve.step(ADMITTED, 0);
      assert.deepEqual(serve.step({ type: 'link-lost' }, 1_000), []);
      assert.equal(serve.wakeAtMs, 1_000 + INFERENCE.reattachMsMax);
      const effects = serve.step({ type: 'woke' }, 1_000 + afterMs);
      assert.equal(serve.phase === 'over', over);
      assert.deepEqual(
        effects.map(({ type }) => type),
        over ? ['cancel-engine', 'report-ended'] : [],
      );
    }
  });

  it('goes on producing as far as its credit goes, and says nothing', () => {
    const serve = session(3);
    serve.step(ADMITTED, 0);
    serve.step({ type: 'link-lost' }, 0);
    for (let position = 0; position < 3; position += 1)
      assert.deepEqual(answersOf(serve.step(token(position), 10)), []);
    assert.equal(serve.tokensProduced, 3);
    assert.equal(serve.phase, 'running');
  });

  it('ends at once when the asker wants no more', () => {
    const serve = session();
    serve.step(ADMITTED, 0);
    serve.step({ type: 'link-lost' }, 0);
    assert.deepEqual(
      serve.step({ type: 'cancelled' }, 5).map(({ type }) => type),
      ['cancel-engine', 'answer', 'report-ended'],
    );
  });

  it('says again what was not heard: acceptance, place in the queue, tokens, the end', () => {
    const queued = session();
    queued.step({ type: 'queued', position: 4 }, 0);
    queued.step({ type: 'link-lost' }, 0);
    assert.deepEqual(answersOf(queued.step({ type: 'reattached', ...HERE }, 9)), [{ type: 'queued', position: 4 }]);
    const running = session();
    running.step(ADMITTED, 0);
    running.step(token(0, 'a'), 1);
    const sent = running.takeTokens(1);
    running.step(token(1, 'b'), 1);
    running.step({ type: 'link-lost' }, 2);
    const back = running.step({ type: 'reattached', ...HERE }, 9);
    assert.deepEqual(answersOf(back), [{ type: 'accepted', digest: 'cd'.repeat(32) }, sent]);
    assert.equal(back.at(-1)?.type, 'tokens-waiting');
    assert.deepEqual(running.takeTokens(9)?.text, 'b');
    running.step({ type: 'link-lost' }, 10);
    running.step({ type: 'engine-event', event: { type: 'ended', finishReason: 'stop', usage: USAGE } }, 11);
    assert.ok(running.lingers);
    const again = answersOf(
      running.step({ type: 'reattached', answers: 1, tokens: 1, creditTokens: 99, accepted: true }, 12),
    );
    assert.deepEqual(
      again.map(({ type }) => type),
      ['tokens', 'ended'],
    );
  });

  it('shows a sign of life where there is nothing to say again', () => {
    const serve = session();
    serve.step(ADMITTED, 0);
    serve.step({ type: 'link-lost' }, 0);
    const effects = serve.step({ type: 'reattached', ...HERE, accepted: true }, 100);
    assert.deepEqual(answersOf(effects), [{ type: 'progress', promptTokensDone: 0, promptTokens: 0 }]);
    assert.equal(serve.wakeAtMs, 100 + INFERENCE.progressIntervalMs);
  });

  it('counts its credit from where the asker stands, for grants are lost with a link', () => {
    const serve = session(10);
    assert.equal(granted(serve.step(ADMITTED, 0)), 10);
    for (let position = 0; position < 10; position += 1) serve.step(token(position), 1);
    serve.takeTokens(1);
    serve.step({ type: 'link-lost' }, 2);
    const back = { type: 'reattached', answers: 1, tokens: 10, creditTokens: 30, accepted: true } as const;
    assert.equal(granted(serve.step(back, 3)), 30);
    serve.step({ type: 'link-lost' }, 4);
    assert.equal(granted(serve.step(back, 5)), 0, 'what was granted is not granted twice');
  });
});

const requestId = parseRequestId('ab'.repeat(16));
const node = parseNodeId(`12D3KooW${'2'.repeat(44)}`);
assert.ok(requestId !== undefined && node !== undefined);
const PARTS = { requestId, levelMs: 0, creditTokens: 7, jobText: '', resume: undefined, resumeDigest: '' };

/** Something that happens to a request on its way. */
type Step =
  | { readonly type: 'produce'; readonly tokens: number; readonly text: number }
  | { readonly type: 'flush' }
  | { readonly type: 'deliver'; readonly frames: number }
  | { readonly type: 'grant'; readonly tokens: number }
  | { readonly type: 'cut' }
  | { readonly type: 'reattach' };

/** One request between two nodes, with a link that may lose what is under way at any moment. */
class Way {
  readonly serve = session(PARTS.creditTokens);
  received = '';
  receivedTokens = 0;
  produced = '';
  producedTokens = 0;
  engineCredit = 0;
  ended = false;
  #toAsker: Answer[] = [];
  #toServer: number[] = [];
  #up = true;
  readonly line: AskedLine;

  constructor() {
    const opening = {
      node: node ?? assert.fail(),
      parts: PARTS,
      job: jobOf('x'),
      answered: (answer: Answer) => this.#heard(answer),
      lost: () => assert.fail('never lost'),
    };
    this.line = new AskedLine(opening, () => undefined);
    this.line.carriedBy(this, 1);
    this.#take(this.serve.step(ADMITTED, 0));
  }

  credit(_channel: number, tokens: number): void {
    if (this.#up) this.#toServer.push(tokens);
  }

  cancel(): void {
    assert.fail('nobody cancels');
  }

  step(step: Step): void {
    if (step.type === 'produce') this.#produce(step.tokens, step.text);
    else if (step.type === 'flush') this.flush();
    else if (step.type === 'deliver') this.deliver(step.frames);
    else if (step.type === 'grant') this.#grant(step.tokens);
    else if (step.type === 'cut') this.cut();
    else this.reattach();
  }

  flush(): void {
    if (!this.#up) return;
    const tokens = this.serve.takeTokens(0);
    if (tokens !== undefined) this.#toAsker.push(tokens);
  }

  deliver(frames: number): void {
    for (let count = 0; count < frames; count += 1) {
      const tokens = this.#toServer.shift();
      if (tokens !== undefined) this.#take(this.serve.step({ type: 'credit-received', tokens }, 0));
      const answer = this.#toAsker.shift();
      if (answer !== undefined) this.line.answered(answer);
    }
  }

  cut(): void {
    if (!this.#up || this.ended) return;
    this.#up = false;
    this.#toAsker = [];
    this.#toServer = [];
    this.line.parted(0);
    this.serve.step({ type: 'link-lost' }, 0);
  }

  reattach(): void {
    if (this.#up) return;
    this.#up = true;
    this.line.carriedBy(this, 2);
    const ask: Reattach = this.line.reattach(true);
    assert.ok(this.serve.reaches(ask), 'everything that may be missing is kept');
    this.#take(this.serve.step({ ...ask, type: 'reattached' }, 0));
  }

  end(): void {
    this.#take(
      this.serve.step({ type: 'engine-event', event: { type: 'ended', finishReason: 'stop', usage: USAGE } }, 0),
    );
  }

  #produce(tokens: number, characters: number): void {
    const count = Math.min(tokens, this.engineCredit);
    if (count === 0 && characters === 0) return;
    const text = Array.from({ length: characters }, (_, index) =>
      String.fromCodePoint(97 + ((this.produced.length + index) % 26)),
    ).join('');
    const event = { type: 'tokens', position: this.producedTokens, tokens: count, tokenIds: [], text } as const;
    this.produced += text;
    this.producedTokens += count;
    this.engineCredit -= count;
    this.#take(this.serve.step({ type: 'engine-event', event }, 0));
  }

  /** As `Credit` does it: never more than a window is out. */
  #grant(tokens: number): void {
    const out = this.line.reattach(true).creditTokens;
    const free = Math.min(tokens, INFERENCE.creditTokens - out);
    if (free > 0) this.line.credit(free);
  }

  #take(effects: readonly ServeEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'grant') this.engineCredit += effect.tokens;
      if (effect.type === 'answer' && this.#up) this.#toAsker.push(effect.answer);
    }
  }

  #heard(answer: Answer): void {
    if (answer.type === 'ended') this.ended = true;
    if (answer.type !== 'tokens') return;
    assert.equal(answer.position, this.receivedTokens, 'no gap and no repeat');
    this.receivedTokens += answer.tokens;
    this.received += answer.text;
  }
}

describe('an answer on a way that breaks again and again', () => {
  const steps: fc.Arbitrary<Step[]> = fc.array(
    fc.oneof(
      fc.record({
        type: fc.constant('produce' as const),
        tokens: fc.integer({ min: 0, max: 40 }),
        text: fc.integer({ min: 0, max: 5 }),
      }),
      fc.constant({ type: 'flush' } as const),
      fc.record({ type: fc.constant('deliver' as const), frames: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ type: fc.constant('grant' as const), tokens: fc.integer({ min: 1, max: 256 }) }),
      fc.constant({ type: 'cut' } as const),
      fc.constant({ type: 'reattach' } as const),
    ),
    { maxLength: 120 },
  );

  it('is at the asker, letter by letter, what the engine produced', () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const way = new Way();
        for (const step of sequence) {
          way.step(step);
          assert.ok(way.produced.startsWith(way.received));
        }
        way.reattach();
        way.flush();
        way.cut();
        way.end();
        way.reattach();
        way.deliver(1_000);
        assert.equal(way.received, way.produced);
        assert.equal(way.receivedTokens, way.producedTokens);
        assert.ok(way.ended);
      }),
      { numRuns: 400 },
    );
  });
});
