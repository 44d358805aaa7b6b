/**
 * What does a client call the field at fault? Failures name fields as the chat completion request does, wherever they
 * come from; a dialect whose fields have other names puts its own in front of them, in `param` and in the sentence.
 */
import type { Failure } from '../errors.ts';

/** From the name in a chat completion request to the dialect's. */
export type ParamNames = Readonly<Record<string, string>>;

/** `messages[2].content` is a place in `messages`. */
export function withParamNames(failure: Failure, names: ParamNames): Failure {
  const { param, message } = failure;
  const [head = ''] = param?.split(/[.[]/, 1) ?? [];
  const name = Object.hasOwn(names, head) ? names[head] : undefined;
  if (param === undefined || name === undefined) return failure;
  const named = message.startsWith(head) ? name + message.slice(head.length) : message;
  return { ...failure, param: name + param.slice(head.length), message: named };
}
