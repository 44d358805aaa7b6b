/**
 * What does an upstream server offer, and how long may a prompt be there? `GET {base}/models` is common to all; the
 * limit is not, so each family is asked in its own way and every answer is optional: vLLM tells `max_model_len` in the
 * list, llama-server tells `n_ctx` of a slot in /props, LM Studio in /api/v0/models, Ollama in /api/show.
 * Names that cannot be ids of ours get one derived from their last path segment; at most `GOSSIP.modelsPerNodeMax` are kept.
 */
import { compareIds, type ModelId, parseModelId } from '../ids.ts';
import { GOSSIP } from '../params.ts';
import { countOf, isRecord, type JsonRecord, listOf, recordOf, textOf } from './upstream-json.ts';

export interface UpstreamModel {
  readonly model: ModelId;
  /** The name that the upstream itself uses. */
  readonly upstreamName: string;
  /** 0 = unknown. */
  readonly contextTokens: number;
  /** The list told the limit in force, not only what the model was trained for. */
  readonly limitListed: boolean;
}

export interface ModelLimits {
  /** 0 = unknown. */
  readonly contextTokens: number;
  /** 0 = unknown. */
  readonly slots: number;
  /** False for a model that only embeds. */
  readonly chats: boolean;
}

/** Undefined when the value is no list of models. Sorted by id, without repeats. */
export function parseModelList(value: unknown): readonly UpstreamModel[] | undefined {
  // Ollama without a model answers `data: null`.
  const list = isRecord(value) && value['data'] === null ? [] : listOf(value, 'data');
  if (list === undefined) return undefined;
  const models = new Map<ModelId, UpstreamModel>();
  for (const entry of list) {
    const upstreamName = textOf(entry, 'id');
    const model = upstreamName === undefined ? undefined : modelIdOf(upstreamName);
    if (upstreamName === undefined || model === undefined || models.has(model)) continue;
    const limit = countOf(entry, 'max_model_len') ?? countOf(entry, 'context_length');
    const contextTokens = limit ?? countOf(recordOf(entry, 'meta'), 'n_ctx_train') ?? 0;
    models.set(model, { model, upstreamName, contextTokens, limitListed: limit !== undefined });
  }
  return [...models.values()]
    .toSorted((left, right) => compareIds(left.model, right.model))
    .slice(0, GOSSIP.modelsPerNodeMax);
}

/** "/models/Qwen 3.gguf" -> "Qwen-3.gguf". */
export function modelIdOf(upstreamName: string): ModelId | undefined {
  const direct = parseModelId(upstreamName);
  if (direct !== undefined) return direct;
  const segment = upstreamName.split(/[/\\]/).findLast((part) => part !== '') ?? '';
  return parseModelId(
    segment
      .replaceAll(/[^A-Za-z0-9._\-:@+]+/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 128),
  );
}

/** llama-server, GET /props: `n_ctx` there is that of one slot. */
export function parseLlamaServerProps(value: unknown): ModelLimits | undefined {
  const settings = recordOf(value, 'default_generation_settings');
  if (settings === undefined) return undefined;
  return {
    contextTokens: countOf(settings, 'n_ctx') ?? 0,
    slots: countOf(value, 'total_slots') ?? 0,
    chats: true,
  };
}

/** LM Studio, GET /api/v0/models: limits by the model's name there. */
export function parseLmStudioModels(value: unknown): ReadonlyMap<string, ModelLimits> | undefined {
  const list = listOf(value, 'data');
  if (list === undefined) return undefined;
  const limits = new Map<string, ModelLimits>();
  for (const entry of list) {
    const id = textOf(entry, 'id');
    if (id === undefined) continue;
    const contextTokens = countOf(entry, 'loaded_context_length') ?? countOf(entry, 'max_context_length') ?? 0;
    limits.set(id, { contextTokens, slots: 0, chats: textOf(entry, 'type') !== 'embeddings' });
  }
  return limits;
}

/**
 * Ollama, POST /api/show. A `num_ctx` of the model file is what is really used; else the model's own length, which may be
 * more than the server was started with, and which Ollama then cuts silently: the owner can configure a limit.
 */
export function parseOllamaShow(value: unknown): ModelLimits | undefined {
  if (!isRecord(value)) return undefined;
  const configured = /^\s*num_ctx\s+(\d{1,9})\s*$/m.exec(textOf(value, 'parameters') ?? '')?.[1];
  const capabilities = listOf(value, 'capabilities');
  return {
    contextTokens: configured === undefined ? ownContextTokens(recordOf(value, 'model_info')) : Number(configured),
    slots: 0,
    chats: capabilities === undefined || capabilities.includes('completion'),
  };
}

/** "<architecture>.context_length" */
function ownContextTokens(info: JsonRecord | undefined): number {
  if (info === undefined) return 0;
  const architecture = textOf(info, 'general.architecture') ?? '';
  return countOf(info, `${architecture}.context_length`) ?? 0;
}
