/**
 * Machines that are there and of no use: slowed by a game, mute after they accepted, deaf to everything but heartbeats,
 * behind a line that lost its speed. Heartbeats look fine all the time, so only the requests themselves can tell.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const SLOW_AND_GRAY: Scenario = {
  ...BASE,
  name: 'slow-and-gray',
  question: 'Does work find its way around machines that look alive and are of no use?',
  faults: {
    perNodeHour: { slow: 16, gray: 12, pause: 10, delay: 8, bandwidth: 6, loss: 6, duplicate: 5 },
    enable: 0.7,
  },
};
