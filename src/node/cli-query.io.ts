/**
 * The commands that look: `skein status`, `skein invite`, `skein config print`. They find the node of this machine through
 * the `node.json` that it left, and say what to do when there is none. Data goes to stdout, as a table for people or as
 * JSON for programs.
 */
import { join } from 'node:path';
import type { NodeRow, NodeStatus } from '../api/status.ts';
import { encodeInvite } from '../discovery/invite.ts';
import { loadSwarmKey } from '../discovery/swarm-key.io.ts';
import { shortNodeId } from '../ids.ts';
import { EXIT_UNAVAILABLE, fail } from './exit.io.ts';
import { askNode, readNodeFile } from './node-file.io.ts';
import { readSettings } from './settings.io.ts';
import { describeOrigin, EXIT_CONFIG } from './config.ts';
import { OPTION_KEYS } from './config-schema.ts';

/** How long a link that was asked for is good for. Source: guess: a day. */
const INVITE_SECONDS = 24 * 3_600;

export interface QueryCommand {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly json: boolean;
}

export async function status({ flags, json }: QueryCommand): Promise<number> {
  const settings = await readSettings(flags);
  if (settings.type === 'unusable') return fail(settings.problems, settings.exitCode);
  const node = await readNodeFile(settings.paths.state);
  const answer = node === undefined ? undefined : await askNode(node, '/api/status');
  if (node === undefined || answer === undefined)
    return fail(['no node runs on this machine with these settings: start one with `skein up`'], EXIT_UNAVAILABLE);
  if (answer.status === 401)
    return fail(
      [`the node at ${node.api} wants an API key, which this command has not: ask ${node.api}/api/status with one`],
      EXIT_UNAVAILABLE,
    );
  if (!answer.ok) return fail([`the node at ${node.api} answered with status ${answer.status}`], EXIT_UNAVAILABLE);
  // Our own node's answer, of our own version.
  // eslint-disable-next-line typescript/no-unsafe-type-assertion
  const mesh = (await answer.json()) as NodeStatus;
  process.stdout.write(json ? `${JSON.stringify(mesh)}\n` : statusText(mesh));
  return 0;
}

export async function invite({ flags, json }: QueryCommand): Promise<number> {
  const settings = await readSettings(flags);
  if (settings.type === 'unusable') return fail(settings.problems, settings.exitCode);
  const { options, paths } = settings;
  const key = await loadSwarmKey({
    file: options.swarmKeyFile,
    environment: process.env,
    configFile: join(paths.config, 'swarm.key'),
  });
  if (key.type === 'refused') return fail([key.message], EXIT_CONFIG);
  if (key.type === 'missing')
    return fail([`${key.path}: there is no swarm key yet: \`skein up\` makes one`], EXIT_UNAVAILABLE);
  const node = await readNodeFile(settings.paths.state);
  if (node === undefined)
    process.stderr.write(
      'skein: no node runs on this machine, so that the link holds no address: the other machine must find one by itself (mDNS, --bootstrap)\n',
    );
  const expiresAt = Math.floor(Date.now() / 1_000) + INVITE_SECONDS;
  const link = encodeInvite({ key: key.key, name: options.name, addresses: node?.addresses ?? [], expiresAt });
  process.stderr.write('This link is the key of the swarm, good for one day: send it as you would a password.\n');
  process.stdout.write(json ? `${JSON.stringify({ link, expiresAt })}\n` : `${link}\n`);
  return 0;
}

export async function printConfig({ flags, json }: QueryCommand): Promise<number> {
  const settings = await readSettings(flags);
  if (settings.type === 'unusable') return fail(settings.problems, settings.exitCode);
  for (const warning of settings.warnings) process.stderr.write(`skein: ${warning}\n`);
  for (const option of OPTION_KEYS) {
    const value = settings.options[option];
    const origin = describeOrigin(settings.origins[option]);
    process.stdout.write(
      json
        ? `${JSON.stringify({ option, value, origin })}\n`
        : `${option.padEnd(24)} ${(value === undefined ? '(not set)' : JSON.stringify(value)).padEnd(36)} ${origin}\n`,
    );
  }
  return 0;
}

function statusText(mesh: NodeStatus): string {
  const header = ['NODE', 'NAME', 'STATE', 'RTT', 'MODELS'];
  const rows = mesh.nodes.map((node) => [
    shortNodeId(node.node),
    node.name + (node.self ? ' (this one)' : ''),
    stateOf(node),
    node.rttMs === undefined ? '-' : `${node.rttMs} ms`,
    modelsOf(node),
  ]);
  const requests = mesh.requests.map(
    ({ requestId, model, tokens, side }) => `  ${requestId}  ${model}  ${tokens} tokens, ${side} here`,
  );
  return `swarm ${mesh.swarm}\n\n${table([header, ...rows])}\n${requests.length === 0 ? 'no requests under way\n' : `requests under way\n${requests.join('\n')}\n`}`;
}

function stateOf(node: NodeRow): string {
  return node.problem === undefined ? node.verdict : `${node.verdict}, not used: ${node.problem}`;
}

function modelsOf({ models }: NodeRow): string {
  const words = models.map(({ model, state, problem, busy, slots }) =>
    state === 'failed'
      ? `${model} (failed: ${problem ?? 'unknown'})`
      : `${model} ${busy}/${slots}${problem === undefined ? '' : ` (${problem})`}`,
  );
  return words.length === 0 ? '-' : words.join(', ');
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
