import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import {
  decodeOnceAnswer,
  ONCE_TLS,
  decodeOnceRequest,
  encodeOnceRequest,
  encodeWelcome,
} from '../../src/discovery/once-channel.ts';
import { decodeOnceCode, encodeOnceCode, onceKey, onceName, type OnceCode } from '../../src/discovery/once-code.ts';
import {
  attemptOnce,
  decodeOnceRecords,
  encodeOnceRecords,
  ONCE_ATTEMPTS_MAX,
  ONCE_CODES_MAX,
  type OnceRecord,
  openOnce,
  redeemOnce,
} from '../../src/discovery/once-codes.ts';
import { OnceDesk } from '../../src/discovery/once-desk.io.ts';
import { redeemCode } from '../../src/discovery/once-redeem.io.ts';
import { testKey } from '../node/loopback.ts';
import { NODES, NOW } from './owner.ts';

const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index + 1);
const CODE: OnceCode = { secret: SECRET, places: [{ host: '192.0.2.1', port: 4_100 }], expiresAt: NOW + 600 };

function record(more: Partial<OnceRecord> = {}): OnceRecord {
  return { name: 'a', secret: SECRET, expiresAt: NOW + 600, attempts: 0, redeemed: false, port: 1, ...more };
}

async function openCode(desk: OnceDesk): Promise<OnceCode> {
  const opened = await desk.open({ seconds: 600, hosts: ['127.0.0.1'], port: 0 });
  assert.ok(opened.type === 'opened');
  const decoded = decodeOnceCode(opened.link, Math.floor(Date.now() / 1_000));
  assert.ok(decoded.type === 'once-code');
  return decoded.code;
}

/** Somebody who saw the name and guesses the key. */
async function knock({ places: [place] }: OnceCode, identity: string): Promise<void> {
  assert.ok(place !== undefined);
  const psk = new Uint8Array(randomBytes(32));
  await new Promise<void>((resolve) => {
    const socket = connectTls({ ...ONCE_TLS, ...place, pskCallback: () => ({ identity, psk }) });
    socket.on('secureConnect', () => assert.fail('the key was guessed'));
    socket.on('error', () => {}).on('close', () => resolve());
  });
}

describe('the link of a code that works once', () => {
  it('brings the secret, the places and the date', () => {
    const places = fc.array(
      fc.record(
        { host: fc.stringMatching(/^[a-z0-9.:-]{1,40}$/), port: fc.integer({ min: 1, max: 65_535 }) },
        { noNullPrototype: true },
      ),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), places, (secret, where) => {
        const decoded = decodeOnceCode(encodeOnceCode({ secret, places: where, expiresAt: NOW + 1 }), NOW);
        assert.deepEqual(decoded, { type: 'once-code', code: { secret, places: where, expiresAt: NOW + 1 } });
      }),
    );
  });

  it('ends at its second, and tells a typo from another link', () => {
    const link = encodeOnceCode(CODE);
    assert.equal(decodeOnceCode(link, CODE.expiresAt - 1).type, 'once-code');
    const reasons = [
      decodeOnceCode(link, CODE.expiresAt),
      decodeOnceCode(`${link.slice(0, -1)}${link.endsWith('A') ? 'B' : 'A'}`, NOW),
      decodeOnceCode(link.replace('once', 'join'), NOW),
    ].map((decoded) => (decoded.type === 'rejected' ? decoded.reason : ''));
    for (const [index, expected] of [/expired/, /damaged/, /starts with skein:\/\/once/].entries())
      assert.match(reasons[index] ?? '', expected);
  });

  it('shows a name that says nothing about the key', () => {
    assert.notEqual(onceName(SECRET), Buffer.from(onceKey(SECRET)).toString('hex').slice(0, 16));
    assert.equal(encodeOnceCode(CODE).includes(onceName(SECRET)), false);
  });
});

