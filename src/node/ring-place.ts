/**
 * Where do the other keys of the swarm stand, and is the file of the primary one ours to replace? A file that the settings
 * name, or that in the config directory, is. What systemd, a container or the environment brings is not: then the
 * directory stands where the key would stand otherwise, and the person changes the key at its source.
 */
import type { SwarmKey } from '../discovery/swarm-key.ts';

export interface LoadedKey {
  readonly key: SwarmKey;
  /** A path, or the name of a variable. */
  readonly source: string;
  /** True for files of systemd and containers, which are replaced elsewhere. */
  readonly isProvided?: boolean;
}

export function ringPlaceOf(
  { source, isProvided = false }: LoadedKey,
  configFile: string,
): { readonly keyFile: string; readonly ownsKeyFile: boolean } {
  const isFile = source !== 'SKEIN_SWARM_KEY' && !isProvided;
  return isFile ? { keyFile: source, ownsKeyFile: true } : { keyFile: configFile, ownsKeyFile: false };
}
