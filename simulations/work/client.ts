/**
 * The clients of one simulated node: what somebody sees who asks there. Each request grants tokens as the node's front
 * door does for a socket (`reading-socket.ts`). Positions are read back out of the text, so that a gap, a repeat or another's answer
 * shows in the trace. Text after a silence is reported at once, what follows in merged pieces, at most `mergeMs` late.
 * Clients are processes beside the node's: they end with its connections, and wait while it stands still.
 * Limits: as many connections wait for a node that stands still as its kernel keeps; more are turned away.
 */
import { type Failure, failure } from '../../src/errors.ts';
import type { ChatEvent, ChatRun, ChatService } from '../../src/inference/chat.ts';
import type { Arrival } from './conversations.ts';
import type { EventQueue, Timer } from '../kernel/kernel-port.ts';
import { markOf, prefixHashes, readTokens } from './numbered-text.ts';
import { ReadingSocket, WINDOW_TOKENS } from './reading-socket.ts';
import type { WorldEvent } from '../world-event.ts';

/** Who stopped reading goes away after this. Source: guess. */
const STOPPED_MS = 60_000;
/** Source: guess: two events a second for each answer, and a gap of 3 s is measured to a sixth. */
const MERGE_MS = 500;
/** Source: copied, the default backlog of a listening socket in Node. */
const WAITING_MAX = 511;

export interface ClientOptions {
  readonly node: number;
  readonly queue: EventQueue;
  readonly service: ChatService;
  readonly emit: (event: WorldEvent) => void;
  readonly mergeMs?: number;
}

type Result = Extract<WorldEvent, { type: 'request-ended' }>['result'];

interface Ending {
  readonly result: Result;
  readonly failure?: Failure;
  readonly completionTokens?: number;
}

/** One request as its client sees it. */
interface Open {
  readonly arrival: Arrival;
  readonly mark: string;
  run: ChatRun | undefined;
  readonly socket: ReadingSocket;
  /** Found in the text; the position expected next. */
  tokens: number;
  next: number;
  /** Found and not reported yet, from this position on. */
  position: number;
  unreported: number;
  heardAtMs: number;
  wantsToLeave: boolean;
  isOver: boolean;
  leaves: Timer | undefined;
  repays: Timer | undefined;
}

