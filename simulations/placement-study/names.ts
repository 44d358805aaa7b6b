/**
 * Made-up names that parse: the study needs ids of the kinds that the core checks, and what it makes up is well-formed by
 * construction. One that does not parse is a mistake of the study itself, and throws. Source: ours.
 */
import { type ModelId, type NodeId, parseModelId, parseNodeId, parseRequestId, type RequestId } from '../../src/ids.ts';
import type { RandomStream } from '../kernel/kernel-port.ts';

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

export function modelOf(name: string): ModelId {
  return parsed(parseModelId(name), name);
}

export function requestOf(number: number): RequestId {
  const digits = number.toString(16).padStart(32, '0');
  return parsed(parseRequestId(digits), digits);
}

export function drawNode(random: RandomStream): NodeId {
  const digits = `12D3KooW${Array.from({ length: 44 }, () => BASE58[random.below(BASE58.length)]).join('')}`;
  return parsed(parseNodeId(digits), digits);
}

function parsed<Id>(id: Id | undefined, text: string): Id {
  if (id === undefined) throw new Error(`the made-up name ${text} does not parse`);
  return id;
}
