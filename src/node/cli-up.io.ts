/**
 * `skein up` and `skein join`: makes what is missing, starts the node, says how to reach it, and ends it in order. The
 * first signal drains (no new work, running answers finish, a signed goodbye), the second ends at once. A node that runs
 * leaves `node.json` in its state directory, by which the other commands find it.
 */
import { join } from 'node:path';
import { encodeInvite } from '../discovery/invite.ts';
import type { RingPlace } from '../discovery/key-ring.io.ts';
import { createSwarmKey, loadSwarmKey } from '../discovery/swarm-key.io.ts';
import { formatFingerprint, type SwarmKey } from '../discovery/swarm-key.ts';
import { loadBootstrap } from '../discovery/trust-store.io.ts';
import { joinSwarm } from './cli-join.io.ts';
import { EXIT_CONFIG } from './config.ts';
import { loadIdentity } from './identity.io.ts';
import { type RunningNode, startNode } from './node.io.ts';
import type { Ready } from './node-process.io.ts';
import { EXIT_UNAVAILABLE, fail } from './exit.io.ts';
import { askNode, readNodeFile, removeNodeFile, writeNodeFile } from './node-file.io.ts';
import { reachableFirst } from './reachable.ts';
import { ringPlaceOf } from './ring-place.ts';
import { readSettings, type Settings } from './settings.io.ts';
import { createLogger, type Logger } from './telemetry.io.ts';
import { openTrustDesk, type TrustDesk } from './trust-desk.io.ts';
import type { Problem } from './trust-session.io.ts';

/** Source: convention of shells: 128 + the number of SIGINT. */
const EXIT_INTERRUPTED = 130;
/** What is left in a stopped node's process may take this long. Source: guess: the last log lines need a millisecond. */
const LINGER_MS = 500;

/** How long an invite that is printed at the start is good for. Source: guess: a week to get round to the other machine. */
const INVITE_SECONDS = 7 * 24 * 3_600;

export interface UpCommand {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly version: string;
  readonly json: boolean;
  /** Of `skein join`. */
  readonly link?: string;
  readonly force?: boolean;
  /** Join, and start no node. */
  readonly onlyJoin?: boolean;
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
  const membership = await openMembership(settings, command);
  if (membership.type === 'problem') return fail([membership.message], membership.exitCode);
  for (const warning of membership.warnings) log.warn(warning);
  if (command.onlyJoin === true) return joinedOnly(membership.key, command.json);
  const identity = await loadIdentity(settings.paths.state);
  if (identity.type === 'refused') return fail([identity.message], EXIT_CONFIG);
  const opened = await openTrustDesk({
    identity: identity.identity,
    stateDirectory: settings.paths.state,
    place: membership.place,
    primary: membership.key,
    mode: options.admissionMode,
    allow: options.admissionAllow,
    deny: options.admissionDeny,
    log,
  });
  if (opened.type === 'refused') return fail([opened.message], EXIT_CONFIG);
  const { desk } = opened;
  const bootstrap = [...(await loadBootstrap(settings.paths.state)), ...options.bootstrap];
  const started = await startNode({
    options: { ...options, bootstrap },
    paths: settings.paths,
    environment: process.env,
    version: command.version,
    identity: identity.identity,
    trust: desk,
    listenIsDefault: settings.origins.listen.type === 'default',
    apiPortIsDefault: settings.origins.apiPort.type === 'default',
    log,
  });
  if (started.type === 'unavailable') return fail([started.message], EXIT_UNAVAILABLE);
  const ready = readyOf(started.node, { node: identity.identity.node, name: options.name, desk });
  const { state } = settings.paths;
  const { api, node, addresses } = ready;
  await writeNodeFile(state, { pid: process.pid, api, node, addresses: reachableFirst(addresses) });
  // Before anybody is told that the node is ready: whoever reads that may send a signal at once.
  const stopped = stopOnSignal(started.node, { state, json: command.json });
  process.stdout.write(command.json ? `${JSON.stringify(ready)}\n` : banner(ready));
  return stopped;
}

function joinedOnly({ fingerprint }: SwarmKey, json: boolean): number {
  const text = `This machine is in the swarm with the key ${formatFingerprint(fingerprint)}. Start its node with \`skein up\`.\n`;
  process.stdout.write(json ? `${JSON.stringify({ joined: fingerprint })}\n` : text);
  return 0;
}

/** Two nodes with one key would take each other's place in the mesh, over and over. */
async function runningNode(stateDirectory: string): Promise<string | undefined> {
  const file = await readNodeFile(stateDirectory);
  if (file === undefined || (await askNode(file, '/livez')) === undefined) return undefined;
  return `a node runs here already (process ${file.pid}, API ${file.api}): stop it first, or give this one a directory of its own with --home`;
}

/** 1. the key of the invite; 2. the key that the settings name; 3. a new one, where there is none. */
async function openMembership(settings: Settings, command: UpCommand): Promise<OpenedKey | Problem> {
  const configFile = join(settings.paths.config, 'swarm.key');
  // 1.
  const { link } = command;
  const joined = link === undefined ? undefined : await joinSwarm(settings, { link, force: command.force === true });
  if (joined?.type === 'problem') return joined;
  // 2. and 3.
  const found = await loadSwarmKey({ file: settings.options.swarmKeyFile, environment: process.env, configFile });
  const loaded = found.type === 'missing' ? await createSwarmKey(configFile) : found;
  if (loaded.type === 'loaded') return { ...loaded, place: ringPlaceOf(loaded, configFile) };
  const message = loaded.type === 'refused' ? loaded.message : `${loaded.path}: the swarm key is not there`;
  return { type: 'problem', message, exitCode: EXIT_CONFIG };
}

interface OpenedKey {
  readonly type: 'loaded';
  readonly key: SwarmKey;
  readonly place: RingPlace;
  readonly warnings: readonly string[];
}

function readyOf(
  node: RunningNode,
  { node: id, name, desk }: { readonly node: string; readonly name: string; readonly desk: TrustDesk },
): Ready {
  const { api, addresses } = node;
  const expiresAt = Math.floor(Date.now() / 1_000) + INVITE_SECONDS;
  return {
    event: 'ready',
    node: id,
    name,
    api,
    addresses,
    swarm: formatFingerprint(desk.ring().anchor.fingerprint),
    invite: encodeInvite({ ...desk.invitation(), name, addresses: reachableFirst(addresses), expiresAt }),
    models: node.models(),
  };
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
  // Channels of WebRTC do not always say that they closed, and hold the process although nothing is open any more.
  setTimeout(() => process.exit(0), LINGER_MS).unref();
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
