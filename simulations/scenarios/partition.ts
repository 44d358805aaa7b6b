/**
 * The mesh is torn apart along one line or several, in both directions or in one, and nodes are cut off and return in
 * another order. Each part must go on with what it has, and after healing all must agree again.
 */
import type { Scenario } from '../scenario.ts';
import { BASE } from './base.ts';

export const PARTITION: Scenario = {
  ...BASE,
  name: 'partition',
  question: 'When the mesh is torn apart, does each part go on answering, and do all agree again afterwards?',
  nodes: 12,
  faults: { perNodeHour: { partition: 8, swizzle: 3, loss: 6, crash: 4 }, enable: 0.8 },
};
