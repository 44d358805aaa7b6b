/**
 * Requests between two members whose paths come and go, over real connections on loopback: a relay, plain TCP and WebRTC.
 * The answer is compared letter by letter with what an undisturbed engine says, and the tries are counted.
 */
import assert from 'node:assert/strict';
import type { NodeId } from '../../src/ids.ts';
import { createDataPlane, type DataPlane, LINK_PROTOCOL } from '../../src/inference/data-plane.io.ts';
import { overMessageStream } from '../../src/inference/link.io.ts';
import type { ScriptedEngine } from '../../src/inference/scripted.ts';
import { Clock, timersOf } from '../../src/node/clock.io.ts';
import type { Input } from '../../src/node/events.ts';
import { LinkPaths } from '../../src/node/link-paths.io.ts';
import type { NetworkEvents } from '../../src/node/network.ts';
import { Prng } from '../../src/prng.ts';
import { Client, TOKENS, type WorldNode, engine, jobOf, undisturbed } from '../inference/plane-world.ts';
import { type LoopbackNode, LoopbackSwarm, testKey } from './loopback.ts';

const KEY = testKey(1);

/** Channels of WebRTC sometimes hold a process in which nothing is open any more. The last hook of the last file. */
after(() => {
  setTimeout(() => process.exit(), 2_000).unref();
});

/** A node's network with links, paths and requests on it; placement is a fixed list. */
class Roaming {
  readonly inputs: Input[] = [];
  readonly plane: DataPlane;
  readonly paths: LinkPaths;
  readonly worldNode: WorldNode;
  loopback!: LoopbackNode;
  known: readonly string[] = [];
  ranked: readonly NodeId[] = [];

  constructor(id: () => NodeId, self: NodeId, serving: ScriptedEngine | undefined) {
    const clock = timersOf(new Clock());
    this.plane = createDataPlane({
      self,
      clock,
      engineFor: () => serving,
      openLink: async (node, signal) => this.paths.openLink(node, signal),
      redial: async (node) => this.paths.redial(node),
      report: (input) => this.#mesh(input),
    });
    this.paths = new LinkPaths({
      self,
      clock,
      prng: new Prng(id()),
      protocol: LINK_PROTOCOL,
      over: overMessageStream,
      addressesOf: () => this.known,
      plane: () => this.plane,
      heard: () => undefined,
      onProblem: () => undefined,
    });
    // The client of the data plane's own tests asks for no more than the plane.
    this.worldNode = { plane: this.plane } as unknown as WorldNode;
  }

  outcomes(): string[] {
    return this.inputs.flatMap((input) => (input.type === 'try-ended' ? [input.outcome.type] : []));
  }

  kinds(node: NodeId): string[] {
    return this.loopback.network.paths(node).map(({ kind }) => kind);
  }

  #mesh(input: Input): void {
    this.inputs.push(input);
    if (input.type === 'open-received')
      this.plane.carryOut({ type: 'serve', from: input.from, requestId: input.requestId });
    if (input.type !== 'request-arrived') return;
    const plan = { ranked: this.ranked, levelMs: 60_000, explain: undefined };
    this.plane.carryOut({ type: 'dispatch', requestId: input.requestId, plan } as unknown as Parameters<
      DataPlane['carryOut']
    >[0]);
  }
}

async function until(what: string, condition: () => boolean, limitMs = 8_000): Promise<void> {
  const endsAtMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endsAtMs) assert.fail(`gave up waiting until ${what}`);
    // eslint-disable-next-line no-await-in-loop
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

