/** A member that keeps to the letter of the protocol and to nothing else: it opens, claims, cancels and leaves at random. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { RequestId } from '../../src/ids.ts';
import { parseRequestId } from '../../src/ids.ts';
import { encodeJob, encodeOpen } from '../../src/inference/job-codec.ts';
import { Link } from '../../src/inference/link.ts';
import { memoryPair } from './memory-stream.ts';
import { engine, jobOf, turns, World } from './plane-world.ts';

/** What the serving node keeps for an asker that is gone, and some. */
const GRACE_MS = 3_000;
const IDS = ['1', '2', '3'].map((digit): RequestId => parseRequestId(digit.repeat(32)) ?? assert.fail(digit));

/** One end of a link as the hostile member holds it. */
class Claimant {
  readonly #link = new Link({ asked: () => undefined, answered: () => undefined, told: () => undefined });
  readonly #pair = memoryPair();
  readonly #channels: number[] = [];
  #isGone = false;

  constructor(accept: (end: ReturnType<typeof memoryPair>['ends'][1]) => void) {
    this.#pair.ends[0].listen({
      bytes: (chunk) => {
        // It broke its own side by claiming what it holds already: it leaves.
        if (this.#link.receive(chunk) !== undefined) this.#isGone = true;
      },
      drained: () => undefined,
      closed: () => (this.#isGone = true),
    });
    accept(this.#pair.ends[1]);
  }

  do({ kind, id, one, other, flag }: Step): void {
    const channel = this.#channels[one % Math.max(1, this.#channels.length)];
    const requestId = IDS[id] ?? assert.fail();
    if (kind === 'open') {
      const jobText = encodeJob(jobOf('mine'));
      const body = { requestId, levelMs: 0, creditTokens: one, jobText, resume: undefined, resumeDigest: '' };
      this.#opened(this.#link.open(encodeOpen(body)));
    } else if (kind === 'claim') {
      const start = { startTokens: flag ? 0 : other, startCharacters: 0 };
      const claim = { requestId, ...start, answers: other, tokens: one, creditTokens: one };
      this.#opened(this.#link.reattach({ type: 'reattach', ...claim, accepted: flag, wanted: other % 4 !== 0 }));
    } else if (channel !== undefined) {
      if (kind === 'credit') this.#link.credit(channel, one);
      if (kind === 'cancel') this.#link.cancel(channel);
    }
    this.#send();
  }

  leave(): void {
    this.#isGone = true;
    this.#pair.kill();
  }

  #opened(channel: number | undefined): void {
    if (channel !== undefined) this.#channels.push(channel);
  }

  #send(): void {
    const bytes = this.#isGone ? undefined : this.#link.take(65_536);
    if (bytes === undefined) return;
    try {
      this.#pair.ends[0].send(bytes);
    } catch {
      // Thrown out, and not told yet.
      this.#isGone = true;
    }
  }
}

interface Step {
  readonly kind: 'open' | 'claim' | 'credit' | 'cancel' | 'leave' | 'engine' | 'wait';
  readonly id: number;
  readonly one: number;
  readonly other: number;
  readonly flag: boolean;
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom<Step['kind']>('open', 'claim', 'claim', 'credit', 'cancel', 'leave', 'engine', 'wait'),
    id: fc.integer({ min: 0, max: 2 }),
    one: fc.integer({ min: 0, max: 256 }),
    other: fc.integer({ min: 0, max: 40 }),
    flag: fc.boolean(),
  }),
  { minLength: 20, maxLength: 60 },
);

describe('a member that claims requests at random', () => {
  it('breaks nothing, and leaves nothing running when it is gone', async () => {
    let opened = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const world = new World({ cut: (length) => 1 + (length % 40) });
        const atServer = engine('manual');
        const [server, hostile] = [world.node(1, atServer), world.node(3, undefined)];
        world.connect();
        const join = (): Claimant => new Claimant((end) => server.plane.acceptLink(hostile.id, end));
        let claimant = join();
        for (const step of script) {
          if (step.kind === 'leave') {
            claimant.leave();
            claimant = join();
          } else if (step.kind === 'engine') atServer.advance(step.other);
          else if (step.kind === 'wait') world.clock.advance(step.other * 10);
          else claimant.do(step);
          // eslint-disable-next-line no-await-in-loop
          await turns(2);
          opened = Math.max(opened, server.plane.requests().served.length);
        }
        claimant.leave();
        for (let passedMs = 0; passedMs < GRACE_MS; passedMs += 50) {
          world.clock.advance(50);
          // eslint-disable-next-line no-await-in-loop
          await turns(1);
        }
        assert.deepEqual([server.plane.requests().served.length, atServer.running], [0, 0]);
        world.close();
      }),
      { numRuns: 25 },
    );
    assert.ok(opened > 0, 'some of it was served at all');
  }).timeout(20_000);
});
