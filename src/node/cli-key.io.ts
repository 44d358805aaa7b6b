/**
 * `skein key ...`: shows which key the swarm uses, without the key, and changes it. A routine change goes through the mesh in
 * three steps, each of which waits until every living node has taken the one before. A change because the key leaked goes by
 * hand: whoever has the old key is a member, and would read the new one.
 */
import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { encodeInvite } from '../discovery/invite.ts';
import { loadRing, type RingPlace, saveRing, setAside } from '../discovery/key-ring.io.ts';
import { fingerprintsOf, ringOf } from '../discovery/key-ring.ts';
import { toBase64Url } from '../discovery/link-text.ts';
import { readOrder, ROTATION_STEPS, type RotationStep, type SignedOrder, signOrder } from '../discovery/rotation.ts';
import { loadSwarmKey } from '../discovery/swarm-key.io.ts';
import { formatFingerprint, type SwarmKey, swarmKeyOf } from '../discovery/swarm-key.ts';
import { parseSwarmFingerprint } from '../ids.ts';
import { replaceFile } from '../state-file.io.ts';
import { EXIT_CONFIG } from './config.ts';
import { askControl } from './control.io.ts';
import { fail } from './exit.io.ts';
import type { Identity } from './identity.io.ts';
import { type LoadedKey, ringPlaceOf } from './ring-place.ts';
import { readSettings } from './settings.io.ts';
import { isAlive, rotationStatus } from './rotation-status.ts';
import { table } from './table.ts';
import {
  openSession,
  ownerOf,
  type Problem,
  problem,
  type SessionNode,
  type TrustSession,
} from './trust-session.io.ts';

/** How long the file of a change by hand may lie around. Source: guess: a week to get round to every machine. */
const LEAKED_SECONDS = 7 * 86_400;

export interface KeyCommand {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly json: boolean;
}

export interface RotateOptions {
  readonly step: RotationStep | 'status' | 'leaked';
  readonly force: boolean;
}

export async function keyShow(command: KeyCommand): Promise<number> {
  return withKey(command, async ({ session, key, place }) => {
    const { ring } = await loadRing({
      ...place,
      primary: key.key,
      owner: session.trust.owner,
      verify: session.identity.verify.bind(session.identity),
    });
    const [primary, ...accepted] = fingerprintsOf(ring);
    const data = { swarm: ring.anchor.fingerprint, primary, accepted, source: key.source };
    const rows = [
      ['swarm', formatFingerprint(ring.anchor.fingerprint)],
      ['key', primary === undefined ? '-' : formatFingerprint(primary)],
      ...accepted.map((fingerprint) => ['accepts', formatFingerprint(fingerprint)]),
      ['from', key.source],
    ];
    return say(command, data, table(rows));
  });
}

export async function keyRotate(command: KeyCommand, { step, force }: RotateOptions): Promise<number> {
  return withKey(command, async (held) => {
    if (step === 'leaked') return leaked(command, held);
    const { running } = held.session;
    if (running === undefined)
      return problem('a change of the key goes through the mesh: start the node of this machine first (`skein up`)');
    if (step === 'status') return status(command, held.session);
    const order = await nextOrder(held, step, force);
    if ('type' in order) return order;
    const answer = await askControl(held.session.settings.paths.state, {
      command: 'order',
      order: toBase64Url(order.bytes),
    });
    if (answer?.problem !== undefined) return problem(answer.problem);
    const fingerprint = formatFingerprint(order.order.key.fingerprint);
    return say(
      command,
      { step, key: order.order.key.fingerprint, round: order.order.round },
      `${DONE[step](fingerprint)}\n`,
    );
  });
}

const DONE: Readonly<Record<RotationStep, (key: string) => string>> = {
  stage: (key) =>
    `staged the key ${key}: all nodes are told to accept it. See \`skein key rotate --status\`, then \`--use\`.`,
  use: (key) => `all nodes are told to dial with ${key}. See \`skein key rotate --status\`, then \`--finish\`.`,
  finish: (key) => `only ${key} is accepted from now on. A node that was away all the time needs a new invite.`,
};

interface Held {
  readonly session: TrustSession;
  readonly key: LoadedKey;
  readonly place: RingPlace;
}

