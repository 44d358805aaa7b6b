/** The owner's word between real nodes on loopback: it spreads, it is kept, and what is older never wins. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fingerprintsOf, ringOf } from '../../src/discovery/key-ring.ts';
import { signOrder } from '../../src/discovery/rotation.ts';
import { signTrustList, type TrustList } from '../../src/discovery/trust-list.ts';
import { encodeTrustMessage, TRUST_PROTOCOL, trustMessage } from '../../src/discovery/trust-message.ts';
import { isRevoked, trustListOf } from '../../src/discovery/trust-state.ts';
import type { NodeId } from '../../src/ids.ts';
import { createIdentity, type Identity } from '../../src/node/identity.io.ts';
import { createLogger } from '../../src/node/telemetry.io.ts';
import { openTrustDesk, type TrustDesk } from '../../src/node/trust-desk.io.ts';
import { type LoopbackNode, LoopbackSwarm, testKey } from './loopback.ts';

const [KEY, NEW] = [testKey(1), testKey(2)];

interface Place {
  readonly desk: TrustDesk;
  readonly node: LoopbackNode;
  readonly identity: Identity;
  readonly home: string;
  readonly said: () => string;
}

async function say({ desk }: Place, ...lists: readonly Uint8Array[]): Promise<unknown> {
  return desk.offer({ lists, certificates: [] }, undefined);
}

async function until(condition: () => boolean): Promise<void> {
  // eslint-disable-next-line no-await-in-loop
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function order({ node, sign }: Pick<Identity, 'node' | 'sign'>, round: number): Uint8Array {
  return signOrder({ author: node, round, step: 'stage', key: NEW }, sign).bytes;
}

function signedBy(signer: Identity): Uint8Array {
  return order({ node: signer.node, sign: (bytes) => signer.sign(bytes) }, 1);
}

describe('the trust desks of nodes', function () {
  this.timeout(20_000);
  const swarm = new LoopbackSwarm();
  const homes: string[] = [];
  const desks: TrustDesk[] = [];
  const places: Place[] = [];
  let owner: Identity;

  beforeEach(async () => {
    owner = await createIdentity();
  });
  afterEach(async () => {
    await Promise.all(desks.splice(0).map(async (desk) => desk.stop()));
    places.length = 0;
    await swarm.stop();
    await Promise.all(homes.splice(0).map(async (home) => rm(home, { recursive: true })));
  });

  async function start(again?: Pick<Place, 'home' | 'identity'> | 'ownerless'): Promise<Place> {
    const before = again === 'ownerless' ? undefined : again;
    const home = before?.home ?? (await mkdtemp(join(tmpdir(), 'skein-desk-')));
    if (before === undefined) homes.push(home);
    const identity = before?.identity ?? (await createIdentity());
    let text = '';
    const stream = { write: (line: string) => void (text += line) };
    const opened = await openTrustDesk({
      identity,
      stateDirectory: home,
      place: { keyFile: join(home, 'swarm.key'), ownsKeyFile: true },
      primary: KEY,
      mode: 'open',
      allow: [],
      deny: [],
      log: createLogger({ level: 'info', format: 'json', stream }),
    });
    assert.ok(opened.type === 'open');
    const { desk } = opened;
    desks.push(desk);
    const node = await swarm.start(KEY, { identity, trust: { ring: desk.ring, admission: desk.admission } });
    await desk.attach(node.network, (id) =>
      places.filter((place) => place.node.id === id).map((one) => one.node.address),
    );
    if (again !== 'ownerless') await desk.offer({ lists: [], certificates: [] }, owner.node);
    const place = { desk, node, identity, home, said: () => text };
    places.push(place);
    return place;
  }

  async function connect(from: Place, to: Place): Promise<void> {
    await swarm.connect(from.node, to.node);
    from.desk.connected(to.node.id);
    to.desk.connected(from.node.id);
  }

  const list = (version: number, ...revoked: readonly NodeId[]): Uint8Array => {
    const entries = revoked.toSorted().map((node) => ({ node, label: '', since: 1 }));
    const whole: TrustList = { version, issuedAt: 1, mode: 'open', trusted: [], revoked: entries };
    return signTrustList(whole, (bytes) => owner.sign(bytes)).bytes;
  };

  it('carry a revocation over nodes in between, and close the connections of the revoked one', async () => {
    const [a, b, c, lost] = [await start(), await start(), await start(), await start()];
    await connect(a, b);
    await connect(b, c);
    await connect(c, lost);
    await say(a, list(1, lost.node.id));
    await until(() => isRevoked(c.desk.trust, lost.node.id) && !c.node.network.isConnected(lost.node.id));
    await until(() => a.node.network.isConnected(b.node.id));
    assert.deepEqual(await a.node.network.dial(lost.node.id, [lost.node.address]).then(({ type }) => type), 'failed');
  });

  it('call whom the owner lets in again at once, though both sides wait between their own tries', async () => {
    const [a, lost] = [await start(), await start()];
    await connect(a, lost);
    await say(a, list(1, lost.node.id));
    await until(() => !a.node.network.isConnected(lost.node.id) && !lost.node.network.isConnected(a.node.id));
    await say(a, list(2));
    await until(() => a.node.network.isConnected(lost.node.id));
    assert.equal(a.desk.refusalOf(lost.node.id), undefined);
  });

  it('come to the newest list when a network that was cut in two heals', async () => {
    const [a, b] = [await start(), await start()];
    const [one, two] = [(await createIdentity()).node, (await createIdentity()).node];
    await say(a, list(1, one));
    await say(b, list(1, one), list(2, one, two));
    await connect(a, b);
    await until(() => isRevoked(a.desk.trust, two));
    assert.deepEqual(
      [a, b].map(({ desk }) => trustListOf(desk.trust).version),
      [2, 2],
    );
  });

  it('keep both of two lists of one number, refuse what either does, and say so', async () => {
    const [a, b] = [await start(), await start()];
    const [one, two] = [(await createIdentity()).node, (await createIdentity()).node];
    await say(a, list(1, one));
    await say(b, list(1, two));
    await connect(a, b);
    const isSettled = ({ desk }: Place): boolean => isRevoked(desk.trust, one) && isRevoked(desk.trust, two);
    await until(() => isSettled(a) && isSettled(b));
    for (const { said } of [a, b]) assert.match(said(), /2 different lists/);
  });

  it('know after a restart who was revoked, and do not start when they cannot know', async () => {
    const a = await start();
    const { node: lost } = await createIdentity();
    await say(a, list(3, lost));
    const again = await start(a);
    assert.equal(isRevoked(again.desk.trust, lost), true);
    await say(again, list(2));
    assert.equal(isRevoked(again.desk.trust, lost), true, 'older');
    await writeFile(join(a.home, 'trust.cbor'), 'damaged');
    const opened = await openTrustDesk(a.desk.options);
    assert.match(opened.type === 'refused' ? opened.message : '', /damaged, so that it is not known who was revoked/);
  });

  it('let the owner order what somebody else ordered with a higher round before there was an owner', async () => {
    const a = await start('ownerless');
    const byOwner = { node: owner.node, sign: owner.sign.bind(owner) };
    const byMember = { node: a.identity.node, sign: a.identity.sign.bind(a.identity) };
    const carryOut = async (bytes: Uint8Array): Promise<unknown> => a.desk.carryOut(bytes);
    assert.deepEqual(await carryOut(order(byMember, Number.MAX_SAFE_INTEGER)), { type: 'taken', changed: true });
    assert.deepEqual(await carryOut(order(byMember, 1)), { type: 'taken', changed: false });
    await a.desk.offer({ lists: [], certificates: [] }, owner.node);
    assert.deepEqual(await carryOut(order(byOwner, 2)), { type: 'taken', changed: true });
    assert.deepEqual(await carryOut(order(byOwner, 1)), { type: 'taken', changed: false });
    assert.equal(a.desk.order?.order.author, owner.node);
  });

  it('follow a change of the key that the owner orders, and nobody else', async () => {
    const [a, b] = [await start(), await start()];
    await connect(a, b);
    assert.equal((await a.desk.carryOut(signedBy(a.identity))).type, 'refused');
    assert.equal((await a.desk.carryOut(signedBy(owner))).type, 'taken');
    await until(() => b.desk.ring().keys.length === 2);
    // Each knows what the other accepts: that is how `--status` counts.
    await until(() => a.desk.keysOf(b.node.id)?.length === 2 && b.desk.keysOf(a.node.id)?.length === 2);
    assert.deepEqual(fingerprintsOf(b.desk.ring()), [KEY.fingerprint, NEW.fingerprint]);
    assert.deepEqual(b.desk.ring().anchor, ringOf(KEY).anchor);
    for (const { said } of [a, b]) assert.equal(said().includes(NEW.fileText().slice(-40, -1)), false);
  });

  it('answer a member that asks on and on a few times, and then no more', async () => {
    const [one, two] = [await start(), await start()];
    await connect(one, two);
    const told = { trust: two.desk.trust, order: undefined, keys: fingerprintsOf(two.desk.ring()) };
    const body = encodeTrustMessage(trustMessage(told, false));
    const ask = async (): Promise<boolean> => {
      const stream = await two.node.network.openStream(one.node.id, TRUST_PROTOCOL, AbortSignal.timeout(2_000));
      // Refused before anybody could listen.
      if (stream.status !== 'open') return false;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      stream.addEventListener('message', () => resolve(true));
      stream.addEventListener('close', () => resolve(false));
      stream.send(Buffer.concat([Buffer.of(0, 0, 0, body.length), body]));
      const isAnswered = await promise;
      stream.abort(new Error('enough'));
      return isAnswered;
    };
    let answered = 0;
    const beganAtMs = performance.now();
    // eslint-disable-next-line no-await-in-loop
    for (let asked = 0; asked < 80; asked += 1) answered += (await ask()) ? 1 : 0;
    const allowed = 33 + ((performance.now() - beganAtMs) / 1_000) * 2;
    assert.ok(answered >= 16 && answered <= allowed, `${answered} answers`);
    // Nothing else of that member is touched.
    assert.equal(one.node.network.isConnected(two.node.id), true);
  });

  it('take nothing that another owner signed', async () => {
    const a = await start();
    const ours = owner;
    owner = await createIdentity();
    const b = await start();
    const { node: victim } = await createIdentity();
    await say(b, list(9, victim));
    await connect(a, b);
    await until(() => /another owner/.test(a.said()));
    assert.equal(isRevoked(a.desk.trust, victim), false);
    assert.equal(a.desk.trust.owner, ours.node);
    assert.equal((await a.desk.offer({ lists: [], certificates: [] }, owner.node)).type, 'refused');
  });
});
