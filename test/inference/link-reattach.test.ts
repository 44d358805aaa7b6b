import assert from 'node:assert/strict';
import { parseRequestId } from '../../src/ids.ts';
import { type Broken, Link } from '../../src/inference/link.ts';
import type { Answer, Reattach } from '../../src/inference/messages.ts';
import { SEND_QUEUE } from '../../src/inference/send-queue.ts';
import { INFERENCE, LIMITS } from '../../src/params.ts';
import { End, settle, TOKENS, USAGE, WRITE } from './link-ends.ts';

describe('a request that changes its link', () => {
  const requestId = parseRequestId('0f'.repeat(16)) ?? assert.fail();
  const REATTACH: Reattach = {
    type: 'reattach',
    requestId,
    startTokens: 12,
    startCharacters: 70_000,
    answers: 3,
    tokens: 9,
    creditTokens: 256,
    accepted: true,
    wanted: true,
  };

  it('names itself on a new channel and is answered there', () => {
    for (const [accepted, creditTokens] of [
      [true, 0],
      [false, 256],
    ] as const) {
      const [asker, server] = [new End(), new End()];
      const message = { ...REATTACH, accepted, creditTokens };
      const channel = asker.link.reattach(message);
      assert.ok(channel !== undefined);
      settle(asker, server);
      assert.deepEqual(server.said, [{ by: 'asked', channel, message }]);
      server.link.answer(channel, TOKENS);
      settle(asker, server);
      assert.deepEqual(asker.said, [{ by: 'answered', channel, message: TOKENS }]);
    }
  });

  it('leaves its old channel without a word, and what crosses that is ignored', () => {
    const [asker, server] = [new End(), new End()];
    const channel = asker.link.open(Uint8Array.of(1)) ?? 0;
    settle(asker, server);
    server.link.answer(channel, TOKENS);
    asker.link.credit(channel, 9);
    asker.link.part(channel);
    assert.equal(asker.link.take(WRITE), undefined);
    assert.equal(settle(asker, server), undefined);
    assert.deepEqual(asker.said, []);
    // The server learns of it on the new link, and says its last word here.
    server.link.answer(channel, { type: 'cancelled' });
    assert.equal(settle(asker, server), undefined);
    assert.ok(asker.link.idle && server.link.idle);
  });

  it('may be cancelled or parted before it was named: the server hears of the former', () => {
    const [asker, server] = [new End(), new End()];
    const cancelled = asker.link.reattach(REATTACH) ?? 0;
    asker.link.cancel(cancelled);
    const parted = asker.link.reattach(REATTACH) ?? 0;
    asker.link.part(parted);
    assert.equal(asker.link.live, 1);
    assert.equal(settle(asker, server), undefined);
    assert.deepEqual(
      server.said.map(({ message }) => message),
      [REATTACH, { type: 'cancel' }],
    );
  });

  it('is over when it is named as not wanted', () => {
    const [asker, server] = [new End(), new End()];
    const channel = asker.link.reattach({ ...REATTACH, wanted: false }) ?? 0;
    settle(asker, server);
    server.link.answer(channel, { type: 'cancelled' });
    assert.equal(settle(asker, server), undefined);
    assert.deepEqual(asker.said, []);
    assert.ok(asker.link.idle && server.link.idle);
  });

  it('cannot be told again and again to who does not read: such a link ends, and one that reads does not', () => {
    const again: Answer = { type: 'tokens', position: 0, tokens: 1, tokenIds: [], text: 'x'.repeat(262_144) };
    const times = 9 + Math.ceil((SEND_QUEUE.queuedBytesMax + SEND_QUEUE.surplusBytesMax) / 262_144);
    for (const reads of [true, false]) {
      const asker = new End();
      const server: Link = new Link({
        asked: (channel) => {
          server.answer(channel, again);
          server.answer(channel, { type: 'ended', finishReason: 'stop', usage: USAGE });
        },
        answered: () => assert.fail(),
        told: () => undefined,
      });
      let broken: Broken | undefined;
      let asked = 0;
      for (; asked < times && broken === undefined; asked += 1) {
        asker.link.reattach(REATTACH);
        broken = server.receive(asker.link.take(WRITE) ?? assert.fail());
        for (let bytes = reads ? server.take(WRITE) : undefined; bytes !== undefined; bytes = server.take(WRITE)) {
          asker.link.receive(bytes);
          const confirmed = asker.link.take(WRITE);
          if (confirmed !== undefined) server.receive(confirmed);
        }
      }
      assert.match(broken?.reason ?? 'reads', reads ? /reads/ : /asks for more than it reads/);
      assert.equal(asked === times, reads, `${asked} times`);
    }
  });

  it('is refused where its figures cannot be, or its channel was used', () => {
    for (const wrong of [
      { ...REATTACH, creditTokens: INFERENCE.creditTokens + 1 },
      { ...REATTACH, startTokens: LIMITS.answerTokens, tokens: 1 },
    ]) {
      const [asker, server] = [new End(), new End()];
      asker.link.reattach(wrong);
      assert.match(settle(asker, server)?.reason ?? '', /malformed reattach/);
    }
    const [asker, server] = [new End(), new End()];
    asker.link.reattach(REATTACH);
    const bytes = asker.link.take(WRITE) ?? assert.fail();
    assert.equal(server.link.receive(bytes), undefined);
    assert.match(server.link.receive(bytes)?.reason ?? '', /opened twice/);
  });
});
