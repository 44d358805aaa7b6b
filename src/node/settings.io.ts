/**
 * What every command does first: read the settings, and make sure that the directories they name can be used. One result
 * for both, because a person mends both in the same place, and both end a command with the exit code for settings.
 */
import { type LoadedConfig, loadConfig, prepareDirectories, type UnusableConfig } from './config.io.ts';
import { EXIT_CONFIG } from './config.ts';

export type Settings = LoadedConfig;

export async function readSettings(flags: Readonly<Record<string, unknown>>): Promise<LoadedConfig | UnusableConfig> {
  const config = loadConfig({ flags });
  if (config.type === 'unusable') return config;
  const problems = await prepareDirectories(config.paths, config.options.modelsDirectory);
  return problems.length === 0 ? config : { type: 'unusable', exitCode: EXIT_CONFIG, problems };
}
