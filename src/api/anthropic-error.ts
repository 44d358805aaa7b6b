/**
 * How does a `Failure` look to Anthropic's clients? As `{type: "error", error: {type, message}}`, whose type follows from the
 * status; the status itself stays that of the registry (503 where Anthropic has a 529 of its own, which official
 * clients retry just the same). There is no field for the place of a mistake: the sentence begins with it.
 * Source: spec (Anthropic API, errors).
 */
import { ERRORS, type Failure } from '../errors.ts';
import { type ParamNames, withParamNames } from './param-names.ts';

export interface AnthropicError {
  readonly type: 'error';
  readonly error: { readonly type: string; readonly message: string; readonly details?: object };
}

/** The field of conversations that are stored. */
export const THREAD = 'thread';
/** By this the clients' own tool runner knows that it must send all messages itself. */
const NO_THREADS = { error_code: 'thread_unsupported_request', unsupported: null };

const TYPES: ReadonlyMap<number, string> = new Map([
  [401, 'authentication_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [413, 'request_too_large'],
  [421, 'permission_error'],
  [429, 'rate_limit_error'],
  [503, 'overloaded_error'],
  [504, 'timeout_error'],
]);

const PARAM_NAMES: ParamNames = { stop: 'stop_sequences', response_format: 'output_config.format' };

export function anthropicError(failure: Failure): AnthropicError {
  const { status } = ERRORS[failure.code];
  const type = TYPES.get(status) ?? (status < 500 ? 'invalid_request_error' : 'api_error');
  const { message } = withParamNames(failure, PARAM_NAMES);
  return { type: 'error', error: { type, message, ...(failure.param === THREAD ? { details: NO_THREADS } : {}) } };
}
