/** A node that holds the key and is not admitted: it passes the proof, and must find and leave as little as a stranger. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { noise } from '@libp2p/noise';
import { yamux } from '@libp2p/yamux';
import { type Identify, identify } from '@libp2p/identify';
import type { Libp2p } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { createLibp2p } from 'libp2p';
import { type Admission, openAdmission } from '../../src/discovery/admission.ts';
import { Membership } from '../../src/discovery/membership.io.ts';
import { testKey } from '../node/loopback.ts';
import { swarmProtector } from '../../src/discovery/protector.io.ts';

const KEY = testKey(1);

type Services = { membership: Membership; identify: Identify };

async function startPeer(judge: Admission['judge']): Promise<Libp2p<Services>> {
  return createLibp2p<Services>({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionProtector: swarmProtector(KEY),
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: {
      membership: (components) =>
        new Membership(components, {
          admission: { ...openAdmission(KEY.memberKey()), judge },
          proofTimeoutMs: 1_500,
          onConnected: () => {},
          onLost: () => {},
          onStream: () => {},
          onProblem: () => {},
        }),
      identify: identify(),
    },
  });
}

describe('a node that holds the key and is not admitted', () => {
  for (const dialler of ['it', 'the member'] as const)
    it(`leaves nothing in the peer store when ${dialler} dialled`, async () => {
      const member = await startPeer(() => 'revoked');
      const refused = await startPeer(() => undefined);
      const [from, to] = dialler === 'it' ? [refused, member] : [member, refused];
      const [address] = to.getMultiaddrs();
      assert.ok(address !== undefined);
      const connection = await from.dial(address);
      if (connection.status === 'open') await once(connection, 'close');
      const known = async (): Promise<number> =>
        (await member.peerStore.all()).filter(({ id }) => !id.equals(member.peerId)).length;
      // What was under way when it was refused is over by then.
      for (let turn = 0; turn < 300; turn += 1) await setImmediate();
      assert.equal(await known(), 0);
      assert.equal(member.getConnections().length, 0);
      assert.deepEqual(member.services.membership.members(), []);
      await Promise.all([member.stop(), refused.stop()]);
    }).timeout(10_000);

  it('leaves nothing in the peer store when it was a member until now', async () => {
    let verdict: ReturnType<Admission['judge']>;
    const member = await startPeer(() => verdict);
    const revoked = await startPeer(() => undefined);
    const connection = await revoked.dial(member.getMultiaddrs());
    await once(member, 'peer:identify');
    assert.equal((await member.peerStore.all()).length > 0, true);
    verdict = 'revoked';
    member.services.membership.review();
    if (connection.status === 'open') await once(connection, 'close');
    for (let turn = 0; turn < 300; turn += 1) await setImmediate();
    const left = (await member.peerStore.all()).filter(({ id }) => !id.equals(member.peerId));
    assert.deepEqual(left, []);
    await Promise.all([member.stop(), revoked.stop()]);
  }).timeout(10_000);
});
