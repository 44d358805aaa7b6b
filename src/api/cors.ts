/**
 * Which CORS headers does an answer carry? Only for an Origin that the guard accepted, and then on every answer, errors
 * and streams included, because a browser hides an answer without them from its page. A preflight is answered with the
 * headers it asked for (SDKs send a changing set of `x-stainless-*`), never with `*`, which does not cover
 * Authorization. No credentials: keys travel in a header, cookies are not used. Source: Fetch specification, section 3.2.
 */

export type HeaderPairs = readonly (readonly [name: string, value: string])[];

const EXPOSED = 'x-request-id, x-skein-node, request-id, retry-after';
const HEADER_LIST = /^[\w!#$%&'*+.^`|~, -]{0,4096}$/;
/** How long a browser may remember a preflight, in seconds. Source: guess: ten minutes. */
const PREFLIGHT_AGE_S = 600;

/** For any answer. `Vary` also stands on answers without an Origin, so that no cache mixes them up. */
export function corsHeaders(origin: string | undefined): HeaderPairs {
  if (origin === undefined) return [['vary', 'Origin']];
  return [
    ['vary', 'Origin'],
    ['access-control-allow-origin', origin],
    ['access-control-expose-headers', EXPOSED],
  ];
}

export interface Preflight {
  readonly origin: string | undefined;
  /** The methods of the path, as in `Allow`. */
  readonly allow: string;
  /** The header `access-control-request-headers`, as sent. */
  readonly requestedHeaders: string | undefined;
}

/** For the answer to OPTIONS, beside `corsHeaders`. */
export function preflightHeaders(preflight: Preflight): HeaderPairs {
  const { origin, allow, requestedHeaders } = preflight;
  if (origin === undefined) return [['allow', allow]];
  const headers: (readonly [string, string])[] = [
    ['allow', allow],
    ['access-control-allow-methods', allow],
    ['access-control-max-age', String(PREFLIGHT_AGE_S)],
  ];
  if (requestedHeaders !== undefined && HEADER_LIST.test(requestedHeaders)) {
    headers.push(['access-control-allow-headers', requestedHeaders]);
  }
  return headers;
}