describe('requests between two members whose paths change', function () {
  this.timeout(20_000);
  const swarm = new LoopbackSwarm();
  const roamers: Roaming[] = [];
  afterEach(async () => {
    for (const { paths, plane } of roamers.splice(0)) {
      paths.stop();
      plane.close();
    }
    await swarm.stop();
  });

  async function roaming(serving: ScriptedEngine | undefined, webrtc: boolean): Promise<Roaming> {
    // Made in two steps: the network calls what needs the network's id.
    let roamer: Roaming | undefined;
    const events: Partial<NetworkEvents> = {
      onMember: (node) => roamer?.plane.connectionOpened(node),
      onMemberLost: (node) => roamer?.plane.connectionLost(node),
      onPathOpened: (path) => roamer?.paths.events().onPathOpened?.(path),
      onPathClosed: (path) => roamer?.paths.events().onPathClosed?.(path),
    };
    const loopback = await swarm.start(KEY, { reach: { relay: 'off', webrtc } }, events);
    roamer = new Roaming(() => loopback.id, loopback.id, serving);
    roamer.loopback = loopback;
    await roamer.paths.attach(loopback.network);
    roamers.push(roamer);
    return roamer;
  }

  /** `a` asks `b`, whom it reaches over a relay only, with an answer under way. */
  async function relayed(webrtc = false): Promise<{ a: Roaming; b: Roaming; atB: ScriptedEngine; client: Client }> {
    const atB = engine('manual');
    const [a, b] = [await roaming(undefined, webrtc), await roaming(atB, webrtc)];
    const relay = await swarm.start(KEY, { reach: { relay: 'on', webrtc: false } });
    await Promise.all([swarm.connect(a.loopback, relay), swarm.connect(b.loopback, relay)]);
    const [atRelayA, atRelayB] = [await a.loopback.untilRelayed(relay), await b.loopback.untilRelayed(relay)];
    [a.known, b.known] = [[atRelayB], [atRelayA]];
    a.ranked = [b.loopback.id];
    const result = await a.loopback.network.dial(b.loopback.id, [atRelayB]);
    assert.equal(result.type, 'connected');
    const client = new Client(a.worldNode, jobOf('on the road'));
    await until('it runs', () => atB.running === 1);
    atB.advance(10);
    await until('ten came', () => client.shown === 10);
    return { a, b, atB, client };
  }

  async function finish(atB: ScriptedEngine, a: Roaming, client: Client): Promise<void> {
    atB.advance(TOKENS);
    await until('it ended', () => client.end !== undefined);
    assert.equal(client.text, undisturbed('on the road'));
    assert.deepEqual(a.outcomes(), ['answered']);
  }

  it('begin over the relay, move to plain TCP when that is known, and back when it breaks', async () => {
    const { a, b, atB, client } = await relayed();
    assert.deepEqual(a.kinds(b.loopback.id), ['relayed']);
    a.known = [...a.known, `${b.loopback.address}/p2p/${b.loopback.id}`];
    b.known = [...b.known, `${a.loopback.address}/p2p/${a.loopback.id}`];
    await until('both are on two paths', () => a.kinds(b.loopback.id).length === 2, 15_000);
    const smaller = a.loopback.id < b.loopback.id ? a : b;
    await until('the link moved', () => smaller.plane.counters().linksOpened >= 2);
    atB.advance(10);
    await until('twenty came', () => client.shown === 20);
    const direct = a.loopback.network.paths(b.loopback.id).find(({ kind }) => kind === 'lan');
    assert.ok(direct !== undefined && a.kinds(b.loopback.id).includes('relayed'));
    a.loopback.network.closePath(direct.id, 'the cable was pulled');
    await until('it is gone', () => a.kinds(b.loopback.id).every((kind) => kind === 'relayed'));
    atB.advance(10);
    await until('thirty came', () => client.shown === 30);
    await finish(atB, a, client);
  });

  it('move to WebRTC within five seconds, with the relayed path kept beside it', async () => {
    const startedAtMs = performance.now();
    const { a, b, atB, client } = await relayed(true);
    await until('there is a direct path', () => a.kinds(b.loopback.id).includes('webrtc'), 5_000);
    const smaller = a.loopback.id < b.loopback.id ? a : b;
    const larger = smaller === a ? b : a;
    const webrtc = (): string | undefined =>
      smaller.loopback.network.paths(larger.loopback.id).find(({ kind }) => kind === 'webrtc')?.id;
    await until('it is preferred', () => smaller.paths.keeper.preferred(larger.loopback.id) === webrtc());
    assert.ok(performance.now() - startedAtMs < 10_000);
    atB.advance(10);
    await until('twenty came', () => client.shown === 20);
    assert.ok(a.kinds(b.loopback.id).includes('relayed'));
    await finish(atB, a, client);
  });

  it('go on when the only connection is lost and the node is reached again', async () => {
    const { a, b, atB, client } = await relayed();
    for (const { id } of a.loopback.network.paths(b.loopback.id)) a.loopback.network.closePath(id, 'the relay is gone');
    await until('it is back', () => a.kinds(b.loopback.id).length === 1);
    await finish(atB, a, client);
  });
});
