/**
 * The HTTP server of a node: node:http alone, because nothing on top of it is faster and its limits are all needed.
 * A request passes, in this order: guard (Host, Origin, content type), route table, API key, body, schema; only then does
 * it cost the mesh anything. Whatever goes wrong on the way is one failure with its status and a JSON error.
 * `drain` lets running answers end and takes no new ones; `close` ends them with an error and frees the port.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Failure, failure } from '../errors.ts';
import type { RequestId } from '../ids.ts';
import { Grammars } from '../inference/answer-format.ts';
import type { ChatService } from '../inference/chat.ts';
import { API_LIMITS, type ApiLimits, type ApiLogEvent, type ApiOptions } from './api-options.ts';
import { planBind } from './bind.ts';
import { BodyRoom } from './body.io.ts';
import { Connections } from './connections.io.ts';
import { preflightHeaders } from './cors.ts';
import type { Asked, Dialect } from './dialect.ts';
import { DIALECTS } from './dialects.ts';
import { Exchange } from './exchange.io.ts';
import { guard, type GuardPolicy } from './guard.ts';
import { type Caller, KeyRing } from './key-ring.ts';
import { ApiListenError, listen } from './listen.io.ts';
import { type ModelOffer, noSuchModel } from './models.ts';
import { soleHeader } from './raw-headers.ts';
import { answerRead } from './read-routes.ts';
import { isAnthropic, sendFailure, sendJson, setCommonHeaders, setHeaders } from './respond.io.ts';
import { type HandlerName, matchRoute, type ReadHandler, type Route, type WorkHandler } from './routes.ts';
import type { StatusSource } from './status.ts';
import { readWorkBody } from './work-body.io.ts';

export interface ApiDependencies {
  readonly chat: ChatService;
  readonly status: StatusSource;
  readonly newRequestId: () => RequestId;
  readonly log: (event: ApiLogEvent) => void;
  readonly options: ApiOptions;
  /** Absent = there are none. */
  readonly keys?: KeyRing;
  /** Those of the engines, so that no schema is compiled twice; absent = its own. */
  readonly grammars?: Grammars;
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
  caller?: Caller;
  exchange?: Exchange;
}

class HttpApi implements ApiServer {
  readonly #dependencies: ApiDependencies;
  readonly #limits: ApiLimits;
  readonly #policy: GuardPolicy;
  readonly #connections: Connections;
  readonly #bodies: BodyRoom;
  readonly #keys: KeyRing;
  readonly #createdS = Math.floor(Date.now() / 1_000);
  readonly #exchanges = new Set<Exchange>();
  /** Requests that they make of the mesh at once. */
  #width = 0;
  readonly #grammars: Grammars;
  #servers: readonly Server[] = [];
  #closing: readonly Server[] = [];
  #draining = false;
  #onIdle: (() => void)[] = [];

