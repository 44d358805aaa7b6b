/**
 * The port to the bytes below a link: an ordered, reliable, two-way stream that says when it wants a pause. A libp2p
 * stream is one (`link.io.ts`), an in-memory pair is another (tests). Delivery is pushed: whoever listens first and only
 * once hears everything, in order, and `closed` exactly once at the end, whoever ended it.
 */

export interface ByteStreamListener {
  bytes(chunk: Uint8Array): void;
  /** Sending may go on after a `send` that answered false. */
  drained(): void;
  /** Nothing more comes or goes. */
  closed(reason: string): void;
}

export interface ByteStream {
  /** False: it was taken, but wait for `drained` before the next. The bytes belong to the stream from now on. */
  send(bytes: Uint8Array): boolean;
  /** Called exactly once, right after the stream exists. */
  listen(listener: ByteStreamListener): void;
  /** Lets what was sent arrive, then closes. */
  close(): void;
  /** Ends it now; what is under way may be lost. */
  abort(reason: string): void;
}
