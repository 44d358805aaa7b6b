/**
 * `skein trust ...`: who is trusted, who is out, and who says so. Each command makes one record, signs it with the owner's
 * key of this machine and hands it over (`trust-session.io.ts`); what other machines make of it needs no command there.
 */
import { readFile, stat } from 'node:fs/promises';
import {
  type Certificate,
  CERTIFICATE_DAYS_MAX,
  dateProblem,
  parseRole,
  type Role,
  ROLES,
  signCertificate,
} from '../discovery/certificate.ts';
import { timeText } from '../discovery/admission.ts';
import { ADMISSION_MODES, type AdmissionMode } from '../discovery/admission-mode.ts';
import { nextCertificate } from '../discovery/certificate-renewal.ts';
import { openLink, sealLink } from '../discovery/link-text.ts';
import { labelOf } from '../discovery/signed-record.ts';
import {
  signTrustList,
  type TrustEntry,
  type TrustList,
  withMode,
  withRevoked,
  withTrusted,
} from '../discovery/trust-list.ts';
import { trustListOf } from '../discovery/trust-state.ts';
import { type NodeId, parseNodeId, shortNodeId } from '../ids.ts';
import { replaceFile } from '../state-file.io.ts';
import { EXIT_CONFIG } from './config.ts';
import { fail } from './exit.io.ts';
import type { Identity } from './identity.io.ts';
import { createOwnerKey, ownerKeyPath } from './owner-key.io.ts';
import { readSettings } from './settings.io.ts';
import { table } from './table.ts';
import { findNode, offer, openSession, ownerOf, type Problem, problem, type TrustSession } from './trust-session.io.ts';

const DAY_SECONDS = 86_400;
const ROLES_USUAL: readonly Role[] = ['serve', 'route'];
const CERTIFICATE_LINK = { prefix: 'skein://certificate/1/', charactersMax: 1_000 };

export interface TrustCommand {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly json: boolean;
}

export async function trustInit(command: TrustCommand): Promise<number> {
  return inSession(command, async (session) => {
    const { config } = session.settings.paths;
    if (session.trust.owner !== undefined && (await exists(ownerKeyPath(config))))
      return say(
        command,
        { owner: session.trust.owner },
        `this machine is the owner's already: ${session.trust.owner}\n`,
      );
    if (session.trust.owner !== undefined)
      return problem(`this swarm has the owner ${session.trust.owner} already`, EXIT_CONFIG);
    const created = await createOwnerKey(config);
    if (created.type === 'refused') return problem(created.message, EXIT_CONFIG);
    const { identity: owner } = created;
    const { identity, settings } = session;
    const asked = { node: identity.node, label: labelOf(settings.options.name), roles: ROLES_USUAL };
    const certificate = signCertificate(nextCertificate(session.trust, asked, now()), owner.sign.bind(owner));
    const entry = { node: identity.node, label: settings.options.name, since: now() };
    const list = withTrusted(trustListOf(session.trust), entry);
    const lists = list === undefined ? [] : [signTrustList(list, owner.sign.bind(owner)).bytes];
    const refused = await offer(session, { lists, certificates: [certificate] }, owner.node);
    if (refused !== undefined) return refused;
    return say(
      command,
      { owner: owner.node, file: ownerKeyPath(config) },
      `This machine is the owner's now. Its key is ${ownerKeyPath(config)}: keep a copy where no thief finds it.\n` +
        `Machines that join from now on learn it from their invite. On each of the others run\n\n  skein trust pin ${owner.node}\n\n`,
    );
  });
}

export async function trustPin(command: TrustCommand, ownerText: string): Promise<number> {
  return inSession(command, async (session) => {
    const owner = parseNodeId(ownerText);
    if (owner === undefined)
      return problem('expected the id of an owner, as `skein trust init` printed it (12D3KooW...)');
    const refused = await offer(session, { lists: [], certificates: [] }, owner);
    return refused ?? say(command, { owner }, `trusts the owner ${owner}\n`);
  });
}

export async function trustAdd(command: TrustCommand, who: string, label: string | undefined): Promise<number> {
  return changeList(command, who, (list, { node, session }) => withTrusted(list, entryOf(session, { node, label })));
}

export async function trustRevoke(command: TrustCommand, who: string): Promise<number> {
  return changeList(command, who, (list, { node, session }) =>
    node === session.identity.node
      ? problem('this is the node of this machine: an owner that revokes itself shuts itself out')
      : withRevoked(list, entryOf(session, { node, label: undefined })),
  );
}