export class SimulatedClient {
  readonly #options: ClientOptions;
  readonly #mergeMs: number;
  /** In the order in which they asked. */
  readonly #open = new Map<string, Open>();
  readonly #waiting: Arrival[] = [];
  #reports: Timer | undefined;
  #paused = false;
  #lost = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#mergeMs = options.mergeMs ?? MERGE_MS;
  }

  /** Requests that have no end yet. */
  get open(): number {
    return this.#open.size + this.#waiting.length;
  }

  ask(arrival: Arrival): void {
    if (this.#lost) this.#turnAway(arrival, { result: 'node-lost' });
    else if (!this.#paused) this.#start(arrival);
    else if (this.#waiting.length < WAITING_MAX) this.#waiting.push(arrival);
    else this.#turnAway(arrival, { result: 'failed', failure: failure('stream-lost', 'the node takes no connection') });
  }

  /** The node stands still: nothing reaches it. */
  pause(): void {
    this.#paused = true;
  }

  /** It goes on: what was sent to it meanwhile arrives. */
  resume(): void {
    if (this.#lost || !this.#paused) return;
    this.#paused = false;
    for (const open of this.#open.values()) {
      if (open.wantsToLeave) this.#leave(open);
      else this.#repay(open);
    }
    for (const arrival of this.#waiting.splice(0)) this.#start(arrival);
  }

  /** The node's process died, and all connections to it with it. */
  nodeLost(): void {
    if (this.#lost) return;
    this.#lost = true;
    for (const open of this.#open.values()) this.#end(open, { result: 'node-lost' });
    for (const arrival of this.#waiting.splice(0)) this.#turnAway(arrival, { result: 'node-lost' });
    this.#cancel(this.#reports);
  }

  #start(arrival: Arrival): void {
    const { queue, service } = this.#options;
    const { request, reader } = arrival;
    const open: Open = {
      arrival,
      mark: markOf(prefixHashes(request.job.messages)),
      run: undefined,
      socket: new ReadingSocket(reader, queue.nowMs),
      tokens: 0,
      next: 0,
      position: 0,
      unreported: 0,
      heardAtMs: Number.NEGATIVE_INFINITY,
      wantsToLeave: false,
      isOver: false,
      leaves: undefined,
      repays: undefined,
    };
    this.#open.set(request.requestId, open);
    open.run = service.start(request, (event) => this.#on(open, event));
    if (open.isOver) return;
    open.run.grant(WINDOW_TOKENS);
    if (reader.type === 'leaves') this.#leaveAfter(open, reader.afterMs);
  }

  /** Also what comes after the end is reported: it must not come, and whoever checks wants to see it. */
  #on(open: Open, event: ChatEvent): void {
    if (this.#lost) return;
    if (event.type === 'text') this.#text(open, event.text, event.tokens);
    else if (event.type === 'failed') this.#end(open, { result: 'failed', failure: event.failure });
    else if (event.type === 'ended')
      this.#end(open, { result: 'answered', completionTokens: event.usage.completionTokens });
  }

  #text(open: Open, text: string, tokens: number): void {
    const { nowMs } = this.#options.queue;
    const isAfterSilence = nowMs - open.heardAtMs >= this.#mergeMs;
    open.heardAtMs = nowMs;
    for (const piece of readTokens(text, open.mark, { position: open.next, tokens })) {
      const goesOn = piece.position >= 0 && piece.position === open.position + open.unreported;
      if (!goesOn) {
        this.#flush(open);
        open.position = piece.position;
      }
      open.unreported += piece.tokens;
      open.tokens += piece.tokens;
      if (piece.position >= 0) open.next = piece.position + piece.tokens;
      else this.#flush(open);
    }
    if (isAfterSilence || open.isOver) this.#flush(open);
    else this.#reports ??= this.#options.queue.at(nowMs + this.#mergeMs, () => this.#reportAll());
    open.socket.receive(tokens, nowMs);
    const { reader } = open.arrival;
    if (reader.type === 'stops' && open.socket.received >= reader.afterTokens) this.#leaveAfter(open, STOPPED_MS);
    this.#repay(open);
  }

  #reportAll(): void {
    this.#reports = undefined;
    for (const open of this.#open.values()) this.#flush(open);
  }

  #flush(open: Open): void {
    const { node, emit } = this.#options;
    const { position, unreported: tokens } = open;
    if (tokens === 0) return;
    open.unreported = 0;
    open.position = position + tokens;
    emit({ type: 'text', node, requestId: open.arrival.request.requestId, position, tokens });
  }

  #repay(open: Open): void {
    if (this.#paused || open.isOver) return;
    const { queue } = this.#options;
    const tokens = open.socket.owed(queue.nowMs);
    if (tokens > 0) open.run?.grant(tokens);
    const roomAtMs = open.repays === undefined ? open.socket.roomAtMs(queue.nowMs) : undefined;
    if (roomAtMs === undefined) return;
    open.repays = queue.at(roomAtMs, () => {
      open.repays = undefined;
      this.#repay(open);
    });
  }

  #leaveAfter(open: Open, afterMs: number): void {
    const { queue } = this.#options;
    open.leaves ??= queue.at(queue.nowMs + afterMs, () => this.#leave(open));
  }

  #leave(open: Open): void {
    open.wantsToLeave = true;
    if (this.#paused || open.isOver) return;
    open.run?.cancel();
    this.#end(open, { result: 'client-gone' });
  }

  #end(open: Open, ending: Ending): void {
    this.#flush(open);
    open.isOver = true;
    this.#cancel(open.leaves);
    this.#cancel(open.repays);
    this.#open.delete(open.arrival.request.requestId);
    this.#ended(open.arrival, ending, open.tokens);
  }

  #turnAway(arrival: Arrival, ending: Ending): void {
    this.#ended(arrival, ending, 0);
  }

  #ended(arrival: Arrival, ending: Ending, tokens: number): void {
    const { node, emit } = this.#options;
    const { result, completionTokens = 0 } = ending;
    const { requestId } = arrival.request;
    emit({ type: 'request-ended', node, requestId, result, failure: ending.failure, tokens, completionTokens });
  }

  #cancel(timer: Timer | undefined): void {
    if (timer !== undefined) this.#options.queue.cancel(timer);
  }
}
