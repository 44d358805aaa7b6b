/**
 * What is the demo still waiting for? It asks one node for a model that others serve, and kills the one that answers: before
 * that, the asking node must see each serving node alive, connected, and offering that model; nodes that only met are not
 * enough, because what they offer comes a moment later. Says in words what is missing, so that whoever waits in vain knows.
 * Limits: it reads the status of one node; whether the others agree does not matter to the question.
 */
import type { NodeRow } from '../api/status.ts';
import type { NodeId } from '../ids.ts';

/** Of the status, as far as it matters here. */
export type RowSeen = Pick<NodeRow, 'node' | 'verdict' | 'connected' | 'problem'> & {
  readonly models: readonly { readonly model: string; readonly state: string; readonly problem?: string }[];
};

/** One sentence for each serving node that is not ready; empty when all are. */
export function stillMissing(
  rows: readonly RowSeen[],
  serving: readonly { readonly node: NodeId | string; readonly name: string }[],
  model: string,
): readonly string[] {
  return serving.flatMap(({ node, name }) => {
    const problem = problemOf(
      rows.find((row) => row.node === node),
      model,
    );
    return problem === undefined ? [] : [`node ${name} ${problem}`];
  });
}

function problemOf(row: RowSeen | undefined, model: string): string | undefined {
  if (row === undefined) return 'was not heard of';
  if (row.verdict !== 'alive') return `is ${row.verdict}`;
  if (!row.connected) return 'is not connected';
  if (row.problem !== undefined) return `is not used: ${row.problem}`;
  const offered = row.models.find((one) => one.model === model);
  if (offered === undefined) return `does not offer ${model} yet`;
  return offered.state === 'failed' ? `cannot serve ${model}: ${offered.problem ?? 'unknown'}` : undefined;
}
