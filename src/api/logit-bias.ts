/**
 * Which tokens are to be likelier or rarer? `logit_bias` as OpenAI has it: an object from token ids to numbers from -100 to 100.
 * Ids are those of the model's own tokenizer; a client that counts by another one gets what it asked for.
 * Limits: `LIMITS.logitBiases`. Source: spec (OpenAI API description).
 */
import type { Failure } from '../errors.ts';
import type { Sampling } from '../inference/engine.ts';
import { LIMITS } from '../params.ts';
import { isJsonObject, isWish } from './json-object.ts';
import { badField } from './request-body.ts';

type BiasReading =
  /** Undefined where none is wished for. */
  | { readonly type: 'bias'; readonly bias: Sampling['logitBias'] | undefined }
  | { readonly type: 'refused'; readonly failure: Failure };

const PARAM = 'logit_bias';
/** Source: spec (OpenAI). */
const BIAS_MAX = 100;
/** Source: copied: engines keep token ids in 32 signed bits. */
const TOKEN_ID_MAX = 0x7fff_ffff;
const TOKEN_ID = /^\d{1,10}$/;

export function readLogitBias(value: unknown): BiasReading {
  if (!isWish(value)) return { type: 'bias', bias: undefined };
  if (!isJsonObject(value)) return refused('expected an object from token ids to numbers');
  const entries = Object.entries(value);
  if (entries.length > LIMITS.logitBiases) return refused(`at most ${LIMITS.logitBiases}, got ${entries.length}`);
  const list: { token: number; bias: number }[] = [];
  for (const [key, bias] of entries) {
    const token = TOKEN_ID.test(key) ? Number(key) : Number.POSITIVE_INFINITY;
    if (token > TOKEN_ID_MAX) return refused('its keys must be token ids');
    if (typeof bias !== 'number' || !(Math.abs(bias) <= BIAS_MAX))
      return refused(`its values must be numbers from -${BIAS_MAX} to ${BIAS_MAX}`);
    list.push({ token, bias });
  }
  return { type: 'bias', bias: list };
}

function refused(text: string): BiasReading {
  return { type: 'refused', failure: badField(PARAM, text) };
}
