/**
 * Nothing goes wrong, and work comes in evenly at a third of what the mesh can do. The measure for everything else: a false alarm,
 * a failed request or a slow first token here has no excuse.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const STEADY: Scenario = {
  ...BASE,
  name: 'steady',
  question: 'When nothing goes wrong, is every answer quick and nobody suspected?',
  workload: { ...BASE.workload, arrivals: 'steady', load: 0.3 },
};
