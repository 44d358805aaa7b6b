#!/usr/bin/env node
/*
 * The launcher: makes sure that the Node.js which runs skein is new enough, and gets out of the way. Written so that an
 * old Node can still read it and say what is missing, instead of failing on syntax. In a checkout the Node 24 of
 * `node_modules` takes over when the one that was started is older. Code is cached compiled, for a quick start.
 */
import childProcess from 'child_process';
import fs from 'fs';
import nodeModule from 'module';
import os from 'os';
import path from 'path';
import { fileURLToPath, pathToFileURL } from 'url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const oldest = [24, 12];

if (isNewEnough(process.versions.node)) start();
else handOver();

function isNewEnough(version) {
  const parts = version.split('.').map(Number);
  return parts[0] > oldest[0] || (parts[0] === oldest[0] && parts[1] >= oldest[1]);
}

function start() {
  cacheCompiledCode();
  // A reader that has gone (`skein status | head`) ends neither a command nor a node that runs.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  // A checkout has src/, a published package has dist/: a build left behind in a checkout never wins over its source.
  const source = path.join(root, 'src', 'node', 'cli.io.ts');
  const entry = fs.existsSync(source) ? source : path.join(root, 'dist', 'src', 'node', 'cli.io.js');
  import(pathToFileURL(entry).href)
    .then((cli) => cli.main(process.argv.slice(2)))
    .then((exitCode) => {
      if (typeof exitCode === 'number') process.exitCode = exitCode;
    })
    .catch((error) => {
      process.stderr.write('skein: ' + ((error && error.stack) || String(error)) + '\n');
      process.exitCode = 1;
    });
}

/** Runs the Node of this checkout in our place: same arguments, same streams, its signals and its exit code. */
function handOver() {
  const name = process.platform === 'win32' ? 'node.exe' : 'node';
  const pinned = path.join(root, 'node_modules', 'node', 'bin', name);
  if (!fs.existsSync(pinned)) {
    process.stderr.write(
      'skein needs Node.js ' +
        oldest.join('.') +
        ' or newer; this is ' +
        process.versions.node +
        '. ' +
        'Install it from https://nodejs.org, or run `npm ci` in the checkout, which brings its own.\n',
    );
    process.exitCode = 1;
    return;
  }
  const script = fileURLToPath(import.meta.url);
  const child = childProcess.spawn(pinned, [script].concat(process.argv.slice(2)), { stdio: 'inherit' });
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.on('SIGHUP', () => child.kill('SIGHUP'));
  process.on('SIGINT', () => {
    // A terminal sends Ctrl-C to both of us; sent on, it would count as the second one, which ends a node at once.
    if (!process.stdin.isTTY) child.kill('SIGINT');
  });
  child.on('error', (error) => {
    process.stderr.write('skein: cannot start ' + pinned + ': ' + error.message + '\n');
    process.exitCode = 1;
  });
  child.on('exit', (exitCode, signal) => {
    if (signal === null) process.exitCode = exitCode;
    else {
      // Ended by a signal: end by the same one, so that our parent sees the truth.
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    }
  });
}

/** Compiled code of other users must never be run: the cache is in the user's own directory, not in a shared one. */
function cacheCompiledCode() {
  const base =
    process.env.SKEIN_HOME ||
    (process.env.XDG_CACHE_HOME && path.join(process.env.XDG_CACHE_HOME, 'skein')) ||
    path.join(os.homedir(), '.cache', 'skein');
  try {
    const directory = path.join(base, process.env.SKEIN_HOME ? 'cache' : '', 'compiled');
    // Made by ourselves: Node's recursive way, also inside of `enableCompileCache`, spins for ever below /proc.
    makeDirectory(directory);
    nodeModule.enableCompileCache(directory);
  } catch (error) {
    // Without the cache the start is slower and nothing else; an unwritable home is reported by the program itself.
    if (process.env.SKEIN_LOG_LEVEL === 'trace') process.stderr.write('skein: no code cache: ' + error.message + '\n');
  }
}

/** Like `src/make-directory.io.ts`, in the language of an old Node: each level is tried twice at most. */
function makeDirectory(directory) {
  try {
    fs.mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (fs.existsSync(directory)) return;
    const parent = path.dirname(directory);
    if (error.code !== 'ENOENT' || parent === directory) throw error;
    makeDirectory(parent);
    fs.mkdirSync(directory, { mode: 0o700 });
  }
}
