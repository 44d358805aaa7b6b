/**
 * What is said in the channel of a code that works once (`once-code.ts`)? One line each way, JSON in UTF-8. The machine that
 * joins: its node id and name. The inviting node: the body of an invite and, where the swarm has an owner whose
 * key is there, a certificate for that node id; or `refused` and why. Both sides bound the line and its time.
 * The channel is TLS 1.3 only, with a cipher whose hash fits pre-shared keys from outside. Source: RFC 8446, 4.2.11.
 */
import { type NodeId, parseNodeId } from '../ids.ts';
import { decodeInviteBody, encodeInviteBody, type Invite } from './invite.ts';
import { fromBase64Url, toBase64Url } from './link-text.ts';
import { isLabel } from './signed-record.ts';

export const ONCE_TLS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_CHACHA20_POLY1305_SHA256',
} as const;

export const ONCE_REQUEST_BYTES_MAX = 512;
/** Source: ours: an invite's body and a certificate, encoded. */
export const ONCE_ANSWER_BYTES_MAX = 4_096;

export interface OnceRequest {
  readonly node: NodeId;
  readonly name: string;
}

export interface OnceWelcome {
  readonly invite: Invite;
  readonly certificate: Uint8Array | undefined;
}

export type OnceAnswer =
  { readonly type: 'welcome'; readonly welcome: OnceWelcome } | { readonly type: 'refused'; readonly reason: string };

export function encodeOnceRequest({ node, name }: OnceRequest): string {
  return JSON.stringify({ node, name });
}

export function decodeOnceRequest(line: string): OnceRequest | undefined {
  const { node: nodeText, name } = fieldsOf(line);
  const node = parseNodeId(nodeText);
  return node !== undefined && isLabel(name) ? { node, name } : undefined;
}

export function encodeWelcome({ invite, certificate }: OnceWelcome): string {
  return JSON.stringify({
    body: toBase64Url(encodeInviteBody(invite)),
    ...(certificate === undefined ? {} : { certificate: toBase64Url(certificate) }),
  });
}

export function decodeOnceAnswer(line: string): OnceAnswer {
  const refused = /^refused (?<reason>[a-z-]{1,40})$/.exec(line)?.groups?.['reason'];
  if (refused !== undefined) return { type: 'refused', reason: refused };
  const { body, certificate } = fieldsOf(line);
  const bytes = typeof body === 'string' ? fromBase64Url(body) : undefined;
  const invite = bytes === undefined ? undefined : decodeInviteBody(bytes);
  if (invite === undefined) return { type: 'refused', reason: 'not-understood' };
  const shown = typeof certificate === 'string' ? fromBase64Url(certificate) : undefined;
  return { type: 'welcome', welcome: { invite, certificate: shown } };
}

function fieldsOf(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {}; // not understood
  }
}
