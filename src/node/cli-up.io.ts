/**
 * `skein up` and `skein join`: makes what is missing, starts the node, says how to reach it, and ends it in order. The
 * first signal drains (no new work, running answers finish, a signed goodbye), the second ends at once. A node that runs
 * leaves `node.json` in its state directory, by which the other commands find it.
 */
import { join } from 'node:path';
import { type Invite, decodeInvite, encodeInvite } from '../discovery/invite.ts';
import { createSwarmKey, loadSwarmKey, storeSwarmKey } from '../discovery/swarm-key.io.ts';
import { formatFingerprint, type SwarmKey } from '../discovery/swarm-key.ts';
import { EXIT_CONFIG } from './config.ts';
import { loadIdentity } from './identity.io.ts';
import { type RunningNode, startNode } from './node.io.ts';
import type { Ready } from './node-process.io.ts';
import { EXIT_UNAVAILABLE, fail } from './exit.io.ts';
import { askNode, readNodeFile, removeNodeFile, writeNodeFile } from './node-file.io.ts';
import { readSettings, type Settings } from './settings.io.ts';
import { createLogger, type Logger } from './telemetry.io.ts';

/** Source: convention of shells: 128 + the number of SIGINT. */
const EXIT_INTERRUPTED = 130;

/** How long an invite that is printed at the start is good for. Source: guess: a week to get round to the other machine. */
const INVITE_SECONDS = 7 * 24 * 3_600;

export interface UpCommand {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly version: string;
  readonly json: boolean;
  /** Of `skein join`. */
  readonly link?: string;
}

export async function up(command: UpCommand): Promise<number> {
  const settings = await readSettings(command.flags);
  if (settings.type === 'unusable') return fail(settings.problems, settings.exitCode);
  const { options } = settings;
  const log = createLogger({ level: options.logLevel, format: options.logFormat });
  for (const warning of settings.warnings) log.warn(warning);
  watchForBugs(log);
  const other = await runningNode(settings.paths.state);
  if (other !== undefined) return fail([other], EXIT_UNAVAILABLE);
  const membership = await openMembership(settings, command.link);
  if (membership.type === 'refused') return fail([membership.message], EXIT_CONFIG);
  for (const warning of membership.warnings) log.warn(warning);
  const identity = await loadIdentity(settings.paths.state);
  if (identity.type === 'refused') return fail([identity.message], EXIT_CONFIG);
  const started = await startNode({
    options: { ...options, bootstrap: [...membership.bootstrap, ...options.bootstrap] },
    paths: settings.paths,
    environment: process.env,
    version: command.version,
    identity: identity.identity,
    swarmKey: membership.key,
    listenIsDefault: settings.origins.listen.type === 'default',
    apiPortIsDefault: settings.origins.apiPort.type === 'default',
    log,
  });
  if (started.type === 'unavailable') return fail([started.message], EXIT_UNAVAILABLE);
  const ready = readyOf(started.node, { node: identity.identity.node, name: options.name, key: membership.key });
  const { state } = settings.paths;
  const { api, node, addresses } = ready;
  await writeNodeFile(state, { pid: process.pid, api, node, addresses: reachableFirst(addresses) });
  // Before anybody is told that the node is ready: whoever reads that may send a signal at once.
  const stopped = stopOnSignal(started.node, { state, json: command.json });
  process.stdout.write(command.json ? `${JSON.stringify(ready)}\n` : banner(ready));
  return stopped;
}

/** Two nodes with one key would take each other's place in the mesh, over and over. */
async function runningNode(stateDirectory: string): Promise<string | undefined> {
  const file = await readNodeFile(stateDirectory);
  if (file === undefined || (await askNode(file, '/livez')) === undefined) return undefined;
  return `a node runs here already (process ${file.pid}, API ${file.api}): stop it first, or give this one a directory of its own with --home`;
}

type Membership =
  | {
      readonly type: 'member';
      readonly key: SwarmKey;
      readonly bootstrap: readonly string[];
      readonly warnings: readonly string[];
    }
  | { readonly type: 'refused'; readonly message: string };

