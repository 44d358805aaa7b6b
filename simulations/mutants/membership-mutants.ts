/**
 * Deliberate bugs in what a node believes of the others: which messages it takes, whom it holds for a member, whom for
 * alive or dead, and how much of what others say it passes on.
 */
import type { Mutant } from './mutant.ts';
import { ASLEEP, FLOODED, FORGED, FROZEN, KILLED, SHUFFLED, SLANDERED, STALLED, TORN } from './trials.ts';

export const MEMBERSHIP_MUTANTS: readonly Mutant[] = [
  {
    name: 'stale-accepted',
    bug: 'a load with a lower sequence replaces the one that is known',
    file: 'src/gossip/view.ts',
    find: "if (message.sequence < slot.message.sequence) return 'replayed';",
    replace: '',
    trial: SHUFFLED,
    expected: ['S4'],
  },
  {
    name: 'no-tombstones',
    bug: 'who departed is forgotten at once',
    file: 'src/gossip/tombstones.ts',
    find: 'this.#byNode.set(node, { ...departed, expiresAtMs: nowMs + GOSSIP.tombstoneMs });',
    replace: '',
    trial: TORN,
    expected: ['S4'],
  },
  {
    name: 'unsigned-accepted',
    bug: 'signatures are not checked',
    file: 'src/gossip/view.ts',
    find: "if (!isSigned(parsed, this.#verify)) return { type: 'reject', reason: 'bad-signature' };",
    replace: '',
    trial: FORGED,
    expected: ['S4'],
  },
  {
    name: 'over-age-accepted',
    bug: 'the age of a message does not matter if its number is higher',
    file: 'src/gossip/view.ts',
    find: "if (ageMs > GOSSIP.messageAgeMsMax) return ignored('over-age', message);",
    replace: '',
    trial: FROZEN,
    expected: ['S4'],
  },
  {
    name: 'own-stalls-ignored',
    bug: 'a process that stood still counts its own absence as the silence of all others',
    file: 'src/gossip/awake-clock.ts',
    find: 'this.#pausedMs += lateMs;\n    const graceMs = Math.min(lateMs, LIVENESS.sleptAfterMs) + LIVENESS.ownStallGraceMs;',
    replace: 'const graceMs = 0;',
    trial: STALLED,
    notCaught:
      'it suspects everybody when it goes on, but V2 leaves out what a node says within a minute of its own fault. V2 should count the verdicts of a node that only stood still (`stopped` paused, then `resumed`) about targets that nothing struck.',
  },
  {
    name: 'sleep-ignored',
    bug: 'a node that slept goes on as if it had been there: not stale, no snapshot, the same incarnation',
    file: 'src/gossip/awake-clock.ts',
    find: "return lateMs > LIVENESS.sleptAfterMs ? 'slept' : 'stalled';",
    replace: "return 'stalled';",
    trial: ASLEEP,
    notCaught:
      'the others accuse it and it refutes, which repairs what the first seconds did wrong. S4 should ask that nothing that was made after `resumed` (of a suspension of more than `sleptAfterMs`) is `judged` under the incarnation from before; V3 should treat who woke as a joiner.',
  },
  {
    name: 'closed-is-nothing',
    bug: 'a connection that closes is no evidence',
    file: 'src/gossip/liveness.ts',
    find: 'if (!track.closing) track.closedAtMs = this.#clock.at(nowMs);',
    replace: '',
    trial: KILLED,
    expected: ['V1'],
  },
  {
    name: 'one-accuser',
    bug: 'one accuser is enough for a suspicion',
    file: 'src/gossip/roster.ts',
    find: 'return Math.min(LIVENESS.accusersMin, witnesses);',
    replace: 'return 1;',
    trial: SLANDERED,
    expected: ['V2'],
  },
  {
    name: 'dead-not-buried',
    bug: 'who is found dead stays in the view',
    file: 'src/gossip/gossip-core.ts',
    find: "if (event.verdict === 'dead') this.#view.bury(event.node, nowMs);",
    replace: '',
    trial: TORN,
    expected: ['S4'],
  },
  {
    name: 'suspects-live-on',
    bug: 'a suspicion never becomes a death',
    file: 'src/gossip/liveness.ts',
    find: 'else if (clockMs >= deadAtMs(track)) return this.#die(track);',
    replace: '',
    trial: TORN,
    notCaught:
      'V1 is content with a suspicion. It should also ask for the verdict dead of every observer within `suspectAfterMs + deadAfterMs` and a little, for who stays away for so long.',
  },
  {
    name: 'refutes-in-vain',
    bug: 'an accused node speaks up under the incarnation that was accused',
    file: 'src/gossip/author.ts',
    find: 'this.#incarnation = raised;',
    replace: '',
    trial: TORN,
    expected: ['V3'],
  },
  {
    name: 'no-anti-entropy',
    bug: 'the half-minute exchange never takes place',
    file: 'src/gossip/gossip-core.ts',
    find: 'if (due.antiEntropy) this.#wishAnybody(nowMs);',
    replace: 'if (due.antiEntropy) this.#cadence.antiEntropyDone(nowMs);',
    trial: TORN,
    notCaught:
      'beacons come every second and gaps are asked for, so everything is repaired without it. The trace lacks an event for an exchange of views (node, peer, wanted or periodic); a checker could ask for one with anybody every two intervals.',
  },
  {
    name: 'no-author-budget',
    bug: 'everything that a member says is passed on, however much it is',
    file: 'src/gossip/view.ts',
    find: "if (way === 'gossip' && this.#saysTooMuch(message, nowMs)) return ignored('too-much', message);",
    replace: '',
    trial: FLOODED,
    expected: ['S12'],
  },
];
