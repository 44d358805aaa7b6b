/**
 * The links to one member: exactly one in the steady state, reopened after a break. Who opens it? The member with
 * the smaller id, as soon as there is a connection; the other only when it needs one and none came. Of several links the
 * newest that the smaller id opened is used; on the others the opener says "draining", each side takes what it asked for
 * over to the used one, and the peer closes them when nothing lives there. So a link moves to a better path (`moveLink`)
 * and back, and two that were opened at once become one, without a cut. When a link ends, what was asked on it is taken
 * up again on the next one, which is opened at once by whoever has such requests.
 * Limits: `linksMax` links, and a retired one lives for a short while; requests that wait for a link are bounded.
 */
import { failure } from '../errors.ts';
import { type NodeId, compareIds } from '../ids.ts';
import type { Input } from '../node/events.ts';
import type { PlaneClock } from './alarm.ts';
import { AskedLine } from './asked-line.ts';
import type { Opening, ServerLine } from './asking.ts';
import type { ByteStream } from './byte-stream.ts';
import type { LinkCounters } from './link.io.ts';
import type { LinkPings } from './link-pings.ts';
import type { Control } from './messages.ts';
import { PartedLines } from './parted-lines.ts';
import { type LinkEnd, PeerLink } from './peer-link.io.ts';
import type { Serving } from './serving.ts';

const LINKS = {
  /** Time to open a link on an existing connection. Source: guess: a round trip on the worst path, several times. */
  openMsMax: 5_000,
  /** A try waits this long for a connection that is being dialled. Source: guess: four round trips of 250 ms, twice; the next node on the list is the better way then. */
  connectMsMax: 2_000,
  /** The side with the larger id waits this long for the other's link before a mere sign of life opens one. Source: guess. */
  otherOpensMs: 1_000,
  /** Between two attempts: doubles while links do not last. Source: guess. */
  reopenMsMin: 250,
  reopenMsMax: 5_000,
  /** ... at most this while requests wait to be taken up again. Source: a quarter of the time that they wait. */
  reopenMsWaiting: 500,
  /** A link that lived this long lasted. Source: guess. */
  lastedMs: 10_000,
  /** The mesh hears of received bytes at most this often: a fifth of a heartbeat. Source: guess. */
  heardMs: 100,
  /** Source: guess: one, the next while it moves, and one that each side has not noticed to be dead. */
  linksMax: 4,
  /** A retired link ends after this, whatever lives on it: the other side did not notice. Source: guess: four signs of
   *  life, each of which lets a request move. */
  retiredMs: 2_000,
} as const;

export interface MemberLinksPorts {
  readonly self: NodeId;
  readonly clock: PlaneClock;
  readonly serving: Serving;
  readonly counters: LinkCounters & { opensFailed: number };
  readonly pings: LinkPings;
  /** Rejects when there is no connection, or when the signal fires. */
  openLink(node: NodeId, signal: AbortSignal): Promise<ByteStream>;
  report(input: Input): void;
  /** The last connection of a member with open requests is gone: true when another one was made. Absent = nobody tries. */
  redial?(node: NodeId): Promise<boolean>;
  /** Nothing of this member is here any more. */
  unused(links: MemberLinks): void;
}

type ToldControl = Exclude<Control, { readonly type: 'received' }>;

export class MemberLinks {
  readonly node: NodeId;
  readonly #ports: MemberLinksPorts;
  readonly #isSmaller: boolean;
  readonly #links = new Set<PeerLink>();
  readonly #parted = new PartedLines();
  #connected = false;
  /** The member said that it takes nothing new. */
  #draining = false;
  #opening = false;
  #redialling = false;
  #closing = false;
  #linklessSinceMs: number;
  #linkedAtMs = 0;
  #reopenMs: number = LINKS.reopenMsMin;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #cancelReopen: (() => void) | undefined;
  /** Set while a try waits for a connection. */
  #stopAwaiting: (() => void) | undefined;
  /** Set while something parted has an end. */
  #cancelExpiry: (() => void) | undefined;

  constructor(node: NodeId, ports: MemberLinksPorts) {
    this.node = node;
    this.#ports = ports;
    this.#isSmaller = compareIds(ports.self, node) < 0;
    this.#linklessSinceMs = ports.clock.nowMs();
  }

  /** The link for what is new: of several, the newest that the smaller id opened, else the newest. */
  get preferred(): PeerLink | undefined {
    const smaller = this.#isSmaller ? 'us' : 'them';
    let best: PeerLink | undefined;
    for (const link of this.#links) {
      if (link.closedNow || link.retired) continue;
      if (best === undefined || link.openedBy === smaller || best.openedBy !== smaller) best = link;
    }
    return best;
  }

