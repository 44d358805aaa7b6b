/**
 * What a simulated node keeps when its process ends: the last incarnation and the peers it knew. A full disk keeps what it
 * had; a lost one starts anew, with the same key, as after a restore from a backup of the key alone.
 */
import type { NodeId } from '../../src/ids.ts';

export interface KnownPeer {
  readonly node: NodeId;
  readonly addresses: readonly string[];
}

export class Disk {
  #incarnation = 0;
  #peers: readonly KnownPeer[] = [];
  isFull = false;

  get peers(): readonly KnownPeer[] {
    return this.#peers;
  }

  /** The next incarnation: the boot time in seconds, and more than the last one that was saved. */
  nextIncarnation(wallMs: number): number {
    return Math.max(Math.floor(wallMs / 1_000), this.#incarnation + 1);
  }

  saveIncarnation(incarnation: number): void {
    if (!this.isFull) this.#incarnation = Math.max(this.#incarnation, incarnation);
  }

  savePeers(peers: readonly KnownPeer[]): void {
    if (!this.isFull) this.#peers = peers;
  }

  lose(): void {
    this.#incarnation = 0;
    this.#peers = [];
  }
}
