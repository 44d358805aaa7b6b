/**
 * Opens the node's HTTP API with its settings. A port that was asked for and is taken is an error; the default port gives
 * way to any free one, so that a second node on a machine simply starts.
 */
import { randomUUID } from 'node:crypto';
import type { ApiLogEvent, ApiOptions } from '../api/api-options.ts';
import { isLoopbackHost } from '../api/host-name.ts';
import { KeyRing } from '../api/key-ring.ts';
import { ApiListenError } from '../api/listen.io.ts';
import { type ApiServer, createApiServer } from '../api/server.io.ts';
import type { StatusSource } from '../api/status.ts';
import { invariant } from '../assert.ts';
import { parseRequestId, type RequestId } from '../ids.ts';
import type { Grammars } from '../inference/answer-format.ts';
import type { ChatService } from '../inference/chat.ts';
import { followKeyFile, type KeyFileRead, keyFilePath, readKeyFile } from './key-file.io.ts';
import type { NodeOptions } from './node-options.ts';
import type { Logger } from './telemetry.io.ts';

export interface ApiDoor {
  readonly options: NodeOptions;
  readonly version: string;
  readonly portIsDefault: boolean;
  readonly chat: ChatService;
  readonly status: StatusSource;
  readonly grammars: Grammars;
  /** Where the state of the node lies, the file of keys among it. */
  readonly stateDirectory: string;
  readonly log: Logger;
}

export interface OpenedApi {
  readonly api: ApiServer;
  readonly url: string;
  /** Follows the file of keys no more. */
  readonly forgetKeys: () => void;
}

/** Rejects with `ApiListenError`. */
export async function openApi(door: ApiDoor): Promise<OpenedApi> {
  const { keys, forgetKeys } = await openKeys(door);
  try {
    return { ...(await openAnywhere(door, keys)), forgetKeys };
  } catch (error) {
    forgetKeys();
    throw error;
  }
}

async function openAnywhere(door: ApiDoor, keys: KeyRing): Promise<Omit<OpenedApi, 'forgetKeys'>> {
  try {
    return await openAt(door, keys, door.options.apiPort);
  } catch (error) {
    if (!door.portIsDefault || !(error instanceof ApiListenError)) throw error;
    door.log.warn(`${error.message}: serving the API on any free port instead`);
    return openAt(door, keys, 0);
  }
}

async function openAt(door: ApiDoor, keys: KeyRing, port: number): Promise<Omit<OpenedApi, 'forgetKeys'>> {
  const { chat, status, grammars, log } = door;
  const api = createApiServer({
    chat,
    status,
    keys,
    grammars,
    newRequestId,
    log: (event) => logEvent(event, log),
    options: apiOptions(door, port),
  });
  return { api, url: (await api.listen()).url };
}

/** The keys of settings and file, as they are now and as they change. */
async function openKeys({ options, stateDirectory, log }: ApiDoor): Promise<{ keys: KeyRing; forgetKeys: () => void }> {
  const { apiHost, insecureNoAuth, apiKeyHashes } = options;
  const keys = new KeyRing({ hashes: apiKeyHashes, isExposed: !isLoopbackHost(apiHost) && !insecureNoAuth });
  const take = (read: KeyFileRead): void => {
    if (read.type === 'keys') return keys.set(read.keys);
    log.warn(`${read.problem}; until then nobody is let in with one of them`);
    return keys.damaged();
  };
  const path = keyFilePath(stateDirectory);
  take(await readKeyFile(path));
  return { keys, forgetKeys: followKeyFile(path, take) };
}

function apiOptions({ options, version }: ApiDoor, port: number): ApiOptions {
  return {
    // The default is this machine in both address families.
    ...(options.apiHost === '127.0.0.1' ? {} : { host: options.apiHost }),
    port,
    version,
    allowedHosts: options.apiAllowedHosts,
    allowedOrigins: options.apiAllowedOrigins,
    insecureNoAuth: options.insecureNoAuth,
  };
}

function logEvent(event: ApiLogEvent, log: Logger): void {
  if (event.type !== 'internal-error') return log.debug(event, 'api');
  const { requestId, error } = event;
  log.error(
    { requestId, reason: error instanceof Error ? error.stack : String(error) },
    'internal error: please report this',
  );
}

function newRequestId(): RequestId {
  const requestId = parseRequestId(randomUUID().replaceAll('-', ''));
  invariant(requestId !== undefined, 'a UUID without its dashes is a request id');
  return requestId;
}
