import assert from 'node:assert/strict';
import { formatRecord } from '../../src/node/log-format.ts';
import { redact } from '../../src/node/redact.ts';
import { createLogger, type Logger, type LoggerOptions } from '../../src/node/telemetry.io.ts';

function logged(options: Partial<LoggerOptions>, write: (log: Logger) => void): string {
  let text = '';
  const stream = { write: (line: string) => void (text += line) };
  write(createLogger({ level: 'info', format: 'json', isTerminal: false, stream, ...options }));
  return text;
}

function looks(options: Partial<LoggerOptions>): string {
  return logged(options, (log) => log.info('up'));
}

const CANARY = 'canary-7f3a';

describe('a log record', () => {
  const hidden: readonly Record<string, unknown>[] = [
    { apiKey: CANARY },
    { api_key: CANARY },
    { headers: { Authorization: CANARY, 'set-cookie': [CANARY] } },
    { request: { body: { messages: [{ role: 'user', content: CANARY }] } } },
    { prompt: CANARY },
    { text: CANARY },
    { a: { b: { c: { d: { e: { f: { g: { h: CANARY } } } } } } } },
    { list: [{ psk: CANARY }] },
    { link: CANARY },
    { ownerKey: CANARY },
    { member_keys: [CANARY] },
    { order: CANARY },
    { reason: `cannot use skein://join/1/${CANARY}` },
    { where: [`skein://once/1/${CANARY} is used`] },
  ];
  for (const record of hidden) {
    it(`does not show ${JSON.stringify(record).replaceAll(CANARY, '...')}`, () => {
      for (const format of ['json', 'human'] as const) {
        const text = logged({ format }, (log) => log.info(record, 'hello'));
        assert.match(text, /hello/);
        assert.ok(!text.includes(CANARY), text);
      }
    });
  }

  it('does not show a link that stands in the message itself', () => {
    for (const format of ['json', 'human'] as const)
      for (const kind of ['join', 'once']) {
        const text = logged({ format }, (log) => log.warn(`the link skein://${kind}/1/${CANARY} is late`));
        assert.ok(!text.includes(CANARY), text);
        assert.match(text, /is late/);
      }
  });

  it('keeps what may be seen, and is not changed itself', () => {
    const record = { node: 'a', tokens: 12, nested: { requestId: 'r', prompt: 'p' } };
    assert.deepEqual(redact(record), { node: 'a', tokens: 12, nested: { requestId: 'r', prompt: '[secret]' } });
    assert.equal(record.nested.prompt, 'p');
  });

  it('is one JSON object a line for programs, with level by name, time and fields', () => {
    const text = logged({ fields: { node: 'abc' } }, (log) => {
      log.info({ peers: 2 }, 'up');
      log.debug('not shown');
      log.warn('odd');
    });
    const [first, second, ...more] = text
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    assert.deepEqual(more, []);
    assert.partialDeepStrictEqual(first, { level: 'info', node: 'abc', peers: 2, msg: 'up' });
    assert.partialDeepStrictEqual(second, { level: 'warn', msg: 'odd' });
    assert.match(text, /"time":"\d{4}-\d\d-\d\dT/);
  });

  it('is text for people on a terminal, and for those who ask', () => {
    assert.match(looks({ format: 'auto', isTerminal: false }), /^\{/);
    assert.match(looks({ format: 'auto', isTerminal: true }), /INFO/);
    assert.match(looks({ format: 'human', isTerminal: false }), /^\d\d:\d\d:\d\d INFO {2}up\n$/);
    assert.match(looks({ format: 'json', isTerminal: true }), /^\{/);
  });

  it('gives an error by type and message to people, and with its stack to programs', () => {
    const error = new TypeError('no route');
    assert.match(
      logged({ format: 'human' }, (log) => log.error({ error }, 'failed')),
      /failed error=TypeError: no route\n$/,
    );
    assert.match(
      logged({}, (log) => log.error({ error }, 'failed')),
      /"stack":"TypeError: no route/,
    );
  });

  it('cannot move the cursor or fake a line, whoever wrote the text', () => {
    const text = logged({ format: 'human' }, (log) =>
      log.info({ name: 'a\u001b[2Jb\nc' }, 'met\r\n12:00:00 INFO fake'),
    );
    assert.equal(text.split('\n').length, 2);
    assert.ok(!/\p{Cc}/u.test(text.replaceAll('\n', '')), JSON.stringify(text));
  });

  it('is cut where a value is long, and shown as it is where it is no JSON', () => {
    const line = formatRecord(
      JSON.stringify({ time: '2026-01-01T10:20:30.000Z', level: 'warn', msg: 'm', v: 'x'.repeat(999) }),
      false,
    );
    assert.equal(line, `10:20:30 WARN  m v=${'x'.repeat(300)}...`);
    assert.equal(formatRecord('not json\n', false), 'not json');
  });

  it('has colours only where they are wanted', () => {
    const line = JSON.stringify({ time: '2026-01-01T10:20:30.000Z', level: 'error', msg: 'm' });
    assert.equal(formatRecord(line, true), '10:20:30 \u001b[31mERROR\u001b[0m m');
    assert.equal(formatRecord(line, false), '10:20:30 ERROR m');
  });
});
