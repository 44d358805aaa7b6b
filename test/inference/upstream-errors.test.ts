import assert from 'node:assert/strict';
import { failureInStream, failureOfConnection, failureOfReply } from '../../src/inference/upstream-errors.ts';

const CONTEXT = { upstream: 'ollama', model: 'goose:7b', contextTokens: 4_096 };

describe('an error of an upstream', () => {
  const cases: readonly { status: number; body: string; code: string; message?: RegExp }[] = [
    { status: 400, body: '{"error":{"message":"bad top_p"}}', code: 'invalid-request', message: /bad top_p/ },
    { status: 422, body: '{"detail":"bad"}', code: 'invalid-request' },
    { status: 401, body: '{"error":"no key"}', code: 'upstream-failed', message: /refused the node's api key/ },
    { status: 403, body: '', code: 'upstream-failed' },
    { status: 404, body: '{"error":{"message":"model gone"}}', code: 'model-not-found', message: /model gone/ },
    { status: 429, body: '{"error":"Too many tokens per minute"}', code: 'busy' },
    { status: 503, body: '{"error":{"message":"Loading model"}}', code: 'busy', message: /Loading model/ },
    { status: 500, body: '<html>oops</html>', code: 'upstream-failed', message: /answered 500: <html>oops/ },
    { status: 599, body: '', code: 'upstream-failed' },
    {
      status: 400,
      body: '{"error":{"code":400,"message":"request (900 tokens) exceeds the available context size (512 tokens)","type":"exceed_context_size_error","n_prompt_tokens":900,"n_ctx":512}}',
      code: 'context-length-exceeded',
      message: /^This model's maximum context length is 512 tokens; your messages have 900 tokens/,
    },
    {
      status: 400,
      body: '{"error":{"message":"This model\'s maximum context length is 2048 tokens. However, you requested 3000."}}',
      code: 'context-length-exceeded',
      message: /^This model's maximum context length is 2048 tokens\. However/,
    },
    {
      status: 500,
      body: '{"error":"input length exceeds the context length"}',
      code: 'context-length-exceeded',
      message: /maximum context length is 4096 tokens; the upstream said: input/,
    },
  ];
  for (const { status, body, code, message } of cases)
    it(`with status ${status} and ${body.slice(0, 40) || 'nothing'} is ${code}`, () => {
      const failed = failureOfReply({ status, body }, CONTEXT);
      assert.equal(failed.code, code);
      if (message !== undefined) assert.match(failed.message, message);
    });

  it('is quoted on one line and bounded', () => {
    const failed = failureOfReply(
      { status: 400, body: JSON.stringify({ error: `a\u001b[31m\nb${'x'.repeat(9_999)}` }) },
      CONTEXT,
    );
    assert.match(failed.message, /a \[31m b/);
    assert.ok(failed.message.length < 600);
  });

  it('passes a short Retry-After on', () => {
    for (const { retryAfter, expected } of [
      { retryAfter: '7', expected: 7_000 },
      { retryAfter: '9999', expected: 60_000 },
      { retryAfter: 'Wed, 21 Oct 2026 07:28:00 GMT', expected: undefined },
      { retryAfter: undefined, expected: undefined },
    ])
      assert.equal(failureOfReply({ status: 429, body: '', retryAfter }, CONTEXT).retryAfterMs, expected);
  });

  it('inside a stream is told by the status it carries', () => {
    for (const { value, code } of [
      { value: { error: { message: 'x', code: 400 } }, code: 'invalid-request' },
      { value: { error: { message: 'x' } }, code: 'upstream-failed' },
      { value: { error: 'x' }, code: 'upstream-failed' },
      { value: { object: 'error', message: 'x', code: 429 }, code: 'busy' },
    ])
      assert.equal(failureInStream(value, CONTEXT).code, code);
  });

  it('of the connection is definite only where nothing was sent', () => {
    const refused = Object.assign(new Error(''), { code: 'ECONNREFUSED' });
    assert.deepEqual(failureOfConnection(refused, false, 'ollama'), {
      code: 'upstream-unreachable',
      message: 'upstream ollama cannot be reached: connection refused',
    });
    assert.equal(failureOfConnection(refused, true, 'ollama').code, 'upstream-failed');
  });
});
