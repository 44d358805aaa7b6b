import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { newHome, stopAll } from '../e2e/harness.ts';
import { createLan } from './namespaces.ts';
const lan = await createLan(3);
try {
  const home = await newHome();
  const key = join(home, 'k');
  await writeFile(key, `/key/swarm/psk/1.0.0/\n/base16/\n${'0123456789abcdef'.repeat(4)}\n`, { mode: 0o600 });
  const nodes = [];
  for (const host of lan.hosts)
    nodes.push(
      await host.startNode({
        args: ['--swarm-key-file', key, '--no-default-model', '--log-level', 'debug', '--name', host.address],
      }),
    );
  await delay(3000);
  const t0 = performance.now();
  await lan.hosts[1]!.moveTo(77);
  let last = '';
  while (performance.now() - t0 < 40_000) {
    const s = await Promise.all(
      nodes.map(async (n) => {
        const st: any = await (await fetch(`${n.api}/api/status`)).json();
        return st.nodes
          .map((r: any) => `${r.name.slice(6)}:${r.verdict}${r.connected ? '+' : '-'}${(r.address ?? '').slice(11)}`)
          .join(' ');
      }),
    );
    const line = s.join(' | ');
    if (line !== last) console.log(Math.round(performance.now() - t0), line);
    last = line;
    await delay(50);
  }
  for (const n of nodes)
    console.log(
      n.name,
      n
        .errors()
        .split('\n')
        .filter((l) => !l.includes('api'))
        .slice(-25)
        .join('\n'),
    );
  console.log(await readFile(join(nodes[0]!.home, 'state', 'peers.json'), 'utf8').catch(String));
} finally {
  await stopAll();
  await lan.remove();
}
