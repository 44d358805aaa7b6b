/**
 * A home whose line loses, delays and reorders: does anybody bury it alive, and do its answers stay whole? The line is a
 * process of ours (`wire.ts`); where the kernel cannot have one, packets are only lost, by the router, and it is said.
 */
import assert from 'node:assert/strict';
import type { NodeProcess } from '../../src/node/node-process.io.ts';
import { stopAll, verdictOf } from '../e2e/harness.ts';
import { createInternet, type Internet } from './internet.ts';
import { askServer, Mesh, untilAnswered } from './mesh.ts';
import { whyNoLaboratory } from './namespace.ts';
import { print, untilMet } from './watching.ts';
import { whyNoWire } from './wire.ts';

/** 10 s of text. */
const TOKENS = 200;
const TOKENS_PER_SECOND = 20;
const MET_MS_MAX = 20_000;

const GOOD = { lossRatio: 0, delayMs: 0, jitterMs: 0 };
const LINES = [
  { nat: 'endpoint-independent', lossRatio: 0.05, delayMs: 20, jitterMs: 50 },
  { nat: 'endpoint-independent', lossRatio: 0.2, delayMs: 20, jitterMs: 100 },
  { nat: 'symmetric', lossRatio: 0.1, delayMs: 20, jitterMs: 100 },
] as const;

describe('a home with a bad line', function () {
  this.timeout(90_000);
  let internet: Internet | undefined;
  let noWire: string | undefined;
  let relay: NodeProcess;
  let front: NodeProcess;
  let server: NodeProcess;
  let undisturbed: string;

  before(async function () {
    const why = await whyNoLaboratory();
    if (why !== undefined) {
      process.stdout.write(`      skipped: ${why}\n`);
      this.skip();
    }
    noWire = await whyNoWire();
    if (noWire !== undefined) print(noWire);
    internet = await createInternet({ impairable: noWire === undefined });
    const mesh = await Mesh.create(internet);
    await mesh.startUpstream();
    relay = await mesh.startRelay(internet.relay);
    [front, server] = await Promise.all([
      mesh.startNode(internet.a.host, { args: ['--no-default-model'] }),
      mesh.startServer(TOKENS_PER_SECOND),
    ]);
    await untilMet([front, server, relay], MET_MS_MAX);
    undisturbed = (await askServer(front, TOKENS)).text;
  });
  after(async () => {
    await stopAll();
    await internet?.remove();
  });

  for (const line of LINES) {
    const { nat, lossRatio, jitterMs } = line;
    const title = `${lossRatio * 100} % loss and ${jitterMs} ms of jitter behind a NAT that is ${nat}`;
    it(`is not buried alive and answers whole with ${title}`, async () => {
      assert.ok(internet);
      // Relayed and hole-punched paths fail in ways of their own.
      await internet.b.router.setRules({ nat });
      await untilAnswered(front, MET_MS_MAX);
      const { wire } = internet;
      if (wire === undefined) await internet.b.router.lose(lossRatio);
      else await wire.impair(line);
      await untilMet([front, server, relay], MET_MS_MAX);
      const verdicts = new Map<string, number>();
      const { text, longestGapMs } = await askServer(front, TOKENS, async () => {
        for (const seenBy of [front, relay]) {
          // eslint-disable-next-line no-await-in-loop
          const verdict = (await verdictOf(server, seenBy)) ?? 'unknown';
          verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
        }
      });
      print(`longest gap in the text ${longestGapMs} ms; verdicts ${JSON.stringify(Object.fromEntries(verdicts))}`);
      assert.equal(text, undisturbed);
      if (wire !== undefined) {
        const lost = await wire.impair(GOOD);
        print(`${lost} frames were lost`);
        assert.ok(lost > 0);
      }
      assert.ok(!verdicts.has('dead') && !verdicts.has('left'), 'a living node was buried');
    });
  }
});
