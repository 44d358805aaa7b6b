/**
 * May this HTTP request be looked at at all? Against DNS rebinding, cross-site requests from web pages, and request
 * smuggling, in one table that holds for every route, every method and every bind address:
 *   0. so few headers that each can be looked at, else 431;
 *   1. the target starts with `/` (or is `*`), so that no URL in it overrules Host;
 *   2. exactly one Host, an address, localhost, *.localhost or configured (`host-name.ts`), else 421;
 *   3. at most one Origin, our own or a configured one, else 403 (`null` is neither);
 *   4. Sec-Fetch-Site says same-origin or none, unless rule 3 accepted an Origin by name;
 *   5. no WebSocket: there is none, and browsers open them without asking;
 *   6. anything but GET, HEAD and OPTIONS has content-type application/json in UTF-8 (415), because browsers send that
 *      across origins only after a preflight, and no content-encoding.
 * An allow-list, never a block-list of methods. Limits: it cannot tell programs on this machine apart. Source: Fetch
 * and Fetch Metadata specifications; advisories on local model servers that lacked one of these rules.
 */
import { type Failure, failure } from '../errors.ts';
import { isAcceptedHost } from './host-name.ts';
import { headerValues, type RawHeaders } from './raw-headers.ts';

export interface HttpHead {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: RawHeaders;
}

export interface GuardPolicy {
  /** Further names of this node, lower case, without port. */
  readonly hosts: readonly string[];
  /** Origins of web pages that may use this node, as browsers write them ("https://chat.example"). */
  readonly origins: readonly string[];
}

/** `origin`: the accepted Origin, to be named in the CORS headers of the answer, also of a refusal. */
export type GuardVerdict =
  | { readonly type: 'allowed'; readonly origin: string | undefined }
  | { readonly type: 'denied'; readonly failure: Failure; readonly origin: string | undefined };

/** Source: guess: browsers send some thirty, a client behind several proxies twice as many. */
export const HEADERS_MAX = 256;

const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const JSON_TYPE = /^application\/json[\t ]*(?:;[\t ]*charset="?utf-?8"?[\t ]*;?[\t ]*)?$/i;
const WEBSOCKET = /(?:^|[\s,])websocket(?:$|[\s,/])/i;

export function guard(head: HttpHead, policy: GuardPolicy): GuardVerdict {
  const place = checkCount(head) ?? checkTarget(head) ?? checkHost(head, policy);
  if (place !== undefined) return { type: 'denied', failure: place, origin: undefined };
  const origin = judgeOrigin(head, policy);
  if (typeof origin === 'object') return { type: 'denied', failure: origin, origin: undefined };
  const refused = checkFetchSite(head, origin) ?? checkUpgrade(head) ?? checkContent(head);
  return refused === undefined ? { type: 'allowed', origin } : { type: 'denied', failure: refused, origin };
}

/** 0. */
function checkCount({ rawHeaders }: HttpHead): Failure | undefined {
  if (rawHeaders.length <= 2 * HEADERS_MAX) return undefined;
  return failure('headers-too-large', `the request has more than ${HEADERS_MAX} headers`);
}

/** 1. */
function checkTarget({ target, method }: HttpHead): Failure | undefined {
  if (target.startsWith('/') || (target === '*' && method === 'OPTIONS')) return undefined;
  return failure('invalid-request', 'the request target must be a path: this node is no proxy');
}

/** 2. */
function checkHost({ rawHeaders }: HttpHead, policy: GuardPolicy): Failure | undefined {
  const hosts = headerValues(rawHeaders, 'host');
  const [host] = hosts;
  if (host === undefined || hosts.length > 1) {
    return failure('misdirected-host', `exactly one Host header is needed, got ${hosts.length}`);
  }
  if (isAcceptedHost(host, policy.hosts)) return undefined;
  return failure(
    'misdirected-host',
    'this node does not answer under that host name: use its address or localhost, or add the name to its allowed hosts',
  );
}

/** 3. The accepted origin, undefined when there is none, or why it is refused. */
function judgeOrigin({ rawHeaders }: HttpHead, policy: GuardPolicy): string | undefined | Failure {
  const origins = headerValues(rawHeaders, 'origin');
  const [origin] = origins;
  if (origin === undefined) return undefined;
  const [host = ''] = headerValues(rawHeaders, 'host');
  const own = `http://${host.toLowerCase()}`;
  if (origins.length === 1 && (origin === own || policy.origins.includes(origin))) return origin;
  return failure(
    'forbidden-origin',
    'web pages of that origin may not use this node: add the origin to its allowed origins if they should',
  );
}

/** 4. A page of a configured origin is cross-site by nature; its Origin header has spoken for it. */
function checkFetchSite({ rawHeaders }: HttpHead, origin: string | undefined): Failure | undefined {
  if (origin !== undefined) return undefined;
  const sites = headerValues(rawHeaders, 'sec-fetch-site');
  if (sites.every((site) => site === 'same-origin' || site === 'none')) return undefined;
  return failure('forbidden-origin', 'this request comes from a page of another site, which may not use this node');
}

/** 5. */
function checkUpgrade({ rawHeaders }: HttpHead): Failure | undefined {
  if (!headerValues(rawHeaders, 'upgrade').some((value) => WEBSOCKET.test(value))) return undefined;
  return failure('invalid-request', 'this node speaks no WebSocket: answers stream as server-sent events');
}

/** 6. */
function checkContent({ method, rawHeaders }: HttpHead): Failure | undefined {
  if (BODILESS.has(method)) return undefined;
  const types = headerValues(rawHeaders, 'content-type');
  if (types.length !== 1 || !JSON_TYPE.test(types[0] ?? '')) {
    return failure('unsupported-media-type', 'send a body with content-type: application/json');
  }
  const encodings = headerValues(rawHeaders, 'content-encoding');
  if (encodings.every((encoding) => encoding.toLowerCase() === 'identity' || encoding === '')) return undefined;
  return failure('unsupported-media-type', 'send the body without content-encoding');
}
