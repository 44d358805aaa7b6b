/**
 * Every kind of fault there is, each enabled for half of the seeds: nobody knows beforehand which two of them make a bug
 * together. Safety must hold throughout, and everything must be well after healing.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const ANYTHING: Scenario = {
  ...BASE,
  name: 'anything',
  question: 'Does every promise hold when anything may go wrong, and several things at once?',
  nat: { public: 4, punchable: 3, 'relay-only': 1 },
  faults: {
    perNodeHour: {
      crash: 8,
      'power-loss': 6,
      leave: 6,
      pause: 8,
      suspend: 8,
      partition: 4,
      swizzle: 2,
      loss: 6,
      delay: 6,
      bandwidth: 4,
      duplicate: 4,
      'clock-step': 8,
      'clock-drift': 8,
      slow: 8,
      gray: 6,
      'disk-full': 4,
      'flash-crowd': 2,
      'relay-loss': 4,
      'nat-rebinding': 6,
      'version-skew': 4,
      liar: 4,
    },
    enable: 0.5,
  },
};
