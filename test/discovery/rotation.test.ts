import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { loadRing, saveRing, setAside } from '../../src/discovery/key-ring.io.ts';
import {
  fingerprintsOf,
  type KeyRing,
  KEYS_MAX,
  ringOf,
  withAccepted,
  withOnly,
  withPrimary,
} from '../../src/discovery/key-ring.ts';
import {
  follow,
  readOrder,
  type RotationOrder,
  ROTATION_STEPS,
  signOrder,
  supersedes,
} from '../../src/discovery/rotation.ts';
import { parseSwarmKey, type SwarmKey } from '../../src/discovery/swarm-key.ts';
import { decodeTrustMessage, encodeTrustMessage, trustMessage } from '../../src/discovery/trust-message.ts';
import { emptyTrust } from '../../src/discovery/trust-state.ts';
import { testKey } from '../node/loopback.ts';
import { OWNER, STRANGER, verifySignature } from './owner.ts';

const [OLD, NEW, THIRD] = [testKey(1), testKey(2), testKey(3)] as const;

const order = (step: RotationOrder['step'], more: Partial<RotationOrder> = {}): RotationOrder => ({
  author: OWNER.id,
  round: 1,
  step,
  key: NEW,
  ...more,
});

const names = (ring: KeyRing): readonly string[] => fingerprintsOf(ring);
const of = (...keys: readonly SwarmKey[]): readonly string[] => keys.map(({ fingerprint }) => fingerprint);

describe('a ring of keys', () => {
  it('accepts, prefers and forgets', () => {
    const staged = withAccepted(ringOf(OLD), NEW);
    assert.deepEqual(names(staged), of(OLD, NEW));
    assert.deepEqual(names(withAccepted(staged, NEW)), of(OLD, NEW));
    assert.deepEqual(names(withPrimary(staged, NEW)), of(NEW, OLD));
    assert.deepEqual(names(withOnly(staged, NEW)), of(NEW));
    assert.deepEqual(withOnly(staged, NEW).anchor, OLD.anchor(), 'the swarm keeps its names');
  });

  it('holds four keys and lets the oldest accepted one go', () => {
    const ring = Array.from({ length: 6 }, (_, index) => testKey(10 + index)).reduce(withAccepted, ringOf(OLD));
    assert.equal(ring.keys.length, KEYS_MAX);
    assert.deepEqual(names(ring), of(OLD, testKey(15), testKey(14), testKey(13)));
  });
});

describe('an order to change the key', () => {
  it('is read back from the one who may give it, and from nobody else', () => {
    const { bytes } = signOrder(order('stage'), OWNER.sign);
    const read = readOrder(bytes, OWNER.id, verifySignature);
    assert.equal(read?.order.key.fingerprint, NEW.fingerprint);
    assert.equal(readOrder(bytes, STRANGER.id, verifySignature), undefined, 'not the owner');
    assert.ok(readOrder(bytes, undefined, verifySignature) !== undefined, 'where there is no owner, any member');
    const forged = signOrder(order('stage'), STRANGER.sign).bytes;
    assert.equal(readOrder(forged, OWNER.id, verifySignature), undefined);
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 1 : byte));
      assert.equal(readOrder(changed, OWNER.id, verifySignature), undefined, `byte ${at}`);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        assert.equal(readOrder(noise, undefined, verifySignature), undefined);
      }),
    );
  });

  it('follows another by round, then key, then step, and never itself', () => {
    const [low, high] = [NEW, THIRD].toSorted((left, right) => (left.fingerprint < right.fingerprint ? -1 : 1));
    assert.ok(low !== undefined && high !== undefined);
    for (const { next, before, expected } of [
      { next: order('stage'), before: undefined, expected: true },
      { next: order('use'), before: order('stage'), expected: true },
      { next: order('stage'), before: order('use'), expected: false },
      { next: order('use'), before: order('use'), expected: false },
      { next: order('stage', { round: 2, key: THIRD }), before: order('finish'), expected: true },
      { next: order('finish'), before: order('stage', { round: 2 }), expected: false },
      { next: order('stage', { key: low }), before: order('finish', { key: high }), expected: true },
      { next: order('finish', { key: high }), before: order('stage', { key: low }), expected: false },
    ])
      assert.equal(supersedes(next, before), expected);
  });

  it('leads all nodes to one ring, whatever came to them in which order', () => {
    const orders = ROTATION_STEPS.map((step) => order(step));
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...orders), { maxLength: 6 }), (some) => {
        let ring = ringOf(OLD);
        let known: RotationOrder | undefined;
        for (const next of [...some, order('finish')]) {
          if (!supersedes(next, known)) continue;
          known = next;
          ring = follow(ring, next);
        }
        assert.deepEqual(names(ring), of(NEW));
      }),
    );
  });

  it('never leaves two nodes without a common key as long as they are one step apart', () => {
    const rings = [
      ringOf(OLD),
      ...ROTATION_STEPS.map((_, index) =>
        ROTATION_STEPS.slice(0, index + 1)
          .map((step) => order(step))
          .reduce(follow, ringOf(OLD)),
      ),
    ];
    for (const [index, ring] of rings.entries()) {
      const next = rings[index + 1];
      if (next !== undefined)
        assert.ok(
          names(ring).some((name) => names(next).includes(name)),
          `step ${index}`,
        );
    }
  });
});

