import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type ErrorCode, failure } from '../../src/errors.ts';
import type { Answer } from '../../src/inference/messages.ts';
import { TRIES } from '../../src/inference/tries.ts';
import { INFERENCE, LIVENESS, PLACEMENT } from '../../src/params.ts';

import { A, B, Bench, DIGEST, NODES, USAGE, started } from './request-bench.ts';

describe('a request before its first token', () => {
  it('goes along the ranked list at once, and reports every try', () => {
    const bench = new Bench();
    bench.plan(...NODES.slice(0, 4));
    const load = { busy: 1, queued: 2, slotMs: 3, prefillUsPerToken: 4, decodeMs: 5, arrivalsPerKs: 6 };
    bench.answer({ type: 'refused', failure: failure('busy', 'full'), load });
    bench.answer({ type: 'failed', failure: failure('engine-failed', 'crash') });
    bench.lose();
    bench.accept();
    assert.deepEqual(
      bench.opens.map(({ node }) => node),
      NODES.slice(0, 4),
    );
    assert.deepEqual(
      bench.reported('try-ended').map((report) => (report.type === 'try-ended' ? report.outcome.type : '')),
      ['busy', 'failed', 'failed'],
    );
    assert.deepEqual(bench.events, [{ type: 'serving', node: NODES[3], resumedAt: 0 }]);
  });

  it('ends at once for what no node can do better', () => {
    for (const { code, tries } of [
      { code: 'context-length-exceeded', tries: 1 },
      { code: 'invalid-request', tries: 1 },
      { code: 'model-not-ready', tries: 2 },
      { code: 'internal', tries: 2 },
    ] satisfies { code: ErrorCode; tries: number }[]) {
      const bench = started();
      bench.answer({ type: 'refused', failure: failure(code, 'no'), load: undefined });
      assert.equal(bench.opens.length, tries, code);
      assert.equal(bench.last?.type, tries === 1 ? 'failed' : undefined);
    }
  });

  it('wants another plan after the tries of one, without the nodes tried', () => {
    const bench = new Bench();
    bench.plan(...NODES);
    for (let index = 0; index < PLACEMENT.triesMax; index += 1) bench.lose();
    assert.equal(bench.opens.length, PLACEMENT.triesMax);
    assert.deepEqual(bench.reports.at(-1), { type: 'replan-wanted', excluded: NODES.slice(0, PLACEMENT.triesMax) });
    bench.plan(NODES[4]);
    assert.equal(bench.open.node, NODES[4]);
  });

  it('is refused as the mesh says when nobody was tried', () => {
    const bench = new Bench();
    const refusal = failure('no-node-available', 'nobody', { retryAfterMs: 5_000 });
    bench.step({ type: 'refused-by-mesh', failure: refusal });
    assert.deepEqual(bench.events, [{ type: 'failed', failure: refusal }]);
    assert.deepEqual(bench.reports, [{ type: 'request-ended', result: 'failed', failure: refusal }]);
  });

  it('pauses when all are busy, asks them again, and gives up after a bound', () => {
    const bench = new Bench();
    const mesh = failure('no-node-available', 'all excluded');
    bench.plan(A);
    for (let pause = 0; pause < TRIES.pausesBeforeFirstTokenMax; pause += 1) {
      bench.answer({ type: 'refused', failure: failure('busy', 'full'), load: undefined });
      bench.step({ type: 'refused-by-mesh', failure: mesh });
      assert.equal(bench.session.phase, 'pausing');
      bench.wait();
      assert.deepEqual(bench.reports.at(-1), { type: 'replan-wanted', excluded: [] });
      bench.plan(A);
    }
    bench.answer({ type: 'refused', failure: failure('busy', 'full'), load: undefined });
    bench.step({ type: 'refused-by-mesh', failure: mesh });
    assert.ok(bench.last?.type === 'failed' && bench.last.failure.code === 'busy');
    assert.ok(bench.nowMs < 2_000);
  });

  it('ends with what the mesh says when who was asked went away', () => {
    const bench = new Bench();
    const mesh = failure('no-node-available', 'silent or left', { retryAfterMs: 2_000 });
    bench.plan(A);
    for (bench.lose(); bench.session.phase !== 'over'; bench.wait())
      bench.step({ type: 'refused-by-mesh', failure: mesh });
    assert.deepEqual(bench.last, { type: 'failed', failure: mesh });
  });

  it('gives up when no plan comes', () => {
    const bench = new Bench();
    bench.wait();
    assert.ok(bench.last?.type === 'failed' && bench.last.failure.code === 'no-node-available');
  });
});