export async function trustMode(command: TrustCommand, modeText: string, force: boolean): Promise<number> {
  return inSession(command, async (session) => {
    const mode = ADMISSION_MODES.find((one) => one === modeText);
    if (mode === undefined)
      return problem(`expected one of ${ADMISSION_MODES.join(', ')}, got ${modeText}`, EXIT_CONFIG);
    const owner = await ownerOf(session);
    if ('type' in owner) return owner;
    const shut = force ? [] : shutOut(session, mode);
    if (shut.length > 0)
      return problem(
        `${mode} would shut out ${shut.join(', ')}: ${mode === 'certified' ? '`skein trust certify`' : '`skein trust add`'} them first, or use --force`,
      );
    return signList(command, session, { owner, list: withMode(trustListOf(session.trust), mode, now()) });
  });
}

export interface CertifyOptions {
  readonly label: string | undefined;
  readonly days: string | undefined;
  readonly roles: readonly string[] | undefined;
  /** Where to write it besides, for a machine that cannot be reached yet. */
  readonly out: string | undefined;
}

export async function trustCertify(command: TrustCommand, who: string, options: CertifyOptions): Promise<number> {
  return inSession(command, async (session) => {
    const node = findNode(session, who);
    if (typeof node !== 'string') return node;
    const owner = await ownerOf(session);
    if ('type' in owner) return owner;
    const certificate = certificateAsked(session, node, options);
    if ('type' in certificate) return certificate;
    const bytes = signCertificate(certificate, owner.sign.bind(owner));
    if (options.out !== undefined) await replaceFile(options.out, `${sealLink(CERTIFICATE_LINK.prefix, bytes)}\n`);
    const refused = await offer(session, { lists: [], certificates: [bytes] });
    const where =
      options.out === undefined ? '' : `\nOn that machine: skein trust import ${options.out} (the file is no secret)`;
    return (
      refused ??
      say(
        command,
        certificate,
        `certified ${node} until ${timeText(certificate.expires)} UTC, ${spread(session)}${where}\n`,
      )
    );
  });
}

function certificateAsked(session: TrustSession, node: NodeId, options: CertifyOptions): Certificate | Problem {
  const { label, days = String(CERTIFICATE_DAYS_MAX), roles: names = ROLES_USUAL } = options;
  const roles = names.map(parseRole).filter((role) => role !== undefined);
  if (!/^\d{1,2}$/.test(days) || Number(days) < 1 || Number(days) > CERTIFICATE_DAYS_MAX)
    return problem(`--days: expected a whole number from 1 to ${CERTIFICATE_DAYS_MAX}, got ${days}`, EXIT_CONFIG);
  if (roles.length !== names.length)
    return problem(`--role: expected one of ${ROLES.join(', ')}, got ${names.join(', ')}`, EXIT_CONFIG);
  const asked = { node, label: entryOf(session, { node, label }).label, roles, seconds: Number(days) * DAY_SECONDS };
  return nextCertificate(session.trust, asked, now());
}

