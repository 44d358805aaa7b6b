import assert from 'node:assert/strict';
import { type FakeUpstreamOptions, startFakeUpstream } from '../../bench/fake-upstream.io.ts';
import { parseModelId } from '../../src/ids.ts';
import { createUpstreamEngine } from '../../src/inference/upstream.io.ts';
import { engineContract, type OpenedEngine } from './engine.contract.ts';

const cases: readonly (FakeUpstreamOptions & { readonly name: string })[] = [
  { name: 'the upstream engine before a server that streams' },
  { name: 'the upstream engine before a server that never streams', neverStream: true },
  { name: 'the upstream engine before a server that takes its time', tokensPerSecond: 500 },
];

for (const { name, ...options } of cases) engineContract(name, () => open(options));

async function open(options: FakeUpstreamOptions): Promise<OpenedEngine> {
  const model = parseModelId('fake');
  assert.ok(model !== undefined);
  const fake = await startFakeUpstream({ ...options, contextTokens: 2_048 });
  const engine = createUpstreamEngine({ name: 'fake', baseUrl: fake.baseUrl, slots: 3 });
  await engine.refresh();
  return {
    engine,
    model,
    exact: true,
    hidesStops: true,
    close: async () => {
      await engine.close();
      await fake.close();
    },
  };
}
