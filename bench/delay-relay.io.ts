/**
 * A path of known length on one machine: a TCP relay that hands on every piece `delayMs` after it came, in both
 * directions, in order. It has no bandwidth limit and loses nothing, so that only round trips can be seen through it.
 * Limit: a timer is late by up to a millisecond or two, alike for everybody who goes through a relay.
 */
import { createConnection, createServer, type Socket } from 'node:net';

export interface Relay {
  readonly port: number;
  close(): Promise<void>;
}

export async function startRelay(targetPort: number, delayMs: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = createConnection({ host: '127.0.0.1', port: targetPort, noDelay: true });
    near.setNoDelay(true);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (piece) => setTimeout(() => to.write(piece), delayMs));
      from.on('end', () => setTimeout(() => to.end(), delayMs));
      // 'close' follows.
      from.on('error', () => to.destroy());
      from.on('close', () => sockets.delete(from));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
