/**
 * `skein invite`: a link that lets another machine join. Plain: the link is the key, good for a day and for any number of
 * machines. `--once`: a code without the key, which the running node exchanges for it, once, within ten minutes. Both go to
 * stdout and, with `--qr`, as a picture for a camera; the warning goes to stderr, where it does not end up in a pipe.
 */
import { join } from 'node:path';
import { renderUnicodeCompact } from 'uqr';
import { encodeInvite, type Invite } from '../discovery/invite.ts';
import { type KeyRing, primaryOf } from '../discovery/key-ring.ts';
import type { NodeId } from '../ids.ts';
import { loadRing } from '../discovery/key-ring.io.ts';
import { anchorText } from '../discovery/swarm-anchor.ts';
import { loadSwarmKey } from '../discovery/swarm-key.io.ts';
import { timeText } from '../discovery/admission.ts';
import type { AdmissionMode } from '../discovery/admission-mode.ts';
import { trustListOf } from '../discovery/trust-state.ts';
import { EXIT_CONFIG } from './config.ts';
import { askControl } from './control.io.ts';
import { parseDuration } from './duration.ts';
import { fail } from './exit.io.ts';
import { readNodeFile } from './node-file.io.ts';
import { ringPlaceOf } from './ring-place.ts';
import { readSettings, type Settings } from './settings.io.ts';
import { openSession, type Problem, problem } from './trust-session.io.ts';
import { ONCE_SECONDS } from '../discovery/once-codes.ts';

/** How long a link that was asked for is good for. Source: guess: a day. */
const INVITE_SECONDS_DEFAULT = 86_400;
/** Source: guess: a link that is good for longer is forgotten in some chat. */
const INVITE_SECONDS_MAX = 30 * 86_400;

export interface InviteCommand {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly json: boolean;
  readonly qr: boolean;
  readonly once: boolean;
  /** "24h". */
  readonly ttl: string | undefined;
  /** Of the listener for a code that works once. */
  readonly port: string | undefined;
}

export async function invite(command: InviteCommand): Promise<number> {
  const settings = await readSettings(command.flags);
  if (settings.type === 'unusable') return fail(settings.problems, settings.exitCode);
  const made = command.once ? await onceLink(command, settings) : await plainLink(command, settings);
  if (made.type === 'problem') return fail([made.message], made.exitCode);
  const { link, expiresAt, warning } = made;
  process.stderr.write(`${warning}\n`);
  process.stdout.write(command.json ? `${JSON.stringify({ link, expiresAt })}\n` : `${link}\n`);
  if (command.qr && !command.json) process.stdout.write(`\n${renderUnicodeCompact(link)}\n`);
  return 0;
}

const NEEDS: Readonly<Record<Exclude<AdmissionMode, 'open'>, string>> = {
  allowlist: 'run `skein trust add ID` for the new machine as well, or use --once, which does it.',
  certified: 'run `skein trust certify ID` for the new machine as well, or use --once, which does it.',
};

interface Made {
  readonly type: 'link';
  readonly link: string;
  readonly expiresAt: number;
  readonly warning: string;
}

async function plainLink({ ttl, port }: InviteCommand, settings: Settings): Promise<Made | Problem> {
  const seconds = ttl === undefined ? INVITE_SECONDS_DEFAULT : parseDuration(ttl);
  if (port !== undefined) return problem('--once-port belongs to --once', EXIT_CONFIG);
  if (seconds === undefined || seconds > INVITE_SECONDS_MAX)
    return problem(`--ttl: expected a time such as 90m, 24h or 7d, at most 30d, got ${ttl ?? ''}`, EXIT_CONFIG);
  const { options, paths } = settings;
  const held = await ringOfSettings(settings);
  if (held.type === 'problem') return held;
  const { ring, owner, mode } = held;
  const node = await readNodeFile(paths.state);
  const key = primaryOf(ring);
  const expiresAt = Math.floor(Date.now() / 1_000) + seconds;
  const link = encodeInvite({
    key,
    name: options.name,
    addresses: node?.addresses ?? options.bootstrap,
    expiresAt,
    ...namesOf(ring, owner),
  });
  const warnings = [
    `This link is the key of the swarm, good until ${timeText(expiresAt)} UTC: send it as you would a password.`,
    ...(node === undefined
      ? [
          'No node runs on this machine, so that the link holds no address of it: the other machine must find one by itself (mDNS, --bootstrap).',
        ]
      : []),
    ...(mode === 'open' ? [] : [`The key alone lets nobody in (admission is ${mode}): ${NEEDS[mode]}`]),
  ];
  return { type: 'link', link, expiresAt, warning: warnings.join('\n') };
}

function namesOf(ring: KeyRing, owner: NodeId | undefined): Pick<Invite, 'anchor' | 'owner'> {
  const isPlain = anchorText(ring.anchor) === anchorText(primaryOf(ring).anchor());
  return { ...(isPlain ? {} : { anchor: ring.anchor }), ...(owner === undefined ? {} : { owner }) };
}

interface HeldRing {
  readonly type: 'ring';
  readonly ring: KeyRing;
  readonly owner: NodeId | undefined;
  /** The first that asks for more than the key. */
  readonly mode: AdmissionMode;
}

async function ringOfSettings(settings: Settings): Promise<HeldRing | Problem> {
  const configFile = join(settings.paths.config, 'swarm.key');
  const { swarmKeyFile } = settings.options;
  const loaded = await loadSwarmKey({ file: swarmKeyFile, environment: process.env, configFile });
  if (loaded.type === 'refused') return problem(loaded.message, EXIT_CONFIG);
  if (loaded.type === 'missing') return problem(`${loaded.path}: there is no swarm key yet: \`skein up\` makes one`);
  const session = await openSession(settings);
  if (session.type === 'problem') return session;
  const { identity, trust } = session;
  const verify = identity.verify.bind(identity);
  const place = ringPlaceOf(loaded, configFile);
  const { ring } = await loadRing({ ...place, primary: loaded.key, owner: trust.owner, verify });
  const mode = [settings.options.admissionMode, trustListOf(trust).mode].find((one) => one !== 'open') ?? 'open';
  return { type: 'ring', ring, owner: trust.owner, mode };
}

async function onceLink({ ttl, port = '0' }: InviteCommand, settings: Settings): Promise<Made | Problem> {
  const seconds = parseDuration(ttl ?? '10m') ?? Infinity;
  if (seconds > ONCE_SECONDS)
    return problem(`--ttl: a code that works once is good for at most 10m, got ${ttl ?? ''}`, EXIT_CONFIG);
  if (!isPort(port)) return problem(`--once-port: expected a whole number from 0 to 65535, got ${port}`, EXIT_CONFIG);
  const answer = await askControl(settings.paths.state, { command: 'once', seconds, port: Number(port) });
  if (answer === undefined)
    return problem(
      'no node runs on this machine: it is the node that exchanges such a code, so start it with `skein up`',
    );
  const { link, expiresAt } = answer;
  if (typeof link !== 'string' || typeof expiresAt !== 'number')
    return problem(answer.problem ?? 'the running node is of another version: restart it');
  const warning = `Good for one machine until ${timeText(expiresAt)} UTC, for at most five tries. Whoever uses it first is in: send it as you would a password.`;
  return { type: 'link', link, expiresAt, warning };
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535;
}
