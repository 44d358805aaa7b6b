/**
 * Which model files does this node have, and are they what they say? Lists the models directory and the paths that the
 * owner added, checks each header before anything parses it, and hashes each file once (digests are kept by path, size
 * and time of change). A fresh machine gets the default model. A bad file becomes a failed entry that says what mends it,
 * and never disturbs the others.
 * Limits: directories are read one deep; links out of the directory are refused; `FILES_MAX` files.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve, sep } from 'node:path';
import { errorCode } from '../file-error.ts';
import { compareIds, parseModelId } from '../ids.ts';
import { makeDirectory } from '../make-directory.io.ts';
import { replaceFile } from '../state-file.io.ts';
import { DEFAULT_MODEL_ID, writeDefaultModel } from './default-model.ts';
import type { GgufFacts } from './gguf-check.ts';
import { checkGgufFile } from './llama/gguf-file.io.ts';
import { modelIdOfFile, shownModelId, type StoredModel } from './stored-model.ts';

export interface ModelStoreOptions {
  /** Created, with 0700, when it is missing. */
  readonly modelsDirectory: string;
  readonly extraPaths?: readonly string[];
  /** Where digests are kept between starts. */
  readonly cacheDirectory: string;
  /** Writes the default model into the directory when it is not there. */
  readonly withDefaultModel: boolean;
  /** A large file is about to be hashed, which takes a second per gigabyte. */
  readonly onHashing?: (path: string, sizeBytes: number) => void;
  readonly signal?: AbortSignal;
}

/** Models that a node may announce. Source: copied (GOSSIP.modelsPerNodeMax). */
const FILES_MAX = 64;
/** Below it, hashing is not worth a word. Source: guess. */
const LARGE_BYTES = 268_435_456;
const DIGESTS_FILE = 'model-digests.json';
const DIGESTS_MAX = 1_024;

interface Digest {
  readonly sizeBytes: number;
  readonly changedMs: number;
  readonly digest: string;
}

/** Throws only when the directory itself cannot be used, naming it. */
export async function openModelStore(options: ModelStoreOptions): Promise<readonly StoredModel[]> {
  const directory = resolve(options.modelsDirectory);
  const paths = [
    ...(await listDirectory(directory, options)),
    ...(await Promise.all((options.extraPaths ?? []).map(async (path) => filesOf(resolve(path))))).flat(),
  ];
  const digestsPath = join(options.cacheDirectory, DIGESTS_FILE);
  const known = await readDigests(digestsPath);
  const digests = new Map(known);
  const models = new Map<string, StoredModel>();
  for (const path of [...new Set(paths)].slice(0, FILES_MAX)) {
    options.signal?.throwIfAborted();
    // One disk: files are read one after the other.
    // eslint-disable-next-line no-await-in-loop
    const model = await inspect(path, { ...options, modelsDirectory: directory }, digests);
    const unique = models.has(model.model) ? duplicate(model, models) : model;
    if (unique !== undefined) models.set(unique.model, unique);
  }
  if ([...digests].some(([path, digest]) => known.get(path) !== digest)) await writeDigests(digestsPath, digests);
  return [...models.values()];
}

async function listDirectory(directory: string, options: ModelStoreOptions): Promise<string[]> {
  try {
    await makeDirectory(directory);
    const names = await readdir(directory);
    const found = names.filter((name) => /\.gguf$/i.test(name));
    const defaultName = `${DEFAULT_MODEL_ID}.gguf`;
    if (options.withDefaultModel && !found.includes(defaultName)) {
      await replaceFile(join(directory, defaultName), writeDefaultModel());
      found.push(defaultName);
    }
    return found.toSorted(compareIds).map((name) => join(directory, name));
  } catch (error) {
    throw new Error(
      `the models directory ${directory} cannot be used (${describe(error)}); make it writable or choose another`,
      {
        cause: error,
      },
    );
  }
}

/** The model files of a directory, or the file itself; what cannot be looked into is told by `inspect`. */
async function filesOf(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => /\.gguf$/i.test(name));
    return names.toSorted(compareIds).map((name) => join(path, name));
  } catch {
    // Missing or closed to us: as a file it gets the sentence that says so.
    return [path];
  }
}

