/**
 * How large every field of a gossip message may be, and how what we say about ourselves is made to fit. Which
 * question: what would others refuse? Peers' values are refused outside these bounds, never clamped; our own values
 * come from engines and counters and are clamped here, so that one odd number of one engine cannot silence the node.
 */
import type { Capability, ModelCapability, ModelLoad } from './message.ts';
import { GOSSIP } from '../params.ts';

export const BOUNDS = {
  /** Boot seconds plus refutations; far below 2^53. Source: guess. */
  incarnationMax: 281_474_976_710_656,
  /** Messages of one incarnation. Source: guess. */
  sequenceMax: 1_099_511_627_776,
  /** 34 years. Source: guess. */
  uptimeMsMax: 1_099_511_627_776,
  /** Source: guess: a day covers every silence that still matters. */
  evidenceAgeMsMax: 86_400_000,
  /** Source: guess. */
  contextTokensMax: 134_217_728,
  /** Source: guess: batch servers run hundreds. */
  slotsMax: 4_096,
  /** Requests that run or wait. Source: guess. */
  requestsMax: 65_535,
  /** An hour. Source: guess. */
  durationMsMax: 3_600_000,
  /** Ten seconds for one token. Source: guess. */
  prefillUsMax: 10_000_000,
  /** A million requests per second. Source: guess. */
  arrivalsMax: 1_000_000_000,
  /** All addresses together, so that the largest capability still fits one message. Source: sum of the other bounds. */
  addressBytesMax: 2_048,
  /** 1 to 64 printable characters, neither control nor formatting, not blank at the ends. Source: message.ts. */
  name: /^(?=\S)(?=.*\S$)[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u,
  version: /^[\x21-\x7e]{1,32}$/,
  /** A multiaddr in its text form. Source: guess; relayed WebRTC addresses have about 250 characters. */
  address: /^\/[\x21-\x7e]{1,255}$/,
} as const;

/** Our own description made to fit: long lists are cut at the end, where the least useful entries stand. */
export function fitCapability(capability: Capability): Capability {
  return {
    name: fitName(capability.name),
    version: BOUNDS.version.test(capability.version) ? capability.version : 'unknown',
    params: capability.params,
    addresses: fitAddresses(capability.addresses),
    models: distinctModels(capability.models).map((model) => ({
      model: model.model,
      digest: DIGEST.test(model.digest) ? model.digest : '',
      contextTokens: whole(model.contextTokens, { min: 0, max: BOUNDS.contextTokensMax }),
      slots: whole(model.slots, { min: 1, max: BOUNDS.slotsMax }),
      loadMs: whole(model.loadMs, { min: 0, max: BOUNDS.durationMsMax }),
    })),
    ...(capability.relays === true ? { relays: true } : {}),
  };
}

/** Load rows for a capability: as many as it has models, missing ones empty, every number in range. */
export function fitLoads(loads: readonly ModelLoad[], models: number): ModelLoad[] {
  return Array.from({ length: models }, (_, index) => fitLoad(loads[index] ?? NO_LOAD));
}

/** The nearest whole number in range; what is no number becomes the lower end. */
export function whole(value: number, range: { readonly min: number; readonly max: number }): number {
  if (Number.isNaN(value)) return range.min;
  return Math.min(range.max, Math.max(range.min, Math.round(value)));
}

const DIGEST = /^[0-9a-f]{64}$/;
const NO_LOAD: ModelLoad = { busy: 0, queued: 0, slotMs: 0, prefillUsPerToken: 0, decodeMs: 0, arrivalsPerKs: 0 };

function fitLoad(load: ModelLoad): ModelLoad {
  return {
    busy: whole(load.busy, { min: 0, max: BOUNDS.requestsMax }),
    queued: whole(load.queued, { min: 0, max: BOUNDS.requestsMax }),
    slotMs: whole(load.slotMs, { min: 0, max: BOUNDS.durationMsMax }),
    prefillUsPerToken: whole(load.prefillUsPerToken, { min: 0, max: BOUNDS.prefillUsMax }),
    decodeMs: whole(load.decodeMs, { min: 0, max: BOUNDS.durationMsMax }),
    arrivalsPerKs: whole(load.arrivalsPerKs, { min: 0, max: BOUNDS.arrivalsMax }),
  };
}

function fitName(name: string): string {
  const printable = Array.from(name.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '').trim())
    .slice(0, 64)
    .join('')
    .trim();
  return BOUNDS.name.test(printable) ? printable : 'unnamed';
}

function fitAddresses(addresses: readonly string[]): string[] {
  const kept: string[] = [];
  let bytes = 0;
  for (const address of addresses) {
    if (!BOUNDS.address.test(address) || kept.includes(address)) continue;
    bytes += address.length;
    if (kept.length === GOSSIP.addressesPerNodeMax || bytes > BOUNDS.addressBytesMax) break;
    kept.push(address);
  }
  return kept;
}

function distinctModels(models: readonly ModelCapability[]): ModelCapability[] {
  const byId = new Map(models.toReversed().map((model) => [model.model, model]));
  return models.filter((model) => byId.get(model.model) === model).slice(0, GOSSIP.modelsPerNodeMax);
}
