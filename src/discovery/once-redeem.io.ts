/**
 * How does a machine use a code that works once? It tries the places in the link in turn, each for a few seconds, in the
 * channel that the code keys, says who it is, and gets what an invite holds. Who answers has proved that it knows the code; a
 * machine that only sits at the address gets nothing, and a refusal is said in words.
 */
import { connect } from 'node:tls';
import {
  decodeOnceAnswer,
  encodeOnceRequest,
  ONCE_ANSWER_BYTES_MAX,
  ONCE_TLS,
  type OnceRequest,
  type OnceWelcome,
} from './once-channel.ts';
import { type OnceCode, onceKey, onceName, type Place } from './once-code.ts';

/** Source: guess: a handshake over a slow line, between machines that are busy. */
const PLACE_MS_MAX = 15_000;

export type Redeemed =
  | { readonly type: 'welcome'; readonly welcome: OnceWelcome }
  /** What, why and what to do. */
  | { readonly type: 'failed'; readonly message: string };

export async function redeemCode(code: OnceCode, request: OnceRequest): Promise<Redeemed> {
  const problems: string[] = [];
  for (const place of code.places) {
    // eslint-disable-next-line no-await-in-loop
    const line = await ask(place, code, request).catch((error: unknown) => {
      problems.push(`${place.host} port ${place.port}: ${reasonOf(error)}`);
    });
    if (typeof line !== 'string') continue;
    const answer = decodeOnceAnswer(line);
    return answer.type === 'welcome' ? answer : { type: 'failed', message: explain(answer.reason) };
  }
  const mend =
    'run `skein invite --once` again on the inviting machine; if this machine cannot reach it, use `skein invite`';
  return { type: 'failed', message: `the code could not be used (${problems.join('; ')}): ${mend}` };
}

async function ask({ host, port }: Place, { secret }: OnceCode, request: OnceRequest): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = '';
  const socket = connect({
    ...ONCE_TLS,
    host,
    port,
    // The key is the proof on both sides: there is no certificate to look at.
    checkServerIdentity: () => undefined,
    pskCallback: () => ({ identity: onceName(secret), psk: new Uint8Array(onceKey(secret)) }),
  });
  const timer = setTimeout(() => socket.destroy(new Error('no answer')), PLACE_MS_MAX);
  socket.setEncoding('utf8');
  socket.on('secureConnect', () => socket.write(`${encodeOnceRequest(request)}\n`));
  socket.on('data', (chunk: string) => {
    text += chunk;
    if (text.length > ONCE_ANSWER_BYTES_MAX) socket.destroy(new Error('the answer is too long'));
    if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
  });
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('it closed the connection without an answer')));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function explain(reason: string): string {
  const mend = 'ask for a new one (`skein invite --once`)';
  if (reason === 'redeemed')
    return `the code was used already: if it was not you, change the key (\`skein key rotate --leaked\`); else ${mend}`;
  if (reason === 'revoked')
    return "the owner revoked this node: `skein trust add` on the owner's machine lets it in again, a code does not";
  if (reason === 'expired') return `the code has expired: ${mend}`;
  return `the inviting machine refused the code (${reason}): ${mend}`;
}

/** A refusal inside the handshake has a number and no words. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/ALERT|SSL/.test(code)) return 'the code is not (or no longer) known there: used, expired, or tried five times';
  if (code === 'ECONNREFUSED') return 'nothing listens there any more: the code was used, or has expired';
  return code === '' ? text : code;
}
