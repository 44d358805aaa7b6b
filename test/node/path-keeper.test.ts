import assert from 'node:assert/strict';
import { PathBeat } from '../../src/discovery/path-beat.ts';
import { LADDER } from '../../src/discovery/path-ladder.ts';
import type { Nat } from '../../src/discovery/reachability.ts';
import type { PathKind } from '../../src/discovery/transports.ts';
import { type NodeId, parseNodeId } from '../../src/ids.ts';
import type { PlaneClock } from '../../src/inference/alarm.ts';
import type { DialResult, NetworkPath, NetworkStream } from '../../src/node/network.ts';
import { BEAT_PROTOCOL, PathKeeper } from '../../src/node/path-keeper.io.ts';
import { Prng } from '../../src/prng.ts';

function nodeId(digit: number): NodeId {
  return parseNodeId(`12D3KooW${`${digit}`.repeat(44)}`) ?? assert.fail();
}

const [SELF, OTHER] = [nodeId(1), nodeId(2)];
const RELAYED = `/ip4/11.0.0.10/tcp/4001/p2p/${nodeId(9)}/p2p-circuit`;

/** One end of a stream; what is sent is kept, and the other side speaks through `say`. */
class FakeStream {
  status = 'open';
  readonly writableNeedsDrain = false;
  readonly sent: Uint8Array[] = [];
  aborted = '';
  readonly #listeners: ((event: { readonly data: Uint8Array }) => void)[] = [];

  send(bytes: Uint8Array): boolean {
    this.sent.push(bytes);
    return true;
  }

  abort(error: Error): void {
    this.status = 'aborted';
    this.aborted = error.message;
  }

  addEventListener(type: string, listener: (event: { readonly data: Uint8Array }) => void): void {
    if (type === 'message') this.#listeners.push(listener);
  }

  say(data: Uint8Array): void {
    for (const listener of this.#listeners) listener({ data });
  }
}

class HandClock implements PlaneClock {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly call: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, call: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  soon(call: () => void): void {
    call();
  }

  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const [due] = this.#timers.filter(({ atMs }) => atMs <= untilMs).toSorted((one, two) => one.atMs - two.atMs);
      if (due === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.call();
    }
    this.#nowMs = untilMs;
  }
}

/** A keeper on a network that does nothing by itself. */
class Bench {
  readonly clock = new HandClock();
  readonly dials: { readonly kind: PathKind; readonly addresses: readonly string[] }[] = [];
  readonly closed: string[] = [];
  readonly moved: NodeId[] = [];
  readonly heard: NodeId[] = [];
  readonly streams = new Map<string, FakeStream>();
  readonly keeper: PathKeeper;
  known: readonly string[] = [];
  isBusy = false;
  ownNat: Nat = 'none';
  dialResult: DialResult = { type: 'failed', address: '', reason: 'nobody there' };
  accept: (stream: NetworkStream, from: NodeId, path: string) => void | Promise<void> = () => assert.fail();

  constructor(self = SELF) {
    this.keeper = new PathKeeper({
      self,
      clock: this.clock,
      prng: new Prng('keeper'),
      addressesOf: () => this.known,
      ownNat: () => this.ownNat,
      busy: () => new Set(this.isBusy ? [OTHER] : []),
      heard: (node) => this.heard.push(node),
      moveLink: (node) => this.moved.push(node),
      onProblem: () => undefined,
    });
  }

  async attach(): Promise<this> {
    await this.keeper.attach({
      node: SELF,
      paths: () => [],
      dialPath: async (_, kind, addresses) => {
        this.dials.push({ kind, addresses });
        return Promise.resolve(this.dialResult);
      },
      closePath: (path) => {
        this.closed.push(path);
        this.keeper.pathClosed({ id: path, node: OTHER });
      },
      openStream: async (...[, protocol, , path = '']) => {
        assert.equal(protocol, BEAT_PROTOCOL);
        const stream = new FakeStream();
        this.streams.set(path, stream);
        return Promise.resolve(stream as unknown as NetworkStream);
      },
      handle: async (_, handler) => {
        this.accept = handler;
        return Promise.resolve();
      },
    });
    return this;
  }

  async opened(id: string, kind: PathKind, direction: 'inbound' | 'outbound' = 'outbound'): Promise<void> {
    const address = kind === 'relayed' ? RELAYED : '/ip4/192.168.1.2/tcp/4001';
    const facts = { relay: undefined, isLimited: false, openedAtMs: this.clock.nowMs(), rttMs: 10 };
    const path: NetworkPath = { id, node: OTHER, kind, address, direction, ...facts };
    this.keeper.pathOpened(path);
    await turn();
  }

  beat(path: string, nat: Nat = 'none'): void {
    this.streams.get(path)?.say(new PathBeat().beat(nat, 0));
  }

