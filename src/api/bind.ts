/**
 * Where may the API listen? On this machine only (127.0.0.1 and ::1) unless the owner says otherwise; and where other
 * machines can reach it, only with an API key or with the long flag that says one knows what one does. The many model
 * servers that answer the whole Internet were all started with a bind address and nothing else.
 */
import { isLoopbackHost } from './host-name.ts';

export interface BindWish {
  /** An address or name; undefined = this machine, both address families. */
  readonly host: string | undefined;
  readonly hasKeys: boolean;
  readonly insecureNoAuth: boolean;
}

export type BindPlan =
  /** `required` must be bound; `optional` too where the machine has that address family. */
  | { readonly type: 'bind'; readonly required: string; readonly optional: string | undefined }
  | { readonly type: 'refused'; readonly reason: string };

export function planBind({ host, hasKeys, insecureNoAuth }: BindWish): BindPlan {
  if (host === undefined || host === 'localhost') return { type: 'bind', required: '127.0.0.1', optional: '::1' };
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  if (isLoopbackHost(bare) || hasKeys || insecureNoAuth) {
    return { type: 'bind', required: bare, optional: undefined };
  }
  return {
    type: 'refused',
    reason:
      `the API would answer everybody who can reach ${host}: configure an API key, or bind 127.0.0.1, ` +
      'or say --insecure-no-auth if that is really what you want',
  };
}

/** The address for a URL. */
export function urlHost(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
