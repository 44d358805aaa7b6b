import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { failure } from '../../src/errors.ts';
import { WATCH } from '../../src/inference/try-watch.ts';
import type { ScriptedEngine } from '../../src/inference/scripted.ts';
import { INFERENCE } from '../../src/params.ts';
import {
  Client,
  TOKENS,
  World,
  type WorldNode,
  engine,
  jobOf,
  nodeId,
  turns,
  undisturbed,
  until,
} from './plane-world.ts';

describe('a data plane', () => {
  let world = new World();
  afterEach(() => world.close());

  /** A asks, B and C serve; C is next in the list. */
  function three(options: ConstructorParameters<typeof World>[0] = {}, pacing: 'granted' | 'manual' = 'granted') {
    world = new World(options);
    const [atB, atC] = [engine(pacing), engine(pacing)];
    const [a, b, c] = [world.node(2, undefined), world.node(1, atB), world.node(3, atC)];
    a.ranked = [b.id, c.id];
    world.connect();
    return { a, b, c, atB, atC };
  }

  it('streams an answer from another node', async () => {
    const { a, b } = three();
    const client = new Client(a, jobOf('hello there'));
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('hello there'));
    const usage = { promptTokens: 3, completionTokens: TOKENS, cachedTokens: 0 };
    assert.deepEqual(client.end, { type: 'ended', finishReason: 'stop', usage });
    assert.deepEqual(client.servedBy, [b.id]);
    await until('all is over', () => b.plane.requests().served.length === 0);
    const types = a.inputs.map(({ type }) => type).filter((type) => type !== 'heard');
    const steps = ['request-arrived', 'try-started', 'first-token-seen', 'try-ended', 'request-ended'];
    assert.deepEqual(types, steps);
    const served = b.inputs.map(({ type }) => type).filter((type) => type !== 'heard');
    assert.deepEqual(served, ['open-received', 'serve-first-token', 'serve-ended']);
  });

  it('serves a request placed on itself through the same steps, without a link', async () => {
    world = new World();
    const a = world.node(1, engine());
    a.ranked = [a.id];
    const client = new Client(a, jobOf('at home'));
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('at home'));
    assert.deepEqual(a.inputs.map(({ type }) => type).toSorted(), [
      'first-token-seen',
      'open-received',
      'request-arrived',
      'request-ended',
      'serve-ended',
      'serve-first-token',
      'try-ended',
      'try-started',
    ]);
    assert.equal(world.pairs.length, 0);
  });

  it('carries many requests over one link, wherever its bytes are cut', async () => {
    const { a } = three({ cut: (length) => 1 + ((length * 7_919) % 977) });
    await until('it has a link', () => a.plane.linked().includes(nodeId(1)));
    const clients = Array.from({ length: 50 }, (_, index) => new Client(a, jobOf(`question ${index}`)));
    await until('all ended', () => clients.every(({ end }) => end !== undefined));
    for (const [index, client] of clients.entries()) assert.equal(client.text, undisturbed(`question ${index}`));
    assert.equal(world.wires(nodeId(1), nodeId(2)).length, 1);
  });

  it('sends a prompt of a megabyte while tokens of another request flow', async () => {
    const { a, atB } = three({ bufferBytes: 65_536 }, 'manual');
    const [small, large] = [new Client(a, jobOf('small')), new Client(a, jobOf('wing '.repeat(400)))];
    await until('both run', () => atB.running === 2);
    const huge = new Client(a, jobOf('x'.repeat(1_000_000)));
    atB.advance(1);
    await until('tokens came', () => small.shown > 0 && large.shown > 0);
    await until('the huge one runs', () => atB.running === 3);
    assert.equal(huge.end, undefined);
  });

  it('answers in one write a turn, however many requests run', async () => {
    const { a, atB } = three({}, 'manual');
    const clients = Array.from({ length: 40 }, (_, index) => new Client(a, jobOf(`q ${index}`)));
    await until('all run', () => atB.running === 40);
    atB.advance(1);
    await until('all have a token', () => clients.every(({ shown }) => shown === 1));
    await turns(3);
    const [wire] = world.wires(nodeId(1), nodeId(2));
    const before = wire?.writes() ?? 0;
    atB.advance(10);
    await until('all have eleven', () => clients.every(({ shown }) => shown === 11));
    assert.equal((wire?.writes() ?? 0) - before, 1);
  });

  it('never sends more than the client takes, and goes on when it does', async () => {
    const { a, atB } = three();
    const client = new Client(a, jobOf('slow reader'), 5);
    await until('five came', () => client.shown === 5);
    await turns(20);
    assert.equal(client.shown, 5);
    assert.equal(atB.running, 1);
    while (client.end === undefined) {
      client.grant(7);
      // eslint-disable-next-line no-await-in-loop
      await turns(4);
    }
    assert.equal(client.text, undisturbed('slow reader'));
  });

  it('refuses a body that is not a job, with the reason', async () => {
    const { a, b } = three();
    const client = new Client(a, { ...jobOf('x'), messages: [] });
    await until('it ended', () => client.end !== undefined);
    assert.ok(client.end?.type === 'failed' && client.end.failure.code === 'invalid-request');
    assert.match(client.end.failure.message, /job.messages/);
    assert.deepEqual(b.plane.requests().served, []);
  });
});