describe('a ring on disk', () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'skein-ring-'));
  });
  afterEach(async () => rm(home, { recursive: true }));

  const place = (ownsKeyFile = true): { keyFile: string; ownsKeyFile: boolean } => ({
    keyFile: join(home, 'swarm.key'),
    ownsKeyFile,
  });

  async function load(primary?: SwarmKey): Promise<Awaited<ReturnType<typeof loadRing>>> {
    const parsed = parseSwarmKey(await readFile(join(home, 'swarm.key')).catch(() => new Uint8Array()));
    const key = primary ?? (parsed.type === 'swarm-key' ? parsed.key : OLD);
    return loadRing({ ...place(), primary: key, owner: undefined, verify: verifySignature });
  }

  it('comes back after each step as it was', async () => {
    let ring = ringOf(OLD);
    await saveRing(place(), ring);
    assert.deepEqual(await readdir(home), ['swarm.key'], 'a swarm that never changed its key has one file');
    for (const step of ROTATION_STEPS) {
      const signed = signOrder(order(step), OWNER.sign);
      ring = follow(ring, signed.order);
      await saveRing(place(), ring, signed.bytes);
      const loaded = await load();
      assert.deepEqual(names(loaded.ring), names(ring), step);
      assert.deepEqual(loaded.ring.anchor, OLD.anchor());
      assert.equal(loaded.order?.order.step, step);
    }
    assert.deepEqual(
      (await readdir(join(home, 'swarm.key.d'))).filter((name) => name.endsWith('.key')),
      [],
      'the old key is gone',
    );
  });

  it('goes on from the order where the machine stopped half-way', async () => {
    await saveRing(place(), ringOf(OLD));
    const use = signOrder(order('use'), OWNER.sign);
    await saveRing(place(), follow(ringOf(OLD), use.order), use.bytes);
    // As if the primary file had not been replaced yet.
    await writeFile(join(home, 'swarm.key'), OLD.fileText(), { mode: 0o600 });
    assert.deepEqual(names((await load()).ring), of(NEW, OLD));
  });

  it('leaves a key file alone that is not ours, and follows the order all the same', async () => {
    await writeFile(join(home, 'swarm.key'), OLD.fileText(), { mode: 0o600 });
    const finish = signOrder(order('finish'), OWNER.sign);
    await saveRing(place(false), follow(ringOf(OLD), finish.order), finish.bytes);
    assert.equal(await readFile(join(home, 'swarm.key'), 'utf8'), OLD.fileText());
    assert.deepEqual(names((await load()).ring), of(NEW));
  });

  it('does not take the names or the order of a swarm that was left', async () => {
    const use = signOrder(order('use'), OWNER.sign);
    await saveRing(place(), follow(ringOf(OLD), use.order), use.bytes);
    await setAside(place(), NEW);
    await saveRing(place(), ringOf(THIRD));
    const { ring, order: last } = await load();
    assert.deepEqual([names(ring), ring.anchor, last], [of(THIRD), THIRD.anchor(), undefined]);
    assert.equal(await readFile(join(home, `swarm.key.${NEW.fingerprint}.old`), 'utf8'), NEW.fileText());
  });

  it('names a damaged key and goes on without it', async () => {
    await saveRing(place(), withAccepted(ringOf(OLD), NEW));
    await writeFile(join(home, 'swarm.key.d', `${NEW.fingerprint}.key`), 'x');
    const { ring, warnings } = await load();
    assert.deepEqual(names(ring), of(OLD));
    assert.match(warnings.join(), /not a swarm key/);
  });
});

describe('a message about trust', () => {
  it('is read back as it was, and nothing else is read', () => {
    const { bytes } = signOrder(order('stage'), OWNER.sign);
    const knowledge = { trust: emptyTrust(OWNER.id), order: bytes, keys: fingerprintsOf(ringOf(OLD)) };
    for (const everything of [false, true]) {
      const sent = encodeTrustMessage(trustMessage(knowledge, everything));
      const read = decodeTrustMessage(sent);
      assert.ok(read !== undefined);
      assert.deepEqual(Buffer.from(encodeTrustMessage(read)), Buffer.from(sent));
      assert.equal(read.order !== undefined, everything);
      for (let at = 0; at < sent.length; at += 1) assert.equal(decodeTrustMessage(sent.subarray(0, at)), undefined);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        assert.equal(decodeTrustMessage(noise), undefined);
      }),
    );
  });
});
