/**
 * The engines of a node, as its settings ask for them: model files through llama.cpp, and other servers as upstreams.
 * What cannot be served (a corrupt file, a server that is down) is an offer in the state `failed` with its reason, never a
 * node that does not start. Says when the list of offers changes, and tells the owner once of each thing that is wrong.
 */
import { readFile } from 'node:fs/promises';
import type { ModelId } from '../ids.ts';
import { DEFAULT_MODEL_ID } from '../inference/default-model.ts';
import type { Grammars } from '../inference/answer-format.ts';
import { EngineSet } from '../inference/engine-set.ts';
import { openKeepDirectory, removeKeepDirectory } from '../inference/llama/keep-directory.io.ts';
import { LlamaEngine, type LlamaEngineOptions } from '../inference/llama/llama-engine.io.ts';
import { probeSandbox } from '../inference/llama/sandbox.io.ts';
import { planSandbox, sandboxText } from '../inference/llama/sandbox.ts';
import { openModelStore } from '../inference/model-store.io.ts';
import type { StoredModel } from '../inference/stored-model.ts';
import { createUpstreamEngine, type UpstreamEngine } from '../inference/upstream.io.ts';
import type { NodeOptions, UpstreamOptions } from './node-options.ts';
import type { Paths } from './paths.ts';

/** Models up to this size together are loaded at the start, larger ones at their first use. Source: guess: a second of disk. */
const PRELOAD_BYTES_MAX = 512 * 1024 * 1024;
const MEGABYTE = 1_000_000;

export interface EnginesOptions {
  readonly options: NodeOptions;
  readonly paths: Paths;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What came of the clients' schemas; the API's as well. */
  readonly grammars: Grammars;
  readonly onModelsChanged: () => void;
  readonly onMessage: (level: 'info' | 'warn', message: string) => void;
}

export interface Engines {
  readonly set: EngineSet;
  /** What stands between model files and this machine, and why not more. */
  readonly sandbox: { readonly layers: string; readonly problem?: string };
  close(): Promise<void>;
}

export async function openEngines({
  options,
  paths,
  environment,
  grammars,
  onModelsChanged,
  onMessage,
}: EnginesOptions): Promise<Engines> {
  const probing = probeSandbox();
  const stored = await openModelStore({
    modelsDirectory: options.modelsDirectory ?? paths.models,
    extraPaths: options.modelsPaths,
    cacheDirectory: paths.cache,
    withDefaultModel: options.defaultModel,
    onHashing: (path, sizeBytes) =>
      onMessage('info', `reading ${path} once to know its digest (${Math.round(sizeBytes / 1e6)} MB)`),
  });
  const probe = await probing;
  const plan = planSandbox(options.engineSandbox, probe);
  const offered = options.defaultModel ? stored : stored.filter(({ model }) => model !== DEFAULT_MODEL_ID);
  const files = plan.type === 'plan' ? offered : offered.map((model) => withProblem(model, plan.reason));
  const layers = plan.type === 'plan' ? plan.layers : [];
  const keep = files.length === 0 ? undefined : await openKeepDirectory(options.engineKeepMegabytesMax * MEGABYTE);
  const told = new Map<ModelId, string | undefined>();
  const tellProblems = (
    models: readonly { readonly model: ModelId; readonly problem?: string | undefined }[],
  ): void => {
    for (const { model, problem } of models) {
      if (problem !== undefined && problem !== told.get(model)) onMessage('warn', problem);
      told.set(model, problem);
    }
  };
  tellProblems(files);
  // It may say that something changed before its constructor is through.
  const engines: { llama?: LlamaEngine } = {};
  const llama = new LlamaEngine({
    ...llamaOptions(options, files),
    sandbox: { layers, probe },
    ...(keep === undefined ? {} : { keep }),
    grammars,
    onModelsChanged: () => {
      tellProblems(engines.llama?.models() ?? []);
      onModelsChanged();
    },
  });
  engines.llama = llama;
  const upstreams = await Promise.all(
    options.upstreams.map(async (upstream) =>
      openUpstream(upstream, { environment, grammars, onModelsChanged, onMessage }),
    ),
  );
  return {
    set: new EngineSet([llama, ...upstreams]),
    sandbox: { layers: sandboxText(layers), ...('problem' in plan ? { problem: plan.problem } : {}) },
    close: async () => {
      await Promise.all([llama.close(), ...upstreams.map(async (upstream) => upstream.close())]);
      if (keep !== undefined) await removeKeepDirectory(keep);
    },
  };
}

function llamaOptions(options: NodeOptions, models: readonly StoredModel[]): LlamaEngineOptions {
  return {
    models,
    slots: options.engineSlots,
    contextTokens: options.engineContextTokensMax,
    ...(options.engineThreads > 0 ? { maxThreads: options.engineThreads } : {}),
    preload: models.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) <= PRELOAD_BYTES_MAX,
  };
}

function withProblem(model: StoredModel, problem: string): StoredModel {
  return { ...model, state: 'failed', problem: model.problem ?? `${model.model} is not served: ${problem}` };
}

type UpstreamContext = Pick<EnginesOptions, 'environment' | 'grammars' | 'onModelsChanged' | 'onMessage'>;

async function openUpstream(upstream: UpstreamOptions, context: UpstreamContext): Promise<UpstreamEngine> {
  const { name, url, slots, contextTokens, models } = upstream;
  const apiKey = await upstreamKey(upstream, context);
  return createUpstreamEngine({
    name,
    baseUrl: url,
    slots,
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(models === undefined ? {} : { models }),
    grammars: context.grammars,
    onModelsChanged: context.onModelsChanged,
    onProblem: (problem) => {
      if (problem === undefined) context.onMessage('info', `upstream ${name} answers again`);
      else context.onMessage('warn', problem);
    },
  });
}

/** The upstream's own key; without it the upstream will say 401, which its models' problem then tells. */
async function upstreamKey(
  { name, apiKeyEnv, apiKeyFile }: UpstreamOptions,
  { environment, onMessage }: UpstreamContext,
): Promise<string | undefined> {
  if (apiKeyFile !== undefined) {
    try {
      return (await readFile(apiKeyFile, 'utf8')).trim();
    } catch (error) {
      onMessage(
        'warn',
        `upstream ${name}: cannot read its key file ${apiKeyFile} (${error instanceof Error ? error.message : String(error)}): it is asked without a key`,
      );
      return undefined;
    }
  }
  if (apiKeyEnv === undefined) return undefined;
  const key = environment[apiKeyEnv];
  if (key === undefined || key === '')
    onMessage('warn', `upstream ${name}: the environment variable ${apiKeyEnv} is not set: it is asked without a key`);
  return key === '' ? undefined : key;
}