describe('a client that leaves', () => {
  let world = new World();
  afterEach(() => world.close());

  it('frees the slot within a few turns, before and after the first token, there and here', async () => {
    for (const place of ['there', 'here'] as const) {
      for (const tokensFirst of [0, 3]) {
        world = new World();
        const serving = engine('manual');
        const a = world.node(2, place === 'here' ? serving : undefined);
        const b = world.node(1, place === 'there' ? serving : undefined);
        a.ranked = [place === 'here' ? a.id : b.id];
        world.connect();
        const client = new Client(a, jobOf('gone soon'));
        // eslint-disable-next-line no-await-in-loop
        await until('it runs', () => serving.running === 1);
        serving.advance(tokensFirst);
        // eslint-disable-next-line no-await-in-loop
        await until('tokens came', () => client.shown === tokensFirst);
        client.run.cancel();
        const events = client.events.length;
        // One turn for the way there.
        // eslint-disable-next-line no-await-in-loop
        await turns(place === 'here' ? 0 : 2);
        assert.equal(serving.running, 0);
        assert.equal(client.events.length, events);
        const ended = a.inputs.find(({ type }) => type === 'request-ended');
        assert.ok(ended?.type === 'request-ended' && ended.result === 'client-gone');
      }
    }
  });

  it('before the mesh heard of it leaves no trace', async () => {
    world = new World();
    const a = world.node(1, engine());
    const client = new Client(a, jobOf('x'));
    client.run.cancel();
    await turns(3);
    assert.deepEqual(a.inputs, []);
    assert.deepEqual(client.events, []);
  });

  it('may leave from within an event', async () => {
    world = new World();
    const serving = engine();
    const [a, b] = [world.node(2, undefined), world.node(1, serving)];
    a.ranked = [b.id];
    world.connect();
    const client = new Client(a, jobOf('x'));
    client.onEvent = (event) => {
      if (event.type === 'text') client.run.cancel();
    };
    await until('the slot is free', () => serving.running === 0 && client.shown > 0);
    await turns(5);
    assert.equal(client.events.filter(({ type }) => type === 'text').length, 1);
    assert.equal(client.end, undefined);
  });
});