/** Never throws for what is wrong with the file. */
async function inspect(path: string, options: ModelStoreOptions, digests: Map<string, Digest>): Promise<StoredModel> {
  const name = basename(path);
  const model = modelIdOfFile(name);
  if (model === undefined)
    return failed(
      path,
      `${path} has a name that is no model id; rename it to letters, digits and . _ - + @ before .gguf`,
    );
  try {
    if (await leaves(path, options.modelsDirectory))
      return failed(path, `${path} is a link out of the models directory; add the path it points to instead`);
    const check = await checkGgufFile(path);
    if (check.type !== 'accepted')
      return failed(
        path,
        `${path} ${check.type === 'rejected' ? check.reason : 'has an endless header'}; replace it or remove it`,
      );
    return await accepted(path, check.facts, { options, digests });
  } catch (error) {
    options.signal?.throwIfAborted();
    return failed(path, `${path} cannot be read (${describe(error)}); ${mendOf(error)}`);
  }
}

interface Inspection {
  readonly options: ModelStoreOptions;
  readonly digests: Map<string, Digest>;
}

async function accepted(path: string, facts: GgufFacts, { options, digests }: Inspection): Promise<StoredModel> {
  const { size: sizeBytes, mtimeMs: changedMs } = await stat(path);
  const known = digests.get(path);
  let digest = known?.sizeBytes === sizeBytes && known.changedMs === changedMs ? known.digest : undefined;
  if (digest === undefined) {
    if (sizeBytes >= LARGE_BYTES) options.onHashing?.(path, sizeBytes);
    digest = await hashFile(path, options.signal);
    digests.set(path, { sizeBytes, changedMs, digest });
  }
  const model = modelIdOfFile(basename(path)) ?? DEFAULT_MODEL_ID;
  const { architecture, contextLength } = facts;
  return { model, path, state: 'on-disk', digest, sizeBytes, contextLength, architecture };
}

function failed(path: string, problem: string): StoredModel {
  const model = modelIdOfFile(basename(path)) ?? shownModelId(basename(path)) ?? DEFAULT_MODEL_ID;
  return { model, path, state: 'failed', problem, digest: '', sizeBytes: 0, contextLength: 0, architecture: '' };
}

/** The first file of a name serves; the second says so. */
function duplicate(model: StoredModel, others: ReadonlyMap<string, StoredModel>): StoredModel | undefined {
  const first = others.get(model.model);
  for (let number = 2; number <= FILES_MAX; number += 1) {
    const id = parseModelId(`${model.model.slice(0, 120)}@${number}`);
    if (id === undefined || others.has(id)) continue;
    const problem =
      model.problem ?? `${model.path} has the same name as ${first?.path ?? 'another'}; rename one of them`;
    return { ...model, model: id, state: 'failed', problem, digest: '' };
  }
  return undefined;
}

/** True for a link inside the models directory whose target is outside. */
async function leaves(path: string, directory: string): Promise<boolean> {
  if (!path.startsWith(directory + sep) || !(await lstat(path)).isSymbolicLink()) return false;
  return !(await realpath(path)).startsWith((await realpath(directory)) + sep);
}

async function hashFile(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1_048_576, ...(signal && { signal }) }))
    hash.update(chunk);
  return hash.digest('hex');
}

/** A cache: whatever is wrong with it means hashing again. */
async function readDigests(path: string): Promise<ReadonlyMap<string, Digest>> {
  try {
    const content: unknown = JSON.parse(await readFile(path, 'utf8'));
    const entries = typeof content === 'object' && content !== null ? Object.entries(content) : [];
    return new Map(entries.filter((entry): entry is [string, Digest] => isDigest(entry[1])));
  } catch {
    return new Map();
  }
}

async function writeDigests(path: string, digests: ReadonlyMap<string, Digest>): Promise<void> {
  await replaceFile(path, JSON.stringify(Object.fromEntries([...digests].slice(-DIGESTS_MAX)), undefined, 2));
}

function isDigest(value: unknown): value is Digest {
  if (typeof value !== 'object' || value === null) return false;
  if (!('sizeBytes' in value) || typeof value.sizeBytes !== 'number') return false;
  if (!('changedMs' in value) || typeof value.changedMs !== 'number') return false;
  return 'digest' in value && typeof value.digest === 'string' && /^[0-9a-f]{64}$/.test(value.digest);
}

function mendOf(error: unknown): string {
  switch (errorCode(error)) {
    case 'ENOENT':
      return 'bring the file back, or take its path out of the configuration';
    case 'EACCES':
    case 'EPERM':
      return 'let the user that runs the node read it (chmod u+r)';
    default:
      return 'check the disk, replace the file or remove it';
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