  connectionOpened(): void {
    this.#connected = true;
    this.#linklessSinceMs = this.#ports.clock.nowMs();
    this.#reopenMs = LINKS.reopenMsMin;
    this.#stopAwaiting?.();
    this.#stopAwaiting = undefined;
    if (this.#isSmaller || this.#parted.size > 0) this.#ensureLink();
  }

  connectionLost(): void {
    this.#connected = false;
    this.#cancelReopen?.();
    for (const link of this.#links) link.abort('the connection was lost');
    // The link may have ended before it was known that nothing else is left.
    this.#redial('the link to the serving node ended: the connection was lost');
    this.#forgetIfUnused();
  }

  /** There is a better connection than the one the link is on. The side that opened the link says so. */
  moveLink(): void {
    if (!this.#connected || this.#opening || this.#closing) return;
    if (this.#isSmaller || this.preferred?.openedBy === 'us') this.#openLink();
  }

  open(opening: Opening): ServerLine {
    if (this.#draining) return refused(opening, 'draining', 'that node takes nothing new');
    const line = new AskedLine(opening, (cancelled) => this.#gaveUp(cancelled));
    this.#parted.opened(opening.parts.requestId);
    const link = this.preferred;
    if (link !== undefined) link.carry(line);
    else if (this.#parted.full) return refused(opening, 'busy', 'too many requests wait for a link to that node');
    else {
      this.#parted.add(line);
      if (this.#connected) this.#ensureLink();
      else this.#awaitConnection();
    }
    return line;
  }

  /** A sign of life, which keeps a link there as well. */
  tell(control: Control): void {
    const link = this.preferred;
    if (link !== undefined) {
      link.tell(control);
      for (const other of this.#links) other.closeIfIdle();
      return;
    }
    const waitedMs = this.#ports.clock.nowMs() - this.#linklessSinceMs;
    const mayOpen = this.#isSmaller || waitedMs >= LINKS.otherOpensMs;
    if (this.#connected && this.#cancelReopen === undefined && mayOpen) this.#ensureLink();
  }

  /** Tells the member that nothing new is taken here. */
  drain(): void {
    for (const link of this.#links) link.tell({ type: 'draining', scope: 'node' });
  }

  close(): void {
    this.#closing = true;
    for (const cancel of [this.#cancelReopen, this.#stopAwaiting, this.#cancelExpiry]) cancel?.();
    for (const link of this.#links) link.close('this node is stopping');
  }

  /** The mesh dials whom a try needs; until then the try waits, for a while. */
  #awaitConnection(): void {
    this.#stopAwaiting ??= this.#ports.clock.after(LINKS.connectMsMax, () => {
      this.#stopAwaiting = undefined;
      if (!this.#connected) this.#openFailed('no connection came in time');
    });
  }

  #ensureLink(): void {
    if (this.#opening || this.#closing || this.preferred !== undefined) return;
    this.#openLink();
  }

  #openLink(): void {
    this.#opening = true;
    this.#cancelReopen?.();
    this.#cancelReopen = undefined;
    const controller = new AbortController();
    const cancelDeadline = this.#ports.clock.after(LINKS.openMsMax, () => controller.abort());
    const opened = this.#ports.openLink(this.node, controller.signal).finally(() => {
      cancelDeadline();
      this.#opening = false;
    });
    opened.then(
      (stream) => {
        if (this.#closing) stream.abort('this node is stopping');
        else this.adopt(stream, 'us');
      },
      (error: unknown) => {
        this.#ports.counters.opensFailed += 1;
        this.#openFailed(error instanceof Error ? error.message : String(error));
      },
    );
  }

  #openFailed(reason: string): void {
    // A link may be there: the other side opened one, or this one was to be better.
    if (this.preferred === undefined) {
      this.#lose(this.#parted.of('fresh'), `no link to the serving node: ${reason}`);
      this.#reopenLater();
    }
    this.#forgetIfUnused();
  }

  /** A new link, the successor of those that are there. */
  adopt(stream: ByteStream, openedBy: 'us' | 'them'): void {
    const { clock, serving, counters } = this.#ports;
    const ports = {
      clock,
      serving,
      counters,
      heard: () => this.#heard(),
      told: (from: PeerLink, control: ToldControl) => this.#told(from, control),
      movable: (from: PeerLink) => this.#move(from),
      closed: (from: PeerLink, end: LinkEnd) => this.#linkClosed(from, end),
    };
    const link = new PeerLink({ node: this.node, stream, openedBy, ports });
    this.#links.add(link);
    this.#draining = false;
    this.#linkedAtMs = clock.nowMs();
    const best = this.preferred ?? link;
    const others = [...this.#links].filter((other) => other !== best && !other.closedNow);
    for (const other of others) {
      if (!other.retired) this.#retire(other);
      this.#move(other);
    }
    const { lines, givenUp } = this.#parted.take(clock.nowMs());
    for (const message of givenUp) best.abandon(message);
    for (const line of lines) best.carry(line);
  }

  #retire(link: PeerLink): void {
    link.retired = true;
    if (link.openedBy === 'us') link.tell({ type: 'draining', scope: 'link' });
    const end = (): void => link.close('another link took over');
    if (this.#links.size > LINKS.linksMax) end();
    else link.cancelEnd = this.#ports.clock.after(LINKS.retiredMs, end);
  }

  /** What was asked on a link that is not used any more goes over to the one that is. */
  #move(from: PeerLink): void {
    const best = this.preferred;
    if (best === undefined || best === from) return;
    for (const line of from.leave(this.#ports.clock.nowMs())) best.carry(line);
    from.closeIfIdle();
  }

  #heard(): void {
    const nowMs = this.#ports.clock.nowMs();
    if (nowMs - this.#heardAtMs < LINKS.heardMs) return;
    this.#heardAtMs = nowMs;
    this.#ports.report({ type: 'heard', node: this.node });
  }

  #told(link: PeerLink, control: ToldControl): void {
    switch (control.type) {
      case 'ping':
        link.tell({ type: 'pong', nonce: control.nonce });
        return;
      case 'pong': {
        const rttMs = this.#ports.pings.answered(this.node, control.nonce, this.#ports.clock.nowMs());
        if (rttMs !== undefined) this.#ports.report({ type: 'pong-received', node: this.node, rttMs });
        return;
      }
      case 'draining':
        if (control.scope === 'node') this.#draining = true;
        else {
          link.closeWhenIdle = true;
          if (!link.retired) this.#retire(link);
          this.#move(link);
        }
        return;
      case 'heartbeat':
        return;
    }
  }

  #linkClosed(link: PeerLink, { reason, lines, broken }: LinkEnd): void {
    const nowMs = this.#ports.clock.nowMs();
    const text = `the link to the serving node ended: ${reason}`;
    this.#links.delete(link);
    const best = this.preferred;
    for (const line of lines) {
      line.parted(nowMs);
      if (this.#closing || broken) line.lost(text);
      else if (best !== undefined) best.carry(line);
      else if (line.phase !== 'over') this.#parted.add(line);
    }
    if (!this.#closing && best === undefined) this.#linkless(text, nowMs);
  }

  #linkless(text: string, nowMs: number): void {
    this.#linklessSinceMs = nowMs;
    const lasted = nowMs - this.#linkedAtMs >= LINKS.lastedMs;
    // The first break is no pattern: whoever waits for the link gets the next one at once.
    const atOnce = this.#parted.size > 0 && (lasted || this.#reopenMs === LINKS.reopenMsMin);
    this.#reopenMs = lasted ? LINKS.reopenMsMin : Math.min(LINKS.reopenMsMax, this.#reopenMs * 2);
    this.#expireLater();
    if (!this.#connected) this.#redial(text);
    else if (atOnce) this.#ensureLink();
    else this.#reopenLater();
  }

  /** No connection is left. The member may live all the same, and be reached by another way. */
  #redial(text: string): void {
    if (this.#redialling || this.#parted.size === 0) return;
    const settled = (reached: boolean): void => {
      this.#redialling = false;
      if (!reached && !this.#connected) this.#lose(this.#parted.of('sent'), text);
      this.#forgetIfUnused();
    };
    this.#redialling = true;
    if (this.#ports.redial === undefined) return settled(false);
    this.#ports.redial(this.node).then(settled, () => settled(false));
  }

  #gaveUp(line: AskedLine): void {
    this.#parted.giveUp(line, this.#ports.clock.nowMs());
    this.#expireLater();
  }

  #lose(lines: readonly AskedLine[], text: string): void {
    for (const line of lines) {
      this.#gaveUp(line);
      line.lost(text);
    }
  }

  #expireLater(): void {
    const { clock } = this.#ports;
    const inMs = this.#parted.wakeAtMs - clock.nowMs();
    if (this.#cancelExpiry !== undefined || this.#closing || !Number.isFinite(inMs)) return;
    this.#cancelExpiry = clock.after(Math.max(0, inMs), () => {
      this.#cancelExpiry = undefined;
      this.#lose(this.#parted.expired(clock.nowMs()), 'the link to the serving node ended, and no other came in time');
      this.#expireLater();
      this.#forgetIfUnused();
    });
  }

  #reopenLater(): void {
    const isAwaited = this.#parted.size > 0;
    if (this.#closing || !this.#connected || (!this.#isSmaller && !isAwaited)) return;
    this.#cancelReopen?.();
    const delayMs = isAwaited ? Math.min(this.#reopenMs, LINKS.reopenMsWaiting) : this.#reopenMs;
    this.#cancelReopen = this.#ports.clock.after(delayMs, () => {
      this.#cancelReopen = undefined;
      if (this.#connected) this.#ensureLink();
    });
  }

  #forgetIfUnused(): void {
    const isBusy = this.#connected || this.#opening || this.#redialling;
    if (!isBusy && this.#links.size === 0 && this.#parted.empty) this.#ports.unused(this);
  }
}

function refused(opening: Opening, code: 'busy' | 'draining', message: string): ServerLine {
  opening.answered({ type: 'refused', failure: failure(code, message), load: undefined });
  return { credit: () => undefined, cancel: () => undefined };
}
