/**
 * The HTTP server of a node: node:http alone, because nothing on top of it is faster and its limits are all needed.
 * A request passes, in this order: guard (Host, Origin, content type), route table, API key, body, schema; only then does
 * it cost the mesh anything. Whatever goes wrong on the way is one failure with its status and a JSON error.
 * `drain` lets running answers end and takes no new ones; `close` ends them with an error and frees the port.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Failure, failure } from '../errors.ts';
import type { RequestId } from '../ids.ts';
import { Grammars } from '../inference/answer-format.ts';
import type { ChatService } from '../inference/chat.ts';
import { checkApiKey } from './api-key.ts';
import { API_LIMITS, type ApiLimits, type ApiLogEvent, type ApiOptions } from './api-options.ts';
import { planBind } from './bind.ts';
import { bodyTooLarge, isDeclaredTooLarge, readBody } from './body.io.ts';
import { ChatExchange } from './chat-exchange.io.ts';
import { parseChatRequest } from './chat-request.ts';
import { Connections } from './connections.io.ts';
import { preflightHeaders } from './cors.ts';
import { guard, type GuardPolicy } from './guard.ts';
import { ApiListenError, listen } from './listen.io.ts';
import { noSuchModel } from './models.ts';
import { soleHeader } from './raw-headers.ts';
import { answerRead, type ReadHandler } from './read-routes.ts';
import { sendFailure, sendJson, setCommonHeaders, setHeaders } from './respond.io.ts';
import { matchRoute, type Route } from './routes.ts';
import type { StatusSource } from './status.ts';

export interface ApiDependencies {
  readonly chat: ChatService;
  readonly status: StatusSource;
  readonly newRequestId: () => RequestId;
  readonly log: (event: ApiLogEvent) => void;
  readonly options: ApiOptions;
}

export interface ApiServer {
  /** Rejects with `ApiListenError`. Once only. */
  listen(): Promise<{ readonly url: string; readonly port: number }>;
  /** Refuses new chats from now on; resolves when the running ones have ended. */
  drain(): Promise<void>;
  /** Ends everything. Idempotent. */
  close(): Promise<void>;
}

export function createApiServer(dependencies: ApiDependencies): ApiServer {
  return new HttpApi(dependencies);
}

/** One request and what was found out about it. */
interface Visit {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: RequestId;
  readonly arrivedMs: number;
  /** The client waits for "100 Continue" before it sends its body. */
  readonly expectsContinue: boolean;
  route?: Route;
  exchange?: ChatExchange;
}

class HttpApi implements ApiServer {
  readonly #dependencies: ApiDependencies;
  readonly #limits: ApiLimits;
  readonly #policy: GuardPolicy;
  readonly #connections: Connections;
  readonly #createdS = Math.floor(Date.now() / 1_000);
  readonly #exchanges = new Set<ChatExchange>();
  readonly #grammars = new Grammars();
  #servers: readonly Server[] = [];
  #closing: readonly Server[] = [];
  #draining = false;
  #onIdle: (() => void)[] = [];

