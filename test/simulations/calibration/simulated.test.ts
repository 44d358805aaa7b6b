import assert from 'node:assert/strict';
import { compareHalves } from '../../../simulations/calibration/comparison.ts';
import { makeSchedule, NODES_MIN } from '../../../simulations/calibration/schedule.ts';
import { simulate } from '../../../simulations/calibration/simulated.ts';

describe('the simulated half of a calibration', function () {
  this.timeout(30_000);
  const schedule = makeSchedule(1, NODES_MIN);

  it('sees every strike at every node, and nothing else', () => {
    const { rows, simulatedStrays } = compareHalves([simulate(schedule, 1)], []);
    assert.equal(simulatedStrays, 0);
    const noticed = rows.filter(({ subject }) => subject !== 'gossip');
    assert.deepEqual(
      noticed.map(({ simulated }) => simulated?.count),
      noticed.map(() => NODES_MIN - 1),
    );
    assert.deepEqual(
      rows
        .filter(({ subject, simulated }) => subject === 'gossip' && simulated !== undefined)
        .map(({ cause }) => cause),
      ['message: load', 'message: capability', 'message: accusation', 'message: goodbye'],
    );
  });
});
