/**
 * Up to a third of the members lie: about their load, with old or forged messages, with two truths under one number,
 * with floods and accusations. The honest ones must neither believe a forgery nor be talked into losing each other.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const LIARS: Scenario = {
  ...BASE,
  name: 'liars',
  question:
    'Can a third of the members, lying, take more than a small share of the work or turn the others against each other?',
  nodes: 12,
  faults: { perNodeHour: { liar: 18, crash: 5, pause: 3 }, enable: 0.9 },
};
