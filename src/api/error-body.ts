/**
 * How does a `Failure` look to a client? As the error object of OpenAI's API, because every SDK builds its error classes
 * from the HTTP status and `error.{message,type,param,code}`, and as `Retry-After`, which the same SDKs obey. The
 * status comes from the error registry alone: SDKs retry 408, 409, 429 and 5xx, so the registry decides about retries.
 */
import { ERRORS, type Failure } from '../errors.ts';

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

export function errorBody(failure: Failure): ErrorBody {
  const kind = ERRORS[failure.code];
  return {
    error: { message: failure.message, type: kind.type, param: failure.param ?? null, code: kind.apiCode },
  };
}

export function errorStatus(failure: Failure): number {
  return ERRORS[failure.code].status;
}

/** `Retry-After` counts whole seconds: rounded up, so that nobody comes back too early; undefined = say nothing. */
export function retryAfterSeconds(failure: Failure): string | undefined {
  if (failure.retryAfterMs === undefined) return undefined;
  return String(Math.max(1, Math.ceil(failure.retryAfterMs / 1_000)));
}
