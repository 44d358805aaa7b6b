/**
 * Why can nobody serve this request? Turns a placement without candidates into the one error that helps: the model does
 * not exist (with those that do), the prompt fits nowhere (with both numbers), or nobody can serve now (with reasons).
 */
import { type Failure, failure } from '../errors.ts';
import { compareIds, type ModelId, type NodeId, shortNodeId } from '../ids.ts';
import { refusalSentence } from '../placement/explain.ts';
import type { Refusal } from '../placement/placement.ts';

/** Models named in a 404. Source: guess: a screenful. */
const MODELS_NAMED_MAX = 20;

/** Nodes named in a 503. Source: guess: a home's machines. */
const NODES_NAMED_MAX = 8;

/** When trying again makes sense: about the time in which a suspicion, a restart or a short queue clears. Source: guess. */
const RETRY_AFTER_MS = 2_000;

export interface RefusalFacts {
  readonly model: ModelId;
  /** Every model that some member offers. */
  readonly known: ReadonlySet<ModelId>;
  readonly refused: ReadonlyMap<NodeId, Refusal>;
  /** What nodes that were tried answered, oldest first. */
  readonly failures: readonly { readonly node: NodeId; readonly failure: Failure }[];
}

export function refusalFailure(facts: RefusalFacts): Failure {
  if (!facts.known.has(facts.model)) return unknownModel(facts);
  return tooLong(facts) ?? nobodyNow(facts);
}

function unknownModel({ model, known }: RefusalFacts): Failure {
  const names = [...known].toSorted(compareIds);
  const listed = names.slice(0, MODELS_NAMED_MAX).join(', ') + (names.length > MODELS_NAMED_MAX ? ', ...' : '');
  const exist =
    names.length === 0 ? 'No node of this mesh offers any model now.' : `The models of this mesh are: ${listed}.`;
  return failure('model-not-found', `The model '${model}' does not exist in this mesh. ${exist}`, { param: 'model' });
}

/** Only when every node that could be asked says so: one with a longer context, or a silent one, makes it a 503. */
function tooLong({ refused, failures }: RefusalFacts): Failure | undefined {
  const counted = failures.filter((one) => one.failure.code === 'context-length-exceeded').map((one) => one.failure);
  const countedBy = new Set(
    failures.filter((one) => one.failure.code === 'context-length-exceeded').map(({ node }) => node),
  );
  let longest: { readonly neededTokens: number; readonly contextTokens: number } | undefined;
  for (const [node, refusal] of refused) {
    if (refusal.reason === 'context-too-short') {
      if (longest === undefined || refusal.contextTokens > longest.contextTokens) longest = refusal;
    } else if (!countedBy.has(node)) return undefined;
  }
  // A count by an engine is exact; our own estimate only stands in for it.
  const exact = counted.at(-1);
  if (exact !== undefined) return exact;
  if (longest === undefined) return undefined;
  const { contextTokens, neededTokens } = longest;
  const text = `This model's maximum context length is ${contextTokens} tokens. However, your messages are at least ${neededTokens} tokens long. Please shorten them.`;
  return failure('context-length-exceeded', text, { param: 'messages' });
}

function nobodyNow({ model, refused, failures }: RefusalFacts): Failure {
  const reasons = new Map<NodeId, string>();
  for (const [node, refusal] of refused)
    if (refusal.reason !== 'excluded') reasons.set(node, refusalSentence(node, refusal));
  for (const { node, failure: last } of failures) reasons.set(node, `${shortNodeId(node)}: ${last.message}`);
  const rows = [...reasons].toSorted(([left], [right]) => compareIds(left, right)).slice(0, NODES_NAMED_MAX);
  const why = rows.length === 0 ? 'no node that offers it can be reached' : rows.map(([, reason]) => reason).join('; ');
  return failure('no-node-available', `No node can serve the model '${model}' now (${why}).`, {
    retryAfterMs: RETRY_AFTER_MS,
  });
}
