/**
 * Is the laboratory what it claims to be? Plain sockets, no node: homes let nobody in, one kind of NAT keeps a socket's port
 * and can be punched through, the other cannot, UDP can be shut off, and the bad wire loses, delays and reorders as told.
 */
import assert from 'node:assert/strict';
import type { RemoteInfo, Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Host } from './host.ts';
import { createInternet, type Internet } from './internet.ts';
import { whyNoLaboratory } from './namespace.ts';
import type { NatKind } from './router.ts';
import { print } from './watching.ts';
import { whyNoWire } from './wire.ts';

const ECHO_PORT = 3_478;
const TCP_PORT = 4_000;
/** How long a datagram may take that must arrive, and how long one is waited for that must not. */
const ARRIVES_MS_MAX = 1_500;
const STAYS_OUT_MS = 300;

describe('the laboratory', function () {
  this.timeout(20_000);
  let internet: Internet | undefined;
  let noWire: string | undefined;

  before(async function () {
    const why = await whyNoLaboratory();
    if (why !== undefined) {
      process.stdout.write(`      skipped: ${why}\n`);
      this.skip();
    }
    noWire = await whyNoWire();
    internet = await createInternet({ impairable: noWire === undefined });
    for (const host of [internet.relay, internet.relay2]) {
      // eslint-disable-next-line no-await-in-loop
      const echo = await host.udpSocket(ECHO_PORT);
      echo.on('message', (bytes, { address, port }) =>
        echo.send(bytes.toString() === '?' ? `${address}:${port}` : bytes, port, address),
      );
    }
  });
  after(async () => {
    await internet?.remove();
  });

  it('lets a home call out and nobody in', async () => {
    const { a, relay } = the(internet);
    const [inside, outside] = await Promise.all([a.host.listen(TCP_PORT), relay.listen(TCP_PORT)]);
    const called = once(outside, 'connection');
    const connection = await a.host.connect(relay.address, TCP_PORT);
    await called;
    connection.destroy();
    for (const address of [a.router.address, a.host.address]) {
      const refused = relay.connect(address, TCP_PORT).then(
        () => 'connected',
        (error: unknown) => String(error),
      );
      // eslint-disable-next-line no-await-in-loop
      const outcome = await Promise.race([refused, delay(STAYS_OUT_MS, 'silence')]);
      assert.ok(outcome !== 'connected', `${address} let a stranger in`);
    }
    inside.close();
    outside.close();
  });

  for (const { nat, keeps } of [
    { nat: 'endpoint-independent', keeps: true },
    { nat: 'symmetric', keeps: false },
  ] as const satisfies readonly { nat: NatKind; keeps: boolean }[])
    it(`${keeps ? 'keeps' : 'changes'} the port of a socket from one destination to the next where the NAT is ${nat}`, async () => {
      const { a, relay, relay2 } = the(internet);
      await a.router.setRules({ nat });
      const socket = await a.host.udpSocket();
      const [first, second] = [await seenBy(socket, relay), await seenBy(socket, relay2)];
      assert.ok(first?.startsWith(`${a.router.address}:`), `seen as ${first}`);
      assert.equal(first === second, keeps, `${first} and ${second}`);
      const { packets } = await a.router.trafficWith(relay.address);
      assert.equal(packets, 2);
    });

  for (const { nat, punched } of [
    { nat: 'endpoint-independent', punched: true },
    { nat: 'symmetric', punched: false },
  ] as const satisfies readonly { nat: NatKind; punched: boolean }[])
    it(`${punched ? 'can' : 'cannot'} be punched through when home b has a NAT that is ${nat}`, async () => {
      const { a, b, relay } = the(internet);
      await the(internet).setNats({ nat: 'endpoint-independent' }, { nat });
      const ends = [await a.host.udpSocket(), await b.host.udpSocket()] as const;
      const seen = await Promise.all(ends.map(async (socket) => seenBy(socket, relay)));
      const [toA, toB] = seen.map((text) => /^(.*):(\d+)$/.exec(text ?? ''));
      const arrived = [
        messageFrom(ends[0], b.router.address, ARRIVES_MS_MAX),
        messageFrom(ends[1], a.router.address, ARRIVES_MS_MAX),
      ];
      for (let round = 0; round < 3; round += 1) {
        ends[0].send('punch', Number(toB?.[2]), toB?.[1]);
        ends[1].send('punch', Number(toA?.[2]), toA?.[1]);
        // eslint-disable-next-line no-await-in-loop
        await delay(50);
      }
      const outcomes = await Promise.all(arrived);
      assert.deepEqual(
        outcomes.map((text) => text === 'punch'),
        [punched, punched],
      );
    });

  it('carries TCP and no UDP where UDP is shut off, and both again afterwards', async () => {
    const { a, relay } = the(internet);
    const socket = await a.host.udpSocket();
    await a.router.setRules({ nat: 'endpoint-independent', udp: false });
    assert.equal(await seenBy(socket, relay, STAYS_OUT_MS), undefined);
    const server = await relay.listen(TCP_PORT);
    (await a.host.connect(relay.address, TCP_PORT)).destroy();
    server.close();
    await a.router.setRules({ nat: 'endpoint-independent' });
    assert.ok((await seenBy(socket, relay)) !== undefined);
  });

  it('loses, delays and reorders on the bad wire, and carries whole TCP streams over it', async function () {
    if (noWire !== undefined) {
      process.stdout.write(`      skipped: ${noWire}\n`);
      this.skip();
    }
    const { b, relay, wire } = the(internet);
    assert.ok(wire);
    await b.router.setRules({ nat: 'endpoint-independent' });
    const socket = await b.host.udpSocket();
    const good = await echoes(socket, relay, 200);
    await wire.impair({ lossRatio: 0.1, delayMs: 20, jitterMs: 100 });
    const bad = await echoes(socket, relay, 400);
    const carried = await transfer(b.host, relay, 200_000);
    await wire.impair({ lossRatio: 0, delayMs: 0, jitterMs: 0 });
    print(`good wire: ${good.arrived} of 200 echoes, median ${good.medianMs.toFixed(1)} ms`);
    print(`bad wire: ${bad.arrived} of 400 echoes, median ${bad.medianMs.toFixed(1)} ms, ${bad.overtaken} overtaken`);
    assert.deepEqual([good.arrived, good.overtaken], [200, 0]);
    // There and back: 0.9 * 0.9 of them.
    assert.ok(bad.arrived > 280 && bad.arrived < 365, `${bad.arrived} of 400`);
    assert.ok(bad.medianMs > 100 && bad.medianMs < 250, `${bad.medianMs} ms`);
    assert.ok(bad.overtaken > 50);
    assert.equal(carried, 200_000);
  });
});

