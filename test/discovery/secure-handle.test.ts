import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A protocol registered on libp2p itself. The network's own `handle` takes a node, and is gated. */
const REGISTRATION = /\b(?:registrar|libp2p|services|components)\b[^\n;]*\.(?:handle|register|use)\(/;

function offenders(sources: readonly [string, string][]): string[] {
  return sources.filter(([, text]) => REGISTRATION.test(text)).map(([name]) => name);
}

describe('protocols', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));

  it('are registered with libp2p in one file only', () => {
    assert.ok(files.length > 10);
    const sources = files.map((name): [string, string] => [name, readFileSync(join('src', name), 'utf8')]);
    assert.deepEqual(offenders(sources), [join('discovery', 'membership.io.ts')]);
  });

  it('would be found elsewhere', () => {
    assert.deepEqual(
      offenders([
        ['x.io.ts', 'await libp2p.handle("/x", handler)'],
        ['y.io.ts', 'network.handle("/y", handler)'],
      ]),
      ['x.io.ts'],
    );
  });
});
