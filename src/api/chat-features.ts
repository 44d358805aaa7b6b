/**
 * Which wishes of a chat completion request change the shape of the answer in a way that we cannot give yet? Those are
 * refused with the field's name: a client that asked for a tool call or two choices and silently gets one prose
 * answer breaks later and worse. Wishes that only tune the answer (`logit_bias`, `reasoning_effort`, `metadata`)
 * are ignored. Explicitly "off" values (null, false, empty) are what many clients always send, and pass.
 */
import { type Failure, failure } from '../errors.ts';

/** A request body: any JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

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

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The first wish that cannot be met; undefined when all can. */
export function refuseFeatures(body: JsonObject): Failure | undefined {
  return (
    refuseTools(body, { list: 'tools', choice: 'tool_choice' }) ??
    refuseTools(body, { list: 'functions', choice: 'function_call' }) ??
    refuseGrammar(body) ??
    refuseProbabilities(body) ??
    refuseChoices(body)
  );
}

/** With the choice "none" the list has no effect on what we could answer. */
function refuseTools(body: JsonObject, names: { list: string; choice: string }): Failure | undefined {
  const tools = field(body, names.list);
  const choice = field(body, names.choice);
  if (tools !== undefined && !Array.isArray(tools)) {
    return failure('invalid-request', `${names.list}: expected an array`, { param: names.list });
  }
  if (tools !== undefined && tools.length > 0) {
    if (choice === 'none') return undefined;
    const text = `tool calls are not supported: leave ${names.list} out, or send ${names.choice}: "none"`;
    return failure('unsupported-feature', text, { param: names.list });
  }
  if (choice === undefined || choice === 'none' || choice === 'auto') return undefined;
  return failure('invalid-request', `${names.choice}: there are no ${names.list} to choose from`, {
    param: names.choice,
  });
}

function refuseGrammar(body: JsonObject): Failure | undefined {
  const grammar = GRAMMARS.find((name) => isWish(field(body, name)));
  return grammar === undefined
    ? undefined
    : unsupported(grammar, 'not supported under this name: use response_format with a json_schema');
}

function refuseProbabilities(body: JsonObject): Failure | undefined {
  const name = ['logprobs', 'top_logprobs'].find((one) => isWish(field(body, one)));
  return name === undefined ? undefined : unsupported(name, 'token probabilities are not supported: leave it out');
}

function refuseChoices(body: JsonObject): Failure | undefined {
  const choices = field(body, 'n');
  if (typeof choices === 'number' && choices > 1) return unsupported('n', 'only one choice per request is supported');
  const modalities = field(body, 'modalities');
  const isOther = Array.isArray(modalities) && modalities.some((modality) => modality !== 'text');
  return isOther ? unsupported('modalities', 'only text can be produced') : undefined;
}

function unsupported(param: string, text: string): Failure {
  return failure('unsupported-feature', `${param}: ${text}`, { param });
}

/** False for everything that clients send to say "no". */
function isWish(value: unknown): boolean {
  if (value === undefined || value === false || value === '' || value === 0) return false;
  return typeof value !== 'object' || value === null || Object.keys(value).length > 0;
}

/** An own field, `null` counted as absent. */
function field(body: JsonObject, name: string): unknown {
  return Object.hasOwn(body, name) ? (body[name] ?? undefined) : undefined;
}
