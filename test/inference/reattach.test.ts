import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { Link } from '../../src/inference/link.ts';
import type { Answer } from '../../src/inference/messages.ts';
import type { ScriptedEngine } from '../../src/inference/scripted.ts';
import { INFERENCE } from '../../src/params.ts';
import { memoryPair } from './memory-stream.ts';
import { Client, TOKENS, World, type WorldNode, engine, jobOf, turns, undisturbed, until } from './plane-world.ts';

let world = new World();

/** `a` asks, and prefers `b`. */
function three(): { a: WorldNode; b: WorldNode; c: WorldNode; atB: ScriptedEngine; atC: ScriptedEngine } {
  world = new World({ cut: (length) => 1 + (length % 40) });
  const [atB, atC] = [engine('manual'), engine('manual')];
  const [a, b, c] = [world.node(2, undefined), world.node(1, atB), world.node(3, atC)];
  a.ranked = [b.id, c.id];
  world.connect();
  return { a, b, c, atB, atC };
}

/** Tries that ended, with how. */
function outcomes(node: WorldNode): string[] {
  return node.inputs.flatMap((input) => (input.type === 'try-ended' ? [input.outcome.type] : []));
}

async function running(serving: ScriptedEngine, tokens: number, client: Client): Promise<void> {
  await until('it runs', () => serving.running === 1);
  serving.advance(tokens);
  await until('they came', () => client.shown === tokens);
}

/** Small steps: a long one would look like a standstill of our own. */
async function pass(ms: number): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += 50) {
    world.clock.advance(50);
    // eslint-disable-next-line no-await-in-loop
    await turns(2);
  }
}

/** Breaks the newest wire of a pair, so that these notice. */
function cut(asker: WorldNode, server: WorldNode, noticed: 'both' | 'asker' | 'server'): void {
  const wire = world.wires(asker.id, server.id).at(-1);
  if (noticed === 'both') return wire?.kill();
  const opener = world.pairs.findLast(({ pair }) => pair === wire)?.from;
  wire?.killOneEnd((noticed === 'asker') === (opener === asker.id) ? 0 : 1);
}

