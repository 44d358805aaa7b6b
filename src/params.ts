/**
 * The numbers of the protocol. They must be equal on every node, because every node computes the same verdicts and the
 * same placement from them: their fingerprint rides in each capability message, and a member with another one is
 * refused for placement, not silently mixed in. What a node may choose for itself is in `node/config.ts`.
 * Every value says where it comes from: paper, spec, measured, copied, guess. Relations are asserted at the end.
 */
import { invariant } from './assert.ts';
import { encodeCanonical, hash64, hashHex } from './bytes.ts';
import { type ParamsFingerprint, parseParamsFingerprint } from './ids.ts';

/** Version of every wire format of ours; part of each protocol id. Source: ours. */
export const PROTOCOL_VERSION = 1;

export const GOSSIP = {
  /** Between two load messages of one node in a small mesh. Longer: staler placement. Shorter: traffic grows with N^2.
   *  Source: paper-like simulation, "beacon sizes and bandwidth" in docs/PROTOCOL.md. */
  beaconIntervalMs: 1_000,
  /** Upper end of the interval as the mesh grows. Source: guess. */
  beaconIntervalMsMax: 60_000,
  /** Spread of the interval, so that nodes do not fall into step. Source: guess. */
  beaconJitterPerMille: 100,
  /** Least time between two load messages caused by events. Source: guess. */
  beaconEventGapMs: 250,
  /** Gossip bytes a node may cause per second, each way. Source: guess (a 1 Mbit/s uplink keeps two thirds). */
  beaconBytesPerSecond: 32_000,
  /** Between two full capability messages when nothing changes. Source: guess. */
  capabilityIntervalMs: 30_000,
  /** Between two anti-entropy exchanges with one random member. Source: copied (memberlist PushPull 30 s). */
  antiEntropyIntervalMs: 30_000,
  /** Largest signed message. Source: guess; 64 models with long names fit. */
  messageBytesMax: 16_384,
  /** Members kept in the view; the member silent for longest makes room. Source: guess (laptops to a few hundred machines). */
  membersMax: 2_048,
  /** Models one node may announce. Source: guess: what fits a message of messageBytesMax. */
  modelsPerNodeMax: 64,
  /** Addresses one node may announce. Source: guess: four networks, four transports. */
  addressesPerNodeMax: 16,
  /** Oldest message that may still change the view, by the sender's own clock. Source: measured (a woken peer delivers 12-15 s old beacons). */
  messageAgeMsMax: 60_000,
  /** How long a departed (node, incarnation) is remembered. Source: guess, longer than any cache that could replay it. */
  tombstoneMs: 600_000,
} as const;

export const LIVENESS = {
  /** Between two heartbeats on a connection. Source: measured in simulation ("8 paths, 500 ms heartbeats"). */
  heartbeatIntervalMs: 500,
  /** How many members monitor one. Source: same simulation. */
  monitorsMax: 8,
  /** Silence after which a monitor pings. Source: same simulation. */
  pingAfterMs: 700,
  /** Between two such pings. Source: same simulation. */
  pingIntervalMs: 250,
  /** Silence after which a monitor accuses. Source: same simulation (0.06 to 0.68 false suspicions per node-day at 5 to 20 % loss). */
  suspectAfterMs: 2_600,
  /** Accusers that make a suspicion, or all other members where there are fewer. Source: copied (Lifeguard's independent confirmation). */
  accusersMin: 2,
  /** Between suspect and dead. Source: same simulation. */
  deadAfterMs: 12_000,
  /** An own stall longer than this is added to every deadline. Source: guess, under the heartbeat interval. */
  ownStallMs: 400,
  /** No accusations for this long after an own stall. Source: guess. */
  ownStallGraceMs: 1_000,
  /** A longer gap is a sleep: the view is stale, a snapshot comes first. Source: guess. */
  sleptAfterMs: 5_000,
} as const;

export const PLACEMENT = {
  /** Length of a ranked list. Source: guess: more than the tries. */
  rankedMax: 6,
  /** Nodes tried before the client hears 503. Source: copied from the placement study. */
  triesMax: 4,
  /** Charge of a full failure, shared out by reliability. Source: guess: a failed try costs about a stall. */
  retryMs: 2_000,
  /** Most slots of one node that the water level may fill. Source: placement study. */
  fillMax: 64,
  /** Rates above this multiple of the median are taken as a lie. Source: placement study (liars' p90 91 s -> 5.9 s). */
  rateClamp: 3,
  /** A node is not believed to be much faster than it says ... Source: placement study. */
  correctionPerMilleMin: 700,
  /** ... but may prove to be this much slower. Source: placement study. */
  correctionPerMilleMax: 50_000,
  /** A server admits while its own estimate is at most this share of the level ... Source: placement study. */
  admitLevelPerMille: 1_200,
  /** ... plus this. Source: placement study. */
  admitSlackMs: 200,
  /** Requests waiting per slot before a server says busy. Fewer: in a burst that the whole mesh must queue, a request goes
   *  from door to door (ten times, with 2) and hears 503. Source: measured in the placement study (p99 1.34 to 1.23; 16: 1.21). */
  queuePerSlotMax: 8,
} as const;

