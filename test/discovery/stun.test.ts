import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIP } from 'node:net';
import * as fc from 'fast-check';
import { fromHex, toHex } from '../../src/bytes.ts';
import { probeNat, secondDoor, StunResponder } from '../../src/discovery/stun.io.ts';
import {
  decodeStunAnswer,
  decodeStunRequest,
  encodeStunAnswer,
  encodeStunRequest,
  STUN_REQUEST_BYTES_MAX,
  TRANSACTION_BYTES,
} from '../../src/discovery/stun.ts';

const TRANSACTION = Uint8Array.from({ length: TRANSACTION_BYTES }, (_, index) => index + 1);

function bytes(hex: string): Uint8Array {
  return fromHex(hex) ?? assert.fail('not hex');
}

describe('STUN', () => {
  // RFC 5769, 2.2 and 2.3: the addresses in the attributes of the sample answers.
  const SAMPLE_TRANSACTION = bytes('b7e7a701bc34d686fa87dfae');
  const SAMPLES = [
    { host: '192.0.2.1', port: 32_853, attribute: '002000080001a147e112a643' },
    {
      host: '2001:db8:1234:5678:11:2233:4455:6677',
      port: 32_853,
      attribute: '002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9',
    },
  ];

  for (const { host, port, attribute } of SAMPLES)
    it(`answers with the mapped address as the RFC prints it: ${host}`, () => {
      const answer = encodeStunAnswer(SAMPLE_TRANSACTION, { host, port }) ?? assert.fail('no answer');
      assert.equal(toHex(answer.subarray(20)), attribute);
      assert.deepEqual(decodeStunAnswer(answer, SAMPLE_TRANSACTION), { host, port });
    });

  it('reads an address behind attributes that it does not know, and none from the answer to another question', () => {
    const answer = bytes('0101001c2112a442b7e7a701bc34d686fa87dfae80220003616263000020000c');
    assert.equal(decodeStunAnswer(answer, SAMPLE_TRANSACTION), undefined);
    const whole = bytes('010100142112a442b7e7a701bc34d686fa87dfae8022000361626300002000080001a147e112a643');
    assert.deepEqual(decodeStunAnswer(whole, SAMPLE_TRANSACTION), { host: '192.0.2.1', port: 32_853 });
    assert.equal(decodeStunAnswer(whole, TRANSACTION), undefined);
  });

  it('answers nothing but a binding request of the right length', () => {
    const request = encodeStunRequest(TRANSACTION);
    assert.deepEqual(decodeStunRequest(request), TRANSACTION);
    assert.equal(decodeStunRequest(request.subarray(0, 19)), undefined);
    assert.equal(decodeStunRequest(Uint8Array.of(...request, 0)), undefined);
    for (const at of [0, 1, 3, 4]) {
      const changed = request.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x41;
      assert.equal(decodeStunRequest(changed), undefined, `byte ${at}`);
    }
    for (const [length, isAnswered] of [
      [STUN_REQUEST_BYTES_MAX, true],
      [STUN_REQUEST_BYTES_MAX + 4, false],
    ] as const) {
      const long = new Uint8Array(length);
      long.set(request);
      long[3] = (length - 20) & 0xff;
      long[2] = (length - 20) >> 8;
      assert.equal(decodeStunRequest(long) !== undefined, isAnswered, `${length} bytes`);
    }
  });

  it('comes back as it was, whatever the address', () => {
    const host = fc.oneof(
      fc.ipV4(),
      fc.ipV6().filter((one) => !one.includes('.')),
    );
    fc.assert(
      fc.property(host, fc.integer({ min: 1, max: 65_535 }), (address, port) => {
        const answer = encodeStunAnswer(TRANSACTION, { host: address, port }) ?? assert.fail(address);
        const decoded = decodeStunAnswer(answer, TRANSACTION) ?? assert.fail(address);
        assert.equal(decoded.port, port);
        assert.deepEqual(encodeStunAnswer(TRANSACTION, decoded), answer);
      }),
    );
  });

  it('takes any bytes without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (datagram) => {
        decodeStunRequest(datagram);
        decodeStunAnswer(datagram, TRANSACTION);
      }),
    );
  });

  it('takes any attributes behind a right header without an exception, and finds no address that is none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (tail) => {
        const body = tail.subarray(0, tail.length - (tail.length % 4));
        const datagram = Uint8Array.of(1, 1, 0, body.length, 0x21, 0x12, 0xa4, 0x42, ...TRANSACTION, ...body);
        const seen = decodeStunAnswer(datagram, TRANSACTION);
        if (seen !== undefined) assert.ok(isIP(seen.host) > 0 && seen.port <= 65_535, JSON.stringify(seen));
      }),
    );
  });

  for (const [port, isAnswered] of [
    [0, false],
    [1, true],
    [65_535, true],
    [65_536, false],
  ] as const)
    // A datagram made by hand may come from port 0, and a system throws when it shall send there: it would end the node.
    it(`${isAnswered ? 'answers' : 'does not answer'} port ${port}`, () => {
      assert.equal(encodeStunAnswer(TRANSACTION, { host: '192.0.2.1', port }) !== undefined, isAnswered);
    });
});

