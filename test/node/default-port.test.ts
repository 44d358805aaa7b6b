import assert from 'node:assert/strict';
import { OPTIONS } from '../../src/node/config-schema.ts';

describe('the default port of the API', () => {
  it('is none that the Fetch standard blocks, because browsers and JavaScript clients could never reach it', async () => {
    assert.match(await reasonAt(4190), /bad port/);
    assert.doesNotMatch(await reasonAt(OPTIONS.apiPort.default), /bad port/);
  });
});

async function reasonAt(port: number): Promise<string> {
  try {
    await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1_000) });
    return 'answered';
  } catch (error) {
    return String(error instanceof Error ? error.cause : error);
  }
}
