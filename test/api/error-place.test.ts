import assert from 'node:assert/strict';
import { anthropicError } from '../../src/api/anthropic-error.ts';
import { errorBody } from '../../src/api/error-body.ts';
import { errorBodyAt } from '../../src/api/error-place.ts';
import { ollamaErrorBody } from '../../src/api/ollama-error.ts';
import { failure } from '../../src/errors.ts';

describe('a refusal before the route is known', () => {
  it('is worded as the client’s service would, by path and by header', () => {
    const refused = failure('not-found', 'so it is');
    const [openai, anthropic, ollama] = [errorBody(refused), anthropicError(refused), ollamaErrorBody(refused)];
    const cases: readonly (readonly [target: string, isAnthropic: boolean, body: unknown])[] = [
      ['/v1/models', false, openai],
      ['/v1/models', true, anthropic],
      ['/v1/messages', false, anthropic],
      ['/v1/messages?beta=true', false, anthropic],
      ['/v1/messages/batches', false, anthropic],
      ['/v1/messagesx', false, openai],
      ['/api/pull', false, ollama],
      ['/api/pull', true, ollama],
      ['/api/status', false, openai],
      ['/api/status?a', false, openai],
      ['/api/statusx', false, ollama],
      ['/api/requests/1', false, openai],
      ['/', false, openai],
    ];
    for (const [target, isAnthropic, body] of cases)
      assert.deepEqual(errorBodyAt({ target, isAnthropic }, refused), body, target);
  });
});
