/**
 * Which names may a client use for this node? An attacker's web page can point its own name at 127.0.0.1 (DNS rebinding);
 * the browser then sends that name as `Host`. Addresses cannot be rebound, and `localhost` and its subdomains always
 * mean this machine (RFC 6761 section 6.3), so those are accepted as they are and everything else must be
 * configured. IPv4 only in its plain form: `0x7f.1` and `2130706433` are refused, as no honest client sends them.
 */

interface HostAndPort {
  /** Lower case; IPv6 without its brackets. */
  readonly name: string;
  readonly port: string | undefined;
}

const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]{0,252}))(?::(\d{1,5}))?$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const LOCALHOST = /^(?:(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8})?localhost$/;
const LOOPBACK_IPV4 = /^127\./;

/** The parts of a Host header; undefined when it is not one. */
function parseHost(text: string): HostAndPort | undefined {
  const match = HOST.exec(text.toLowerCase());
  if (match?.[1] === undefined) return undefined;
  const port = match[2];
  if (port !== undefined && Number(port) > 65_535) return undefined;
  const name = match[1].startsWith('[') ? match[1].slice(1, -1) : match[1];
  return { name, port };
}

/** True for addresses, `localhost` and its subdomains, and names in `configured` (lower case). */
export function isAcceptedHost(text: string, configured: readonly string[]): boolean {
  const host = parseHost(text);
  if (host === undefined) return false;
  if (text.startsWith('[')) return isIpv6(host.name);
  return isIpv4(host.name) || LOCALHOST.test(host.name) || configured.includes(host.name);
}

/** True where only this machine can connect. */
export function isLoopbackHost(host: string): boolean {
  if (isIpv4(host)) return LOOPBACK_IPV4.test(host);
  return host === '::1' || host === '[::1]' || LOCALHOST.test(host.toLowerCase());
}

function isIpv4(text: string): boolean {
  return IPV4.test(text);
}

function isIpv6(text: string): boolean {
  return URL.canParse(`http://[${text}]/`);
}
