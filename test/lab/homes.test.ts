/**
 * Two machines at two homes, behind two routers, and one public machine: who carries what between them? The nodes only say
 * when they are ready to be asked; the path of an answer is what the kernel counted, on the relay's own interface and
 * between the two homes.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { stopAll, until } from '../e2e/harness.ts';
import { Host, MESH_PORT } from './host.ts';
import { createInternet, type Internet } from './internet.ts';
import { askServer, Mesh } from './mesh.ts';
import { whyNoLaboratory } from './namespace.ts';
import type { NatRules } from './router.ts';
import { ask, newSwarmKey, nodesSeenBy, print, rowOf, untilMet } from './watching.ts';

/** About six characters each: far more bytes than gossip makes meanwhile. */
const TOKENS = 30_000;
/** A few packets more than the gossip of the while that they take. */
const PROBE_TOKENS = 500;
/** What may pass where the answer does not, besides what passes there anyway: beats, and what ICE tries. */
const BESIDES_RATIO_MAX = 0.1;
/** How long gossip alone is measured, for comparison. */
const IDLE_MS = 1_000;
const UPGRADED_MS_MAX = 5_000;
const MET_MS_MAX = 20_000;
/** A TCP connection that is opened, hears 32 bytes of salt and is closed: about 600, with every header. */
const KNOCK_BYTES_MAX = 1_000;

const HOME: NatRules = { nat: 'endpoint-independent' };
const SYMMETRIC: NatRules = { nat: 'symmetric' };
const NO_UDP: NatRules = { nat: 'endpoint-independent', udp: false };

interface Row {
  readonly title: string;
  readonly a: NatRules;
  readonly b: NatRules;
  readonly path: 'direct' | 'relayed';
}

const ROWS: readonly Row[] = [
  { title: 'straight between two usual homes', a: HOME, b: HOME, path: 'direct' },
  { title: 'over the relay when the NAT of one is symmetric', a: HOME, b: SYMMETRIC, path: 'relayed' },
  { title: 'over the relay when both NATs are symmetric', a: SYMMETRIC, b: SYMMETRIC, path: 'relayed' },
  { title: 'over the relay when one has no UDP', a: NO_UDP, b: HOME, path: 'relayed' },
];

describe('two homes and a public node', function () {
  this.timeout(90_000);
  let internet: Internet | undefined;
  let mesh: Mesh;
  let relay: NodeProcess;
  let homes: NodeProcess[] = [];

  before(async function () {
    const why = await whyNoLaboratory();
    if (why !== undefined) {
      process.stdout.write(`      skipped: ${why}\n`);
      this.skip();
    }
    internet = await createInternet();
    mesh = await Mesh.create(internet);
    await mesh.startUpstream();
    relay = await mesh.startRelay(internet.relay);
  });
  afterEach(async () => {
    await Promise.all(homes.splice(0).map(async (node) => node.end('SIGKILL')));
  });
  after(async () => {
    await stopAll();
    await internet?.remove();
  });

  for (const { title, a, b, path } of ROWS)
    it(`send an answer ${title}`, async () => {
      assert.ok(internet);
      await internet.setNats(a, b);
      homes = await Promise.all([
        mesh.startNode(internet.a.host, { args: ['--no-default-model'] }),
        mesh.startServer(0),
      ]);
      const [front, server] = homes;
      assert.ok(front && server);
      const metMs = await untilMet([front, server], MET_MS_MAX);
      const metAtMs = performance.now();
      // The first one goes over whatever is there.
      assert.ok((await askServer(front, 10)).text !== '');
      const firstMs = performance.now() - metAtMs;
      if (path === 'direct') await mesh.untilDirect(async () => askServer(front, PROBE_TOKENS), UPGRADED_MS_MAX * 2);
      const upgradeMs = performance.now() - metAtMs;
      await until('its beacon says that it relays', async () => (await rowOf(relay, front))?.relays === true, 5_000);
      const idle = await mesh.carriedDuring(async () => delay(IDLE_MS));
      const { result, tookMs, relays, direct } = await mesh.carriedDuring(async () => askServer(front, TOKENS));
      const characters = result.text.length;
      const idleBytes = (idle.relays.bytes * tookMs) / idle.tookMs;
      print(
        `${Math.round(characters / 1_000)} kB of text in ${Math.round(tookMs)} ms; relays ${kilobytes(relays)} ` +
          `(${Math.round(idleBytes / 1_000)} kB when idle), between the homes ${kilobytes(direct)}`,
      );
      print(
        `met after ${Math.round(metMs)} ms, first answer ${Math.round(firstMs)} ms later` +
          (path === 'direct' ? `, direct ${Math.round(upgradeMs)} ms after they met` : ''),
      );
      assert.ok(characters > TOKENS * 4, `${characters} characters`);
      const [carrier, other] =
        path === 'direct' ? [direct.bytes, relays.bytes - idleBytes] : [relays.bytes, direct.bytes];
      assert.ok(carrier > characters, `${carrier} bytes for ${characters} characters`);
      assert.ok(other < characters * BESIDES_RATIO_MAX, `${other} bytes went the other way`);
      if (path === 'direct') assert.ok(upgradeMs < UPGRADED_MS_MAX, `direct after ${upgradeMs} ms`);
    });

  it('give nothing to a stranger who knows every address', async () => {
    assert.ok(internet);
    await internet.setNats(HOME, HOME);
    const { b, relay2 } = internet;
    const server = await mesh.startServer(0);
    homes = [server];
    await untilMet([server, relay], MET_MS_MAX);
    const everywhere = [
      `/ip4/${internet.relay.address}/tcp/${MESH_PORT}/p2p/${relay.node}`,
      `/ip4/${internet.relay.address}/tcp/${MESH_PORT}/p2p/${relay.node}/p2p-circuit/p2p/${server.node}`,
      `/ip4/${b.router.address}/tcp/${MESH_PORT}/p2p/${server.node}`,
    ];
    const before = await relay2.traffic();
    const stranger = await mesh.startNode(relay2, {
      keyFile: await newSwarmKey(),
      args: ['--no-default-model', ...everywhere.flatMap((address) => ['--bootstrap', address])],
    });
    homes.push(stranger);
    let knocks = 0;
    await until('the stranger knocked', async () => (knocks = await Host.connectionsOpened(stranger.pid)) >= 3);
    await assert.rejects(ask(stranger), /503 .*no node that offers it can be reached/);
    assert.deepEqual(await nodesSeenBy(stranger), [stranger.node]);
    assert.ok(!(await nodesSeenBy(relay)).includes(stranger.node));
    const after = await relay2.traffic();
    const bytes = after.bytes - before.bytes;
    print(`the stranger knocked ${knocks} times, ${bytes} bytes in and out in all`);
    assert.ok(bytes < knocks * KNOCK_BYTES_MAX, `${bytes} bytes for ${knocks} knocks`);
  });
});

function kilobytes({ bytes, packets }: { readonly bytes: number; readonly packets: number }): string {
  return `${Math.round(bytes / 1_000)} kB in ${packets} packets`;
}