describe('an answer under way', () => {
  it('goes on elsewhere after a break, from the next position', () => {
    const bench = started();
    bench.accept();
    bench.answer({ type: 'progress', promptTokensDone: 9, promptTokens: 9 });
    bench.tokens(0, 'ab', [7, 8]);
    bench.lose();
    assert.equal(bench.open.node, B);
    assert.deepEqual(bench.open.resume, { tokens: 2, tokenIds: [7, 8], text: 'ab' });
    assert.equal(bench.open.resumeDigest, DIGEST);
    bench.accept();
    bench.tokens(2, 'cd', [9, 1]);
    bench.answer({
      type: 'ended',
      finishReason: 'stop',
      usage: { promptTokens: 11, completionTokens: 4, cachedTokens: 3 },
    });
    assert.equal(bench.text, 'abcd');
    assert.deepEqual(bench.last, {
      type: 'ended',
      finishReason: 'stop',
      usage: { promptTokens: 9, completionTokens: 4, cachedTokens: 3 },
    });
    assert.deepEqual(
      bench.events
        .filter(({ type }) => type === 'serving')
        .map((event) => (event.type === 'serving' ? event.resumedAt : 0)),
      [0, 2],
    );
    assert.deepEqual(
      bench.reported('try-ended').map((report) => (report.type === 'try-ended' ? report.tokens : 0)),
      [2, 2],
    );
  });

  it('hands on token ids only while all came from one provable model', () => {
    const table: { name: string; digests: [string, string]; ids: [number[], number[]]; kept: boolean }[] = [
      { name: 'equal', digests: [DIGEST, DIGEST], ids: [[1], [2]], kept: true },
      { name: 'different models', digests: [DIGEST, 'bb'.repeat(32)], ids: [[1], [2]], kept: false },
      { name: 'not provable', digests: ['', ''], ids: [[1], [2]], kept: false },
      { name: 'ids missing once', digests: [DIGEST, DIGEST], ids: [[1], []], kept: false },
    ];
    for (const { name, digests, ids, kept } of table) {
      const bench = started();
      bench.accept(digests[0]);
      bench.tokens(0, 'a', ids[0]);
      bench.lose();
      bench.accept(digests[1]);
      bench.tokens(1, 'b', ids[1]);
      bench.lose();
      bench.plan(NODES[2]);
      assert.deepEqual(bench.open.resume, { tokens: 2, tokenIds: kept ? [1, 2] : [], text: 'ab' }, name);
      assert.equal(bench.open.resumeDigest, kept ? DIGEST : '', name);
    }
  });

  it('drops repeats and takes a gap, an overlap and uninvited tokens for violations', () => {
    const table: { name: string; say: (bench: Bench) => void; violation: boolean }[] = [
      { name: 'repeat', say: (bench) => bench.tokens(0, 'ab'), violation: false },
      { name: 'gap', say: (bench) => bench.tokens(4, 'e'), violation: true },
      { name: 'overlap', say: (bench) => bench.tokens(2, 'cde'), violation: true },
      { name: 'beyond the credit', say: (bench) => bench.tokens(3, 'x'.repeat(300)), violation: true },
      { name: 'a second acceptance', say: (bench) => bench.accept(), violation: true },
    ];
    for (const { name, say, violation } of table) {
      const bench = started();
      bench.accept();
      bench.tokens(0, 'abc');
      say(bench);
      assert.equal(bench.text, 'abc', name);
      assert.equal(bench.opens.length, violation ? 2 : 1, name);
      assert.equal(bench.cancels.length, violation ? 1 : 0, name);
    }
    const uninvited = started();
    uninvited.tokens(0, 'a');
    assert.equal(uninvited.opens.length, 2);
    assert.equal(uninvited.text, '');
  });

  it('goes on elsewhere after four seconds without a sign of life', () => {
    const bench = started();
    bench.accept();
    bench.tokens(0, 'a');
    bench.nowMs = INFERENCE.stallAfterMs - 1;
    bench.step({ type: 'woke' });
    assert.equal(bench.opens.length, 1);
    bench.answer({ type: 'progress', promptTokensDone: 0, promptTokens: 0 });
    bench.nowMs = 2 * INFERENCE.stallAfterMs - 2;
    bench.step({ type: 'woke' });
    assert.equal(bench.opens.length, 1);
    bench.nowMs += 1;
    bench.step({ type: 'woke' });
    assert.deepEqual(bench.cancels, [1]);
    bench.plan(B);
    assert.equal(bench.opens.length, 2);
  });

  it('does not blame a node for our own standstill', () => {
    const bench = started();
    bench.accept();
    bench.nowMs = INFERENCE.stallAfterMs + LIVENESS.ownStallMs + 1;
    bench.step({ type: 'woke' });
    assert.equal(bench.opens.length, 1);
    bench.nowMs += LIVENESS.ownStallGraceMs - 1;
    bench.step({ type: 'woke' });
    assert.deepEqual(bench.cancels, []);
    bench.nowMs += 1;
    bench.step({ type: 'woke' });
    assert.deepEqual(bench.cancels, [1]);
  });

  it('ends by itself when the node died after the last token asked for', () => {
    const bench = started(2);
    bench.accept();
    bench.answer({ type: 'progress', promptTokensDone: 9, promptTokens: 9 });
    bench.tokens(0, 'ab');
    bench.lose();
    assert.deepEqual(bench.last, {
      type: 'ended',
      finishReason: 'length',
      usage: { promptTokens: 9, completionTokens: 2, cachedTokens: 0 },
    });
  });

  it('asks the only node again after a pause, and gives up after ten seconds', () => {
    const bench = started();
    bench.accept();
    bench.tokens(0, 'a');
    bench.lose();
    bench.lose();
    const none = failure('no-node-available', 'all excluded');
    bench.step({ type: 'refused-by-mesh', failure: none });
    bench.wait();
    assert.deepEqual(bench.reports.at(-1), { type: 'replan-wanted', excluded: [] });
    while (bench.session.phase !== 'over') {
      bench.step({ type: 'refused-by-mesh', failure: none });
      if (bench.session.phase === 'pausing') bench.wait();
    }
    assert.ok(bench.last?.type === 'failed' && bench.last.failure.code === 'stream-lost');
    assert.ok(bench.nowMs > 8_000 && bench.nowMs <= TRIES.recoverMsMax, `${bench.nowMs}`);
  });

  it('moves through at most so many nodes', () => {
    const bench = new Bench();
    bench.step({ type: 'client-granted', tokens: 1_000 });
    bench.plan(A);
    let position = 0;
    while (bench.session.phase !== 'over') {
      if (bench.session.phase === 'planning') bench.plan(...NODES.filter((node) => node !== bench.open.node));
      else if (bench.session.phase === 'pausing') bench.wait();
      else {
        bench.accept();
        bench.tokens(position, 'x');
        position += 1;
        bench.lose();
      }
    }
    assert.equal(bench.opens.length, INFERENCE.failoversMax + 1);
    assert.equal(bench.last?.type, 'failed');
  });

  it('says nothing more after the client left, and stops the node', () => {
    const bench = started();
    bench.accept();
    const before = bench.events.length;
    bench.step({ type: 'client-cancelled' });
    bench.step({ type: 'client-cancelled' });
    bench.tokens(0, 'a');
    assert.equal(bench.events.length, before);
    assert.deepEqual(bench.cancels, [1]);
    assert.deepEqual(bench.reports.slice(-2), [
      { type: 'try-ended', node: A, tokens: 0, outcome: { type: 'cancelled' } },
      { type: 'request-ended', result: 'client-gone' },
    ]);
  });
});