/** 1. who may order; 2. which order came before; 3. whether the mesh is ready for this one. */
async function nextOrder({ session, place }: Held, step: RotationStep, force: boolean): Promise<SignedOrder | Problem> {
  // 1.
  const signer: Identity | Problem = session.trust.owner === undefined ? session.identity : await ownerOf(session);
  if ('type' in signer) return signer;
  const sign = signer.sign.bind(signer);
  // 2.
  const last = await lastOrder(session, place);
  if (step === 'stage') {
    if (isUnderWay(last) && !force)
      return problem(
        'a change of the key is under way (`skein key rotate --status`): go on with it, or start another with --force',
      );
    return signOrder({ author: signer.node, round: (last?.order.round ?? 0) + 1, step, key: freshKey() }, sign);
  }
  if (last === undefined) return problem('no key is staged: begin with `skein key rotate --stage`');
  if (ROTATION_STEPS.indexOf(step) > ROTATION_STEPS.indexOf(last.order.step) + 1)
    return problem('the new key is not in use yet: `skein key rotate --use` comes first');
  // 3.
  const behind = session.nodes.filter((node) => isAlive(node) && !isReady(node, last.order.key, step));
  if (behind.length > 0 && !force)
    return problem(
      `not ready: ${behind.map(({ name }) => name).join(', ')}. Wait until \`skein key rotate --status\` says that all are; with --force they are left behind and need a new invite`,
    );
  return signOrder({ ...last.order, author: signer.node, step }, sign);
}

function isUnderWay(last: SignedOrder | undefined): boolean {
  return last !== undefined && last.order.step !== 'finish';
}

function status(command: KeyCommand, { nodes, running }: TrustSession): number {
  const order = running?.['order'];
  const { step, key }: { step?: unknown; key?: unknown } = typeof order === 'object' && order !== null ? order : {};
  const fingerprint = parseSwarmFingerprint(key);
  const stepNow = ROTATION_STEPS.find((one) => one === step);
  if (fingerprint === undefined || stepNow === undefined)
    return say(command, { step: null }, 'no change of the key is under way\n');
  const { text, ...counts } = rotationStatus({ step: stepNow, key: fingerprint }, nodes);
  return say(command, { step: stepNow, key: fingerprint, ...counts }, text);
}

/** The old key is a thief's: nothing of this goes through the mesh. */
async function leaked(command: KeyCommand, { session, key, place }: Held): Promise<number | Problem> {
  if (session.running !== undefined)
    return problem('stop the node of this machine first: a node that runs still lets the thief in');
  if (!place.ownsKeyFile)
    return problem(`the swarm key comes from ${key.source}: replace it there, on every machine`, EXIT_CONFIG);
  const fresh = freshKey();
  const kept = await setAside(place, key.key);
  await saveRing(place, ringOf(fresh));
  const { options, paths } = session.settings;
  const file = join(paths.config, `new-swarm-${fresh.fingerprint}.invite`);
  const { owner } = session.trust;
  const expiresAt = Math.floor(Date.now() / 1_000) + LEAKED_SECONDS;
  const invite = {
    key: fresh,
    name: options.name,
    addresses: [],
    expiresAt,
    ...(owner === undefined ? {} : { owner }),
  };
  await replaceFile(file, `${encodeInvite(invite)}\n`);
  return say(
    command,
    { key: fresh.fingerprint, file, old: kept },
    `This machine uses the new key ${formatFingerprint(fresh.fingerprint)}; the old one is in ${kept}.\n` +
      `Carry ${file} to each of your other machines by hand (a stick, scp; not through this swarm), and there run\n\n` +
      `  skein join --force --no-start --file FILE\n\nand start the node again. The file is the key of the swarm, good for a week: delete it when all are done.\n`,
  );
}

async function lastOrder({ trust, identity }: TrustSession, { keyFile }: RingPlace): Promise<SignedOrder | undefined> {
  try {
    const bytes = new Uint8Array(await readFile(join(`${keyFile}.d`, 'order')));
    return readOrder(bytes, trust.owner, identity.verify.bind(identity));
  } catch {
    return undefined; // there was none
  }
}

function isReady({ keys }: SessionNode, { fingerprint }: SwarmKey, step: RotationStep): boolean {
  return step === 'use' ? keys?.includes(fingerprint) === true : keys?.[0] === fingerprint;
}

function freshKey(): SwarmKey {
  const made = swarmKeyOf(new Uint8Array(randomBytes(32)));
  if (made.type === 'rejected') throw new Error('the random source of the system is not random');
  return made.key;
}

async function withKey({ flags }: KeyCommand, work: (held: Held) => Promise<number | Problem>): Promise<number> {
  const settings = await readSettings(flags);
  if (settings.type === 'unusable') return fail(settings.problems, settings.exitCode);
  const configFile = join(settings.paths.config, 'swarm.key');
  const key = await loadSwarmKey({ file: settings.options.swarmKeyFile, environment: process.env, configFile });
  if (key.type === 'refused') return fail([key.message], EXIT_CONFIG);
  if (key.type === 'missing')
    return fail([`${key.path}: there is no swarm key yet: \`skein up\` makes one`], EXIT_CONFIG);
  const session = await openSession(settings);
  if (session.type === 'problem') return fail([session.message], session.exitCode);
  const place = ringPlaceOf(key, configFile);
  const result = await work({ session, key, place });
  return typeof result === 'number' ? result : fail([result.message], result.exitCode);
}

function say({ json }: KeyCommand, data: object, text: string): number {
  process.stdout.write(json ? `${JSON.stringify(data)}\n` : text);
  return 0;
}
