/**
 * The links to all members: exactly one per pair in the steady state, reopened after a break. Who opens it? The member with
 * the smaller id, as soon as there is a connection; the other only when it needs one and none came. Should both open at
 * once, the one opened by the smaller id stays: the opener of the other says so ("draining"), uses it no more,
 * and its peer closes it when nothing lives on it any more, so that no request is lost by tidying up.
 * Limits: one link of each opener per member (a newer replaces the older); openings that wait for a link are bounded.
 */
import { failure } from '../errors.ts';
import { type NodeId, compareIds } from '../ids.ts';
import type { Input } from '../node/events.ts';
import { INFERENCE } from '../params.ts';
import type { PlaneClock } from './alarm.ts';
import type { Opening, ServerLine } from './asking.ts';
import type { ByteStream } from './byte-stream.ts';
import type { LinkCounters } from './link.io.ts';
import type { Control } from './messages.ts';
import { PeerLink } from './peer-link.io.ts';
import type { Serving } from './serving.ts';

const PEERS = {
  /** Time to open a link on an existing connection. Source: guess: a round trip on the worst path, several times. */
  openMsMax: 5_000,
  /** A try waits this long for a connection that is being dialled. Source: guess: four round trips of 250 ms, twice; the next node on the list is the better way then. */
  connectMsMax: 2_000,
  /** The side with the larger id waits this long for the other's link before a mere sign of life opens one. Source: guess. */
  otherOpensMs: 1_000,
  /** Between two attempts: doubles while links do not last. Source: guess. */
  reopenMsMin: 250,
  reopenMsMax: 5_000,
  /** A link that lived this long lasted. Source: guess. */
  lastedMs: 10_000,
  /** The mesh hears of received bytes at most this often for each member: a fifth of a heartbeat. Source: guess. */
  heardMs: 100,
  /** Pings that wait for their answer, all members together. Source: guess: older ones are worthless. */
  pingsMax: 1_024,
} as const;

export interface PeersPorts {
  readonly self: NodeId;
  readonly clock: PlaneClock;
  readonly serving: Serving;
  readonly counters: LinkCounters & { opensFailed: number };
  /** Rejects when there is no connection, or when the signal fires. */
  openLink(node: NodeId, signal: AbortSignal): Promise<ByteStream>;
  report(input: Input): void;
}

/** A try that waits for a link, and what was granted to it meanwhile. */
interface WaitingOpening {
  readonly opening: Opening;
  line: ServerLine | undefined;
  creditTokens: number;
}

interface Peer {
  readonly node: NodeId;
  connected: boolean;
  /** The member said that it takes nothing new. */
  draining: boolean;
  readonly links: Set<PeerLink>;
  readonly waiting: Set<WaitingOpening>;
  opening: boolean;
  linklessSinceMs: number;
  linkedAtMs: number;
  reopenMs: number;
  heardAtMs: number;
  cancelReopen: (() => void) | undefined;
  /** Set while a try waits for a connection. */
  stopAwaiting: (() => void) | undefined;
}

export class Peers {
  readonly #ports: PeersPorts;
  readonly #peers = new Map<NodeId, Peer>();
  readonly #pings = new Map<number, { readonly node: NodeId; readonly sentAtMs: number }>();
  #nonce = 0;
  #closing = false;

  constructor(ports: PeersPorts) {
    this.#ports = ports;
  }

