/** Posts a body to a node under test, and reads what comes back. */
import assert from 'node:assert/strict';
import { jsonOf, MODEL, type TestApi } from './fakes.ts';

export const CHAT = '/v1/chat/completions';
export const COMPLETIONS = '/v1/completions';
export const HELLO = { model: MODEL, messages: [{ role: 'user', content: 'hello' }] };

export async function post({ url }: TestApi, path: string, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** The choices of each event; the last one is the end. */
export async function choicesOf(response: Response): Promise<ReturnType<typeof JSON.parse>[]> {
  const events = (await response.text()).split('\n\n').filter((event) => event.startsWith('data: '));
  assert.equal(events.pop(), 'data: [DONE]');
  return events.map((event) => JSON.parse(event.slice('data: '.length)));
}

export async function refusalOf(api: TestApi, path: string, body: unknown): Promise<string> {
  const response = await post(api, path, body);
  const { error } = (await jsonOf(response)) as { error: { param: string | null; code: string; message: string } };
  assert.equal(response.status, 400, error.message);
  return `${error.code} ${error.param}`;
}

/** Status and text of a failure as clients of Ollama read it: nothing else is in the body. */
export async function textErrorOf(api: TestApi, path: string, body: unknown): Promise<string> {
  const response = await post(api, path, body);
  const { error, ...more } = await jsonOf(response);
  assert.deepEqual(more, {});
  return `${response.status} ${error}`;
}
