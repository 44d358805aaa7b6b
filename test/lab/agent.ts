/**
 * Runs inside a host's namespace and hands sockets of it to the test: a UDP socket that is bound in there, a TCP
 * connection or a listener that was opened in there. Handed a listening socket of the test's namespace, it is a portal:
 * each connection that comes there is joined to a port of its own loopback. Ends with the process that started it.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, Server, type Socket } from 'node:net';

export type AgentRequest =
  | { readonly id: number; readonly type: 'portal'; readonly port: number }
  | { readonly id: number; readonly type: 'udp'; readonly port: number }
  | { readonly id: number; readonly type: 'listen'; readonly port: number }
  | { readonly id: number; readonly type: 'connect'; readonly host: string; readonly port: number };

/** `problem` is the code of the system's error. */
export interface AgentReply {
  readonly id: number;
  readonly problem?: string;
}

process.on('message', (request: AgentRequest, handle: unknown) => {
  const reply = (problem?: string, socket?: UdpSocket | Server | Socket): void => {
    const message: AgentReply = { id: request.id, ...(problem === undefined ? {} : { problem }) };
    // Our own copy would take datagrams and connections too; that of a connection Node closes itself.
    process.send?.(message, socket, {}, () => {
      if (socket !== undefined && 'close' in socket) socket.close();
    });
  };
  const fail = (error: NodeJS.ErrnoException): void => reply(error.code ?? error.message);
  switch (request.type) {
    case 'portal':
      if (!(handle instanceof Server)) throw new Error('the portal is handed a listening socket');
      handle.on('connection', (near: Socket) => join(near, request.port));
      reply();
      break;
    case 'udp': {
      const socket = createSocket('udp4');
      socket.on('error', fail).bind(request.port, () => reply(undefined, socket));
      break;
    }
    case 'listen': {
      const server = createServer().on('error', fail);
      server.listen(request.port, '0.0.0.0', () => reply(undefined, server));
      break;
    }
    case 'connect': {
      const socket = connect({ host: request.host, port: request.port }).on('error', fail);
      socket.on('connect', () => reply(undefined, socket));
      break;
    }
    default:
      throw new Error('an unknown request');
  }
});
process.on('disconnect', () => process.exit());

function join(near: Socket, port: number): void {
  const far = connect(port, '127.0.0.1');
  near.pipe(far).pipe(near);
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const)
    one.on('error', () => other.destroy()).on('close', () => other.destroy());
}