describe('an answer whose node is lost', () => {
  let world = new World();
  afterEach(() => world.close());

  function three(pacing: 'granted' | 'manual' = 'manual'): {
    a: WorldNode;
    b: WorldNode;
    c: WorldNode;
    atB: ScriptedEngine;
    atC: ScriptedEngine;
  } {
    world = new World({ cut: (length) => 1 + (length % 40) });
    const [atB, atC] = [engine(pacing), engine(pacing)];
    const [a, b, c] = [world.node(2, undefined), world.node(1, atB), world.node(3, atC)];
    a.ranked = [b.id, c.id];
    world.connect();
    return { a, b, c, atB, atC };
  }

  it('goes on at the next node with exactly the undisturbed text, wherever it is cut', async () => {
    const whole = undisturbed('tell me about geese');
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: TOKENS - 1 }), fc.integer({ min: 0, max: 4 }), async (cutAt, wait) => {
        const { a, b, c, atB, atC } = three();
        const client = new Client(a, jobOf('tell me about geese'));
        await until('it runs', () => atB.running === 1);
        atB.advance(cutAt);
        await turns(wait);
        world.kill(b.id);
        await until('it runs at the other', () => atC.running === 1);
        while (client.end === undefined) {
          atC.advance(50);
          await turns(2);
        }
        assert.equal(client.text, whole);
        assert.equal(client.end.type, 'ended');
        assert.deepEqual([...new Set(client.servedBy)].at(-1), c.id);
        world.clock.advance(INFERENCE.reattachMsMax);
        assert.equal(atB.running, 0, 'nobody came back for it: the slot is free');
        world.close();
      }),
      { numRuns: 100 },
    );
  });

  it('goes on after a stall that nothing else shows', async () => {
    const { a, b, atB, atC } = three();
    const client = new Client(a, jobOf('silence'));
    await until('it runs', () => atB.running === 1);
    atB.advance(10);
    await until('ten came', () => client.shown === 10);
    for (const wire of world.wires(a.id, b.id)) wire.freeze(true);
    // Small steps: a long one would look like a standstill of our own.
    for (let passedMs = 0; passedMs <= INFERENCE.stallAfterMs; passedMs += 100) world.clock.advance(100);
    await until('it runs at the other', () => atC.running === 1);
    atC.advance(TOKENS);
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('silence'));
  });

  it('lives through ninety seconds of silent prefill where that is what was expected', async () => {
    const { a, atB } = three();
    a.levelMs = 31_000;
    const client = new Client(a, jobOf('a long prompt'));
    await until('it runs', () => atB.running === 1);
    for (let passedMs = 0; passedMs < 90_000; passedMs += 250) {
      world.clock.advance(250);
      // eslint-disable-next-line no-await-in-loop
      await turns(3);
    }
    assert.equal(client.servedBy.length, 1);
    atB.advance(TOKENS);
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('a long prompt'));
  });

  it('goes on elsewhere when an engine says nothing for far longer than was expected', async () => {
    const { a, atB, atC } = three();
    const client = new Client(a, jobOf('hangs'));
    await until('it runs', () => atB.running === 1);
    for (let passedMs = 0; passedMs < WATCH.stuckAfterMs + 1_000; passedMs += 250) {
      world.clock.advance(250);
      // eslint-disable-next-line no-await-in-loop
      await turns(3);
    }
    await until('it runs at the other', () => atC.running === 1);
    assert.equal(atB.running, 0);
    atC.advance(TOKENS);
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('hangs'));
  });

  it('goes on when the engine fails, and when the next is busy it asks on', async () => {
    const { a, atB, atC } = three();
    const client = new Client(a, jobOf('crash'));
    await until('it runs', () => atB.running === 1);
    atB.advance(4);
    atB.failAll(failure('engine-failed', 'the child died'));
    await until('it runs at the other', () => atC.running === 1);
    atC.advance(TOKENS);
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('crash'));
    const outcomes = a.inputs.flatMap((input) => (input.type === 'try-ended' ? [input.outcome.type] : []));
    assert.deepEqual(outcomes, ['failed', 'answered']);
  });

  it('goes on where it was when the link is back', async () => {
    const { a, b, atB } = three();
    a.ranked = [b.id];
    const client = new Client(a, jobOf('only one'));
    await until('it runs', () => atB.running === 1);
    atB.advance(9);
    await until('nine came', () => client.shown === 9);
    for (const wire of world.wires(a.id, b.id)) wire.kill();
    await turns(2);
    atB.advance(TOKENS);
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('only one'));
    assert.deepEqual(client.servedBy, [b.id]);
    assert.equal(a.inputs.filter(({ type }) => type === 'try-ended').length, 1, 'it is still the first try');
  });
});
