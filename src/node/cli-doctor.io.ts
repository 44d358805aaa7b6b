/**
 * `skein doctor`: collects the facts that the files of `doctor.ts` judge, all looks at once and each with a limit of time, and
 * prints the findings. Changes nothing: no directory is made and no key is. Works without a running node, and says more
 * with one, which is asked over its control port. Exit code 0 when nothing is broken, warnings or not, else 1.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { endsSoon, endText } from '../discovery/certificate-renewal.ts';
import { loadSwarmKey } from '../discovery/swarm-key.io.ts';
import { hostOf, portOf } from '../discovery/transports.ts';
import { loadTrust } from '../discovery/trust-store.io.ts';
import { planSandbox } from '../inference/llama/sandbox.ts';
import { probeSandbox } from '../inference/llama/sandbox.io.ts';
import { packageRoot } from '../package-root.io.ts';
import { askStatus, type StatusAnswer } from './ask-status.io.ts';
import { loadConfig, type LoadedConfig } from './config.io.ts';
import { doctorExitCode, type DoctorFacts, doctorText, type KeyFact, type PortFact } from './doctor.ts';
import { fileFindings } from './doctor-files.ts';
import { machineFindings } from './doctor-machine.ts';
import { meshFindings } from './doctor-mesh.ts';
import {
  inTime,
  lookAtDisk,
  lookAtEngine,
  lookAtMdns,
  lookAtMemory,
  lookAtPath,
  lookAtPort,
  namespacesForbiddenBy,
  openFilesIn,
  openFilesMax,
} from './doctor-probes.io.ts';
import { type Identity, loadIdentityFile } from './identity.io.ts';
import { keyFilePath, readKeyFile } from './key-file.io.ts';
import { type NodeFile, readNodeFile } from './node-file.io.ts';
import { loadOwnerKey } from './owner-key.io.ts';

/** Each look, and the question to the running node. Source: requirement: all together under ten seconds. */
const LOOK_MS_MAX = 5_000;
const ENGINE_MS_MAX = 9_000;

export interface DoctorCommand {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly json: boolean;
}

export async function doctor({ flags, json }: DoctorCommand): Promise<number> {
  const facts = await collect(flags);
  const findings = [...fileFindings(facts), ...machineFindings(facts), ...meshFindings(facts)];
  const exitCode = doctorExitCode(findings);
  process.stdout.write(json ? `${JSON.stringify({ healthy: exitCode === 0, findings })}\n` : doctorText(findings));
  return exitCode;
}

async function collect(flags: Readonly<Record<string, unknown>>): Promise<DoctorFacts> {
  const config = loadConfig({ flags });
  const versions = { nodeVersion: process.versions.node, nodeVersionMin: await nodeVersionMin() };
  if (config.type === 'unusable') return { ...NOTHING, ...versions, settings: config };
  const { options, paths, file, warnings } = config;
  const running = await readNodeFile(paths.state);
  const modelsDirectory = options.modelsDirectory ?? paths.models;
  const [answer, pathFacts, keys, ports, mdnsProblem, sandbox, engine, memory, files, disks] = await Promise.all([
    inTime<StatusAnswer>(askStatus(paths.state), LOOK_MS_MAX, HANGS),
    pathFactsOf(config, modelsDirectory),
    keysOf(config),
    portsOf(config, running),
    options.mdns ? inTime(lookAtMdns(), LOOK_MS_MAX, 'the socket did not open in time') : undefined,
    sandboxOf(config),
    options.defaultModel || options.modelsPaths.length > 0
      ? inTime(lookAtEngine(), ENGINE_MS_MAX, { type: 'slow', waitedMs: ENGINE_MS_MAX } as const)
      : ({ type: 'not-needed' } as const),
    lookAtMemory([modelsDirectory, ...options.modelsPaths]),
    openFilesMax(running?.pid),
    Promise.all([lookAtDisk('models', modelsDirectory), lookAtDisk('state', paths.state)]),
  ]);
  return {
    ...versions,
    settings: { type: 'usable', file, warnings },
    paths: pathFacts,
    keys,
    ports,
    listen: options.listen,
    hasMdns: options.mdns,
    mdnsProblem,
    sandbox,
    engine,
    memory,
    openFilesMax: files,
    disks: disks.flat(),
    status: answer.type === 'status' ? answer.status : undefined,
    statusProblem: answer.type === 'problem' ? answer.message : undefined,
  };
}

/** Where nothing can be found out, because the settings say nothing. */
const NOTHING = {
  paths: [],
  keys: [],
  ports: [],
  listen: [],
  hasMdns: true,
  mdnsProblem: undefined,
  sandbox: undefined,
  engine: undefined,
  memory: undefined,
  openFilesMax: undefined,
  disks: [],
  status: undefined,
  statusProblem: undefined,
} as const;

const HANGS: StatusAnswer = {
  type: 'problem',
  message: `the node that runs here did not answer within ${LOOK_MS_MAX / 1_000} s: it hangs, or the machine is very busy`,
};

