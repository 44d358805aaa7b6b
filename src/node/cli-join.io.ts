/**
 * What `skein join` does before the node starts: reads the link or the code, gets what it stands for, and writes it into this
 * machine's directories, the swarm key last, so that a crash in between leaves a machine that is not in the swarm yet and
 * not one that is half in. A machine is in one swarm: a link of another one replaces its key only with `--force`, and the
 * old key is kept beside it. The link itself is a secret: it is taken from a file or from stdin as well, and never logged.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Invite, decodeInvite, INVITE_PREFIX } from '../discovery/invite.ts';
import { fingerprintsOf, type KeyRing, ringOf, withOnly } from '../discovery/key-ring.ts';
import { loadRing, saveNames, saveRing, setAside } from '../discovery/key-ring.io.ts';
import { decodeOnceCode, ONCE_PREFIX } from '../discovery/once-code.ts';
import { redeemCode } from '../discovery/once-redeem.io.ts';
import { formatFingerprint } from '../discovery/swarm-key.ts';
import { loadSwarmKey } from '../discovery/swarm-key.io.ts';
import { emptyTrust, mergeTrust } from '../discovery/trust-state.ts';
import { loadTrust, saveBootstrap, saveTrust } from '../discovery/trust-store.io.ts';
import { EXIT_CONFIG } from './config.ts';
import { type Identity, loadIdentity } from './identity.io.ts';
import { type LoadedKey, ringPlaceOf } from './ring-place.ts';
import type { Settings } from './settings.io.ts';
import { type Problem, problem } from './trust-session.io.ts';

export interface JoinOptions {
  readonly link: string;
  /** Leave the swarm that this machine is in. */
  readonly force: boolean;
}

export interface Joined {
  readonly type: 'joined';
  readonly swarm: string;
}

/** The link from where the person put it: an argument, a file, or a line on stdin. */
export async function readLink(argument: string | undefined, file: string | undefined): Promise<string | Problem> {
  if (argument !== undefined && argument !== '-') return argument;
  if (file !== undefined) {
    try {
      return (await readFile(file, 'utf8')).trim();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return problem(`${file}: the link cannot be read: ${reason}`, EXIT_CONFIG);
    }
  }
  if (process.stdin.isTTY) process.stderr.write('Paste the link and press Enter:\n');
  for await (const line of createInterface({ input: process.stdin })) if (line.trim() !== '') return line.trim();
  return problem('expected a link: as an argument, with --file, or on stdin', EXIT_CONFIG);
}

export async function joinSwarm(settings: Settings, options: JoinOptions): Promise<Joined | Problem> {
  const configFile = join(settings.paths.config, 'swarm.key');
  const found = await loadSwarmKey({ file: settings.options.swarmKeyFile, environment: process.env, configFile });
  if (found.type === 'refused') return problem(found.message, EXIT_CONFIG);
  const identity = await loadIdentity(settings.paths.state);
  if (identity.type === 'refused') return problem(identity.message, EXIT_CONFIG);
  const held = found.type === 'loaded' ? found : undefined;
  const place = held === undefined ? { keyFile: configFile, ownsKeyFile: true } : ringPlaceOf(held, configFile);
  const came = await welcomeOf(settings, { ...options, held, identity: identity.identity });
  if (came.type === 'problem') return came;
  const before = { held, place, identity: identity.identity };
  const next = await nextRing(before, came.invite, options.force);
  if ('type' in next) return next;
  const trusted = await keepTrust(settings, came, before);
  if (trusted !== undefined) return trusted;
  await saveBootstrap(settings.paths.state, came.invite.addresses);
  if (next.leaves && held !== undefined) await setAside(place, held.key);
  if (came.invite.anchor !== undefined) await saveNames(place, came.invite.anchor, came.invite.key);
  await saveRing(place, next.ring);
  return { type: 'joined', swarm: formatFingerprint(next.ring.anchor.fingerprint) };
}

interface Came {
  readonly type: 'invite';
  readonly invite: Invite;
  readonly certificate: Uint8Array | undefined;
}

interface Asked extends JoinOptions {
  readonly held: LoadedKey | undefined;
  readonly identity: Identity;
}

