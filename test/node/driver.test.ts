import assert from 'node:assert/strict';
import { Clock } from '../../src/node/clock.io.ts';
import { Driver, type DriverPorts } from '../../src/node/driver.io.ts';
import type { Effect, Input, StepResult } from '../../src/node/events.ts';
import type { Mesh } from '../../src/node/mesh.ts';
import { nodeNumber } from '../gossip/signing.ts';

const NODE = nodeNumber(1);

/** A core that answers as the test says and remembers what it was told. */
function scripted(answer: (input: Input, nowMs: number) => StepResult): { core: Mesh; seen: Input[] } {
  const seen: Input[] = [];
  const step = (input: Input, nowMs: number): StepResult => {
    seen.push(input);
    return answer(input, nowMs);
  };
  return { core: { step } as unknown as Mesh, seen };
}

function nothing(): void {
  // These effects are not what the test is about.
}

function ports(onNetwork: (effect: Effect) => void): DriverPorts {
  return {
    network: onNetwork,
    dataPlane: onNetwork,
    disk: nothing,
    memberChanged: nothing,
    drained: nothing,
    observe: nothing,
  };
}

describe('the driver', () => {
  it('feeds an input that an effect causes only after the step is over', () => {
    const order: string[] = [];
    const { core, seen } = scripted((input) => ({
      effects:
        input.type === 'drain-requested'
          ? [
              { type: 'publish', bytes: new Uint8Array() },
              { type: 'send-ping', to: NODE },
            ]
          : [],
      wakeAtMs: Infinity,
    }));
    const driver: Driver = new Driver({
      mesh: core,
      clock: new Clock(),
      ports: ports((effect) => {
        order.push(effect.type);
        if (effect.type === 'publish') driver.accept({ type: 'heard', node: NODE });
        order.push(`${effect.type} done`);
      }),
    });
    driver.accept({ type: 'drain-requested' });
    driver.stop();
    assert.deepEqual(order, ['publish', 'publish done', 'send-ping', 'send-ping done']);
    assert.deepEqual(
      seen.map(({ type }) => type),
      ['drain-requested', 'heard'],
    );
  });

  it('wakes the core when it asked to be woken, and not before', async () => {
    const woke = Promise.withResolvers<number>();
    let askedMs = 0;
    const { core } = scripted((input, nowMs) => {
      if (input.type === 'woke') woke.resolve(nowMs);
      else askedMs = nowMs + 30;
      return { effects: [], wakeAtMs: input.type === 'woke' ? Infinity : askedMs };
    });
    const driver = new Driver({ mesh: core, clock: new Clock(), ports: ports(() => undefined) });
    driver.accept({ type: 'heard', node: NODE });
    const wokeMs = await woke.promise;
    driver.stop();
    assert.ok(wokeMs >= askedMs - 1, `${wokeMs} is before ${askedMs}`);
  });

  it('takes nothing more once it is stopped', () => {
    const { core, seen } = scripted(() => ({ effects: [], wakeAtMs: Infinity }));
    const driver = new Driver({ mesh: core, clock: new Clock(), ports: ports(() => undefined) });
    driver.stop();
    driver.accept({ type: 'woke' });
    assert.deepEqual(seen, []);
  });
});
