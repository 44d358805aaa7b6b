/**
 * What happens to a mesh on a real network: machines that know nothing of each other meet, cables are pulled, processes
 * stand still, addresses change. One LAN of network namespaces, three real nodes, all times measured and printed.
 */
import assert from 'node:assert/strict';
import { LIVENESS } from '../../src/params.ts';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { stopAll, until } from '../e2e/harness.ts';
import { Host, MESH_PORT } from './host.ts';
import { createLan, type Lan, lanAddress } from './lan.ts';
import { whyNoLaboratory } from './namespace.ts';
import {
  addressSeenBy,
  ask,
  fullStatusOf,
  isAlive,
  newSwarmKey,
  nodesSeenBy,
  print,
  theOne,
  triesOf,
  untilMet,
} from './watching.ts';

/** About 10 s for the default model's text: long enough to disturb it. */
const SERVING = ['--tokens-per-second-max', '20'];
/** Source: requirement. */
const REJOINED_MS_MAX = 5_000;

describe('three machines on one LAN', function () {
  this.timeout(60_000);
  let lan: Lan | undefined;
  let front: NodeProcess;
  let undisturbed: string;
  /** The two that serve, with the host that each runs in. */
  let serving: { readonly node: NodeProcess; readonly host: Host }[] = [];
  let keyFile: string;

  before(async function () {
    const why = await whyNoLaboratory();
    if (why !== undefined) {
      process.stdout.write(`      skipped: ${why}\n`);
      this.skip();
    }
    lan = await createLan(4);
    keyFile = await newSwarmKey();
  });
  after(async () => {
    await stopAll();
    await lan?.remove();
  });

  it('find each other by mDNS alone, and the one without a model answers; another swarm on the same LAN gets nothing', async () => {
    const [hostA, hostB, , hostD] = hostsOf(lan);
    // It even knows where to knock.
    const knocking = ['--no-default-model', '--bootstrap', `/ip4/${hostA.address}/tcp/${MESH_PORT}`];
    const [stranger, server] = await Promise.all([
      hostD.startNode({ args: ['--swarm-key-file', await newSwarmKey(), ...knocking] }),
      hostB.startNode({ args: ['--swarm-key-file', keyFile] }),
    ]);
    front = await hostA.startNode({ args: ['--swarm-key-file', keyFile, '--no-default-model'] });
    const metAfterMs = await untilMet([front, server], 10_000);
    const answer = await ask(front);
    assert.equal(answer.node, server.node);
    assert.ok(answer.text.length > 200);
    undisturbed = answer.text;
    print(`met by mDNS ${Math.round(metAfterMs)} ms after the second node was ready`);

    await until('the stranger knocked', async () => (await Host.connectionsOpened(stranger.pid)) > 0);
    assert.deepEqual(await nodesSeenBy(stranger), [stranger.node]);
    assert.deepEqual(await nodesSeenBy(front), [front.node, server.node].toSorted());
    // It knows of a mesh and has heard nobody of it: nothing exists that it could be told of.
    await assert.rejects(ask(stranger), /503 .*no node that offers it can be reached/);
    const { packets } = await hostD.traffic();
    assert.ok(packets > 0, 'the stranger was on the LAN');
    await Promise.all([stranger, server].map(async (node) => node.end('SIGKILL')));
  });

  it('go on with an answer when the cable of the serving machine is pulled, and take it back afterwards', async () => {
    const hosts = hostsOf(lan).slice(1, 3);
    serving = await Promise.all(
      hosts.map(async (host) => ({
        host,
        node: await host.startNode({ args: ['--swarm-key-file', keyFile, ...SERVING] }),
      })),
    );
    await untilMet([front, ...serving.map(({ node }) => node)], 15_000);
    let suspectedAfterMs: Promise<number> | undefined;
    const answer = await ask(front, async (text, node) => {
      if (suspectedAfterMs !== undefined || text.length < undisturbed.length / 4) return;
      const victim = theOne(serving, node);
      suspectedAfterMs = victim.host
        .plug('down')
        .then(async () =>
          until('the silent node is suspect', async () => !(await isAlive(victim.node, front)), 10_000),
        );
    });
    const silentMs = await suspectedAfterMs;
    assert.ok(silentMs !== undefined, 'the cable was pulled');
    assert.equal(answer.text, undisturbed);
    assert.ok(answer.longestGapMs < 8_000, `the client waited ${answer.longestGapMs} ms`);
    const victim = theOne(serving, answer.node);
    await victim.host.plug('up');
    const backMs = await untilMet([front, ...serving.map(({ node }) => node)], 15_000);
    print(`cable pulled: suspect after ${Math.round(silentMs)} ms, longest gap in the text ${answer.longestGapMs} ms`);
    print(`cable back: everybody alive and connected after ${Math.round(backMs)} ms`);
    assert.ok(silentMs < 3_500, `suspect after ${silentMs} ms`);
  });

  it('go on with an answer when the serving process stands still, and are not disturbed when it wakes', async () => {
    let stoppedAtMs = 0;
    let wokenAtMs = 0;
    const answer = await ask(front, async (text, node) => {
      const { node: victim } = theOne(serving, node);
      if (stoppedAtMs === 0 && text.length >= undisturbed.length / 4) {
        stoppedAtMs = performance.now();
        victim.signal('SIGSTOP');
      } else if (stoppedAtMs > 0 && wokenAtMs === 0 && performance.now() - stoppedAtMs > LIVENESS.suspectAfterMs) {
        // The text grew again: another node goes on. Everything the first one still has to say comes late now.
        wokenAtMs = performance.now();
        victim.signal('SIGCONT');
      }
    });
    assert.ok(wokenAtMs > 0, 'the process was stopped and woken while the answer ran');
    assert.equal(answer.text, undisturbed);
    assert.ok(answer.longestGapMs < 8_000, `the client waited ${answer.longestGapMs} ms`);
    const victim = theOne(serving, answer.node);
    const endedAtMs = performance.now();
    await untilMet([front, ...serving.map(({ node }) => node)], 15_000);
    await until('nothing is served any more', async () => (await fullStatusOf(victim.node)).requests.length === 0);
    const tries = await triesOf(front, answer.requestId);
    assert.deepEqual(
      tries.map(({ outcome }) => outcome),
      ['failed', 'answered'],
    );
    const { counters } = await fullStatusOf(front);
    assert.deepEqual(
      { garbage: counters['garbage'], violations: counters['violations'] },
      { garbage: 0, violations: 0 },
    );
    print(
      `process stopped: longest gap in the text ${answer.longestGapMs} ms, ${tries.map(({ tokens }) => tokens).join(' + ')} tokens`,
    );
    print(`process woken: everybody alive ${Math.round(performance.now() - endedAtMs)} ms after the end of the answer`);
  });

  it('find a machine again whose address changed', async () => {
    const [moved, other] = serving;
    assert.ok(moved && other);
    await moved.host.moveTo(lanAddress(77));
    const movedAtMs = performance.now();
    // So soon that nobody need have suspected it: that everybody speaks with it at its new address is what tells.
    const expected = `/ip4/${moved.host.address}/tcp/`;
    await until(
      'everybody knows the new address',
      async () =>
        (await Promise.all([front, other.node].map(async (node) => addressSeenBy(node, moved.node)))).every((address) =>
          address.startsWith(expected),
        ),
      30_000,
    );
    await untilMet([front, moved.node, other.node], 30_000);
    const backMs = performance.now() - movedAtMs;
    assert.ok(backMs < REJOINED_MS_MAX, `${backMs} ms`);
    await other.node.end('SIGKILL');
    assert.equal((await ask(front)).node, moved.node.node);
    print(`address changed: everybody alive and connected ${Math.round(backMs)} ms after the change`);
  });
});

function hostsOf(lan: Lan | undefined): [Host, Host, Host, Host] {
  const [a, b, c, d] = lan?.hosts ?? [];
  assert.ok(a && b && c && d);
  return [a, b, c, d];
}
