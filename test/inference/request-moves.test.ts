import assert from 'node:assert/strict';
import { INFERENCE } from '../../src/params.ts';
import { WATCH } from '../../src/inference/try-watch.ts';
import { A, B, Bench, NODES, started } from './request-bench.ts';

describe('a request that could do better elsewhere', () => {
  it('goes on elsewhere after signs of life and nothing else, counted from the last thing that was new', () => {
    const news: readonly { readonly name: string; readonly say: (bench: Bench) => void }[] = [
      { name: 'accepted', say: (bench) => bench.accept() },
      {
        name: 'more of the prompt',
        say: (bench) => {
          bench.accept();
          bench.answer({ type: 'progress', promptTokensDone: 8, promptTokens: 9 });
        },
      },
      {
        name: 'a token',
        say: (bench) => {
          bench.accept();
          bench.tokens(0, 'a');
        },
      },
    ];
    for (const { name, say } of news) {
      const bench = started();
      bench.nowMs = 1_000;
      say(bench);
      bench.alive(1_000 + WATCH.stuckAfterMs - 1);
      assert.equal(bench.opens.length, 1, name);
      bench.alive(1_000 + WATCH.stuckAfterMs);
      assert.deepEqual(
        bench.opens.map(({ node }) => node),
        [A, B],
        name,
      );
      assert.deepEqual(bench.cancels, [1], name);
    }
  });

  it('knows from the tokens before when the next are missing', () => {
    for (const { tokenMs, limitMs } of [
      { tokenMs: 10, limitMs: INFERENCE.stallAfterMs },
      { tokenMs: 100, limitMs: 100 * WATCH.tokensMissedMax },
      { tokenMs: 400, limitMs: WATCH.stuckAfterMs },
    ]) {
      const bench = started();
      bench.accept();
      for (let position = 0; position < 20; position += 1) {
        bench.nowMs += tokenMs;
        bench.tokens(position, 'a');
      }
      const lastAtMs = bench.nowMs;
      bench.alive(lastAtMs + limitMs - 1);
      assert.equal(bench.opens.length, 1, `${tokenMs} ms`);
      bench.alive(lastAtMs + limitMs);
      assert.equal(bench.opens.length, 2, `${tokenMs} ms`);
    }
  });

  it('misses the tokens of an answer that flows as soon as ever, however often it moved before', () => {
    const bench = new Bench();
    bench.step({ type: 'client-granted', tokens: 1_000 });
    bench.plan(A, B);
    bench.alive(WATCH.stuckAfterMs);
    assert.equal(bench.opens.length, 2);
    bench.accept();
    bench.tokens(0, 'a');
    const lastAtMs = bench.nowMs;
    bench.alive(lastAtMs + WATCH.stuckAfterMs - 1);
    assert.equal(bench.opens.length, 2);
    bench.alive(lastAtMs + WATCH.stuckAfterMs);
    assert.equal(bench.opens.length, 3);
  });

  it('stays where nobody else can be asked, however slow it is', () => {
    const bench = new Bench();
    bench.step({ type: 'client-granted', tokens: 1_000 });
    bench.plan(A);
    bench.accept();
    bench.alive(20 * WATCH.stuckAfterMs);
    assert.equal(bench.opens.length, 1);
    bench.tokens(0, 'at last');
    assert.equal(bench.text, 'at last');
  });

  it('waits as long as a few times what was expected, and twice as long at each further node', () => {
    const bench = new Bench();
    bench.step({ type: 'client-granted', tokens: 1_000 });
    const expectedMs = WATCH.stuckAfterMs / WATCH.expectedFactor + 100;
    bench.step({ type: 'dispatched', ranked: NODES.slice(0, 3), levelMs: expectedMs });
    const [firstMs, secondMs] = [WATCH.expectedFactor * expectedMs, 2 * WATCH.stuckAfterMs];
    bench.alive(Math.ceil(firstMs) - 1);
    assert.equal(bench.opens.length, 1);
    bench.alive(Math.ceil(firstMs));
    assert.equal(bench.opens.length, 2);
    const beganAtMs = bench.nowMs;
    bench.alive(beganAtMs + secondMs - 1);
    assert.equal(bench.opens.length, 2);
    bench.alive(beganAtMs + secondMs);
    assert.equal(bench.opens.length, 3);
  });

  it('does not blame a node that may not send because the client does not read', () => {
    const bench = new Bench();
    bench.step({ type: 'client-granted', tokens: 2 });
    bench.plan(A, B);
    bench.accept();
    bench.tokens(0, 'ab');
    bench.alive(3 * WATCH.stuckAfterMs);
    bench.step({ type: 'client-granted', tokens: 2 });
    const grantedAtMs = bench.nowMs;
    bench.alive(grantedAtMs + WATCH.stuckAfterMs - 1);
    assert.equal(bench.opens.length, 1);
    bench.alive(grantedAtMs + WATCH.stuckAfterMs);
    assert.equal(bench.opens.length, 2);
  });

  it('asks for a new plan when the old one may name others that are gone too', () => {
    for (const { ageMs, expected } of [
      { ageMs: 500, expected: 'trying' },
      { ageMs: 501, expected: 'planning' },
    ]) {
      const bench = started();
      bench.accept();
      bench.tokens(0, 'a');
      bench.nowMs = ageMs;
      bench.lose();
      assert.equal(bench.session.phase, expected);
      assert.deepEqual(bench.reported('replan-wanted').length, expected === 'planning' ? 1 : 0);
    }
  });

  it('leaves a queue for a node that is much quicker than what is left, and for no other', () => {
    const table: readonly { readonly levelMs: number; readonly atMs: number; readonly expected: number }[] = [
      // Half of the 20 s that were promised are left after 10 s.
      { levelMs: 4_999, atMs: 10_000, expected: 2 },
      { levelMs: 5_000, atMs: 10_000, expected: 1 },
      // Who waited longer than was promised expects to wait as long again.
      { levelMs: 19_999, atMs: 40_000, expected: 2 },
      { levelMs: 20_000, atMs: 40_000, expected: 1 },
    ];
    for (const { levelMs, atMs, expected } of table) {
      const bench = new Bench();
      bench.step({ type: 'client-granted', tokens: 1_000 });
      bench.step({ type: 'dispatched', ranked: NODES.slice(0, 1), levelMs: 20_000 });
      bench.answer({ type: 'queued', position: 8 });
      bench.alive(atMs);
      assert.ok(bench.reported('replan-wanted').length >= atMs / 2_000 - 2, 'it looks around every two seconds');
      bench.step({ type: 'dispatched', ranked: NODES.slice(1, 2), levelMs });
      assert.equal(bench.opens.length, expected, `${levelMs} ms at ${atMs} ms`);
      assert.deepEqual(bench.cancels, expected === 2 ? [1] : []);
      const outcomes = bench.reported('try-ended').map((one) => one.type === 'try-ended' && one.outcome.type);
      assert.deepEqual(outcomes, expected === 2 ? ['cancelled'] : []);
    }
  });

  it('may return from a queue to a node that failed once, not to the one that it waits for', () => {
    const bench = started();
    bench.accept();
    bench.tokens(0, 'a');
    bench.lose();
    assert.equal(bench.open.node, B);
    bench.answer({ type: 'queued', position: 8 });
    bench.alive(WATCH.reconsiderIntervalMs);
    assert.deepEqual(bench.reports.at(-1), { type: 'replan-wanted', excluded: [B] });
  });

  it('stays where it is once work on it began, whatever else is offered', () => {
    const bench = new Bench();
    bench.step({ type: 'client-granted', tokens: 1_000 });
    bench.step({ type: 'dispatched', ranked: NODES.slice(0, 1), levelMs: 20_000 });
    bench.answer({ type: 'queued', position: 8 });
    bench.accept();
    bench.nowMs = 1_000;
    bench.step({ type: 'dispatched', ranked: NODES.slice(1, 2), levelMs: 1 });
    assert.equal(bench.opens.length, 1);
  });
});