async function welcomeOf(settings: Settings, { link, force, held, identity }: Asked): Promise<Came | Problem> {
  const wallSeconds = Math.floor(Date.now() / 1_000);
  if (!link.trim().startsWith(ONCE_PREFIX)) {
    const decoded = decodeInvite(link, wallSeconds);
    if (decoded.type === 'invite') return { type: 'invite', invite: decoded.invite, certificate: undefined };
    const reason = link.trim().startsWith(INVITE_PREFIX) ? decoded.reason : `${decoded.reason} or ${ONCE_PREFIX}`;
    return problem(`the invite link cannot be used: ${reason}`, EXIT_CONFIG);
  }
  const decoded = decodeOnceCode(link, wallSeconds);
  if (decoded.type === 'rejected') return problem(`the code cannot be used: ${decoded.reason}`, EXIT_CONFIG);
  // Before it is used up: which swarm it is for shows only then.
  if (held !== undefined && !force)
    return problem(
      `this machine is in the swarm ${formatFingerprint(held.key.fingerprint)} (${held.source}) already; the code was not used. Add --force to leave that swarm, or use another --home`,
      EXIT_CONFIG,
    );
  const redeemed = await redeemCode(decoded.code, { node: identity.node, name: settings.options.name });
  if (redeemed.type === 'failed') return problem(redeemed.message);
  return { type: 'invite', ...redeemed.welcome };
}

interface Before {
  readonly held: LoadedKey | undefined;
  readonly place: { readonly keyFile: string; readonly ownsKeyFile: boolean };
  readonly identity: Identity;
}

/** 1. the first swarm of this machine; 2. the one that it is in, maybe with a key that it missed; 3. another one. */
async function nextRing(
  { held, place, identity }: Before,
  invite: Invite,
  force: boolean,
): Promise<{ readonly ring: KeyRing; readonly leaves: boolean } | Problem> {
  const plain = ringOf(invite.key);
  const invited = { ...plain, anchor: invite.anchor ?? plain.anchor };
  // 1.
  if (held === undefined) return { ring: invited, leaves: false };
  const verify = identity.verify.bind(identity);
  const { ring } = await loadRing({ ...place, primary: held.key, owner: invite.owner, verify });
  // 2.
  if (fingerprintsOf(ring).includes(invite.key.fingerprint)) return { ring, leaves: false };
  const [own, other] = [ring, invited].map(({ anchor }) => formatFingerprint(anchor.fingerprint));
  if (!place.ownsKeyFile)
    return problem(`the swarm key of this machine comes from ${held.source}: replace it there`, EXIT_CONFIG);
  if (own === other) return { ring: withOnly(ring, invite.key), leaves: true };
  // 3.
  if (force) return { ring: invited, leaves: true };
  return problem(
    `this machine is in the swarm ${own} (${held.source}) and the invite is for ${other}: add --force to leave the one swarm for the other (its key is kept beside the new one), or use another --home`,
    EXIT_CONFIG,
  );
}

/** The owner that the link names is the one whose word counts here from now on. */
async function keepTrust(
  settings: Settings,
  { invite, certificate }: Came,
  before: Before,
): Promise<Problem | undefined> {
  const { state } = settings.paths;
  const verify = before.identity.verify.bind(before.identity);
  const loaded = await loadTrust(state, verify);
  if (loaded.type === 'refused') return problem(loaded.message, EXIT_CONFIG);
  if (invite.owner === undefined && loaded.trust.owner === undefined) return undefined;
  const known = loaded.trust.owner;
  if (known !== undefined && invite.owner !== undefined && known !== invite.owner && before.held !== undefined) {
    const { ring } = await loadRing({ ...before.place, primary: before.held.key, owner: known, verify });
    if (fingerprintsOf(ring).includes(invite.key.fingerprint))
      return problem(
        `the link names the owner ${invite.owner}, and this machine trusts ${known} in the same swarm: one of them is not yours`,
        EXIT_CONFIG,
      );
  }
  const from = known === (invite.owner ?? known) ? loaded.trust : emptyTrust(invite.owner);
  const certificates = certificate === undefined ? [] : [certificate];
  await saveTrust(state, mergeTrust(from, { lists: [], certificates }, verify).state);
  return undefined;
}
