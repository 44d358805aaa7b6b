/**
 * All engines of a node as one list of models. A name that two engines offer belongs to the first of them, so that the
 * order in which they are given decides, and nothing is offered twice. Holds no state but the engines themselves.
 */
import type { ModelId } from '../ids.ts';
import type { Engine, EngineModel } from './engine.ts';

export class EngineSet {
  readonly #engines: readonly Engine[];

  /** Own models first: what is proved by its digest goes before what an upstream says. */
  constructor(engines: readonly Engine[]) {
    this.#engines = engines;
  }

  models(): readonly EngineModel[] {
    const models = new Map<ModelId, EngineModel>();
    for (const engine of this.#engines) {
      for (const offered of engine.models()) {
        const known = models.get(offered.model);
        // One that failed does not hide one that works.
        if (known === undefined || (known.state === 'failed' && offered.state !== 'failed'))
          models.set(offered.model, offered);
      }
    }
    return [...models.values()];
  }

  /** The engine whose offer `models()` shows. */
  engineFor(model: ModelId): Engine | undefined {
    const offers = (engine: Engine, working: boolean): boolean =>
      engine.models().some((offered) => offered.model === model && (offered.state !== 'failed' || !working));
    return (
      this.#engines.find((engine) => offers(engine, true)) ?? this.#engines.find((engine) => offers(engine, false))
    );
  }
}
