/**
 * Which wishes of a chat completion request change the shape of the answer in a way that we cannot give? Those are refused
 * with the field's name: a client that asked for them and silently gets prose breaks later and worse. Wishes
 * that only tune the answer (`reasoning_effort`, `metadata`, `prediction`) are ignored. Explicitly "off" values (null,
 * false, empty) are what many clients always send, and pass.
 */
import type { Failure } from '../errors.ts';
import { field, isWish, type JsonObject } from './json-object.ts';
import { unsupportedField } from './request-body.ts';

/** Constraints on the text that other servers know under these names. */
const GRAMMARS = [
  'grammar',
  'json_schema',
  'guided_json',
  'guided_regex',
  'guided_choice',
  'guided_grammar',
  'structured_outputs',
];

/** The first wish that cannot be met; undefined when all can. */
export function refuseFeatures(body: JsonObject): Failure | undefined {
  const grammar = GRAMMARS.find((name) => isWish(field(body, name)));
  if (grammar !== undefined)
    return unsupportedField(grammar, 'not supported under this name: use response_format with a json_schema');
  const modalities = field(body, 'modalities');
  const isOther = Array.isArray(modalities) && modalities.some((modality) => modality !== 'text');
  return isOther ? unsupportedField('modalities', 'only text can be produced') : undefined;
}