  /** Time passes in small steps, in which these paths beat. */
  async pass(ms: number, ...alive: string[]): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += 100) {
      this.clock.advance(100);
      for (const path of alive) this.beat(path);
      // eslint-disable-next-line no-await-in-loop
      await turn();
    }
  }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe('the keeper of paths', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await new Bench().attach();
  });
  afterEach(() => bench.keeper.stop());

  it('costs a single path nothing: no stream, no beat, no dial', async () => {
    await bench.opened('only', 'lan');
    await bench.pass(60_000);
    assert.equal(bench.streams.size, 0);
    assert.deepEqual(bench.dials, []);
    assert.equal(bench.keeper.preferred(OTHER), 'only');
  });

  it('beats on every path that it dialled while there are several, more often while requests run or one is new', async () => {
    await bench.opened('one', 'lan');
    await bench.opened('two', 'relayed');
    await bench.opened('theirs', 'tcp', 'inbound');
    assert.deepEqual([...bench.streams.keys()].toSorted(), ['one', 'two']);
    const count = (): number => bench.streams.get('one')?.sent.filter(([kind]) => kind === 1).length ?? 0;
    await bench.pass(LADDER.hurryMs, 'one', 'two', 'theirs');
    const hurried = count();
    assert.ok(hurried >= 5 && hurried <= 8, `${hurried} beats in the 3 s behind a new path`);
    await bench.pass(3_000, 'one', 'two', 'theirs');
    const idle = count() - hurried;
    bench.isBusy = true;
    await bench.pass(3_000, 'one', 'two', 'theirs');
    const busy = count() - hurried - idle;
    assert.ok(idle >= 1 && idle <= 2, `${idle} idle beats in 3 s`);
    assert.ok(busy >= 3 && busy <= 7, `${busy} beats in 3 s with requests`);
  });

  it('echoes what the other side beats, tells the core, and learns its NAT', async () => {
    await bench.opened('one', 'relayed');
    await bench.opened('theirs', 'tcp', 'inbound');
    const stream = new FakeStream();
    void bench.accept(stream as unknown as NetworkStream, OTHER, 'theirs');
    stream.say(new PathBeat().beat('symmetric', 0));
    assert.equal(stream.sent.filter(([kind]) => kind === 2).length, 1);
    assert.deepEqual(bench.heard, [OTHER]);
    assert.equal(bench.keeper.natOf(OTHER), 'symmetric');
  });

  it('ends a stream that carries anything else, or belongs to no path', async () => {
    await bench.opened('theirs', 'tcp', 'inbound');
    const stream = new FakeStream();
    void bench.accept(stream as unknown as NetworkStream, OTHER, 'theirs');
    stream.say(Buffer.from('GET / HTTP/1.1'));
    assert.equal(stream.aborted, 'not a beat');
    const unknown = new FakeStream();
    void bench.accept(unknown as unknown as NetworkStream, OTHER, 'elsewhere');
    assert.equal(unknown.aborted, 'no such path');
  });

  it('moves the link to a better path, and off a silent one', async () => {
    await bench.opened('relayed', 'relayed');
    bench.keeper.linkOpened(OTHER, 'relayed', 'us');
    bench.isBusy = true;
    await bench.opened('direct', 'webrtc');
    await bench.pass(1_000, 'relayed');
    assert.deepEqual(bench.moved, [], 'nothing was heard on it yet');
    await bench.pass(1_000, 'relayed', 'direct');
    assert.equal(bench.keeper.preferred(OTHER), 'direct');
    assert.ok(bench.moved.length > 0);
    bench.keeper.linkOpened(OTHER, 'direct', 'us');
    const before = bench.moved.length;
    await bench.pass(3_000, 'relayed', 'direct');
    assert.equal(bench.moved.length, before, 'it is where it should be');
    await bench.pass(2_500, 'relayed');
    assert.equal(bench.keeper.preferred(OTHER), 'relayed');
    assert.ok(bench.moved.length > before);
  });

  it('asks again for a move that did not come about, at most once a second', async () => {
    await bench.opened('relayed', 'relayed');
    bench.keeper.linkOpened(OTHER, 'relayed', 'us');
    await bench.opened('direct', 'tcp');
    await bench.pass(5_000, 'relayed', 'direct');
    assert.ok(bench.moved.length >= 3 && bench.moved.length <= 6, `${bench.moved.length} moves in 5 s`);
  });

  it('closes a path that is open and never heard', async () => {
    await bench.opened('relayed', 'relayed');
    await bench.opened('ghost', 'webrtc');
    await bench.pass(LADDER.believeMs + 200, 'relayed');
    assert.deepEqual(bench.closed, ['ghost']);
    assert.equal(bench.keeper.preferred(OTHER), 'relayed');
  });

  it('counts what the link brings as a sign of life', async () => {
    await bench.opened('relayed', 'relayed');
    await bench.opened('direct', 'tcp');
    await bench.pass(1_000, 'relayed', 'direct');
    for (let passedMs = 0; passedMs < 20_000; passedMs += 100) {
      bench.keeper.heard(OTHER, 'direct');
      // eslint-disable-next-line no-await-in-loop
      await bench.pass(100, 'relayed');
    }
    assert.equal(bench.keeper.preferred(OTHER), 'direct');
    assert.ok(!bench.closed.includes('direct'));
  });

  it('dials what may lead to a better path, and no loopback of another machine', async () => {
    bench.known = ['/ip4/127.0.0.1/tcp/4001', '/ip4/192.168.1.2/tcp/4001', RELAYED];
    await bench.opened('relayed', 'relayed');
    assert.deepEqual(bench.dials, [
      { kind: 'lan', addresses: ['/ip4/192.168.1.2/tcp/4001'] },
      { kind: 'webrtc', addresses: [RELAYED] },
    ]);
    await bench.pass(1_500);
    const before = bench.dials.length;
    bench.keeper.networkChanged([]);
    await bench.pass(1_500);
    assert.ok(bench.dials.length >= before + 2, 'all again in another network');
  });
});