export async function trustImport(command: TrustCommand, path: string): Promise<number> {
  return inSession(command, async (session) => {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      return problem(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`, EXIT_CONFIG);
    }
    const opened = openLink(text, CERTIFICATE_LINK);
    if (opened.type === 'rejected') return problem(`${path}: not a certificate: ${opened.reason}`, EXIT_CONFIG);
    if (session.trust.owner === undefined)
      return problem('this machine knows no owner yet: run `skein trust pin OWNER-ID` first', EXIT_CONFIG);
    const refused = await offer(session, { lists: [], certificates: [opened.body] });
    return refused ?? say(command, { imported: path }, `took the certificate in ${path}\n`);
  });
}

export async function trustList(command: TrustCommand): Promise<number> {
  return inSession(command, async (session) => {
    const list = trustListOf(session.trust);
    const { owner, certificates, lists } = session.trust;
    const rows = rowsOf(session, list);
    const contradiction = lists.length > 1 ? `, ${lists.length} lists contradict each other: the stricter holds` : '';
    const data = { owner: owner ?? null, version: list.version, mode: list.mode, rivals: lists.length, nodes: rows };
    const head =
      owner === undefined
        ? 'no owner: whoever holds the swarm key belongs (`skein trust init` makes an owner key)\n'
        : `owner ${owner}\nlist version ${list.version}, admission ${list.mode}${contradiction}, ${certificates.size} certificates\n`;
    const lines = rows.map(({ node, name, state, certified }) => [shortNodeId(node), name, state, certified, node]);
    return say(command, data, `${head}\n${table([['NODE', 'NAME', 'STATE', 'CERTIFICATE', 'ID'], ...lines])}`);
  });
}

interface Row {
  readonly node: NodeId;
  readonly name: string;
  readonly state: string;
  readonly certified: string;
}

function rowsOf({ trust, nodes, identity, settings }: TrustSession, list: TrustList): readonly Row[] {
  const names = new Map<NodeId, string>([[identity.node, settings.options.name]]);
  for (const [node, { certificate }] of trust.certificates) names.set(node, certificate.label);
  for (const { node, label } of [...list.trusted, ...list.revoked]) names.set(node, label);
  for (const { node, name } of nodes) names.set(node, name);
  return [...names].map(([node, name]) => {
    const certificate = trust.certificates.get(node)?.certificate;
    const revoked = list.revoked.find((entry) => entry.node === node);
    const isTrusted = list.trusted.some((entry) => entry.node === node);
    const state = revoked === undefined ? (isTrusted ? 'trusted' : 'member') : `revoked ${timeText(revoked.since)}`;
    const problemOf = certificate === undefined ? undefined : dateProblem(certificate, now());
    const certified = certificate === undefined ? '-' : `${problemOf ?? 'until'} ${timeText(certificate.expires)}`;
    return { node, name, state, certified };
  });
}

/** Names of living nodes that `mode` would not admit. */
function shutOut({ trust, nodes }: TrustSession, mode: AdmissionMode): readonly string[] {
  const list = trustListOf(trust);
  const isAdmitted = (node: NodeId): boolean => {
    if (mode === 'open') return true;
    if (mode === 'allowlist') return list.trusted.some((entry) => entry.node === node);
    const certificate = trust.certificates.get(node)?.certificate;
    return certificate !== undefined && dateProblem(certificate, now()) === undefined;
  };
  return nodes.filter(({ node, verdict }) => verdict !== 'dead' && !isAdmitted(node)).map(({ name }) => name);
}

interface Change {
  readonly node: NodeId;
  readonly session: TrustSession;
}

async function changeList(
  command: TrustCommand,
  who: string,
  change: (list: TrustList, about: Change) => TrustList | Problem | undefined,
): Promise<number> {
  return inSession(command, async (session) => {
    const node = findNode(session, who);
    if (typeof node !== 'string') return node;
    const owner = await ownerOf(session);
    if ('type' in owner) return owner;
    const list = change(trustListOf(session.trust), { node, session });
    return list !== undefined && 'type' in list ? list : signList(command, session, { owner, list });
  });
}

async function signList(
  command: TrustCommand,
  session: TrustSession,
  { owner, list }: { readonly owner: Identity; readonly list: TrustList | undefined },
): Promise<number | Problem> {
  if (list === undefined) return problem('the list is full (256 entries of each kind)');
  const refused = await offer(session, {
    lists: [signTrustList(list, owner.sign.bind(owner)).bytes],
    certificates: [],
  });
  const text = `list version ${list.version}: admission ${list.mode}, ${list.trusted.length} trusted, ${list.revoked.length} revoked, ${spread(session)}\n`;
  return refused ?? say(command, { version: list.version, mode: list.mode }, text);
}

function spread({ running }: TrustSession): string {
  return running === undefined ? 'told to the mesh when this node starts' : 'told to the mesh';
}

function entryOf(
  { nodes, trust }: TrustSession,
  { node, label }: { readonly node: NodeId; readonly label: string | undefined },
): TrustEntry {
  const list = trustListOf(trust);
  const known =
    nodes.find((one) => one.node === node)?.name ??
    [...list.trusted, ...list.revoked].find((entry) => entry.node === node)?.label ??
    trust.certificates.get(node)?.certificate.label;
  return { node, label: labelOf(label ?? known ?? ''), since: now() };
}

async function inSession(
  { flags }: TrustCommand,
  work: (session: TrustSession) => Promise<number | Problem>,
): Promise<number> {
  const settings = await readSettings(flags);
  if (settings.type === 'unusable') return fail(settings.problems, settings.exitCode);
  const session = await openSession(settings);
  if (session.type === 'problem') return fail([session.message], session.exitCode);
  const result = await work(session);
  return typeof result === 'number' ? result : fail([result.message], result.exitCode);
}

function say({ json }: TrustCommand, data: object, text: string): number {
  process.stdout.write(json ? `${JSON.stringify(data)}\n` : text);
  return 0;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function now(): number {
  return Math.floor(Date.now() / 1_000);
}