  /** Members with a link. */
  linked(): NodeId[] {
    return [...this.#peers.values()]
      .filter((peer) => preferred(peer, this.#ports.self) !== undefined)
      .map(({ node }) => node);
  }

  connectionOpened(node: NodeId): void {
    const peer = this.#peer(node);
    peer.connected = true;
    peer.linklessSinceMs = this.#ports.clock.nowMs();
    peer.reopenMs = PEERS.reopenMsMin;
    peer.stopAwaiting?.();
    peer.stopAwaiting = undefined;
    if (compareIds(this.#ports.self, node) < 0 || peer.waiting.size > 0) this.#ensureLink(peer);
  }

  connectionLost(node: NodeId): void {
    const peer = this.#peers.get(node);
    if (peer === undefined) return;
    peer.connected = false;
    peer.cancelReopen?.();
    for (const link of peer.links) link.abort('the connection was lost');
    if (peer.waiting.size === 0 && !peer.opening) this.#peers.delete(node);
  }

  acceptLink(node: NodeId, stream: ByteStream): void {
    if (this.#closing) {
      stream.abort('this node is stopping');
      return;
    }
    const peer = this.#peer(node);
    for (const link of peer.links) if (link.openedBy === 'them') link.abort('replaced by a newer link');
    this.#adopt(peer, stream, 'them');
  }

  open(opening: Opening): ServerLine {
    const peer = this.#peer(opening.node);
    if (peer.draining) return this.#refused(opening, 'draining', 'that node takes nothing new');
    const link = preferred(peer, this.#ports.self);
    if (link !== undefined) return link.open(opening);
    if (peer.waiting.size >= INFERENCE.requestsPerLinkMax) {
      return this.#refused(opening, 'busy', 'too many requests wait for a link to that node');
    }
    const waiting: WaitingOpening = { opening, line: undefined, creditTokens: 0 };
    peer.waiting.add(waiting);
    if (peer.connected) this.#ensureLink(peer);
    else this.#awaitConnection(peer);
    return {
      credit: (tokens) => {
        if (waiting.line === undefined) waiting.creditTokens += tokens;
        else waiting.line.credit(tokens);
      },
      cancel: () => {
        peer.waiting.delete(waiting);
        waiting.line?.cancel();
      },
    };
  }

  heartbeat(nodes: readonly NodeId[]): void {
    for (const node of nodes) this.#tell(node, { type: 'heartbeat' });
  }

  ping(node: NodeId): void {
    this.#nonce += 1;
    for (const nonce of this.#pings.keys()) {
      if (this.#pings.size < PEERS.pingsMax) break;
      this.#pings.delete(nonce);
    }
    this.#pings.set(this.#nonce, { node, sentAtMs: this.#ports.clock.nowMs() });
    this.#tell(node, { type: 'ping', nonce: this.#nonce });
  }

  /** Tells every member that nothing new is taken here. */
  drain(): void {
    for (const peer of this.#peers.values())
      for (const link of peer.links) link.tell({ type: 'draining', scope: 'node' });
  }

  close(): void {
    this.#closing = true;
    for (const peer of this.#peers.values()) {
      peer.cancelReopen?.();
      peer.stopAwaiting?.();
      for (const link of peer.links) link.close('this node is stopping');
    }
    this.#peers.clear();
  }

  #tell(node: NodeId, control: Control): void {
    const peer = this.#peer(node);
    const link = preferred(peer, this.#ports.self);
    if (link !== undefined) {
      link.tell(control);
      for (const other of peer.links) other.closeIfIdle();
      return;
    }
    const patient = compareIds(this.#ports.self, node) > 0;
    const waitedMs = this.#ports.clock.nowMs() - peer.linklessSinceMs;
    if (peer.connected && peer.cancelReopen === undefined && (!patient || waitedMs >= PEERS.otherOpensMs)) {
      this.#ensureLink(peer);
    }
  }

  /** The mesh dials whom a try needs; until then the try waits, for a while. */
  #awaitConnection(peer: Peer): void {
    peer.stopAwaiting ??= this.#ports.clock.after(PEERS.connectMsMax, () => {
      peer.stopAwaiting = undefined;
      if (!peer.connected) this.#openFailed(peer, 'no connection came in time');
    });
  }

  #ensureLink(peer: Peer): void {
    if (peer.opening || this.#closing || preferred(peer, this.#ports.self) !== undefined) return;
    peer.opening = true;
    peer.cancelReopen?.();
    peer.cancelReopen = undefined;
    const controller = new AbortController();
    const cancelDeadline = this.#ports.clock.after(PEERS.openMsMax, () => controller.abort());
    this.#ports.openLink(peer.node, controller.signal).then(
      (stream) => {
        cancelDeadline();
        peer.opening = false;
        if (this.#closing) stream.abort('this node is stopping');
        else this.#adopt(peer, stream, 'us');
      },
      (error: unknown) => {
        cancelDeadline();
        peer.opening = false;
        this.#ports.counters.opensFailed += 1;
        this.#openFailed(peer, error instanceof Error ? error.message : String(error));
      },
    );
  }

  #openFailed(peer: Peer, reason: string): void {
    // The other side may have opened one meanwhile.
    if (preferred(peer, this.#ports.self) === undefined) {
      for (const waiting of peer.waiting) {
        peer.waiting.delete(waiting);
        waiting.opening.lost(`no link to the serving node: ${reason}`);
      }
    }
    this.#reopenLater(peer);
    if (!peer.connected && peer.links.size === 0 && peer.waiting.size === 0) this.#peers.delete(peer.node);
  }

  #adopt(peer: Peer, stream: ByteStream, openedBy: 'us' | 'them'): void {
    const { clock, serving, counters } = this.#ports;
    const ports = {
      clock,
      serving,
      counters,
      heard: () => this.#heard(peer),
      told: (from: PeerLink, control: Exclude<Control, { readonly type: 'received' }>) =>
        this.#told(peer, from, control),
      closed: (from: PeerLink) => this.#linkClosed(peer, from),
    };
    const link = new PeerLink({ node: peer.node, stream, openedBy, ports });
    peer.links.add(link);
    peer.draining = false;
    peer.linkedAtMs = this.#ports.clock.nowMs();
    this.#retireOthers(peer);
    const best = preferred(peer, this.#ports.self) ?? link;
    for (const waiting of peer.waiting) {
      peer.waiting.delete(waiting);
      waiting.line = best.open(waiting.opening);
      if (waiting.creditTokens > 0) waiting.line.credit(waiting.creditTokens);
    }
  }

  /** Of two links the one opened by the smaller id stays; the opener of the other gives it up. */
  #retireOthers(peer: Peer): void {
    const best = preferred(peer, this.#ports.self);
    for (const link of peer.links) {
      if (link === best || link.retired || link.openedBy !== 'us') continue;
      link.retired = true;
      link.tell({ type: 'draining', scope: 'link' });
    }
  }

  #heard(peer: Peer): void {
    const nowMs = this.#ports.clock.nowMs();
    if (nowMs - peer.heardAtMs < PEERS.heardMs) return;
    peer.heardAtMs = nowMs;
    this.#ports.report({ type: 'heard', node: peer.node });
  }

  #told(peer: Peer, link: PeerLink, control: Exclude<Control, { readonly type: 'received' }>): void {
    switch (control.type) {
      case 'ping':
        link.tell({ type: 'pong', nonce: control.nonce });
        return;
      case 'pong': {
        const ping = this.#pings.get(control.nonce);
        if (ping === undefined || ping.node !== peer.node) return;
        this.#pings.delete(control.nonce);
        const rttMs = this.#ports.clock.nowMs() - ping.sentAtMs;
        this.#ports.report({ type: 'pong-received', node: peer.node, rttMs });
        return;
      }
      case 'draining':
        if (control.scope === 'node') peer.draining = true;
        else {
          link.retired = true;
          link.closeWhenIdle = true;
        }
        return;
      case 'heartbeat':
        return;
    }
  }

  #linkClosed(peer: Peer, link: PeerLink): void {
    peer.links.delete(link);
    if (preferred(peer, this.#ports.self) !== undefined) return;
    const nowMs = this.#ports.clock.nowMs();
    peer.linklessSinceMs = nowMs;
    const lasted = nowMs - peer.linkedAtMs >= PEERS.lastedMs;
    peer.reopenMs = lasted ? PEERS.reopenMsMin : Math.min(PEERS.reopenMsMax, peer.reopenMs * 2);
    this.#reopenLater(peer);
  }

  #reopenLater(peer: Peer): void {
    if (this.#closing || !peer.connected || compareIds(this.#ports.self, peer.node) > 0) return;
    peer.cancelReopen?.();
    peer.cancelReopen = this.#ports.clock.after(peer.reopenMs, () => {
      peer.cancelReopen = undefined;
      if (peer.connected) this.#ensureLink(peer);
    });
  }

  #refused(opening: Opening, code: 'busy' | 'draining', message: string): ServerLine {
    opening.answered({ type: 'refused', failure: failure(code, message), load: undefined });
    return { credit: () => undefined, cancel: () => undefined };
  }

  #peer(node: NodeId): Peer {
    const known = this.#peers.get(node);
    if (known !== undefined) return known;
    const peer: Peer = {
      node,
      connected: false,
      draining: false,
      links: new Set(),
      waiting: new Set(),
      opening: false,
      linklessSinceMs: this.#ports.clock.nowMs(),
      linkedAtMs: 0,
      reopenMs: PEERS.reopenMsMin,
      heardAtMs: Number.NEGATIVE_INFINITY,
      cancelReopen: undefined,
      stopAwaiting: undefined,
    };
    this.#peers.set(node, peer);
    return peer;
  }
}

/** The link for what is new: of two, the one that the smaller id opened. */
function preferred(peer: Peer, self: NodeId): PeerLink | undefined {
  const smaller = compareIds(self, peer.node) < 0 ? 'us' : 'them';
  let best: PeerLink | undefined;
  for (const link of peer.links) {
    if (link.closedNow || link.retired) continue;
    if (best === undefined || link.openedBy === smaller) best = link;
  }
  return best;
}