  constructor(dependencies: ApiDependencies) {
    const { options, newRequestId, log } = dependencies;
    this.#dependencies = dependencies;
    this.#limits = { ...API_LIMITS, ...options.limits };
    this.#connections = new Connections({ limits: this.#limits, newRequestId, log });
    this.#policy = {
      hosts: (options.allowedHosts ?? []).map((host) => host.toLowerCase()),
      origins: options.allowedOrigins ?? [],
    };
  }

  async listen(): Promise<{ readonly url: string; readonly port: number }> {
    const { host, port, apiKeys = [], insecureNoAuth = false } = this.#dependencies.options;
    const plan = planBind({ host, hasKeys: apiKeys.length > 0, insecureNoAuth });
    if (plan.type === 'refused') throw new ApiListenError(plan.reason);
    const listening = await listen(plan, port, () => this.#createServer());
    this.#servers = listening.servers;
    return { url: listening.url, port: listening.port };
  }

  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#exchanges.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle.push(resolve);
    });
  }

  async close(): Promise<void> {
    this.#draining = true;
    const servers = this.#servers;
    this.#servers = [];
    this.#closing = [...this.#closing, ...servers];
    const closed = servers.map(
      async (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
        }),
    );
    for (const exchange of this.#exchanges) exchange.abort(draining());
    const cut = setTimeout(() => {
      for (const server of servers) server.closeAllConnections();
    }, this.#limits.closeGraceMs);
    await Promise.all(closed);
    clearTimeout(cut);
  }

  #createServer(): Server {
    const { headersMs, bodyMs, idleConnectionMs, headerBytes } = this.#limits;
    const server = createServer({
      maxHeaderSize: headerBytes,
      headersTimeout: headersMs,
      requestTimeout: headersMs + bodyMs,
      connectionsCheckingInterval: Math.min(1_000, headersMs),
      keepAliveTimeout: idleConnectionMs,
      // The guard counts Host itself, and answers in JSON.
      requireHostHeader: false,
      insecureHTTPParser: false,
    });
    this.#connections.watch(server);
    server.on('request', (req, res) => this.#accept(req, res, false));
    server.on('checkContinue', (req, res) => this.#accept(req, res, true));
    server.on('checkExpectation', (req, res) => this.#accept(req, res, false));
    return server;
  }

  #accept(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    const requestId = this.#dependencies.newRequestId();
    const visit: Visit = { req, res, requestId, arrivedMs: performance.now(), expectsContinue };
    this.#connections.track(req, res);
    res.on('close', () => this.#left(visit));
    // The client is gone; 'close' follows and says so.
    res.on('error', () => res.destroy());
    this.#handle(visit).catch((error: unknown) => {
      this.#dependencies.log({ type: 'internal-error', requestId, error });
      if (res.headersSent) res.destroy();
      else sendFailure(res, failure('internal', `this node made a mistake; its log has it under ${requestId}`));
    });
  }

  async #handle(visit: Visit): Promise<void> {
    const { req, res } = visit;
    const { rawHeaders } = req;
    const method = req.method ?? '';
    const target = req.url ?? '';
    const verdict = guard({ method, target, rawHeaders }, this.#policy);
    setCommonHeaders(res, visit.requestId, verdict.origin);
    if (verdict.type === 'denied') return sendFailure(res, verdict.failure);
    const match = matchRoute(method, target);
    if (match.type === 'refused') {
      return sendFailure(res, match.failure, match.allow === undefined ? {} : { allow: match.allow });
    }
    if (match.type === 'options') {
      const requestedHeaders = soleHeader(rawHeaders, 'access-control-request-headers');
      setHeaders(res, preflightHeaders({ origin: verdict.origin, allow: match.allow, requestedHeaders }));
      res.writeHead(204).end();
      return undefined;
    }
    visit.route = match.route;
    if (match.route.scope !== 'open') {
      const refused = checkApiKey(soleHeader(rawHeaders, 'authorization'), this.#dependencies.options.apiKeys ?? []);
      if (refused !== undefined) return sendFailure(res, refused);
    }
    const { handler } = match.route;
    return handler === 'chat' ? this.#chat(visit) : this.#read(res, handler, match.id);
  }

  #read(res: ServerResponse, handler: ReadHandler, id: string): void {
    const { status, options } = this.#dependencies;
    const context = { status, version: options.version, createdS: this.#createdS, draining: this.#draining };
    const answer = answerRead(handler, id, context);
    if (answer.type === 'refused') sendFailure(res, answer.failure);
    else sendJson(res, answer);
  }

  async #chat(visit: Visit): Promise<void> {
    const { req, res, requestId } = visit;
    const full = this.#refuseChat();
    if (full !== undefined) return sendFailure(res, full);
    // Pipelined requests are answered one after the other; starting their work early would leave it without a socket
    // whose end cancels it.
    if (res.socket === null) await once(res, 'socket');
    if (isDeclaredTooLarge(req, this.#limits)) return sendFailure(res, bodyTooLarge(this.#limits));
    // Without it, Node closes the connection after the answer: the held-back body may come or not.
    if (visit.expectsContinue) res.writeContinue();
    const body = await readBody(req, this.#limits);
    if (body.type === 'client-gone' || res.destroyed) return undefined;
    if (body.type === 'refused') return sendFailure(res, body.failure, body.isLate ? { connection: 'close' } : {});
    const parsed = parseChatRequest(body.text, soleHeader(req.rawHeaders, 'x-session-id'), this.#grammars);
    if (parsed.type === 'refused') return sendFailure(res, this.#withModels(parsed.failure));
    // Again: others may have come while the body did.
    const fullNow = this.#refuseChat();
    if (fullNow !== undefined) return sendFailure(res, fullNow);
    const createdS = Math.floor(Date.now() / 1_000);
    const exchange = new ChatExchange({ res, chat: parsed.chat, requestId, createdS, limits: this.#limits });
    visit.exchange = exchange;
    this.#exchanges.add(exchange);
    res.on('close', () => this.#forget(exchange));
    return exchange.start(this.#dependencies.chat);
  }

  /** A name that no model can have is answered like one that none has: with the models that exist. */
  #withModels(refused: Failure): Failure {
    return refused.code === 'model-not-found' ? noSuchModel(this.#dependencies.status.models()) : refused;
  }

  #refuseChat(): Failure | undefined {
    if (this.#draining) return draining();
    if (this.#exchanges.size < this.#limits.chats) return undefined;
    return failure('busy', `this node passes ${this.#limits.chats} requests at once, the most it takes`, {
      retryAfterMs: 1_000,
    });
  }

  #forget(exchange: ChatExchange): void {
    this.#exchanges.delete(exchange);
    if (this.#exchanges.size > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  #left(visit: Visit): void {
    this.#logVisit(visit);
    // Its connection would stay for the next request, which must not come any more.
    for (const server of this.#closing) setImmediate(() => server.closeIdleConnections());
  }

  #logVisit({ req, res, requestId, arrivedMs, route, exchange }: Visit): void {
    const node = exchange?.node;
    this.#dependencies.log({
      type: 'request',
      requestId,
      method: req.method ?? '',
      ...(route === undefined ? {} : { handler: route.handler }),
      status: res.writableFinished ? res.statusCode : 499,
      elapsedMs: Math.round(performance.now() - arrivedMs),
      ...(node === undefined ? {} : { node }),
    });
  }
}

function draining(): Failure {
  return failure('draining', 'this node is shutting down: ask another one', { retryAfterMs: 1_000 });
}
