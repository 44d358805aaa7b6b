/**
 * Half-loaded machines are suddenly asked several times as much as they can do. Some requests must be refused; what is
 * asked here is that the mesh is itself again when the crowd has gone, and does not stay jammed with its own retries.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const FLASH_CROWD: Scenario = {
  ...BASE,
  name: 'flash-crowd',
  question: 'After a crowd several times as large as the mesh can serve, is everything soon as it was before?',
  workload: { ...BASE.workload, arrivals: 'steady', load: 0.5 },
  faults: { perNodeHour: { 'flash-crowd': 12, slow: 5, crash: 3 }, enable: 0.8 },
  // Crowds end early enough for queues to empty before the end.
  durationMs: 240_000,
};