describe('a link that ends under a request', () => {
  afterEach(() => world.close());

  it('is followed by another one on which the answer goes on, wherever it is cut and however often', async () => {
    const whole = undisturbed('cut me');
    const cuts = fc.array(
      fc.record({
        tokens: fc.integer({ min: 0, max: 40 }),
        turnsBefore: fc.integer({ min: 0, max: 4 }),
        side: fc.constantFrom('both' as const, 'asker' as const, 'server' as const),
      }),
      { maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(cuts, async (sequence) => {
        const { a, b, atB } = three();
        const client = new Client(a, jobOf('cut me'));
        await until('it runs', () => atB.running === 1);
        for (const { tokens, turnsBefore, side } of sequence) {
          atB.advance(tokens);
          await turns(turnsBefore);
          cut(a, b, side);
          await pass(600);
        }
        for (let rounds = 0; client.end === undefined && rounds < 200; rounds += 1) {
          atB.advance(20);
          await pass(50);
        }
        assert.equal(client.text, whole);
        assert.equal(client.end?.type, 'ended');
        // Where only the server noticed, the asker's link looks alive until its silence counts.
        if (sequence.every(({ side }) => side !== 'server')) assert.deepEqual(outcomes(a), ['answered']);
        world.close();
      }),
      { numRuns: 60 },
    );
  });

  it('takes nothing along where the answer ended on the way', async () => {
    const { a, b, atB } = three();
    const client = new Client(a, jobOf('the end is under way'));
    await running(atB, 100, client);
    // The last tokens and the end leave, and never arrive.
    for (const wire of world.wires(a.id, b.id)) wire.freeze(true);
    atB.advance(TOKENS);
    await until('it is over there', () => atB.running === 0);
    await turns(3);
    assert.equal(client.shown, 100);
    for (const wire of world.wires(a.id, b.id)) wire.kill();
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('the end is under way'));
    assert.deepEqual(outcomes(a), ['answered']);
  });

  it('costs one try at once where the other process started anew', async () => {
    const { a, b, c, atB, atC } = three();
    const client = new Client(a, jobOf('restarted'));
    await running(atB, 30, client);
    const old = b.plane;
    world.node(1, engine('manual')).plane.connectionOpened(a.id);
    old.close();
    await until('it runs at the next', () => atC.running === 1);
    atC.advance(TOKENS);
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('restarted'));
    assert.deepEqual(client.servedBy, [b.id, c.id]);
  });

  it('frees the slot within the grace when nobody comes back', async () => {
    const { a, b, atB } = three();
    const client = new Client(a, jobOf('gone'));
    await running(atB, 10, client);
    world.down.add(a.id);
    a.plane.close();
    for (const wire of world.wires(a.id, b.id)) wire.kill();
    await pass(INFERENCE.reattachMsMax - 100);
    assert.equal(atB.running, 1);
    await pass(100 + INFERENCE.cancelMsMax);
    assert.equal(atB.running, 0);
  });

  it('frees the slot as soon as there is another, when the client left meanwhile', async () => {
    const { a, b, atB } = three();
    const client = new Client(a, jobOf('left'));
    await running(atB, 10, client);
    world.down.add(b.id);
    for (const wire of world.wires(a.id, b.id)) wire.kill();
    await turns(5);
    client.run.cancel();
    await turns(5);
    assert.equal(atB.running, 1, 'there is no way to say so');
    world.down.delete(b.id);
    await pass(700);
    assert.equal(atB.running, 0);
  });

  it('loses the request after the grace when no other comes, and another node goes on', async () => {
    const { a, b, c, atB, atC } = three();
    const client = new Client(a, jobOf('no way'));
    await running(atB, 10, client);
    world.down.add(b.id);
    for (const wire of world.wires(a.id, b.id)) wire.kill();
    await pass(INFERENCE.reattachMsMax - 100);
    assert.equal(atC.running, 0);
    await pass(200);
    assert.equal(atC.running, 1);
    atC.advance(TOKENS);
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('no way'));
    assert.deepEqual(client.servedBy, [b.id, c.id]);
  });

  it('takes its requests along when it broke the protocol', async () => {
    const { a, b, atB, atC } = three();
    const client = new Client(a, jobOf('garbage'));
    await running(atB, 10, client);
    // The server's end of the wire that is in use says what no node would.
    const used = world.pairs.find(({ from }) => from === b.id)?.pair;
    used?.ends[0].send(Uint8Array.of(0, 0, 99, 0, 0, 0, 1));
    await until('it runs at the next', () => atC.running === 1);
    assert.deepEqual(outcomes(a), ['failed']);
    await until('the other learnt', () => atB.running === 0 || world.wires(a.id, b.id).length > 1);
  });

  it('asks for another connection when the last one is gone, and gives up when there is none', async () => {
    for (const reached of [true, false]) {
      const { a, b, atB, atC } = three();
      const asked: string[] = [];
      a.redial = async (node) => {
        asked.push(node);
        await turns(2);
        if (reached)
          for (const [one, other] of [
            [a, b],
            [b, a],
          ] as const)
            one.plane.connectionOpened(other.id);
        return reached;
      };
      // eslint-disable-next-line no-await-in-loop
      await (async (): Promise<void> => {
        const client = new Client(a, jobOf('redial'));
        await running(atB, 10, client);
        a.plane.connectionLost(b.id);
        b.plane.connectionLost(a.id);
        if (!reached) world.down.add(b.id);
        await turns(20);
        (reached ? atB : atC).advance(TOKENS);
        await until('it ended', () => client.end !== undefined);
        assert.equal(client.text, undisturbed('redial'));
        assert.deepEqual(outcomes(a), reached ? ['answered'] : ['failed', 'answered']);
        assert.deepEqual(asked, [b.id]);
      })();
      world.close();
    }
  });

  it('is no way for anybody else to take a request up', async () => {
    const { a, b, c, atB } = three();
    const client = new Client(a, jobOf('mine'));
    await running(atB, 10, client);
    const requestId = a.inputs.find((input) => input.type === 'request-arrived')?.requestId;
    assert.ok(requestId !== undefined);
    const heard: Answer[] = [];
    const thief = new Link({
      asked: () => undefined,
      answered: (_, answer) => heard.push(answer),
      told: () => undefined,
    });
    const pair = memoryPair();
    pair.ends[0].listen({
      bytes: (chunk) => void thief.receive(chunk),
      drained: () => undefined,
      closed: () => undefined,
    });
    b.plane.acceptLink(c.id, pair.ends[1]);
    const claim = { requestId, startTokens: 0, startCharacters: 0, answers: 0, tokens: 0, creditTokens: 9 };
    thief.reattach({ type: 'reattach', ...claim, accepted: true, wanted: true });
    thief.reattach({ type: 'reattach', ...claim, accepted: true, wanted: false });
    pair.ends[0].send(thief.take(65_536) ?? assert.fail());
    await until('it has its answer', () => heard.length === 1);
    assert.ok(heard[0]?.type === 'refused' && heard[0].failure.code === 'stream-lost');
    atB.advance(TOKENS);
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('mine'));
    assert.deepEqual(outcomes(a), ['answered']);
  });
});

