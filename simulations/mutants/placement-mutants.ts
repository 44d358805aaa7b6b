/**
 * Deliberate bugs in where requests go and whether they are let in: what a node is thought to cost, in which order nodes
 * are asked, whom a node admits, and who may be asked at all.
 */
import type { Mutant } from './mutant.ts';
import { BOASTED, BUSY, CROWDED, CRUSHED, LEAVING, SKEWED } from './trials.ts';

export const PLACEMENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'no-admission',
    bug: 'everybody is let in at once',
    file: 'src/inference/admission.ts',
    find: '    if (this.#running.size < this.#slots) {\n      this.#start(offer);',
    replace: '    if (this.#slots > 0) {\n      this.#start(offer);',
    trial: CRUSHED,
    expected: ['S8'],
  },
  {
    name: 'endless-queue',
    bug: 'who cannot run waits, however many wait already',
    file: 'src/inference/admission.ts',
    find: 'if (this.#queued >= queuePerSlotMax * this.#slots || waitMs > waitMsMax) {',
    replace: 'if (queuePerSlotMax * waitMsMax < 0) {',
    trial: CRUSHED,
    expected: ['S8'],
  },
  {
    name: 'long-queue',
    bug: 'queues were made a hundred times as long, so that nobody is turned away',
    file: 'src/params.ts',
    find: 'queuePerSlotMax: 8,',
    replace: 'queuePerSlotMax: 800,',
    trial: CROWDED,
    expected: ['V8', 'S6'],
  },
  {
    name: 'by-arrival',
    bug: 'the list is in the order of the candidates instead of that of their scores',
    file: 'src/placement/place.ts',
    find: 'const first = rankRows({ ...common, rows: plan.below, limit });',
    replace:
      'const first = [...plan.below, ...plan.above].toSorted((left, right) => left - right).slice(0, limit);\n  if (first.length > 0) return first;',
    trial: BUSY,
    expected: ['V7'],
  },
  {
    name: 'hashed-by-place',
    bug: 'the rendezvous hash takes the place in the list for the name of the node',
    file: 'src/placement/rendezvous.ts',
    find: 'turn(turn(start ^ (nodes.low[row] ?? 0)) ^ keyHigh)',
    replace: 'turn(turn(start ^ position) ^ keyHigh)',
    trial: CRUSHED,
    expected: ['S5'],
  },
  {
    name: 'beacons-believed',
    bug: 'costs are what beacons claim: neither clamped nor corrected by what was measured',
    file: 'src/placement/cost.ts',
    find: '  return Math.min(corrected, COST_MS_MAX);',
    replace: [
      '  const claimedMs =',
      '    (figures.rttMs[index] ?? 0) + Math.max(0, figures.backlog[index] ?? 0) * (figures.slotMs[index] ?? 0) +',
      '    Math.floor(((figures.prefillUsPerToken[index] ?? 0) * terms.newTokens) / 1_000) +',
      '    (figures.decodeMs[index] ?? 0) + (figures.loadMs[index] ?? 0);',
      '  return Math.min(claimedMs, corrected, COST_MS_MAX);',
    ].join('\n'),
    trial: BOASTED,
    expected: ['S13'],
  },
  {
    name: 'rates-not-clamped',
    bug: 'any speed is believed until it was measured',
    file: 'src/params.ts',
    find: 'rateClamp: 3,',
    replace: 'rateClamp: 1_000,',
    trial: BOASTED,
    notCaught:
      'the clamp is for the time before anybody measured, and S13 begins to count two minutes later, when the correction has found the liar out. S13 should also bound the share within the first two minutes (here 35 of 42 first tries in 20 s instead of 28).',
  },
  {
    name: 'own-dispatches-ignored',
    bug: 'what this node itself just sent somewhere does not count until a beacon shows it',
    file: 'src/placement/observations.ts',
    find: 'if (entry.startedAtMs > pair.loadAtMs) ownInFlight += 1;',
    replace: '',
    trial: BUSY,
    notCaught:
      'a change of load is told within 250 ms and the water level spreads what comes meanwhile, so nobody herds. The record of a placement lacks the figures that it was made from; with busy, queued and own in each row S5 could count the tries under way itself.',
  },
  {
    name: 'fresh-load-ignored',
    bug: 'the load that comes with a busy answer is thrown away',
    file: 'src/node/request-desk.ts',
    find: "if (outcome.type === 'busy' && outcome.load !== undefined)",
    replace: "if (outcome.type === 'busy' && outcome.load === undefined)",
    trial: CRUSHED,
    notCaught:
      'the next beacon says the same within 250 ms. With the figures of each row in the record of a placement S5 could ask that a busy answer shows in the next one.',
  },
  {
    name: 'drain-ignored',
    bug: 'a node that is to stop goes on taking work',
    file: 'src/node/serve-desk.ts',
    find: '  drain(): readonly Effect[] {\n    this.#draining = true;',
    replace: '  drain(): readonly Effect[] {',
    trial: LEAVING,
    notCaught:
      'what it took is moved when it stops, and every client reads its whole answer. S8 should ask that a node offers nothing but refusals from the beginning of its fault `leave` until it stopped (`fault-began`, then `offered`).',
  },
  {
    name: 'version-skew-ignored',
    bug: 'a node with other protocol parameters is placed on like any other',
    file: 'src/node/candidates.ts',
    find: '...(capability.params === source.params ? { usable: true } : { usable: false, problem }),',
    replace: "...(problem === '' ? { usable: false, problem } : { usable: true }),",
    trial: SKEWED,
    notCaught:
      'simulated nodes with other parameters differ in their fingerprint only, and S7 is not judged yet. It could be for this much: no `try-started` at a node under `version-skew` by another one, once its capability had the time to come.',
  },
];
