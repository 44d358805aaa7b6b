/**
 * How does a command see what the node of this machine sees? Over the control port, which the node's user may always ask,
 * API keys or not; where that is not answered (a node of an older version), over the API, as anybody may.
 */
import type { NodeStatus } from '../api/status.ts';
import { askControl } from './control.io.ts';
import { askNode, readNodeFile } from './node-file.io.ts';

export type StatusAnswer =
  | { readonly type: 'status'; readonly status: NodeStatus }
  | { readonly type: 'none' }
  | { readonly type: 'problem'; readonly message: string };

export async function askStatus(stateDirectory: string): Promise<StatusAnswer> {
  const told = await askControl(stateDirectory, { command: 'status' });
  // Our own node's answer, of our own version.
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  if (told?.['status'] !== undefined) return { type: 'status', status: told['status'] as NodeStatus };
  const node = await readNodeFile(stateDirectory);
  const answer = node === undefined ? undefined : await askNode(node, '/api/status');
  if (node === undefined || answer === undefined)
    return told?.problem === undefined ? { type: 'none' } : { type: 'problem', message: told.problem };
  if (answer.status === 401)
    return {
      type: 'problem',
      message: `the node at ${node.api} wants an API key, and its control port does not answer: ask ${node.api}/api/status with a key`,
    };
  if (!answer.ok) return { type: 'problem', message: `the node at ${node.api} answered with status ${answer.status}` };
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  return { type: 'status', status: (await answer.json()) as NodeStatus };
}
