#!/usr/bin/env node
// Starts skein on a Node that can run it: this one, or the one that the checkout brought along. Written so that an old
// Node can read it and say what is missing, instead of failing on its first new word.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
const pinned = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));

if (major > 24 || (major === 24 && minor >= 12)) await run();
else if (existsSync(pinned)) runPinned();
else {
  process.stderr.write(`skein needs Node.js 24.12 or newer, and this is ${process.version}: install a newer one from https://nodejs.org\n`);
  process.exitCode = 1;
}

async function run() {
  enableCompileCache();
  const built = new URL('../dist/node/cli.io.js', import.meta.url);
  const source = new URL('../src/node/cli.io.ts', import.meta.url);
  const { main } = await import(existsSync(built) && !existsSync(source) ? built.href : source.href);
  process.exit(await main(process.argv.slice(2)));
}

function runPinned() {
  const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));
}
