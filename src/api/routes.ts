/**
 * Which handler answers a method and a path, and what must a key allow for it? One table; what is not in it does not
 * exist (404), a path with another method is 405 with `Allow`, and HEAD goes wherever GET goes. Every route names its
 * scope; `open` is for the one that process supervisors ask without a key. A path ending in `/{id}` takes the whole rest,
 * slashes included, because model names have them ("org/model:Q4"), escaped or not.
 */
import { type Failure, failure } from '../errors.ts';
import { whyAbsent } from './absent-routes.ts';
import type { RouteScope } from './key-ring.ts';

type OllamaHandler = 'ollama-chat' | 'ollama-generate' | 'ollama-embed' | 'ollama-embeddings' | 'ollama-show';
/** Routes with a body, most of which ask the mesh for work; what they say is in `dialects.ts`. */
export type WorkHandler =
  | OllamaHandler
  | 'chat'
  | 'completions'
  | 'embeddings'
  | 'rerank'
  | 'responses'
  | 'messages'
  | 'count-responses'
  | 'count-messages';
/** Routes that tell what the node knows. */
export type ReadHandler =
  | 'ollama-tags'
  | 'ollama-running'
  | 'ollama-version'
  | 'about'
  | 'list-models'
  | 'show-model'
  | 'liveness'
  | 'readiness'
  | 'status'
  | 'explain';
export type HandlerName = WorkHandler | ReadHandler;

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly handler: HandlerName;
  readonly scope: RouteScope;
}

export const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/', handler: 'about', scope: 'read' },
  { method: 'POST', path: '/v1/chat/completions', handler: 'chat', scope: 'infer' },
  { method: 'POST', path: '/v1/completions', handler: 'completions', scope: 'infer' },
  { method: 'POST', path: '/v1/embeddings', handler: 'embeddings', scope: 'infer' },
  { method: 'POST', path: '/v1/rerank', handler: 'rerank', scope: 'infer' },
  { method: 'POST', path: '/v1/responses', handler: 'responses', scope: 'infer' },
  { method: 'POST', path: '/v1/responses/input_tokens', handler: 'count-responses', scope: 'infer' },
  { method: 'POST', path: '/v1/messages', handler: 'messages', scope: 'infer' },
  { method: 'POST', path: '/v1/messages/count_tokens', handler: 'count-messages', scope: 'infer' },
  { method: 'GET', path: '/v1/models', handler: 'list-models', scope: 'models' },
  { method: 'GET', path: '/v1/models/{id}', handler: 'show-model', scope: 'models' },
  { method: 'POST', path: '/api/chat', handler: 'ollama-chat', scope: 'infer' },
  { method: 'POST', path: '/api/generate', handler: 'ollama-generate', scope: 'infer' },
  { method: 'POST', path: '/api/embed', handler: 'ollama-embed', scope: 'infer' },
  { method: 'POST', path: '/api/embeddings', handler: 'ollama-embeddings', scope: 'infer' },
  { method: 'POST', path: '/api/show', handler: 'ollama-show', scope: 'models' },
  { method: 'GET', path: '/api/tags', handler: 'ollama-tags', scope: 'models' },
  { method: 'GET', path: '/api/ps', handler: 'ollama-running', scope: 'models' },
  { method: 'GET', path: '/api/version', handler: 'ollama-version', scope: 'models' },
  { method: 'GET', path: '/livez', handler: 'liveness', scope: 'open' },
  { method: 'GET', path: '/readyz', handler: 'readiness', scope: 'read' },
  { method: 'GET', path: '/api/status', handler: 'status', scope: 'read' },
  { method: 'GET', path: '/api/requests/{id}', handler: 'explain', scope: 'read' },
];

export type RouteMatch =
  | { readonly type: 'matched'; readonly route: Route; readonly id: string }
  | { readonly type: 'options'; readonly allow: string }
  | { readonly type: 'refused'; readonly failure: Failure; readonly allow?: string };

const PARAMETER = '/{id}';
/** Longest id taken from a path; longer ones name nothing. Source: ids.ts (128), escaped threefold. */
const ID_LENGTH_MAX = 400;

/** `target` is the request target as sent, with its query. */
export function matchRoute(method: string, target: string): RouteMatch {
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  const here = ROUTES.filter((route) => idOf(route, path) !== undefined);
  if (here.length === 0) return { type: 'refused', failure: failure('not-found', noSuchRoute(path)) };
  if (method === 'OPTIONS') return { type: 'options', allow: allowOf(here) };
  const route = here.find((one) => one.method === (method === 'HEAD' ? 'GET' : method));
  if (route === undefined) {
    const allow = allowOf(here);
    const text = `${method.slice(0, 16)} is not possible here, only ${allow}`;
    return { type: 'refused', failure: failure('method-not-allowed', text), allow };
  }
  const id = decode(idOf(route, path) ?? '');
  if (id === undefined) {
    return { type: 'refused', failure: failure('invalid-request', 'the path has a broken % escape') };
  }
  return { type: 'matched', route, id };
}

/** '' for a route without a parameter; undefined when the path is not the route's. */
function idOf(route: Route, path: string): string | undefined {
  if (!route.path.endsWith(PARAMETER)) return path === route.path ? '' : undefined;
  const prefix = route.path.slice(0, 1 - PARAMETER.length);
  const id = path.startsWith(prefix) ? path.slice(prefix.length) : '';
  return id.length > 0 && id.length <= ID_LENGTH_MAX ? id : undefined;
}

function allowOf(routes: readonly Route[]): string {
  const methods = routes.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  return [...new Set(methods), 'OPTIONS'].join(', ');
}

function noSuchRoute(path: string): string {
  const reason = whyAbsent(path);
  if (reason !== undefined) return `there is nothing here: ${reason}`;
  return `there is nothing here; this node has ${ROUTES.map((route) => `${route.method} ${route.path}`).join(', ')}`;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
