/**
 * Homes behind routers on a busy evening: few can be dialled, many only after a hole was punched, the rest through a
 * relay; uplinks are narrow and their buffers long. Relays go away, routers forget, lids close.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const NAT_EVENING: Scenario = {
  ...BASE,
  name: 'nat-evening',
  question: 'Behind home routers, narrow lines and relays that come and go, does everybody still reach a model?',
  nodes: 12,
  nat: { public: 2, punchable: 3, 'relay-only': 2 },
  network: {
    ...BASE.network,
    jitterMs: 10,
    loss: 0.02,
    // Source: guess: 8 Mbit/s up with half a second of buffer.
    bytesPerSecond: 1_000_000,
    queueMs: 500,
  },
  faults: {
    perNodeHour: { 'relay-loss': 8, 'nat-rebinding': 12, loss: 8, delay: 5, bandwidth: 5, suspend: 6 },
    enable: 0.7,
  },
};
