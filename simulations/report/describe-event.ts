/**
 * What does an event of the trace say, in one line that a person reads? Nodes are n0, n1, ...; a request is named by the
 * end of its id. Numbers stay exact, because a violation is read from them. Source: ours.
 */
import { unreachable } from '../../src/assert.ts';
import { faultNodes, faultSentence, named } from '../faults/fault-nodes.ts';
import { plural } from './plural.ts';
import type { FaultPlan } from '../faults/fault.ts';
import type { WorldEvent } from '../world-event.ts';

export function describeEvent(event: WorldEvent, plan: FaultPlan): string {
  switch (event.type) {
    case 'started':
      return `n${event.node} starts, incarnation ${event.incarnation}`;
    case 'stopped':
      return `n${event.node} is ${event.how === 'left' ? 'ended by its owner' : event.how}`;
    case 'resumed':
      return `n${event.node} goes on`;
    case 'fault-began':
    case 'fault-ended':
      return faultLine(event, plan);
    case 'healed':
      return 'the world is healed';
    case 'connected':
      return `n${event.node} is connected to n${event.peer}`;
    case 'disconnected':
      return `n${event.node} lost its connection to n${event.peer}`;
    case 'verdict':
      return `n${event.node} takes n${event.target} for ${event.verdict}: ${event.reason}`;
    case 'judged':
      return judgedLine(event);
    case 'view-asked':
      return `n${event.node} asks n${event.peer} for ${event.everything ? 'all that it knows' : 'what it lacks'}`;
    case 'view-taken':
      return `n${event.node} takes in the view that n${event.peer} told: ${plural(event.messages, 'message')}`;
    case 'sampled':
      return `n${event.node} takes ${event.sample.alive} for alive and ${event.sample.suspect} for suspect`;
    case 'offered':
      return `n${event.node} is offered ${shortRequest(event.requestId)} by n${event.from}: ${event.answer}${because(event.code)}`;
    case 'run-started': {
      const where = event.resumedAt === 0 ? '' : ` from token ${event.resumedAt}`;
      return `n${event.node} works on ${shortRequest(event.requestId)} of n${event.from}${where}`;
    }
    case 'run-ended':
      return `n${event.node} is done with ${shortRequest(event.requestId)} of n${event.from}`;
    default:
      return requestLine(event);
  }
}

/** Nodes that an event is about. */
export function nodesOfEvent(event: WorldEvent): readonly number[] {
  switch (event.type) {
    case 'connected':
    case 'disconnected':
    case 'view-asked':
    case 'view-taken':
      return [event.node, event.peer];
    case 'verdict':
      return [event.node, event.target];
    case 'judged':
      return [event.node, event.author];
    case 'try-started':
    case 'try-ended':
      return [event.node, event.server];
    case 'offered':
    case 'run-started':
    case 'run-ended':
      return [event.node, event.from];
    case 'fault-began':
    case 'fault-ended':
    case 'healed':
      return [];
    default:
      return [event.node];
  }
}

export function shortRequest(requestId: string): string {
  return `request ..${requestId.slice(-6)}`;
}

type RequestEvent = Extract<
  WorldEvent,
  { type: 'request-arrived' | 'placed' | 'try-started' | 'try-ended' | 'text' | 'request-ended' }
>;

function requestLine(event: RequestEvent): string {
  const who = `${shortRequest(event.requestId)} at n${event.node}`;
  switch (event.type) {
    case 'request-arrived':
      return `${who} arrives: ${event.promptTokens} + ${event.answerTokens} tokens of model ${event.model}, ${plural(event.feasible, 'node')} could serve it`;
    case 'placed':
      return `${who} is placed: ${event.plan.explain.summary}`;
    case 'try-started':
      return event.resumedAt === 0
        ? `${who} is sent to n${event.server}`
        : `${who} goes on at n${event.server} from token ${event.resumedAt}`;
    case 'try-ended':
      return `${who}: n${event.server} ${event.outcome}${because(event.code)}`;
    case 'text':
      return `${who}: the client reads ${plural(event.tokens, 'token')} from position ${event.position}`;
    case 'request-ended':
      return `${who} ends ${event.result}${because(event.failure?.message ?? '')}: ${plural(event.tokens, 'token')} read, ${event.completionTokens} reported`;
    default:
      return unreachable(event);
  }
}

function judgedLine(event: Extract<WorldEvent, { type: 'judged' }>): string {
  const what = `${event.forged ? 'forged ' : ''}${event.body} ${event.incarnation}.${event.sequence} of n${event.author}`;
  return `n${event.node} judges the ${what}, made at ${event.madeAtMs} ms: ${event.verdict}${because(event.reason)}`;
}

function faultLine(event: Extract<WorldEvent, { type: 'fault-began' | 'fault-ended' }>, plan: FaultPlan): string {
  const fault = plan[event.fault];
  const verb = event.type === 'fault-began' ? 'begins' : 'ends';
  if (fault === undefined) return `fault ${event.fault} ${verb}`;
  const nodes = faultNodes(fault);
  const whom = nodes.length === 0 ? '' : ` at ${named(nodes)}`;
  return `fault ${event.fault} (${fault.kind}${whom}) ${verb}: ${faultSentence(fault)}`;
}

function because(reason: string): string {
  return reason === '' ? '' : ` (${reason})`;
}