describe('a STUN responder', () => {
  let responders: StunResponder[] = [];
  afterEach(() => {
    for (const responder of responders) responder.close();
    responders = [];
  });

  /** On a free port whose successor is free, too, as far as anybody can tell; and not on one that is a second door. */
  async function start(taken = 0): Promise<{ responder: StunResponder; port: number }> {
    const free = createSocket('udp4').bind(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address();
    free.close();
    if (port === taken) return start(taken);
    const responder = new StunResponder();
    responders.push(responder);
    await responder.listen(port);
    return { responder, port };
  }

  it('tells a socket the same on two ports, over IPv4 and IPv6', async () => {
    const first = await start();
    const second = await start(first.port + 1);
    for (const host of ['127.0.0.1', '::1']) {
      const servers = [first, second].map(({ port }) => ({ host, port }));
      const seen = await probeNat(servers, AbortSignal.timeout(2_000));
      assert.equal(seen.length, 2, host);
      assert.deepEqual(seen[0], seen[1]);
    }
  });

  it('answers at a second door, so that it tells a symmetric NAT alone', async () => {
    const server = { host: '127.0.0.1', port: (await start()).port };
    const seen = await probeNat([server, secondDoor(server)], AbortSignal.timeout(2_000));
    assert.equal(seen.length, 2);
    assert.deepEqual(seen[0], seen[1]);
  });

  it('leaves out a server that does not answer', async () => {
    const { port } = await start();
    const silent = createSocket('udp4').bind(0, '127.0.0.1');
    await once(silent, 'listening');
    const servers = [port, silent.address().port].map((one) => ({ host: '127.0.0.1', port: one }));
    const seen = await probeNat(servers, AbortSignal.timeout(200));
    silent.close();
    assert.equal(seen.length, 1);
  });

  it('is not there any more when it is closed before it is open', async () => {
    const { responder, port } = await start();
    responder.close();
    const late = new StunResponder();
    const opened = late.listen(port);
    late.close();
    await opened;
    // Nobody holds the port.
    const next = new StunResponder();
    responders.push(next);
    await next.listen(port);
  });

  it('is asked at the last port of all, behind which there is no second door', async () => {
    const { port } = await start();
    const servers = [port, 65_536].map((one) => ({ host: '127.0.0.1', port: one }));
    const seen = await probeNat(servers, AbortSignal.timeout(2_000));
    assert.equal(seen.length, 1);
  });

  it('answers a host that asks on and on no more than 50 times a second', async () => {
    const { responder, port } = await start();
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const asked = 400;
    for (let sent = 0; sent < asked; sent += 1) socket.send(encodeStunRequest(TRANSACTION), port, '127.0.0.1');
    while (responder.answered + responder.refused < asked) {
      socket.send(encodeStunRequest(TRANSACTION), port, '127.0.0.1');
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    socket.close();
    // It may have become the next second meanwhile, and the one after.
    assert.ok(responder.answered >= 50 && responder.answered <= 150, `${responder.answered} answers`);
    assert.ok(responder.refused > 0);
  });

  it('rejects when the port is taken', async () => {
    const { port } = await start();
    await assert.rejects(new StunResponder().listen(port), /EADDRINUSE/);
  });
});
