/**
 * What do the routes answer that only read? Each turns what the node knows into a status and a JSON body, at once and
 * without side effects; the routes that do work are in `dialects.ts`.
 */
import { unreachable } from '../assert.ts';
import { type Failure, failure } from '../errors.ts';
import { parseRequestId } from '../ids.ts';
import { anthropicModels, oneAnthropicModel } from './anthropic-models.ts';
import { modelList, oneModel } from './models.ts';
import { ollamaRunning, ollamaTags, ollamaVersion } from './ollama-models.ts';
import { type ReadHandler, ROUTES } from './routes.ts';
import type { StatusSource } from './status.ts';

export interface ReadContext {
  readonly status: StatusSource;
  readonly version: string;
  /** Unix seconds at which the node started. */
  readonly createdS: number;
  readonly draining: boolean;
  /** The client speaks Anthropic's API, whose models have the same paths. */
  readonly isAnthropic: boolean;
}

export type ReadAnswer =
  | {
      readonly type: 'json';
      readonly status: number;
      readonly body: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly type: 'refused'; readonly failure: Failure };

/** `id`: what the path says after the route's prefix. */
export function answerRead(handler: ReadHandler, id: string, context: ReadContext): ReadAnswer {
  const { status } = context;
  switch (handler) {
    case 'about':
      return ok({
        name: 'skein',
        version: context.version,
        routes: ROUTES.map((route) => `${route.method} ${route.path}`),
      });
    case 'list-models':
      return ok((context.isAnthropic ? anthropicModels : modelList)(status.models(), context.createdS));
    case 'show-model':
      return showModel(id, context);
    case 'ollama-tags':
      return ok(ollamaTags(status.models(), context.createdS));
    case 'ollama-running':
      return ok(ollamaRunning(status.models()));
    case 'ollama-version':
      return ok(ollamaVersion());
    case 'liveness':
      return ok({ alive: true });
    case 'readiness':
      return readiness(context);
    case 'status':
      return ok(status.status());
    case 'explain':
      return explain(id, status);
    default:
      return unreachable(handler);
  }
}

function showModel(id: string, { status, createdS, isAnthropic }: ReadContext): ReadAnswer {
  const offers = status.models();
  const answer = oneModel(offers, id, createdS);
  if (answer.type === 'refused') return answer;
  return ok(isAnthropic ? oneAnthropicModel(id, offers, createdS) : answer.body);
}

function readiness({ status, draining }: ReadContext): ReadAnswer {
  const { ready, reasons } = status.readiness();
  if (ready && !draining) return ok({ ready: true, reasons: [] });
  const all = draining ? [...reasons, 'this node is shutting down'] : reasons;
  return { type: 'json', status: 503, body: { ready: false, reasons: all }, headers: { 'retry-after': '1' } };
}

function explain(id: string, status: StatusSource): ReadAnswer {
  const requestId = parseRequestId(id);
  const record = requestId === undefined ? undefined : status.request(requestId);
  if (record !== undefined) return ok(record);
  const text = 'this node remembers no such request: ask the node that it entered at';
  return { type: 'refused', failure: failure('not-found', text) };
}

function ok(body: unknown): ReadAnswer {
  return { type: 'json', status: 200, body };
}
