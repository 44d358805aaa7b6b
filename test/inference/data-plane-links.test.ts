import assert from 'node:assert/strict';
import { memoryPair } from './memory-stream.ts';
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

describe('the links of a data plane', () => {
  let world = new World();
  afterEach(() => world.close());

  function two(): { a: WorldNode; b: WorldNode } {
    world = new World();
    return { a: world.node(1, engine()), b: world.node(2, engine()) };
  }

  it('are opened by the smaller id, and reopened by it after a break', async () => {
    const { a, b } = two();
    world.connect();
    await until('both have it', () => a.plane.linked().length === 1 && b.plane.linked().length === 1);
    assert.deepEqual(
      world.pairs.map(({ from }) => from),
      [a.id],
    );
    world.pairs[0]?.pair.kill();
    await until('it is gone', () => a.plane.linked().length === 0);
    world.clock.advance(1_000);
    await until('it is back', () => a.plane.linked().length === 1 && b.plane.linked().length === 1);
    assert.deepEqual(
      world.pairs.map(({ from }) => from),
      [a.id, a.id],
    );
  });

  it('are opened by the larger id when it needs one', async () => {
    const { a, b } = two();
    b.plane.connectionOpened(a.id);
    b.plane.carryOut({ type: 'send-heartbeat', to: [a.id] });
    await turns(5);
    assert.equal(world.pairs.length, 0);
    b.ranked = [a.id];
    const client = new Client(b, jobOf('now'));
    await until('it ended', () => client.end !== undefined);
    assert.deepEqual(
      world.pairs.map(({ from }) => from),
      [b.id],
    );
  });

  it('are one after both opened at once, and no request is lost by it', async () => {
    const { a, b } = two();
    [a.ranked, b.ranked] = [[b.id], [a.id]];
    const clients = [new Client(a, jobOf('from a')), new Client(b, jobOf('from b'))];
    world.connect();
    await until('both ended', () => clients.every(({ end }) => end !== undefined));
    for (const client of clients) assert.ok(client.end?.type === 'ended');
    for (const node of [a, b])
      assert.equal(node.inputs.filter(({ type }) => type === 'try-ended').length, 1, 'no second try');
    assert.equal(world.pairs.length, 2);
    await until('one link is left', () => {
      a.plane.carryOut({ type: 'send-heartbeat', to: [b.id] });
      return a.plane.counters().linksOpened === 2 && [a, b].every(({ plane }) => plane.linked().length === 1);
    });
    const before = world.pairs.map(({ pair }) => pair.writes());
    a.plane.carryOut({ type: 'send-heartbeat', to: [b.id] });
    b.plane.carryOut({ type: 'send-heartbeat', to: [a.id] });
    await turns(5);
    const used = world.pairs.map(({ pair }, index) => pair.writes() - (before[index] ?? 0));
    const byA = world.pairs.findIndex(({ from }) => from === a.id);
    assert.deepEqual(used, byA === 0 ? [2, 0] : [0, 2]);
    assert.deepEqual([a.plane.counters().linksLost, b.plane.counters().linksLost], [0, 0]);
  });

  it('carry signs of life and measure the way', async () => {
    const { a, b } = two();
    world.connect();
    await until('both have it', () => a.plane.linked().length === 1 && b.plane.linked().length === 1);
    a.plane.carryOut({ type: 'send-heartbeat', to: [b.id] });
    await until('b heard', () => b.inputs.some(({ type }) => type === 'heard'));
    a.plane.carryOut({ type: 'send-ping', to: b.id });
    await turns(1);
    world.clock.advance(30);
    await until('a has its pong', () => a.inputs.some(({ type }) => type === 'pong-received'));
    const pong = a.inputs.find(({ type }) => type === 'pong-received');
    assert.ok(pong?.type === 'pong-received' && pong.rttMs === 30 && pong.node === b.id);
  });

  it('close on garbage, count it, and do nothing else', async () => {
    const { a, b } = two();
    const pair = memoryPair();
    let closed = '';
    pair.ends[0].listen({
      bytes: () => undefined,
      drained: () => undefined,
      closed: (reason) => {
        closed = reason;
      },
    });
    a.plane.acceptLink(b.id, pair.ends[1]);
    pair.ends[0].send(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await until('it is closed', () => closed !== '');
    const { garbage, violations } = a.plane.counters();
    assert.deepEqual({ garbage, violations }, { garbage: 1, violations: 0 });
    assert.deepEqual(
      a.inputs.map(({ type }) => type),
      ['heard'],
    );
    assert.deepEqual(a.plane.linked(), []);
  });

  it('let a try wait for the connection that is being dialled', async () => {
    const { a, b } = two();
    a.ranked = [b.id];
    const client = new Client(a, jobOf('x'));
    await until('it is asked', () => a.inputs.some(({ type }) => type === 'try-started'));
    world.clock.advance(1_900);
    await turns(5);
    assert.deepEqual([client.end], [undefined]);
    world.connect();
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.end?.type, 'ended');
    assert.equal(a.inputs.filter(({ type }) => type === 'try-started').length, 1);
  });

  it('give a try up when no connection comes in two seconds', async () => {
    const { a } = two();
    a.ranked = [nodeId(7)];
    const client = new Client(a, jobOf('x'));
    for (let round = 0; round < 200 && client.end === undefined; round += 1) {
      // eslint-disable-next-line no-await-in-loop
      await turns(5);
      world.clock.advance(100);
    }
    assert.ok(client.end?.type === 'failed' && client.end.failure.code === 'no-node-available');
    const failures = a.inputs.flatMap((input) =>
      input.type === 'try-ended' && input.outcome.type === 'failed' ? [input.outcome.failure] : [],
    );
    assert.equal(failures[0]?.code, 'stream-lost');
    assert.match(failures[0].message, /no link to the serving node: no connection came in time/);
  });
});

describe('a data plane that stops', () => {
  let world = new World();
  afterEach(() => world.close());

  it('lets what runs finish, and takes nothing new', async () => {
    world = new World();
    const serving = engine('manual');
    const [a, b] = [world.node(1, serving), world.node(2, undefined)];
    [a.ranked, b.ranked] = [[a.id], [a.id]];
    world.connect();
    const client = new Client(b, jobOf('running'));
    await until('it runs', () => serving.running === 1);
    let drained = false;
    const draining = a.plane.drain(5_000).then(() => {
      drained = true;
    });
    const late = new Client(a, jobOf('late'));
    await turns(3);
    assert.ok(late.end?.type === 'failed' && late.end.failure.code === 'draining');
    assert.equal(drained, false);
    serving.advance(TOKENS);
    await draining;
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('running'));
  });

  it('hands over what does not finish in time', async () => {
    world = new World();
    const [atB, atC] = [engine('manual'), engine()];
    const [a, b, c] = [world.node(1, undefined), world.node(2, atB), world.node(3, atC)];
    a.ranked = [b.id, c.id];
    world.connect();
    const client = new Client(a, jobOf('handed over'));
    await until('it runs', () => atB.running === 1);
    atB.advance(20);
    await until('twenty came', () => client.shown === 20);
    const draining = b.plane.drain(1_000);
    world.clock.advance(1_000);
    await draining;
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('handed over'));
    assert.deepEqual(client.servedBy, [b.id, c.id]);
  });
});