  constructor(dependencies: ApiDependencies) {
    const { options, newRequestId, log } = dependencies;
    this.#dependencies = dependencies;
    this.#grammars = dependencies.grammars ?? new Grammars();
    this.#keys = dependencies.keys ?? new KeyRing({ hashes: [], isExposed: false });
    this.#limits = { ...API_LIMITS, ...options.limits };
    this.#bodies = new BodyRoom(this.#limits.bodiesBytes);
    this.#connections = new Connections({ limits: this.#limits, newRequestId, log });
    this.#policy = {
      hosts: (options.allowedHosts ?? []).map((host) => host.toLowerCase()),
      origins: options.allowedOrigins ?? [],
    };
  }

  async listen(): Promise<{ readonly url: string; readonly port: number }> {
    const { host, port, insecureNoAuth = false } = this.#dependencies.options;
    const plan = planBind({ host, hasKeys: this.#keys.hasKeys, insecureNoAuth });
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
    // All of them, or what stands behind the last one that Node looks at would pass the guard unseen; it counts them.
    server.maxHeadersCount = 0;
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
      return sendFailure(res, match.failure, { headers: match.allow === undefined ? {} : { allow: match.allow } });
    }
    if (match.type === 'options') {
      const requestedHeaders = soleHeader(rawHeaders, 'access-control-request-headers');
      setHeaders(res, preflightHeaders({ origin: verdict.origin, allow: match.allow, requestedHeaders }));
      res.writeHead(204).end();
      return undefined;
    }
    visit.route = match.route;
    const { handler, scope } = match.route;
    const given = {
      authorization: soleHeader(rawHeaders, 'authorization'),
      apiKey: soleHeader(rawHeaders, 'x-api-key'),
    };
    const admission = this.#keys.admit(given, scope, Date.now() / 1_000);
    if (admission.type === 'admitted') visit.caller = admission.caller;
    if (isWork(handler)) {
      const dialect = DIALECTS[handler];
      return admission.type === 'admitted' ? this.#work(visit, dialect) : this.#refuse(res, admission.failure, dialect);
    }
    return admission.type === 'admitted' ? this.#read(res, handler, match.id) : sendFailure(res, admission.failure);
  }

  #read(res: ServerResponse, handler: ReadHandler, id: string): void {
    const { status, options } = this.#dependencies;
    const context = {
      status,
      version: options.version,
      createdS: this.#createdS,
      draining: this.#draining,
      isAnthropic: isAnthropic(res.req),
    };
    const answer = answerRead(handler, id, context);
    if (answer.type === 'refused') sendFailure(res, answer.failure);
    else sendJson(res, answer);
  }

  async #work(visit: Visit, dialect: Dialect): Promise<void> {
    const { req, res } = visit;
    const full = this.#refuseWork(1);
    if (full !== undefined) return this.#refuse(res, full, dialect);
    const read = await readWorkBody(visit, this.#limits, this.#bodies);
    if (read.type === 'client-gone') return undefined;
    if (read.type === 'refused') return this.#refuse(res, read.failure, dialect);
    const sessionHeader = soleHeader(req.rawHeaders, 'x-session-id');
    const models = (): readonly ModelOffer[] => this.#dependencies.status.models();
    const reading = dialect.read(read.body, { sessionHeader, grammars: this.#grammars, models, nowMs: Date.now() });
    if (reading.type === 'answer') return sendJson(res, { status: 200, body: reading.body });
    if (reading.type === 'refused') return this.#refuse(res, this.#withModels(reading.failure), dialect);
    const problem = await this.#settled(reading.asked);
    if (res.destroyed) return undefined;
    return problem === undefined ? this.#start(visit, reading.asked, dialect) : this.#refuse(res, problem, dialect);
  }

  /** What is wrong with the schema of an answer's format; the same in all jobs. */
  async #settled({ jobs: [first] }: Asked): Promise<Failure | undefined> {
    const { format } = first ?? {};
    if (format === undefined) return undefined;
    const problem = await new Promise<Failure | undefined>((resolve) => {
      this.#grammars.settle({ format }, resolve);
    });
    return problem ?? this.#grammars.problemOf(format);
  }

  #start(visit: Visit, asked: Asked, dialect: Dialect): void {
    const { res, requestId } = visit;
    const others = asked.jobs.slice(1).map(() => this.#dependencies.newRequestId());
    const runIds = [requestId, ...others] as const;
    const exchange = new Exchange({ res, asked, dialect, runIds, createdMs: Date.now(), limits: this.#limits });
    // Again: others may have come while the body did.
    const full = this.#refuseWork(exchange.width);
    if (full !== undefined) return this.#refuse(res, full, dialect);
    const { caller = { key: undefined } } = visit;
    const limited = this.#keys.begin(caller, asked.jobs[0]?.model ?? '', performance.now());
    if (limited !== undefined) return this.#refuse(res, limited, dialect);
    visit.exchange = exchange;
    this.#exchanges.add(exchange);
    this.#width += exchange.width;
    res.on('close', () => {
      this.#keys.end(caller, exchange.usedTokens, performance.now());
      this.#forget(exchange);
    });
    return exchange.start(this.#dependencies.chat);
  }

  #refuse(res: ServerResponse, reason: Failure, dialect: Dialect): void {
    sendFailure(res, reason, { body: dialect.failureBody(reason) });
  }

  /** A name that no model can have is answered like one that none has: with the models that exist. */
  #withModels(refused: Failure): Failure {
    return refused.code === 'model-not-found' ? noSuchModel(this.#dependencies.status.models()) : refused;
  }

  /** `width`: how many requests of the mesh it would be. */
  #refuseWork(width: number): Failure | undefined {
    if (this.#draining) return draining();
    if (this.#width + width <= this.#limits.chats) return undefined;
    return failure('busy', `this node passes ${this.#limits.chats} requests at once, the most it takes`, {
      retryAfterMs: 1_000,
    });
  }

  #forget(exchange: Exchange): void {
    this.#exchanges.delete(exchange);
    this.#width -= exchange.width;
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

function isWork(handler: HandlerName): handler is WorkHandler {
  return Object.hasOwn(DIALECTS, handler);
}

function draining(): Failure {
  return failure('draining', 'this node is shutting down: ask another one', { retryAfterMs: 1_000 });
}
