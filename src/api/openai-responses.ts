/**
 * POST /v1/responses as a dialect, without anything stored: `responses-request.ts` reads, `responses-body.ts` and
 * `responses-stream.ts` write. Its answers are those of one run.
 */
import type { Dialect, Show } from './dialect.ts';
import { responseReply, responsesError } from './responses-body.ts';
import { parseResponsesRequest } from './responses-request.ts';
import { ResponsesStream } from './responses-stream.ts';

export const OPENAI_RESPONSES: Dialect = {
  read(body, context) {
    const parsed = parseResponsesRequest(body, context);
    if (parsed.type === 'refused') return parsed;
    const { job, stream, sessionKey, settings } = parsed.responses;
    const show: Show = stream
      ? { type: 'stream', open: (head) => new ResponsesStream({ head, settings }) }
      : {
          type: 'reply',
          body: (head, answers) => answers.map((answer) => responseReply({ head, settings }, answer)).at(0),
        };
    return { type: 'asked', asked: { sessionKey, jobs: [job], show } };
  },
  failureBody: responsesError,
};
