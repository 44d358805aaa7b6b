/**
 * What becomes of two homes when something between them breaks: the relay that carries their answer dies, a line is cut
 * and comes back, a provider gives another address, every machine they started from is gone, one of them sleeps. Nobody
 * is restarted unless the case says so; all times are measured and printed.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { stopAll, until } from '../e2e/harness.ts';
import type { Host } from './host.ts';
import { createInternet, type Internet } from './internet.ts';
import { addressOf, askServer, Mesh, untilAnswered } from './mesh.ts';
import { whyNoLaboratory } from './namespace.ts';
import type { NatRules } from './router.ts';
import { type Answer, isAlive, print, untilMet } from './watching.ts';

/** 10 s of text: long enough to disturb it. */
const TOKENS = 200;
const TOKENS_PER_SECOND = 20;
const FRONT = ['--no-default-model'];
const HOME: NatRules = { nat: 'endpoint-independent' };
const SYMMETRIC: NatRules = { nat: 'symmetric' };
const MET_MS_MAX = 20_000;
const REJOINED_MS_MAX = 5_000;
/** What a person takes for a pause and not for an end. */
const GAP_MS_MAX = 8_000;

interface Relay {
  readonly host: Host;
  readonly node: NodeProcess;
}

describe('two homes whose network is disturbed', function () {
  this.timeout(90_000);
  let internet: Internet;
  let mesh: Mesh;
  let relays: Relay[] = [];
  let front: NodeProcess;
  let server: NodeProcess;
  let undisturbed: string;

  before(async function () {
    const why = await whyNoLaboratory();
    if (why !== undefined) {
      process.stdout.write(`      skipped: ${why}\n`);
      this.skip();
    }
    internet = await createInternet();
    mesh = await Mesh.create(internet);
    await internet.setNats(SYMMETRIC, SYMMETRIC);
    await mesh.startUpstream();
    relays = [await startRelay(internet.relay), await startRelay(internet.relay2)];
    [front, server] = await Promise.all([
      mesh.startNode(internet.a.host, { args: FRONT }),
      mesh.startServer(TOKENS_PER_SECOND),
    ]);
    await untilMet([front, server, ...relays.map(({ node }) => node)], MET_MS_MAX);
    undisturbed = (await askServer(front, TOKENS)).text;
    assert.ok(undisturbed.length > 200);
  });
  after(async () => {
    await stopAll();
    await internet?.remove();
  });

  async function startRelay(host: Host): Promise<Relay> {
    return { host, node: await mesh.startRelay(host) };
  }

  /** Asks, and does something to the network when a quarter of the text is there. */
  async function askWhile(disturb: () => Promise<void>): Promise<Answer> {
    let disturbed: Promise<void> | undefined;
    const answer = await askServer(front, TOKENS, async (text) => {
      if (text.length >= undisturbed.length / 4) disturbed ??= disturb();
    });
    assert.ok(disturbed !== undefined, 'the answer was disturbed');
    await disturbed;
    assert.equal(answer.text, undisturbed);
    assert.ok(answer.longestGapMs < GAP_MS_MAX, `the client waited ${answer.longestGapMs} ms`);
    return answer;
  }

  /** The relay through which an answer passes that runs now; the others carry gossip. */
  async function carrier(): Promise<Relay> {
    const before = await Promise.all(relays.map(async ({ host }) => host.traffic()));
    await delay(1_000);
    const after = await Promise.all(relays.map(async ({ host }) => host.traffic()));
    const packets = after.map((one, index) => one.packets - (before[index]?.packets ?? 0));
    const [most = 0, second = 0] = packets.toSorted((left, right) => right - left);
    print(`packets through the relays in a second: ${packets.join(' and ')}`);
    assert.ok(most > second + TOKENS_PER_SECOND, 'one relay carries the answer');
    const found = relays[packets.indexOf(most)];
    assert.ok(found);
    return found;
  }

  it('goes on with an answer when the relay that carries it dies', async () => {
    let dead: Relay | undefined;
    const { longestGapMs } = await askWhile(async () => {
      dead = await carrier();
      await dead.node.end('SIGKILL');
    });
    print(`relay killed: longest gap in the text ${longestGapMs} ms`);
    assert.ok(dead);
    const { host } = dead;
    relays = [...relays.filter((relay) => relay.host !== host), await startRelay(host)];
    await untilMet([front, server, ...relays.map(({ node }) => node)], MET_MS_MAX);
  });

  it('goes on with an answer when the line of the serving home is cut for two seconds', async () => {
    const { host } = internet.b;
    const { longestGapMs } = await askWhile(async () => {
      await host.plug('down');
      await delay(2_000);
      await host.plug('up');
    });
    print(`line cut for 2 s: longest gap in the text ${longestGapMs} ms`);
  });

  it('finds the home again whose provider gave it another address', async () => {
    await internet.b.router.moveTo('11.0.0.22');
    const backMs = await untilBack();
    print(`public address changed: asked and answered again after ${Math.round(backMs)} ms`);
    assert.ok(backMs < REJOINED_MS_MAX, `${backMs} ms`);
  });

  it('finds the machine again whose own address changed', async () => {
    // A connection replaces an older one of the same side only if that is two seconds old: one change a time.
    await delay(3_000);
    await internet.b.host.moveTo('192.168.2.3/24');
    const backMs = await untilBack();
    print(`own address changed: asked and answered again after ${Math.round(backMs)} ms`);
    assert.ok(backMs < REJOINED_MS_MAX, `${backMs} ms`);
  });

  it('takes back a machine that slept', async () => {
    server.signal('SIGSTOP');
    const suspectMs = await until('it is suspect', async () => !(await isAlive(server, front)), 10_000);
    await delay(4_000);
    server.signal('SIGCONT');
    const backMs = await untilBack();
    print(`asleep: suspect after ${Math.round(suspectMs)} ms; awake: answers again after ${Math.round(backMs)} ms`);
    assert.ok(backMs < REJOINED_MS_MAX, `${backMs} ms`);
  });

  it('comes back after a restart although every machine that it was told to start from is gone', async () => {
    await internet.setNats(HOME, HOME);
    const [first, second] = relays;
    assert.ok(first && second);
    // Knows one relay from its command line, and what it was told by gossip.
    await front.end('SIGKILL');
    const again = { args: FRONT, home: front.home, bootstraps: [addressOf(first)] };
    front = await mesh.startNode(internet.a.host, again);
    await untilMet([front, server, second.node], MET_MS_MAX);
    await front.end('SIGTERM');
    await first.node.end('SIGKILL');
    front = await mesh.startNode(internet.a.host, again);
    const backMs = await untilMet([front, server, second.node], MET_MS_MAX);
    assert.equal((await askServer(front, TOKENS)).text, undisturbed);
    print(`no bootstrap left: met the others ${Math.round(backMs)} ms after the start`);
  });

  /** Until a question is answered, from now on: what was asked before the change was noticed may be refused. */
  async function untilBack(): Promise<number> {
    return untilAnswered(front, 30_000);
  }
});
