/**
 * Runs inside a host's namespace and joins two worlds: it is handed a listening socket of the test's namespace, and
 * connects each connection that comes there to a port of its own loopback. Ends with the process that started it.
 */
import { connect, Server } from 'node:net';

process.on('message', (message: { readonly port: number }, server: unknown) => {
  if (!(server instanceof Server)) throw new Error('the portal is handed a listening socket');
  server.on('connection', (near) => {
    const far = connect(message.port, '127.0.0.1');
    near.pipe(far).pipe(near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const)
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
  });
});
process.on('disconnect', () => process.exit());