async function nodeVersionMin(): Promise<string> {
  const text = await readFile(new URL('package.json', packageRoot()), 'utf8');
  return /"node":\s*">=(\d+(?:\.\d+)*)"/.exec(text)?.[1] ?? '0';
}

async function pathFactsOf({ paths }: LoadedConfig, modelsDirectory: string): Promise<DoctorFacts['paths']> {
  const [directories, files] = await Promise.all([
    Promise.all([
      lookAtPath({ what: 'config directory', path: paths.config, rule: 'private' }),
      lookAtPath({ what: 'state directory', path: paths.state, rule: 'private' }),
      lookAtPath({ what: 'models directory', path: modelsDirectory, rule: 'shared' }),
      lookAtPath({ what: 'cache directory', path: paths.cache, rule: 'shared' }),
    ]),
    openFilesIn(paths.state, ['node.key']),
  ]);
  return [...directories, ...files];
}

async function keysOf({ options, paths }: LoadedConfig): Promise<readonly KeyFact[]> {
  const configFile = join(paths.config, 'swarm.key');
  const [swarm, node, owner, api] = await Promise.all([
    loadSwarmKey({ file: options.swarmKeyFile, environment: process.env, configFile }),
    loadIdentityFile({ path: join(paths.state, 'node.key'), what: 'node key' }),
    loadOwnerKey(paths.config),
    readKeyFile(keyFilePath(paths.state)),
  ]);
  const loaded = { type: 'loaded', warnings: [] } as const;
  return [
    { what: 'swarm key', found: swarm },
    { what: 'node key', found: node === undefined ? { type: 'missing' } : node.type === 'loaded' ? loaded : node },
    ...(owner === undefined ? [] : [{ what: 'owner key', found: owner.type === 'loaded' ? loaded : owner }]),
    ...(node?.type === 'loaded' ? await certificateOf(node.identity, { options, paths }) : []),
    ...(api.type === 'keys' ? [] : [{ what: 'API keys', found: { type: 'refused', message: api.problem } as const }]),
  ];
}

/** Where certificates are asked for: whether this node's one ends soon. */
async function certificateOf(
  identity: Identity,
  { options, paths }: Pick<LoadedConfig, 'options' | 'paths'>,
): Promise<readonly KeyFact[]> {
  const loaded = await loadTrust(paths.state, identity.verify.bind(identity));
  const what = 'certificate';
  if (loaded.type === 'refused') return [{ what, found: loaded }];
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const asked = { node: identity.node, isAsked: options.admissionMode === 'certified' };
  const endsAt = endsSoon(loaded.trust, asked, nowSeconds);
  return endsAt === undefined ? [] : [{ what, found: { type: 'loaded', warnings: [endText(endsAt, nowSeconds)] } }];
}

/** A running node says which ports it has; of those that the settings name only what stands in the way is told then. */
async function portsOf(config: LoadedConfig, running: NodeFile | undefined): Promise<readonly PortFact[]> {
  const used = running === undefined ? [] : portsUsed(running);
  const asked = portsAsked(config).filter(({ port }) => !used.some((one) => one.port === port));
  const looked = await Promise.all(
    asked.map(async ({ host, ...one }) =>
      inTime(lookAtPort(one, host), LOOK_MS_MAX, { ...one, found: 'unknown' as const }),
    ),
  );
  return running === undefined ? looked : [...used, ...looked.filter(({ found }) => found === 'taken')];
}

function portsUsed({ addresses, api }: NodeFile): readonly PortFact[] {
  const mesh = addresses.filter((address) => address.includes('/tcp/') && !address.includes('/p2p-circuit'));
  const ours = { isFixed: false, found: 'ours' } as const;
  return [
    ...[...new Set(mesh.flatMap((address) => portOf(address) ?? []))].map((port) => ({ what: 'mesh', port, ...ours })),
    { what: 'API', port: Number(new URL(api).port), ...ours },
  ];
}

function portsAsked({
  options,
  origins,
}: LoadedConfig): readonly (Omit<PortFact, 'found'> & { readonly host: string })[] {
  const isChosen = { mesh: origins.listen.type !== 'default', API: origins.apiPort.type !== 'default' };
  const mesh = options.listen.flatMap((address) => {
    const [port, host] = [portOf(address), hostOf(address)];
    if (!address.includes('/tcp/') || port === undefined || host === undefined) return [];
    return [{ what: 'mesh', port, host, isFixed: isChosen.mesh }];
  });
  const api = { what: 'API', port: options.apiPort, host: options.apiHost, isFixed: isChosen.API };
  // 0 = any free one.
  return [...mesh, api].filter(({ port }) => port !== 0);
}

async function sandboxOf({ options }: LoadedConfig): Promise<DoctorFacts['sandbox']> {
  const mode = options.engineSandbox;
  if (mode === 'off') return { mode };
  const probe = await inTime(probeSandbox(), LOOK_MS_MAX, { problem: 'bubblewrap did not start in time' });
  const plan = planSandbox(mode, probe);
  const problem = plan.type === 'refused' ? plan.reason : plan.problem;
  return { mode, problem, namespacesForbiddenBy: problem === undefined ? undefined : await namespacesForbiddenBy() };
}
