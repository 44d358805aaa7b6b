/**
 * The commands that look: `skein status`, `skein invite`, `skein config print`. They find the node of this machine through
 * the `node.json` that it left, and say what to do when there is none. Data goes to stdout, as a table for people or as
 * JSON for programs.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeRow, NodeStatus } from '../api/status.ts';
import { encodeInvite } from '../discovery/invite.ts';
import { loadSwarmKey } from '../discovery/swarm-key.io.ts';
import { shortNodeId } from '../ids.ts';
import type { NodeFile } from './cli-up.io.ts';
import { EXIT_UNAVAILABLE, fail } from './exit.io.ts';
import { readSettings, type Settings } from './settings.io.ts';
import { describeOrigin, EXIT_CONFIG } from './config.ts';
import { OPTION_KEYS } from './config-schema.ts';

/** Source: guess: a node on this machine answers in a few milliseconds. */
const ANSWER_MS_MAX = 3_000;

/** How long a link that was asked for is good for. Source: guess: a day. */
const INVITE_SECONDS = 24 * 3_600;

export interface QueryCommand {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly json: boolean;
}

export async function status({ flags, json }: QueryCommand): Promise<number> {
  const settings = readSettings(flags);
  if (settings.type === 'unusable') return fail(settings.problems, settings.exitCode);
  const node = await readNodeFile(settings);
  const answer = node === undefined ? undefined : await ask(`${node.api}/api/status`);
  if (answer === undefined)
    return fail(['no node runs on this machine with these settings: start one with `skein up`'], EXIT_UNAVAILABLE);
  process.stdout.write(json ? `${JSON.stringify(answer)}\n` : statusText(answer));
  return 0;
}

export async function invite({ flags, json }: QueryCommand): Promise<number> {
  const settings = readSettings(flags);
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
  const node = await readNodeFile(settings);
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
  const settings = readSettings(flags);
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

async function readNodeFile(settings: Settings): Promise<NodeFile | undefined> {
  try {
    const file: unknown = JSON.parse(await readFile(join(settings.paths.state, 'node.json'), 'utf8'));
    return isNodeFile(file) && isRunning(file.pid) ? file : undefined;
  } catch {
    // No file, or half of one: no node of ours runs here.
    return undefined;
  }
}

function isNodeFile(file: unknown): file is NodeFile {
  return (
    typeof file === 'object' &&
    file !== null &&
    'api' in file &&
    typeof file.api === 'string' &&
    'pid' in file &&
    typeof file.pid === 'number' &&
    'addresses' in file &&
    Array.isArray(file.addresses)
  );
}

/** A node that was killed left its file behind. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function ask(url: string): Promise<NodeStatus | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    // Our own node's answer, of our own version.
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    return response.ok ? ((await response.json()) as NodeStatus) : undefined;
  } catch {
    // Not running after all.
    return undefined;
  }
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
    state === 'failed' ? `${model} (failed: ${problem ?? 'unknown'})` : `${model} ${busy}/${slots}`,
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
