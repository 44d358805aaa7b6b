/**
 * Who is asking, and may they? The keys of this node in one place: those of the key file, which may change while the node
 * runs, and the bare hashes of its settings, which may do everything. Without any key everybody on this machine is let in,
 * with whatever they send, because client libraries insist on sending something. All hashes are compared in full, so that the time tells
 * nothing about which one was close.
 */
import { type Failure, failure } from '../errors.ts';
import { KeyMeter } from './key-meter.ts';
import { allowsModel, hashApiKey, isExpired, type KeyRecord, type KeyScope } from './key-record.ts';

/** What a route asks of a key: `open` nothing, `models` any scope. */
export type RouteScope = 'open' | 'models' | KeyScope;

/** Who asks; a node without keys knows nobody. */
export interface Caller {
  readonly key: KeyRecord | undefined;
}

export type Admission =
  { readonly type: 'admitted'; readonly caller: Caller } | { readonly type: 'refused'; readonly failure: Failure };

const ANYBODY: Caller = { key: undefined };
const BEARER = /^bearer[\t ]+(\S+)[\t ]*$/i;
/** Source: guess: ours have at most 90 characters. */
const KEY_LENGTH_MAX = 512;

export class KeyRing {
  readonly #hashes: readonly string[];
  readonly #isExposed: boolean;
  #keys: readonly KeyRecord[] = [];
  /** True while the file of keys cannot be read: nobody knows whom it would let in. */
  #isDamaged = false;
  readonly #meters = new Map<string, { readonly key: KeyRecord; readonly meter: KeyMeter }>();

  /** `hashes` of the settings have full rights. An API that is exposed to other machines wants a key even where there is none (any more). */
  constructor({ hashes, isExposed }: { readonly hashes: readonly string[]; readonly isExposed: boolean }) {
    this.#hashes = hashes;
    this.#isExposed = isExposed;
  }

  /** The file's keys from now on. What they have used stays counted, unless their limits changed. */
  set(keys: readonly KeyRecord[]): void {
    this.#keys = keys;
    this.#isDamaged = false;
    const ids = new Set(keys.map(({ id }) => id));
    for (const id of this.#meters.keys()) if (!ids.has(id)) this.#meters.delete(id);
  }

  /** The file cannot be read: only the settings' keys hold, and nobody without one. */
  damaged(): void {
    this.#keys = [];
    this.#isDamaged = true;
  }

  get hasKeys(): boolean {
    return this.#hashes.length > 0 || this.#keys.length > 0 || this.#isDamaged;
  }

  /** Nobody needs a key. */
  get isOpen(): boolean {
    return !this.#isExposed && !this.hasKeys;
  }

  /** `given`: the values of the headers that may carry a key, as they came. */
  admit(
    given: { authorization: string | undefined; apiKey: string | undefined },
    scope: RouteScope,
    nowS: number,
  ): Admission {
    if (scope === 'open' || this.isOpen) return { type: 'admitted', caller: ANYBODY };
    const text = BEARER.exec(given.authorization ?? '')?.[1] ?? given.apiKey?.trim();
    if (text === undefined || text === '' || text.length > KEY_LENGTH_MAX)
      return refused('unauthorized', 'this node wants an API key: send the header "authorization: Bearer <key>"');
    return this.#judge(hashApiKey(text), scope, nowS);
  }

  /** Takes in a request for a model; undefined where it may go on, and then `end` must follow. */
  begin({ key }: Caller, model: string, nowMs: number): Failure | undefined {
    if (key === undefined) return undefined;
    if (!allowsModel(key, model))
      return failure('forbidden', `this API key (${key.name}) may not use ${model}`, { param: 'model' });
    return this.#meterOf(key, nowMs)?.begin(nowMs);
  }

  end({ key }: Caller, tokens: number, nowMs: number): void {
    if (key !== undefined) this.#meterOf(key, nowMs)?.end(tokens, nowMs);
  }

  #judge(hash: string, scope: RouteScope, nowS: number): Admission {
    let isSettings = false;
    for (const known of this.#hashes) isSettings = equalInFull(known, hash) || isSettings;
    let key: KeyRecord | undefined;
    for (const one of this.#keys) key = equalInFull(one.hash, hash) ? one : key;
    if (isSettings) return { type: 'admitted', caller: ANYBODY };
    if (key === undefined) return refused('unauthorized', 'this API key is not one of this node');
    if (isExpired(key, nowS)) return refused('unauthorized', `this API key (${key.name}) has expired: ask for another`);
    if (allowsScope(key, scope)) return { type: 'admitted', caller: { key } };
    const what = scope === 'infer' ? 'ask for answers' : 'read the status';
    return refused('forbidden', `this API key (${key.name}) may not ${what}`);
  }

  #meterOf(key: KeyRecord, nowMs: number): KeyMeter | undefined {
    const { limits } = key;
    if (limits === undefined) return undefined;
    const known = this.#meters.get(key.id);
    if (known !== undefined && known.key.hash === key.hash && sameLimits(known.key, key)) return known.meter;
    const meter = new KeyMeter(limits, nowMs);
    this.#meters.set(key.id, { key, meter });
    return meter;
  }
}

function allowsScope({ scopes }: KeyRecord, scope: RouteScope): boolean {
  return scope === 'open' || scope === 'models' || scopes.includes(scope);
}

function sameLimits(left: KeyRecord, right: KeyRecord): boolean {
  return JSON.stringify(left.limits) === JSON.stringify(right.limits);
}

function equalInFull(left: string, right: string): boolean {
  let difference = left.length ^ right.length;
  for (let index = 0; index < right.length; index += 1) {
    difference |= (left.codePointAt(index) ?? 0) ^ (right.codePointAt(index) ?? 0);
  }
  return difference === 0;
}

function refused(code: 'unauthorized' | 'forbidden', message: string): Admission {
  return { type: 'refused', failure: failure(code, message) };
}
