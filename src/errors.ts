/**
 * The one registry of what can go wrong for a request. A `Failure` is data: it is returned, sent to peers and shown to
 * clients, never thrown. Each code says its HTTP status, the `type` OpenAI clients expect, whether clients may
 * retry, and the bit that decides about failover: *definite* means the work surely did not run, so that another node
 * may be asked without a doubt (after Maelstrom's error table).
 */

interface ErrorKind {
  readonly status: number;
  readonly type:
    | 'invalid_request_error'
    | 'authentication_error'
    | 'permission_error'
    | 'not_found_error'
    | 'rate_limit_error'
    | 'server_error';
  /** The `code` in the error object of the API. */
  readonly apiCode: string;
  readonly definite: boolean;
  /** Whose fault ends the request: `request` = no node can do better, so do not try another; `node` = another may. */
  readonly fault: 'request' | 'node';
}

const TABLE = {
  'invalid-request': {
    status: 400,
    type: 'invalid_request_error',
    apiCode: 'invalid_request',
    definite: true,
    fault: 'request',
  },
  'invalid-json': {
    status: 400,
    type: 'invalid_request_error',
    apiCode: 'invalid_json',
    definite: true,
    fault: 'request',
  },
  'unsupported-feature': {
    status: 400,
    type: 'invalid_request_error',
    apiCode: 'unsupported_feature',
    definite: true,
    fault: 'request',
  },
  'context-length-exceeded': {
    status: 400,
    type: 'invalid_request_error',
    apiCode: 'context_length_exceeded',
    definite: true,
    fault: 'request',
  },
  unauthorized: {
    status: 401,
    type: 'authentication_error',
    apiCode: 'invalid_api_key',
    definite: true,
    fault: 'request',
  },
  'forbidden-origin': {
    status: 403,
    type: 'permission_error',
    apiCode: 'forbidden_origin',
    definite: true,
    fault: 'request',
  },
  /** A known key that may not do this. */
  forbidden: { status: 403, type: 'permission_error', apiCode: 'forbidden', definite: true, fault: 'request' },
  /** A key used up what it may use. */
  'rate-limited': {
    status: 429,
    type: 'rate_limit_error',
    apiCode: 'rate_limit_exceeded',
    definite: true,
    fault: 'request',
  },
  'not-found': { status: 404, type: 'not_found_error', apiCode: 'not_found', definite: true, fault: 'request' },
  'model-not-found': {
    status: 404,
    type: 'not_found_error',
    apiCode: 'model_not_found',
    definite: true,
    fault: 'request',
  },
  'method-not-allowed': {
    status: 405,
    type: 'invalid_request_error',
    apiCode: 'method_not_allowed',
    definite: true,
    fault: 'request',
  },
  'body-too-large': {
    status: 413,
    type: 'invalid_request_error',
    apiCode: 'body_too_large',
    definite: true,
    fault: 'request',
  },
  'unsupported-media-type': {
    status: 415,
    type: 'invalid_request_error',
    apiCode: 'unsupported_media_type',
    definite: true,
    fault: 'request',
  },
  'misdirected-host': {
    status: 421,
    type: 'permission_error',
    apiCode: 'misdirected_host',
    definite: true,
    fault: 'request',
  },
  'headers-too-large': {
    status: 431,
    type: 'invalid_request_error',
    apiCode: 'headers_too_large',
    definite: true,
    fault: 'request',
  },
  'client-gone': {
    status: 499,
    type: 'invalid_request_error',
    apiCode: 'client_gone',
    definite: false,
    fault: 'request',
  },
  internal: { status: 500, type: 'server_error', apiCode: 'internal_error', definite: false, fault: 'node' },
  'engine-failed': { status: 502, type: 'server_error', apiCode: 'engine_failed', definite: false, fault: 'node' },
  'upstream-failed': { status: 502, type: 'server_error', apiCode: 'upstream_failed', definite: false, fault: 'node' },
  'upstream-unreachable': {
    status: 502,
    type: 'server_error',
    apiCode: 'upstream_unreachable',
    definite: true,
    fault: 'node',
  },
  'stream-lost': { status: 502, type: 'server_error', apiCode: 'stream_lost', definite: false, fault: 'node' },
  'protocol-violation': {
    status: 502,
    type: 'server_error',
    apiCode: 'protocol_violation',
    definite: false,
    fault: 'node',
  },
  busy: { status: 503, type: 'server_error', apiCode: 'busy', definite: true, fault: 'node' },
  draining: { status: 503, type: 'server_error', apiCode: 'draining', definite: true, fault: 'node' },
  'model-not-ready': { status: 503, type: 'server_error', apiCode: 'model_not_ready', definite: true, fault: 'node' },
  'no-node-available': {
    status: 503,
    type: 'server_error',
    apiCode: 'no_node_available',
    definite: true,
    fault: 'request',
  },
  stalled: { status: 504, type: 'server_error', apiCode: 'stalled', definite: false, fault: 'node' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof TABLE;

export const ERRORS: Readonly<Record<ErrorCode, ErrorKind>> = TABLE;

/** What went wrong: code, one sentence that says what, why and what to do, and what the code needs. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  /** The field of the request at fault, as the client wrote it ("messages[2].content"). */
  readonly param?: string;
  /** When trying again makes sense, for `Retry-After`. */
  readonly retryAfterMs?: number;
}

export function failure(
  code: ErrorCode,
  message: string,
  more: { param?: string; retryAfterMs?: number } = {},
): Failure {
  return { code, message, ...more };
}

/** True where the work surely did not run: another node may be asked without risk. */
export function isDefinite(code: ErrorCode): boolean {
  return ERRORS[code].definite;
}

/** True where another node could do better. */
export function isNodeFault(code: ErrorCode): boolean {
  return ERRORS[code].fault === 'node';
}

export function parseErrorCode(text: unknown): ErrorCode | undefined {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  return typeof text === 'string' && Object.hasOwn(ERRORS, text) ? (text as ErrorCode) : undefined;
}

/** What somebody else's code threw, for a log line: of several errors all of them. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
