/**
 * Requests over simulated connections: the ways from an asking process to serving ones and back, in place of the real
 * links. A try goes over the connection that exists; where there is none it waits for one, as long as a link may take to
 * open. When a connection ends, both ends are told: what was asked on it is taken up again on another one, if there
 * is one, else it is lost to the asker, and the serving process hears of that with the next connection.
 */
import { AskedLine, type Carrier } from '../../src/inference/asked-line.ts';
import type { Opening, ServerLine } from '../../src/inference/asking.ts';
import type { NodeId } from '../../src/ids.ts';
import { type Answer, isLast } from '../../src/inference/messages.ts';
import { PartedLines } from '../../src/inference/parted-lines.ts';
import type { AskerLine, Serving, Served } from '../../src/inference/serving.ts';
import type { Connection } from '../network/network-port.ts';
import type { Payload } from './payload.ts';

/** How long a try waits for a connection. Source: `PEERS.connectMsMax` of the real links. */
const OPEN_MS_MAX = 2_000;

export interface LinesPorts {
  readonly serving: Serving;
  idOf(node: number): NodeId;
  nowMs(): number;
  connectionTo(node: number): Connection | undefined;
  send(connection: Connection, payload: Payload): void;
  after(delayMs: number, call: () => void): () => void;
}

interface Asked {
  readonly line: AskedLine;
  readonly connection: Connection;
}

export class Lines implements Carrier {
  readonly #ports: LinesPorts;
  /** Of channels that we opened. */
  readonly #asked = new Map<number, Asked>();
  /** What is served over a connection, by channel. */
  readonly #served = new Map<Connection, Map<number, Served>>();
  /** By node: what waits for a connection, or was given up while there was none. */
  readonly #parted = new Map<number, PartedLines>();
  #channel = 0;

  constructor(ports: LinesPorts) {
    this.#ports = ports;
  }

  open(opening: Opening, node: number): ServerLine {
    const parted = this.#partedOf(node);
    const line = new AskedLine(opening, (cancelled) => parted.giveUp(cancelled, this.#ports.nowMs()));
    parted.opened(opening.parts.requestId);
    const connection = this.#ports.connectionTo(node);
    if (connection !== undefined) this.#carry(connection, line);
    else {
      parted.add(line);
      this.#ports.after(OPEN_MS_MAX, () => {
        if (line.phase !== 'fresh') return;
        parted.giveUp(line, this.#ports.nowMs());
        line.lost('no link to the serving node: no connection came in time');
      });
    }
    return line;
  }

  credit(channel: number, tokens: number): void {
    const asked = this.#asked.get(channel);
    if (asked !== undefined) this.#ports.send(asked.connection, { type: 'credit', channel, tokens });
  }

  cancel(channel: number): void {
    const asked = this.#asked.get(channel);
    this.#asked.delete(channel);
    if (asked !== undefined) this.#ports.send(asked.connection, { type: 'cancel', channel });
  }

  connectionOpened(connection: Connection): void {
    const { lines, givenUp } = this.#partedOf(connection.remote).take(this.#ports.nowMs());
    for (const ask of givenUp) this.#ports.send(connection, { type: 'reattach', channel: this.#nextChannel(), ask });
    for (const line of lines) this.#carry(connection, line);
  }

  connectionClosed(connection: Connection, reason: string): void {
    const served = this.#served.get(connection);
    this.#served.delete(connection);
    for (const one of served?.values() ?? []) this.#ports.serving.fromAsker(one, { type: 'link-lost' });
    const parted = this.#partedOf(connection.remote);
    const nowMs = this.#ports.nowMs();
    const other = this.#ports.connectionTo(connection.remote);
    const left = [...this.#asked].filter(([, asked]) => asked.connection === connection);
    for (const [channel, { line }] of left) {
      this.#asked.delete(channel);
      line.parted(nowMs);
    }
    for (const [, { line }] of left) {
      if (other !== undefined) {
        this.#carry(other, line);
        continue;
      }
      parted.giveUp(line, nowMs);
      line.lost(`the link to the serving node ended: ${reason}`);
    }
  }

  received(connection: Connection, payload: Payload): void {
    switch (payload.type) {
      case 'open':
      case 'reattach':
        return this.#opened(connection, payload);
      case 'credit':
      case 'cancel': {
        const served = this.#served.get(connection)?.get(payload.channel);
        if (served === undefined) return;
        const input =
          payload.type === 'cancel'
            ? ({ type: 'cancelled' } as const)
            : ({ type: 'credit-received', tokens: payload.tokens } as const);
        return this.#ports.serving.fromAsker(served, input);
      }
      case 'answer': {
        const asked = this.#asked.get(payload.channel);
        if (isLast(payload.answer)) this.#asked.delete(payload.channel);
        asked?.line.answered(payload.answer);
        return;
      }
      default:
    }
  }

  #carry(connection: Connection, line: AskedLine): void {
    if (line.phase === 'over') return;
    const channel = this.#nextChannel();
    const { opening, parts } = line;
    const ask = line.phase === 'sent' ? line.reattach(true) : undefined;
    this.#asked.set(channel, { line, connection });
    line.carriedBy(this, channel);
    if (ask !== undefined) return this.#ports.send(connection, { type: 'reattach', channel, ask });
    const { requestId, levelMs, creditTokens, resumeDigest, jobText } = parts;
    const open = { requestId, levelMs, creditTokens, job: opening.job, resumeDigest };
    const bytes = jobText.length + (opening.job.resume?.text.length ?? 0);
    this.#ports.send(connection, { type: 'open', channel, open, bytes });
  }

  #opened(connection: Connection, payload: Extract<Payload, { type: 'open' | 'reattach' }>): void {
    const { serving } = this.#ports;
    const from = this.#ports.idOf(connection.remote);
    const channels = this.#served.get(connection) ?? new Map<number, Served>();
    this.#served.set(connection, channels);
    const line = this.#lineOf(connection, channels, payload.channel);
    const served =
      payload.type === 'open'
        ? serving.open(from, line, { type: 'open', open: payload.open })
        : serving.reattach(from, line, payload.ask);
    if (served !== undefined && !served.over) channels.set(payload.channel, served);
  }

  #lineOf(connection: Connection, channels: Map<number, Served>, channel: number): AskerLine {
    const send = (answer: Answer): void => {
      if (isLast(answer)) channels.delete(channel);
      if (this.#served.get(connection) === channels) this.#ports.send(connection, { type: 'answer', channel, answer });
    };
    return {
      answer: send,
      tokensWaiting: (waiting) => {
        if (this.#served.get(connection) !== channels) return;
        const tokens = waiting.takeTokens();
        if (tokens !== undefined) send(tokens);
      },
      moved: () => void channels.delete(channel),
    };
  }

  #partedOf(node: number): PartedLines {
    const known = this.#parted.get(node);
    if (known !== undefined) return known;
    const parted = new PartedLines();
    this.#parted.set(node, parted);
    return parted;
  }

  #nextChannel(): number {
    this.#channel += 1;
    return this.#channel;
  }
}
