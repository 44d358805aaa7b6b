/**
 * Opens the node's HTTP API with its settings. A port that was asked for and is taken is an error; the default port gives
 * way to any free one, so that a second node on a machine simply starts.
 */
import { randomUUID } from 'node:crypto';
import type { ApiLogEvent, ApiOptions } from '../api/api-options.ts';
import { ApiListenError } from '../api/listen.io.ts';
import { type ApiServer, createApiServer } from '../api/server.io.ts';
import type { StatusSource } from '../api/status.ts';
import { invariant } from '../assert.ts';
import { parseRequestId, type RequestId } from '../ids.ts';
import type { ChatService } from '../inference/chat.ts';
import type { NodeOptions } from './config-schema.ts';
import type { Logger } from './telemetry.io.ts';

export interface ApiDoor {
  readonly options: NodeOptions;
  readonly version: string;
  readonly portIsDefault: boolean;
  readonly chat: ChatService;
  readonly status: StatusSource;
  readonly log: Logger;
}

export interface OpenedApi {
  readonly api: ApiServer;
  readonly url: string;
}

/** Rejects with `ApiListenError`. */
export async function openApi(door: ApiDoor): Promise<OpenedApi> {
  try {
    return await openAt(door, door.options.apiPort);
  } catch (error) {
    if (!door.portIsDefault || !(error instanceof ApiListenError)) throw error;
    door.log.warn(`${error.message}: serving the API on any free port instead`);
    return openAt(door, 0);
  }
}

async function openAt(door: ApiDoor, port: number): Promise<OpenedApi> {
  const { chat, status, log } = door;
  const api = createApiServer({
    chat,
    status,
    newRequestId,
    log: (event) => logEvent(event, log),
    options: apiOptions(door, port),
  });
  return { api, url: (await api.listen()).url };
}

function apiOptions({ options, version }: ApiDoor, port: number): ApiOptions {
  return {
    // The default is this machine in both address families.
    ...(options.apiHost === '127.0.0.1' ? {} : { host: options.apiHost }),
    port,
    version,
    allowedHosts: options.apiAllowedHosts,
    allowedOrigins: options.apiAllowedOrigins,
    apiKeys: options.apiKeyHashes.map((hash) => ({ hash })),
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
