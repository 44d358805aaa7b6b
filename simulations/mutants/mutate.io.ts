/**
 * Changes one source file while it is loaded: a hook of Node's module loader hands over the text with the replacement, and
 * nothing on disk is touched. Must be asked for before anything imports the file. The text that is replaced must be there
 * exactly once, so that a mutant never silently becomes the core itself, or two bugs at once.
 */
import { registerHooks } from 'node:module';
import type { Edit } from './mutant.ts';

const ROOT = new URL('../..', import.meta.url);

export interface Mutation {
  /** The file was loaded, with the change. */
  readonly isApplied: boolean;
}

export function mutate(edit: Edit): Mutation {
  const target = sourceOf(edit).href;
  let isApplied = false;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (url !== target) return loaded;
      isApplied = true;
      return { ...loaded, source: edited(textOf(loaded.source), edit) };
    },
  });
  return {
    get isApplied() {
      return isApplied;
    },
  };
}

/** Where the file is that it changes. */
export function sourceOf({ file }: Pick<Edit, 'file'>): URL {
  return new URL(file, ROOT);
}

/** Throws where the text does not occur exactly once. */
export function edited(text: string, { file, find, replace }: Edit): string {
  const [before = '', after, ...more] = text.split(find);
  if (after === undefined || more.length > 0) {
    const times = after === undefined ? 'not at all' : `${more.length + 1} times`;
    throw new Error(`${file} has this text ${times}, and a mutant needs it once:\n${find}`);
  }
  return before + replace + after;
}

function textOf(source: string | ArrayBuffer | NodeJS.TypedArray | undefined | null): string {
  if (typeof source === 'string') return source;
  if (source === undefined || source === null) throw new Error('the loader gave no source');
  return new TextDecoder().decode(source);
}