/** Where the echo on `host` saw the socket; undefined when nothing came back. */
async function seenBy(socket: Socket, host: Host, waitMs: number = ARRIVES_MS_MAX): Promise<string | undefined> {
  const reply = messageFrom(socket, host.address, waitMs);
  socket.send('?', ECHO_PORT, host.address);
  return reply;
}

interface Echoes {
  readonly arrived: number;
  readonly medianMs: number;
  /** Came after one that was sent later. */
  readonly overtaken: number;
}

async function echoes(socket: Socket, host: Host, count: number): Promise<Echoes> {
  const sentAtMs: number[] = [];
  const tookMs: number[] = [];
  let [latest, overtaken] = [-1, 0];
  const onMessage = (bytes: Buffer): void => {
    const number = Number(bytes.toString());
    tookMs.push(performance.now() - (sentAtMs[number] ?? 0));
    if (number < latest) overtaken += 1;
    latest = Math.max(latest, number);
  };
  socket.on('message', onMessage);
  for (let number = 0; number < count; number += 1) {
    sentAtMs.push(performance.now());
    socket.send(String(number), ECHO_PORT, host.address);
    // eslint-disable-next-line no-await-in-loop
    await delay(2);
  }
  await delay(500);
  socket.off('message', onMessage);
  const sorted = tookMs.toSorted((left, right) => left - right);
  return { arrived: tookMs.length, medianMs: sorted[sorted.length >> 1] ?? Infinity, overtaken };
}

/** Sends that many bytes over TCP; how many of them arrived as they were sent. */
async function transfer(from: Host, to: Host, bytes: number): Promise<number> {
  const server = await to.listen(TCP_PORT);
  const accepted = once(server, 'connection') as Promise<[NodeJS.ReadableStream]>;
  const connection = await from.connect(to.address, TCP_PORT);
  const [incoming] = await accepted;
  connection.end(Buffer.alloc(bytes, 'x'));
  let right = 0;
  for await (const chunk of incoming) for (const byte of chunk as Buffer) if (byte === 0x78) right += 1;
  server.close();
  return right;
}

async function messageFrom(socket: Socket, address: string, waitMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const settle = (text?: string): void => {
      clearTimeout(timer);
      socket.off('message', onMessage);
      resolve(text);
    };
    const onMessage = (bytes: Buffer, from: RemoteInfo): void => {
      if (from.address === address) settle(bytes.toString());
    };
    const timer = setTimeout(settle, waitMs);
    socket.on('message', onMessage);
  });
}

function the(internet: Internet | undefined): Internet {
  assert.ok(internet);
  return internet;
}
