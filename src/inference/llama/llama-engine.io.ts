/**
 * The engine port over llama.cpp: GGUF files of this machine, each run by a child process of its own, so that a file that
 * kills its process kills nothing else and its memory comes back with it. This file only joins the models; the life of one
 * is in `model-host.io.ts`, the work in `llama-child.io.ts`.
 * Limits: a model is unloaded only where another finds no room, the one unused for longest first.
 */
import { type Failure, failure } from '../../errors.ts';
import type { ModelId } from '../../ids.ts';
import { Grammars } from '../answer-format.ts';
import type { Job, Engine, EngineEvent, EngineModel, EngineRun } from '../engine.ts';
import { startSettled } from '../settled-run.ts';
import type { StoredModel } from '../stored-model.ts';
import type { KeepDirectory } from './child-protocol.ts';
import type { Sandbox } from './child-start.io.ts';
import { subdirectory } from './keep-directory.io.ts';
import { ModelHost } from './model-host.io.ts';
import { prepareJob } from './run-command.ts';

export interface LlamaEngineOptions {
  readonly models: readonly StoredModel[];
  /** Answers at once, for each model. Source: guess: batches of 4 nearly double the throughput. */
  readonly slots?: number;
  /** Context of each slot, or the model's own where that is smaller. Source: guess, memory of a usual machine. */
  readonly contextTokens?: number;
  /** Absent = all physical cores but one. */
  readonly maxThreads?: number;
  /** Loads every model at once, one after the other, instead of on first use. */
  readonly preload?: boolean;
  /** `models()` says something new. */
  readonly onModelsChanged?: () => void;
  /** Where conversations are kept that have no slot, and how many bytes of all models; absent = nowhere. */
  readonly keep?: KeepDirectory;
  /** Around every child; absent = none. */
  readonly sandbox?: Sandbox;
  /** What came of the clients' schemas; absent = its own. */
  readonly grammars?: Grammars;
  /** Between two looks at a child; a child silent for seven of them is ended. */
  readonly watchTickMs?: number;
}

export class LlamaEngine implements Engine, AsyncDisposable {
  readonly kind = 'llama';
  readonly #hosts: ReadonlyMap<ModelId, ModelHost>;
  readonly #grammars: Grammars;
  #closed = false;

  constructor(options: LlamaEngineOptions) {
    const { slots = 4, contextTokens = 8_192, maxThreads, watchTickMs, sandbox, keep } = options;
    this.#grammars = options.grammars ?? new Grammars();
    this.#hosts = new Map(
      options.models.map((stored, index) => [
        stored.model,
        new ModelHost({
          stored,
          slots,
          contextTokens,
          ...(maxThreads === undefined ? {} : { threads: maxThreads }),
          ...(watchTickMs === undefined ? {} : { watchTickMs }),
          ...(sandbox === undefined ? {} : { sandbox }),
          ...(keep === undefined ? {} : { keep: subdirectory(keep, `${index}`, options.models.length) }),
          onChanged: () => options.onModelsChanged?.(),
          makeRoom: async () => this.#makeRoom(stored.model),
        }),
      ]),
    );
    if (options.preload === true) void this.#preload();
  }

  models(): readonly EngineModel[] {
    return [...this.#hosts.values()].map((host) => host.model);
  }

  start(job: Job, on: (event: EngineEvent) => void): EngineRun {
    const host = this.#hosts.get(job.model);
    if (host === undefined) return refuse(on, failure('model-not-found', `this engine has no model ${job.model}`));
    // Here and not in the child: a schema is a client's, and what comes of it is checked and remembered.
    return startSettled({ job, grammars: this.#grammars, on }, () => {
      const prepared = prepareJob(job, this.#grammars);
      return 'code' in prepared ? refuse(on, prepared) : host.start(prepared, on);
    });
  }

  /** Loads a model, also one in quarantine; resolves when it is ready or failed. Undefined for an unknown one. */
  async ready(model: ModelId): Promise<EngineModel | undefined> {
    return this.#hosts.get(model)?.ready();
  }

  /** The process that runs a model, while there is one. */
  pidOf(model: ModelId): number | undefined {
    return this.#hosts.get(model)?.pid;
  }

  /** Ends every child; running answers fail, later ones are refused. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#hosts.values()].map(async (host) => host.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Ends the process of the model that nobody has used for longest. What runs is never ended for another. What models keep
   *  that were unloaded earlier takes memory too, and goes. True when there is more room now. */
  async #makeRoom(model: ModelId): Promise<boolean> {
    const idle = [...this.#hosts.values()]
      .flatMap((host) => (host.idleSinceMs === undefined ? [] : [{ host, idleSinceMs: host.idleSinceMs }]))
      .toSorted((left, right) => left.idleSinceMs - right.idleSinceMs);
    for (const { host } of idle) {
      // One is enough to try again.
      // eslint-disable-next-line no-await-in-loop
      if (await host.unload()) {
        await this.#forgetAllBut([model, host.model.model]);
        return true;
      }
    }
    return this.#forgetAllBut([model]);
  }

  /** True when there was something. */
  async #forgetAllBut(models: readonly ModelId[]): Promise<boolean> {
    const others = [...this.#hosts].filter(([model]) => !models.includes(model));
    const forgotten = await Promise.all(others.map(async ([, host]) => host.forget()));
    return forgotten.includes(true);
  }

  /** Never rejects: what fails is a state of its model. One at a time, so that they do not fight for the disk. */
  async #preload(): Promise<void> {
    for (const host of this.#hosts.values()) {
      if (this.#closed) return;
      // eslint-disable-next-line no-await-in-loop
      await host.ready();
    }
  }
}

function refuse(on: (event: EngineEvent) => void, reason: Failure): EngineRun {
  on({ type: 'failed', failure: reason });
  return { grant: () => undefined, cancel: () => undefined };
}
