/**
 * Deliberate bugs in where requests go and whether they are let in: what a node is thought to cost, in which order nodes
 * are asked, whom a node admits, and who may be asked at all.
 */
import type { Mutant } from './mutant.ts';
import { BOASTED, BUSY, CROWDED, CRUSHED, LEAVING, SKEWED, TWO_MODELS } from './trials.ts';

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
      'the clamp is for the time before anybody measured, and S13 begins to count two minutes later. Within them a clamped liar still gets 2 to 4 times its fair share in an idle mesh, and 4 times at a load of 0.7 (an unclamped one 3.1 to 5.1, and 5.3), so a bound on tries that holds for the core hardly tells the two apart. The record of a placement would have to show the rates that were believed.',
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
    bug: 'a node that is to stop goes on as if nobody had asked it to',
    file: 'src/node/serve-desk.ts',
    find: '  drain(): readonly Effect[] {\n    this.#draining = true;',
    replace: '  drain(): readonly Effect[] {\n    if (!this.#draining) return [];',
    trial: LEAVING,
    expected: ['S8'],
  },
  {
    name: 'model-ignored',
    bug: 'a node is a candidate for every model as soon as it offers one',
    file: 'src/node/candidates.ts',
    find: 'return index < 0 ? [] : candidateOf(member, index, source);',
    replace: 'return candidateOf(member, Math.max(0, index), source).map((one) => ({ ...one, model }));',
    trial: TWO_MODELS,
    expected: ['S7'],
  },
  {
    name: 'version-skew-ignored',
    bug: 'a node with other protocol parameters is placed on like any other',
    file: 'src/node/candidates.ts',
    find: '...(capability.params === source.params ? { usable: true } : { usable: false, problem }),',
    replace: "...(problem === '' ? { usable: false, problem } : { usable: true }),",
    trial: SKEWED,
    expected: ['S7'],
  },
];
