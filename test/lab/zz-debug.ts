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
  const nodes: any[] = [];
  for (const host of lan.hosts) nodes.push(await host.startNode({ args: ['--swarm-key-file', key, '--no-default-model', '--log-level', 'debug', '--name', host.address] }));
  await delay(3000);
  for (let n = 0; n < 8; n += 1) {
  const lines: string[] = [];
  const t0 = performance.now();
  await lan.hosts[1]!.moveTo(77 + n);
  let last = '';
  let good = 0;
  while (performance.now() - t0 < 40_000 && !good) {
    const s = await Promise.all(nodes.map(async (n) => {
      const st: any = await (await fetch(`${n.api}/api/status`)).json();
      return st.nodes.map((r: any) => `${r.name.slice(6)}:${r.verdict}${r.connected ? '+' : '-'}${(r.address ?? '').slice(10)}`).join(' ');
    }));
    const line = s.join(' | ');
    if (line !== last) lines.push(`${Math.round(performance.now() - t0)} ${line}`);
    last = line;
    if (!/suspect|-/.test(line) && line.split(`.${77 + n}/tcp`).length === 3) good = performance.now() - t0;
    await delay(50);
  }
  console.log('round', n, Math.round(good));
  if (!good || good > 14_000) { console.log(lines.join('\n'));
  for (const n of nodes) console.log(n.name, n.errors().split('\n').slice(-25).join('\n')); }
  }
  console.log(await readFile(join(nodes[0]!.home, 'state', 'peers.json'), 'utf8').catch(String));
} finally { await stopAll(); await lan.remove(); }
