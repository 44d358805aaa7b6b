/**
 * Requests over simulated connections: the ways from an asking process to serving ones and back, in place of the real
 * links. A try goes over the connection that exists; where there is none it waits for one, as long as a link may take to
 * open. When a connection ends, everything that lived on it is told, at both ends.
 */
import type { Opening, ServerLine } from '../../src/inference/asking.ts';
import type { NodeId } from '../../src/ids.ts';
import type { Serving, Served } from '../../src/inference/serving.ts';
import { isLast } from '../../src/inference/messages.ts';
import type { Connection } from '../network/network-port.ts';
import type { Payload } from './payload.ts';

/** How long a try waits for a connection. Source: `PEERS.connectMsMax` of the real links. */
const OPEN_MS_MAX = 2_000;

export interface LinesPorts {
  readonly serving: Serving;
  idOf(node: number): NodeId;
  connectionTo(node: number): Connection | undefined;
  send(connection: Connection, payload: Payload): void;
  after(delayMs: number, call: () => void): () => void;
}

interface Asked {
  readonly opening: Opening;
  readonly connection: Connection;
}

interface Waiting {
  readonly opening: Opening;
  creditTokens: number;
  line: ServerLine | undefined;
  cancelled: boolean;
  readonly stopWaiting: () => void;
}

export class Lines {
  readonly #ports: LinesPorts;
  /** Of channels that we opened. */
  readonly #asked = new Map<number, Asked>();
  /** What is served over a connection, by channel. */
  readonly #served = new Map<Connection, Map<number, Served>>();
  readonly #waiting = new Map<number, Set<Waiting>>();
  #channel = 0;

  constructor(ports: LinesPorts) {
    this.#ports = ports;
  }

  open(opening: Opening, node: number): ServerLine {
    const connection = this.#ports.connectionTo(node);
    return connection === undefined ? this.#wait(opening, node) : this.#openOn(connection, opening, 0);
  }

  connectionOpened(connection: Connection): void {
    const waiting = this.#waiting.get(connection.remote);
    this.#waiting.delete(connection.remote);
    for (const one of waiting ?? []) {
      one.stopWaiting();
      if (!one.cancelled) one.line = this.#openOn(connection, one.opening, one.creditTokens);
    }
  }

  connectionClosed(connection: Connection, reason: string): void {
    const served = this.#served.get(connection);
    this.#served.delete(connection);
    for (const one of served?.values() ?? []) this.#ports.serving.fromAsker(one, { type: 'link-lost' });
    const lost = [...this.#asked].filter(([, asked]) => asked.connection === connection);
    for (const [channel, { opening }] of lost) {
      this.#asked.delete(channel);
      opening.lost(`the link to the serving node ended: ${reason}`);
    }
  }

  received(connection: Connection, payload: Payload): void {
    switch (payload.type) {
      case 'open':
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
        asked?.opening.answered(payload.answer);
        return;
      }
      default:
    }
  }

  #openOn(connection: Connection, opening: Opening, moreCreditTokens: number): ServerLine {
    this.#channel += 1;
    const channel = this.#channel;
    const { requestId, levelMs, creditTokens, resumeDigest, jobText } = opening.parts;
    const open = {
      requestId,
      levelMs,
      creditTokens: creditTokens + moreCreditTokens,
      job: opening.job,
      resumeDigest,
    };
    this.#asked.set(channel, { opening, connection });
    const bytes = jobText.length + (opening.job.resume?.text.length ?? 0);
    this.#ports.send(connection, { type: 'open', channel, open, bytes });
    return {
      credit: (tokens) => {
        if (this.#asked.has(channel)) this.#ports.send(connection, { type: 'credit', channel, tokens });
      },
      cancel: () => {
        if (this.#asked.delete(channel)) this.#ports.send(connection, { type: 'cancel', channel });
      },
    };
  }

  #wait(opening: Opening, node: number): ServerLine {
    const stopWaiting = this.#ports.after(OPEN_MS_MAX, () => {
      this.#waiting.get(node)?.delete(waiting);
      if (!waiting.cancelled) opening.lost('no link to the serving node: no connection came in time');
    });
    const waiting: Waiting = { opening, creditTokens: 0, line: undefined, cancelled: false, stopWaiting };
    const all = this.#waiting.get(node) ?? new Set<Waiting>();
    this.#waiting.set(node, all.add(waiting));
    return {
      credit: (tokens) => {
        if (waiting.line === undefined) waiting.creditTokens += tokens;
        else waiting.line.credit(tokens);
      },
      cancel: () => {
        waiting.cancelled = true;
        waiting.line?.cancel();
      },
    };
  }

  #opened(connection: Connection, payload: Extract<Payload, { type: 'open' }>): void {
    const { channel } = payload;
    const from = this.#ports.idOf(connection.remote);
    const channels = this.#served.get(connection) ?? new Map<number, Served>();
    this.#served.set(connection, channels);
    const send = (answer: Extract<Payload, { type: 'answer' }>['answer']): void => {
      if (isLast(answer)) channels.delete(channel);
      if (this.#served.get(connection) === channels) this.#ports.send(connection, { type: 'answer', channel, answer });
    };
    const served = this.#ports.serving.open(
      from,
      {
        answer: send,
        tokensWaiting: (waiting) => {
          const tokens = waiting.takeTokens();
          if (tokens !== undefined) send(tokens);
        },
      },
      { type: 'open', open: payload.open },
    );
    if (served !== undefined && !served.over) channels.set(channel, served);
  }
}