export const INFERENCE = {
  /** Largest frame on a link. Source: measured: 16 kB interleaves a 1 MB prompt with tokens. */
  frameBytesMax: 16_384,
  /** Larger request bodies travel on a stream of their own. Source: measured, docs/decisions. */
  inlineBodyBytesMax: 65_536,
  /** Largest request body between nodes. Source: spec of the API (16 MB) plus framing. */
  bodyBytesMax: 17_825_792,
  /** Requests on one link in each direction. Source: guess: 1000 measured, twice that kept. */
  requestsPerLinkMax: 2_048,
  /** Tokens a server may send before the client's node grants more. Source: guess: about 5 s of a fast stream. */
  creditTokens: 256,
  /** A sign of life at least this often while a request waits. Source: as often as a heartbeat. */
  progressIntervalMs: 500,
  /** Silence of a serving node, keep-alives included, after which the answer goes on elsewhere. Source: the silence that makes a
   *  suspect (LIVENESS.suspectAfterMs): the same evidence over the same kind of path. */
  stallAfterMs: 2_600,
  /** A request whose link ended is kept at both ends for this long, for a link on another path to take it up. Longer: slots are held
   *  for askers that are gone. Source: under `stallAfterMs` by a sign of life, so that the verdict about silence stays the last. */
  reattachMsMax: 2_000,
  /** Nodes an answer may move through. Source: guess. */
  failoversMax: 8,
  /** A cancelled request frees its slot within this. Source: requirement. */
  cancelMsMax: 250,
} as const;

/** Bounds of one request, checked by the front door and again by the serving node. Source: docs/PROTOCOL.md. */
export const LIMITS = {
  httpBodyBytes: 16_777_216,
  jsonDepth: 64,
  messages: 2_048,
  stopSequences: 16,
  stopBytes: 256,
  answerTokens: 1_048_576,
  /** Of a JSON schema that an answer must fit. A node without this number would answer in prose: it has another fingerprint. */
  schemaBytes: 65_536,
  schemaNameCharacters: 64,
  /** Source: spec (OpenAI). */
  tools: 128,
  /** Source: spec (OpenAI). */
  toolNameCharacters: 64,
  /** All descriptions and schemas of the tools together. Source: guess: four times the largest sets of agents. */
  toolBytes: 262_144,
  /** Calls in one message. Source: as many as tools. */
  toolCalls: 128,
  /** Source: guess: ours have 38. */
  toolCallIdCharacters: 128,
  /** Source: spec (OpenAI). */
  topLogprobs: 20,
  /** Source: guess: OpenAI's is not told; larger sets belong into a grammar. */
  logitBiases: 1_024,
  /** Of one embedding request. Source: spec (OpenAI). */
  inputs: 2_048,
  /** Of one rerank request. Source: copied (Cohere: 1,000), rounded up. */
  documents: 1_024,
} as const;

/** The fingerprint of everything above that nodes must share. */
export function paramsFingerprint(): ParamsFingerprint {
  const bytes = encodeCanonical({ version: PROTOCOL_VERSION, GOSSIP, LIVENESS, PLACEMENT, INFERENCE, LIMITS });
  const fingerprint = parseParamsFingerprint(hashHex(hash64(bytes)));
  invariant(fingerprint !== undefined, 'a hash is 16 hex digits');
  return fingerprint;
}

invariant(LIVENESS.pingAfterMs > LIVENESS.heartbeatIntervalMs, 'a monitor pings only after a missed heartbeat');
invariant(
  LIVENESS.suspectAfterMs > LIVENESS.pingAfterMs + 4 * LIVENESS.pingIntervalMs,
  'several pings go unanswered before an accusation',
);
invariant(LIVENESS.deadAfterMs > 2 * LIVENESS.suspectAfterMs, 'a suspect has time to answer');
invariant(GOSSIP.tombstoneMs > GOSSIP.messageAgeMsMax, 'a tombstone outlives every message it must refuse');
invariant(INFERENCE.stallAfterMs > 3 * INFERENCE.progressIntervalMs, 'a stall is three missed signs of life');
invariant(
  INFERENCE.reattachMsMax + INFERENCE.progressIntervalMs <= INFERENCE.stallAfterMs,
  'a request is taken up again before its silence counts as a stall',
);
invariant(PLACEMENT.rankedMax >= PLACEMENT.triesMax, 'the list is as long as the tries');