describe('a link that moves to a better path', () => {
  afterEach(() => world.close());

  it('takes the requests of both sides along without a cut, again and again', async () => {
    world = new World({ cut: (length) => 1 + (length % 60) });
    const [atA, atB] = [engine('manual'), engine('manual')];
    const [a, b] = [world.node(1, atA), world.node(2, atB)];
    [a.ranked, b.ranked] = [[b.id], [a.id]];
    world.connect();
    const clients = Array.from({ length: 12 }, (_, index) => new Client(index % 2 === 0 ? a : b, jobOf(`${index}`)));
    await until('all run', () => atA.running === 6 && atB.running === 6);
    for (let round = 0; round < 5; round += 1) {
      atA.advance(20);
      atB.advance(20);
      a.plane.moveLink(b.id);
      // eslint-disable-next-line no-await-in-loop
      await turns(4 + round);
      // eslint-disable-next-line no-await-in-loop
      await pass(100);
    }
    atA.advance(TOKENS);
    atB.advance(TOKENS);
    await until('all ended', () => clients.every(({ end }) => end !== undefined));
    for (const [index, client] of clients.entries()) {
      assert.equal(client.end?.type, 'ended');
      assert.equal(client.text, undisturbed(`${index}`));
    }
    for (const node of [a, b]) {
      assert.deepEqual(new Set(outcomes(node)), new Set(['answered']));
      assert.equal(outcomes(node).length, 6);
      assert.equal(node.plane.counters().linksLost, 0);
    }
    assert.ok(a.plane.counters().linksOpened >= 6, 'it did move');
  });

  it('is moved by the side that opened it only', async () => {
    const { a, b } = three();
    await until('both have it', () => a.plane.linked().length === 2 && b.plane.linked().length === 2);
    const before = world.wires(a.id, b.id).length;
    a.plane.moveLink(b.id);
    await turns(5);
    assert.equal(world.wires(a.id, b.id).length, before, 'b has the smaller id');
    b.plane.moveLink(a.id);
    await turns(5);
    assert.equal(world.wires(a.id, b.id).length, before + 1);
  });

  it('stays where it is when the better path fails', async () => {
    const { a, b, atB } = three();
    const client = new Client(a, jobOf('stay'));
    await running(atB, 10, client);
    world.down.add(b.id);
    b.plane.moveLink(a.id);
    await turns(5);
    atB.advance(TOKENS);
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('stay'));
    assert.deepEqual(outcomes(a), ['answered']);
  });

  it('leaves no second link behind', async () => {
    const { a, b } = three();
    await until('both have it', () => a.plane.linked().length === 2 && b.plane.linked().length === 2);
    b.plane.moveLink(a.id);
    await turns(10);
    const old = world.wires(a.id, b.id)[0];
    const writes = old?.writes();
    b.plane.carryOut({ type: 'send-heartbeat', to: [a.id] });
    a.plane.carryOut({ type: 'send-heartbeat', to: [b.id] });
    await turns(5);
    assert.equal(old?.writes(), writes, 'nothing is said on the old one');
    assert.throws(() => old?.ends[0].send(Uint8Array.of(1)), /closed/);
  });
});