/** 1. the key of the invite; 2. the key that the settings name; 3. a new one, where there is none. */
async function openMembership(settings: Settings, link: string | undefined): Promise<Membership> {
  const configFile = join(settings.paths.config, 'swarm.key');
  // 1.
  const invite = link === undefined ? undefined : decodeInvite(link, Math.floor(Date.now() / 1_000));
  if (invite?.type === 'rejected')
    return { type: 'refused', message: `the invite link cannot be used: ${invite.reason}` };
  const found = await loadSwarmKey({ file: settings.options.swarmKeyFile, environment: process.env, configFile });
  if (found.type === 'refused') return found;
  if (invite !== undefined) return acceptInvite(invite.invite, { found, configFile });
  // 2. and 3.
  const loaded = found.type === 'missing' ? await createSwarmKey(configFile) : found;
  if (loaded.type === 'loaded') return { type: 'member', key: loaded.key, bootstrap: [], warnings: loaded.warnings };
  return {
    type: 'refused',
    message: loaded.type === 'refused' ? loaded.message : `${loaded.path}: the swarm key is not there`,
  };
}

/** A machine is in one swarm: a link of another one must not silently replace its key. */
async function acceptInvite(
  invite: Invite,
  { found, configFile }: { readonly found: Awaited<ReturnType<typeof loadSwarmKey>>; readonly configFile: string },
): Promise<Membership> {
  if (found.type === 'loaded' && found.key.fingerprint !== invite.key.fingerprint) {
    const [own, other] = [found.key, invite.key].map(({ fingerprint }) => formatFingerprint(fingerprint));
    return {
      type: 'refused',
      message: `this machine is in the swarm ${own} (${found.source}) and the invite is for ${other}: move that key away to leave the one swarm for the other, or use another --home`,
    };
  }
  const stored = found.type === 'loaded' ? found : await storeSwarmKey(configFile, invite.key);
  if (stored.type !== 'loaded')
    return {
      type: 'refused',
      message: stored.type === 'refused' ? stored.message : `${stored.path}: the swarm key could not be kept`,
    };
  return { type: 'member', key: stored.key, bootstrap: invite.addresses, warnings: stored.warnings };
}

function readyOf(
  node: RunningNode,
  { node: id, name, key }: { readonly node: string; readonly name: string; readonly key: SwarmKey },
): Ready {
  const { api, addresses } = node;
  const expiresAt = Math.floor(Date.now() / 1_000) + INVITE_SECONDS;
  return {
    event: 'ready',
    node: id,
    name,
    api,
    addresses,
    swarm: formatFingerprint(key.fingerprint),
    invite: encodeInvite({ key, name, addresses: reachableFirst(addresses), expiresAt }),
    models: node.models(),
  };
}

/** Other machines cannot use our loopback address: it goes last, and is all there is on a machine without a network. */
function reachableFirst(addresses: readonly string[]): readonly string[] {
  return addresses.toSorted((left, right) => Number(isLoopback(left)) - Number(isLoopback(right)));
}

function isLoopback(address: string): boolean {
  return address.startsWith('/ip4/127.') || address.startsWith('/ip6/::1/');
}

function banner({ name, api, swarm, models, invite, addresses }: Ready): string {
  const rows = [
    ['API', `${api}/v1`],
    ['swarm', swarm],
    ['models', models.length === 0 ? 'none of its own: it asks the others' : models.join(', ')],
    ['listens on', addresses.map((address) => address.replace(/\/p2p\/.*/, '')).join(', ')],
  ];
  const table = rows.map(([label = '', text = '']) => `  ${label.padEnd(12)}${text}\n`).join('');
  return `skein node "${name}" is up\n\n${table}\nTo add a machine, run this there. The link is the key of the swarm: send it as you would a password.\n\n  skein join ${invite}\n\nCtrl-C stops the node.\n`;
}

/** Resolves when the node is down. */
async function stopOnSignal(
  node: RunningNode,
  { state, json }: { readonly state: string; readonly json: boolean },
): Promise<number> {
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(EXIT_INTERRUPTED));
  if (!json) process.stdout.write('Stopping: running answers finish first. Ctrl-C again ends at once.\n');
  await removeNodeFile(state);
  await node.stop();
  return 0;
}

/** A promise that nobody awaits must not take the mesh down with it: it is a bug, and it is said. */
function watchForBugs(log: Logger): void {
  process.on('unhandledRejection', (reason) =>
    log.error({ reason: String(reason) }, 'unhandled rejection: please report this'),
  );
  process.on('uncaughtException', (error) =>
    log.error({ reason: error.message, stack: error.stack }, 'uncaught exception: please report this'),
  );
}
