/**
 * The requests that live here, as the status shows them: those that entered at this node, with who serves them now, and
 * those that this node serves for others or for itself. One that entered here and is served here has a row of each kind.
 */
import type { LiveRequest } from '../api/status.ts';
import type { NodeId } from '../ids.ts';
import type { AskedSummary } from '../inference/asking.ts';
import type { ServedSummary } from '../inference/serving.ts';

export function liveRequestsOf(
  live: { readonly asked: readonly AskedSummary[]; readonly served: readonly ServedSummary[] },
  self: NodeId,
): readonly LiveRequest[] {
  const rows: LiveRequest[] = live.asked.map(({ requestId, model, node, ageMs, tokens }) => ({
    requestId,
    model,
    side: 'entered',
    ageMs: Math.round(ageMs),
    tokens,
    ...(node === undefined ? {} : { node }),
  }));
  for (const { requestId, model, tokens } of live.served)
    rows.push({ requestId, model, side: 'served', node: self, tokens });
  return rows;
}
