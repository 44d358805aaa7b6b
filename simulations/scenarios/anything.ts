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
      crash: 4,
      'power-loss': 3,
      leave: 3,
      pause: 4,
      suspend: 4,
      partition: 2,
      swizzle: 1,
      loss: 3,
      delay: 3,
      bandwidth: 2,
      duplicate: 2,
      'clock-step': 4,
      'clock-drift': 4,
      slow: 4,
      gray: 3,
      'disk-full': 2,
      'flash-crowd': 1,
      'relay-loss': 2,
      'nat-rebinding': 3,
      'version-skew': 2,
      liar: 2,
    },
    enable: 0.5,
  },
};
