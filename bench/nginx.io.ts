/**
 * nginx as the yardstick of the hop: one plain proxy, and two of them with TLS 1.3 between, which is about the least
 * that an encrypted path over two processes can cost. Debian's nginx, one worker each, upstream keep-alive, no buffering.
 * Needs `nginx` and `openssl` on the PATH; the caller says so when they are missing.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface Proxy {
  readonly url: string;
  readonly pids: () => readonly number[];
  stop(): Promise<void>;
}

export function hasNginx(): boolean {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore' });
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** client -> nginx -> upstream. */
export async function startPlain(folder: string, upstreamPort: number): Promise<Proxy> {
  const port = await freePort();
  return start(join(folder, 'plain'), port, [
    server({ listen: `${port}`, upstream: `127.0.0.1:${upstreamPort}`, name: 'plain' }),
  ]);
}

/** client -> nginx -> TLS 1.3 -> nginx -> upstream, as two nginx instances. */
export async function startTlsPair(folder: string, upstreamPort: number): Promise<Proxy> {
  const [frontPort, backPort] = [await freePort(), await freePort()];
  await mkdir(folder, { recursive: true });
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-days', '1'];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      key,
      '-out',
      certificate,
      ...subject,
    ],
    { stdio: 'ignore' },
  );
  const tls = `ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_protocols TLSv1.3;`;
  const back = await start(join(folder, 'back'), backPort, [
    server({ listen: `${backPort} ssl`, upstream: `127.0.0.1:${upstreamPort}`, name: 'back', extra: tls }),
  ]);
  const front = await start(join(folder, 'front'), frontPort, [
    server({
      listen: `${frontPort}`,
      upstream: `127.0.0.1:${backPort}`,
      name: 'front',
      scheme: 'https',
      extra: 'proxy_ssl_session_reuse on; proxy_ssl_protocols TLSv1.3;',
    }),
  ]);
  return {
    url: front.url,
    pids: () => [...front.pids(), ...back.pids()],
    stop: async () => {
      await front.stop();
      await back.stop();
    },
  };
}

interface Site {
  readonly listen: string;
  readonly upstream: string;
  readonly name: string;
  readonly scheme?: 'http' | 'https';
  readonly extra?: string;
}

function server({ listen, upstream, name, scheme = 'http', extra = '' }: Site): string {
  return `upstream ${name} { server ${upstream}; keepalive 1100; keepalive_requests 1000000; }
  server { listen 127.0.0.1:${listen}; ${extra}
    location / { proxy_pass ${scheme}://${name}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host localhost; proxy_buffering off; } }`;
}

async function start(folder: string, port: number, sites: readonly string[]): Promise<Proxy> {
  await mkdir(folder, { recursive: true });
  const config = join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
    .join(' ');
  await writeFile(
    config,
    `daemon off; worker_processes 1; worker_rlimit_nofile 8192; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000; ${temporary}
  ${sites.join('\n  ')} }
`,
  );
  const child = spawn('nginx', ['-c', config, '-p', folder, '-e', `${folder}/error.log`], { stdio: 'inherit' });
  await untilListening(port);
  return {
    url: `http://127.0.0.1:${port}`,
    pids: () => [child.pid ?? 0, ...workersOf(child)],
    stop: async () => stop(child),
  };
}

function workersOf(child: ChildProcess): readonly number[] {
  return execFileSync('ps', ['-o', 'pid=', '--ppid', String(child.pid)], { encoding: 'utf8' })
    .trim()
    .split(/\s+/)
    .map(Number);
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGQUIT');
  const timer = setTimeout(() => child.kill('SIGKILL'), 2_000);
  await exited;
  clearTimeout(timer);
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      // eslint-disable-next-line no-await-in-loop
      await fetch(`http://127.0.0.1:${port}/`);
      return;
    } catch {
      // Not up yet; the loop is bounded and says so at its end.
      // eslint-disable-next-line no-await-in-loop
      await delay(50);
    }
  }
  throw new Error(`nginx does not listen on port ${port}`);
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => {
    probe.listen(0, '127.0.0.1', resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