describe('codes that work once', () => {
  it('are open until they are used, their time is over, or five tried', () => {
    const cases: readonly [Partial<OnceRecord>, ReturnType<typeof attemptOnce>['refusal']][] = [
      [{}, undefined],
      [{ attempts: ONCE_ATTEMPTS_MAX - 1 }, undefined],
      [{ attempts: ONCE_ATTEMPTS_MAX }, 'too-many-attempts'],
      [{ expiresAt: NOW + 1 }, undefined],
      [{ expiresAt: NOW }, 'expired'],
      [{ redeemed: true }, 'redeemed'],
    ];
    for (const [more, refusal] of cases) assert.equal(attemptOnce([record(more)], 'a', NOW).refusal, refusal);
    assert.equal(attemptOnce([record()], 'b', NOW).refusal, 'unknown');
  });

  it('are given to the first, also when the last attempt is the one that succeeds', () => {
    let records: readonly OnceRecord[] = [record({ attempts: ONCE_ATTEMPTS_MAX - 1 })];
    ({ records } = attemptOnce(records, 'a', NOW));
    const first = redeemOnce(records, 'a', NOW);
    assert.equal(first.refusal, undefined);
    assert.equal(redeemOnce(first.records, 'a', NOW).refusal, 'redeemed');
  });

  it('are never used twice or tried more often, whatever happens in which order', () => {
    const step = fc.record({
      what: fc.constantFrom('attempt', 'redeem', 'crash'),
      name: fc.constantFrom('a', 'b', 'c'),
      afterSeconds: fc.integer({ min: 0, max: 200 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let records: readonly OnceRecord[] = [record(), record({ name: 'b' })];
        let now = NOW;
        const used: string[] = [];
        const tries: string[] = [];
        for (const { what, name, afterSeconds } of steps) {
          now += afterSeconds;
          // What is on disk is all that a crash leaves.
          if (what === 'crash') records = decodeOnceRecords(encodeOnceRecords(records));
          const result = what === 'redeem' ? redeemOnce(records, name, now) : attemptOnce(records, name, now);
          if (what === 'crash' || result.refusal !== undefined) continue;
          ({ records } = result);
          (what === 'redeem' ? used : tries).push(name);
          assert.ok(now < NOW + 600);
        }
        for (const name of ['a', 'b', 'c']) {
          assert.ok(used.filter((one) => one === name).length <= 1);
          assert.ok(tries.filter((one) => one === name).length <= ONCE_ATTEMPTS_MAX);
        }
      }),
    );
  });

  it('are bounded in number, and closed ones make room', () => {
    const full = Array.from({ length: ONCE_CODES_MAX }, (_, index) => record({ name: String(index) }));
    assert.equal(openOnce(full, record({ name: 'x' }), NOW), undefined);
    const { records } = redeemOnce(full, '3', NOW);
    assert.equal(openOnce(records, record({ name: 'x' }), NOW)?.length, ONCE_CODES_MAX + 1);
    assert.equal(openOnce(full, record({ name: 'x', expiresAt: NOW + 900 }), NOW + 600)?.length, 1);
  });

  it('forget the secret on disk once they are used, and ignore what is damaged', () => {
    const hex = Buffer.from(SECRET).toString('hex');
    assert.ok(encodeOnceRecords([record()]).includes(hex));
    assert.equal(encodeOnceRecords([record({ redeemed: true })]).includes(hex), false);
    for (const text of ['', '{', '{}', '[1,null,{"name":1}]']) assert.deepEqual(decodeOnceRecords(text), []);
    fc.assert(fc.property(fc.json(), (text) => void decodeOnceRecords(text)));
  });
});

describe('what is said in the channel of a code', () => {
  it('is read back as it was, and anything else is refused', () => {
    assert.deepEqual(decodeOnceRequest(encodeOnceRequest({ node: NODES[0], name: 'laptop' })), {
      node: NODES[0],
      name: 'laptop',
    });
    const invite = { key: testKey(1), name: 'home', addresses: ['/ip4/192.0.2.1/tcp/1'], expiresAt: NOW };
    const answer = decodeOnceAnswer(encodeWelcome({ invite, certificate: Uint8Array.of(1, 2) }));
    assert.ok(answer.type === 'welcome');
    assert.equal(answer.welcome.invite.key.fingerprint, testKey(1).fingerprint);
    assert.deepEqual(answer.welcome.certificate, Uint8Array.of(1, 2));
    assert.deepEqual(decodeOnceAnswer('refused redeemed'), { type: 'refused', reason: 'redeemed' });
    fc.assert(
      fc.property(fc.string(), (line) => {
        assert.equal(decodeOnceRequest(line), undefined);
        assert.equal(decodeOnceAnswer(line).type, 'refused');
      }),
    );
  });
});

describe('the listener for codes', () => {
  let state: string;
  const desks: OnceDesk[] = [];
  const kept = async (): Promise<string> => readFile(join(state, 'once-codes.json'), 'utf8');
  let welcomed = 0;

  beforeEach(async () => {
    state = await mkdtemp(join(tmpdir(), 'skein-once-'));
    welcomed = 0;
    said = [];
  });
  afterEach(async () => {
    for (const desk of desks.splice(0)) desk.close();
    await rm(state, { recursive: true });
  });

  let said: string[] = [];

  function newDesk(welcome?: () => Promise<string>): OnceDesk {
    const invite = { key: testKey(1), name: 'home', addresses: [], expiresAt: NOW };
    const desk = new OnceDesk({
      stateDirectory: state,
      welcome:
        welcome ??
        (async () => {
          welcomed += 1;
          return encodeWelcome({ invite, certificate: undefined });
        }),
      onEvent: (event) => void said.push(event),
      onProblem: (where) => void said.push(where),
    });
    desks.push(desk);
    return desk;
  }

  const ask = { node: NODES[0], name: 'laptop' };

  it('serves one of many that come at once', async () => {
    const code = await openCode(newDesk());
    const results = await Promise.all(Array.from({ length: 4 }, async () => redeemCode(code, ask)));
    assert.equal(results.filter(({ type }) => type === 'welcome').length, 1);
    assert.equal(welcomed, 1);
  });

  it('has marked the code as used, on disk and for this user only, before it answers', async () => {
    const seen: string[] = [];
    const desk = newDesk(async () => {
      seen.push(await readFile(join(state, 'once-codes.json'), 'utf8'));
      throw new Error('crash');
    });
    const code = await openCode(desk);
    assert.equal((await redeemCode(code, ask)).type, 'failed');
    assert.match(seen[0] ?? '', /"redeemed":true/);
    assert.equal((await stat(join(state, 'once-codes.json'))).mode & 0o777, 0o600);
    // The node starts again after its crash.
    desk.close();
    const again = newDesk();
    await again.resume();
    assert.equal((await redeemCode(code, ask)).type, 'failed');
    assert.equal(welcomed, 0);
  });

  it('counts attempts of who has the name and not the secret, over a restart, and then closes the code', async () => {
    const desk = newDesk();
    const code = await openCode(desk);
    // The name can be seen on the wire; the key cannot.
    const name = onceName(code.secret);
    for (let attempt = 1; attempt < ONCE_ATTEMPTS_MAX; attempt += 1) await knock(code, name);
    await knock(code, 'another');
    assert.match(await kept(), /"attempts":4/, "an unknown name is nobody's attempt");
    desk.close();
    const again = newDesk();
    await again.resume();
    await knock(code, name);
    assert.match(await kept(), /"attempts":5/);
    assert.equal((await redeemCode(code, ask)).type, 'failed', 'five are the most, the rightful one included');
    assert.equal(welcomed, 0);
  });

  it('serves an open code again after a restart, at the same port', async () => {
    const desk = newDesk();
    const code = await openCode(desk);
    desk.close();
    const again = newDesk();
    await again.resume();
    assert.equal((await redeemCode(code, ask)).type, 'welcome');
  });

  it('is one for two codes that are made at once, and gone when both are used', async () => {
    const desk = newDesk();
    const codes = await Promise.all([openCode(desk), openCode(desk)]);
    const ports = codes.map(({ places: [place] }) => place?.port ?? 0);
    assert.equal(ports[0], ports[1]);
    for (const code of codes) assert.equal((await redeemCode(code, ask)).type, 'welcome');
    const isOpen = async (): Promise<boolean> =>
      new Promise((resolve) => {
        const socket = connect(ports[0] ?? 0, '127.0.0.1', () => resolve(true));
        socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
      });
    for (let turn = 0; turn < 200 && (await isOpen()); turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await isOpen(), false);
  });

  it('is there only while a code is open', async () => {
    const code = await openCode(newDesk());
    const [place] = code.places;
    assert.ok(place !== undefined);
    await redeemCode(code, ask);
    const isOpen = async (): Promise<boolean> =>
      new Promise((resolve) => {
        const socket = connect(place.port, place.host, () => resolve(true));
        socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
      });
    for (let turn = 0; turn < 200 && (await isOpen()); turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await isOpen(), false);
  });

  it('does not fill the log for who knocks again and again, and still says that a code was used', async () => {
    const code = await openCode(newDesk());
    const [place] = code.places;
    assert.ok(place !== undefined);
    for (let turn = 0; turn < 40; turn += 1) {
      // eslint-disable-next-line no-await-in-loop
      await new Promise((resolve) => {
        const socket = connect(place.port, place.host, () => socket.write('GET / HTTP/1.1\r\n\r\n'));
        socket.on('data', () => {}).on('error', () => {});
        socket.on('close', resolve);
      });
      const wrong = { ...code, secret: new Uint8Array(32).fill(turn + 1) };
      // eslint-disable-next-line no-await-in-loop
      assert.equal((await redeemCode(wrong, ask)).type, 'failed');
    }
    assert.ok(said.length >= 1 && said.length <= 4, `${said.length} lines`);
    assert.equal((await redeemCode(code, ask)).type, 'welcome');
    assert.ok(said.some((line) => line.includes('was used')));
  });

  it('says nothing to who speaks without the secret', async () => {
    const code = await openCode(newDesk());
    const [place] = code.places;
    assert.ok(place !== undefined);
    const heard = await new Promise<number>((resolve) => {
      let bytes = 0;
      const socket = connect(place.port, place.host, () => socket.write('GET / HTTP/1.1\r\n\r\n'));
      socket.on('data', (data) => (bytes += data.length)).on('error', () => {});
      socket.on('close', () => resolve(bytes));
    });
    assert.ok(heard <= 7, `${heard} bytes: no more than an alert of TLS`);
    assert.equal(welcomed, 0);
  });
});
