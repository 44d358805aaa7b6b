/**
 * A bad piece of cable, as a process: what comes in at one UDP port goes out at the other, late, out of order, or never. The
 * datagrams are VXLAN's, an Ethernet frame in each. A frame's TCP or UDP checksum is computed here: the kernel leaves it
 * to the network card, and there is none. `node wire-process.ts '<JSON>'`; says "ready" on stdout; takes other `Impairment`s as
 * messages, and answers each with how many frames were lost since the last one. At most `FRAMES_MAX` frames are under way; more are lost, as in any queue.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { Prng } from '../../src/prng.ts';

export interface Impairment {
  /** 0 to 1, each frame on its own. */
  readonly lossRatio: number;
  readonly delayMs: number;
  /** Evenly spread, on top of the delay: frames overtake each other. */
  readonly jitterMs: number;
}

export interface WireSetup {
  /** Our address, and that of the VXLAN devices. */
  readonly here: string;
  readonly there: string;
  readonly ports: readonly [number, number];
  readonly seed: string;
}

const FRAMES_MAX = 4_096;
const VXLAN_BYTES = 8;
const ETHERNET_BYTES = 14;
const IPV4 = 0x0800;
/** Where TCP (6) and UDP (17) keep theirs. */
const CHECKSUM_AT: ReadonlyMap<number, number> = new Map([
  [6, 16],
  [17, 6],
]);

async function main(setup: WireSetup): Promise<void> {
  const prng = new Prng(setup.seed);
  let impairment: Impairment = { lossRatio: 0, delayMs: 0, jitterMs: 0 };
  let underWay = 0;
  let lost = 0;
  process.on('message', (message) => {
    impairment = message as Impairment;
    process.send?.(lost);
    lost = 0;
  });
  process.on('disconnect', () => process.exit());
  const [left, right] = await Promise.all(setup.ports.map(async (port) => open(setup.here, port)));
  if (left === undefined || right === undefined) throw new Error('a wire has two ends');
  const carry = (from: Socket, to: Socket, port: number): void => {
    from.on('message', (datagram) => {
      if (prng.nextRatio() < impairment.lossRatio || underWay >= FRAMES_MAX) {
        lost += 1;
        return;
      }
      completeChecksum(datagram.subarray(VXLAN_BYTES));
      const lateMs = impairment.delayMs + prng.nextRatio() * impairment.jitterMs;
      underWay += 1;
      const send = (): void =>
        to.send(datagram, port, setup.there, () => {
          underWay -= 1;
        });
      if (lateMs < 1) send();
      else setTimeout(send, lateMs);
    });
  };
  carry(left, right, setup.ports[1]);
  carry(right, left, setup.ports[0]);
  process.stdout.write('ready\n');
}

async function open(address: string, port: number): Promise<Socket> {
  const socket = createSocket('udp4').bind(port, address);
  await once(socket, 'listening');
  // Enough for a burst while this process does not run; the kernel may give less.
  socket.setRecvBufferSize(4_194_304);
  return socket;
}

/** Of an IPv4 frame that is no fragment. Source: RFC 791, 768 and 9293. */
function completeChecksum(frame: Buffer): void {
  if (frame.length < ETHERNET_BYTES + 20 || frame.readUInt16BE(12) !== IPV4) return;
  const packet = frame.subarray(ETHERNET_BYTES);
  const at = CHECKSUM_AT.get(packet.readUInt8(9));
  if (at === undefined || (packet.readUInt16BE(6) & 0x3fff) !== 0) return;
  const segment = packet.subarray((packet.readUInt8(0) & 0x0f) * 4, packet.readUInt16BE(2));
  if (segment.length < at + 2) return;
  segment.writeUInt16BE(0, at);
  const pseudoHeader = sumOf(packet.subarray(12, 20)) + packet.readUInt8(9) + segment.length;
  // 0 would say that there is none.
  segment.writeUInt16BE(folded(pseudoHeader + sumOf(segment)) || 0xffff, at);
}

/** Source: RFC 1071. */
function sumOf(bytes: Buffer): number {
  let sum = bytes.length % 2 === 1 ? bytes.readUInt8(bytes.length - 1) << 8 : 0;
  for (let index = 0; index + 1 < bytes.length; index += 2) sum += bytes.readUInt16BE(index);
  return sum;
}

function folded(sum: number): number {
  let rest = sum;
  while (rest > 0xffff) rest = (rest & 0xffff) + (rest >>> 16);
  return ~rest & 0xffff;
}

await main(JSON.parse(process.argv[2] ?? '') as WireSetup);