const SCRIPT = Array.from({ length: 40 }, (_, index) => `${index}:${'abcdefg'.slice(0, index % 7)} `);

function wordAt(position: number): Answer {
  return { type: 'tokens', position, tokens: 1, tokenIds: [position], text: SCRIPT[position] ?? '?' };
}

/** What happens next to a node that serves, in a random run. */
type Fate = 'go' | 'lose' | 'fail' | 'busy' | 'stall' | 'gap' | 'repeat' | 'grant';

describe('any run of failures', () => {
  const fates = fc.array(
    fc.constantFrom<Fate>('go', 'go', 'go', 'go', 'lose', 'fail', 'busy', 'stall', 'gap', 'repeat', 'grant'),
    { maxLength: 80 },
  );

  it('leaves the client with exactly the undisturbed text, or a beginning of it and one failure', () => {
    const whole = SCRIPT.join('');
    fc.assert(
      fc.property(fates, fc.integer({ min: 1, max: 60 }), (sequence, firstGrant) => {
        const bench = new Bench();
        let granted = firstGrant;
        let accepted = 0;
        bench.step({ type: 'client-granted', tokens: firstGrant });
        const pending = [...sequence];
        for (let steps = 0; bench.session.phase !== 'over' && steps < 2_000; steps += 1) {
          const shown = bench.events.reduce((sum, event) => sum + (event.type === 'text' ? event.tokens : 0), 0);
          assert.ok(shown + bench.credit <= granted || bench.session.phase !== 'trying', 'never more than granted');
          assert.ok(bench.credit <= INFERENCE.creditTokens);
          if (bench.session.phase === 'planning') {
            const replan = bench.reports.findLast((report) => report.type === 'replan-wanted');
            const excluded = replan?.type === 'replan-wanted' ? replan.excluded : [];
            const ranked = NODES.filter((node) => !excluded.includes(node));
            if (ranked.length > 0) bench.plan(...ranked);
            else bench.step({ type: 'refused-by-mesh', failure: failure('no-node-available', 'nobody') });
            continue;
          }
          if (bench.session.phase === 'pausing') {
            bench.wait();
            continue;
          }
          act(pending.shift() ?? 'go');
        }
        assert.equal(bench.session.phase, 'over');
        const ends = bench.events.filter(({ type }) => type === 'ended' || type === 'failed');
        assert.equal(ends.length, 1);
        assert.equal(bench.last, ends[0]);
        assert.ok(whole.startsWith(bench.text));
        if (bench.last?.type === 'ended') assert.equal(bench.text, whole);
        assert.equal(bench.reported('request-ended').length, 1);
        assert.equal(bench.reported('try-ended').length, bench.reported('try-started').length);

        function act(fate: Fate): void {
          if (fate === 'grant' || bench.credit === 0) {
            granted += 5;
            bench.step({ type: 'client-granted', tokens: 5 });
          } else if (fate === 'lose') bench.lose();
          else if (fate === 'fail') bench.answer({ type: 'failed', failure: failure('engine-failed', 'crash') });
          else if (fate === 'stall') bench.wait();
          else if (accepted === bench.open.attempt) goOn(fate);
          else if (fate === 'busy') {
            bench.answer({ type: 'refused', failure: failure('busy', 'full'), load: undefined });
          } else {
            accepted = bench.open.attempt;
            bench.accept();
          }
        }

        function goOn(fate: Fate): void {
          const position = bench.session.answer.tokens;
          if (fate === 'gap') return bench.answer(wordAt(position + 1));
          if (position === SCRIPT.length) return bench.answer({ type: 'ended', finishReason: 'stop', usage: USAGE });
          bench.credit -= 1;
          return bench.answer(wordAt(fate === 'repeat' && position > 0 ? position - 1 : position));
        }
      }),
      { numRuns: 300 },
    );
  });
});
