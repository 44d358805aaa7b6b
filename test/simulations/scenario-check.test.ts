import assert from 'node:assert/strict';
import { describeProblem } from '../../simulations/problem.ts';
import { checkScenario, publicNodes, withOverrides } from '../../simulations/scenario-check.ts';
import { EXAMPLE } from './example-scenario.ts';
import type { Scenario } from '../../simulations/scenario.ts';

function problemsOf(input: unknown): readonly string[] {
  const result = checkScenario(input);
  return result.type === 'valid' ? [] : result.problems.map(describeProblem);
}

function overridden(...overrides: readonly string[]): readonly string[] {
  const result = withOverrides(EXAMPLE, overrides);
  return result.type === 'valid' ? [] : result.problems.map(describeProblem);
}

function valid(...overrides: readonly string[]): Scenario {
  const result = withOverrides(EXAMPLE, overrides);
  assert.equal(result.type, 'valid', JSON.stringify(result));
  return result.type === 'valid' ? result.value : EXAMPLE;
}

describe('checking a scenario', () => {
  it('takes a good one as it is, also after a trip through JSON', () => {
    const result = checkScenario(JSON.parse(JSON.stringify(EXAMPLE)));
    assert.deepEqual(result, { type: 'valid', value: EXAMPLE });
  });

  it('says field, expected and got of a wrong field', () => {
    const cases: readonly (readonly [override: string, problem: string])[] = [
      ['nodes=0', 'nodes: expected a whole number from 1 to 2048, got 0'],
      ['nodes=1.5', 'nodes: expected a whole number from 1 to 2048, got 1.5'],
      ['nodes=2049', 'nodes: expected a whole number from 1 to 2048, got 2049'],
      ['nodes=many', 'nodes: expected a whole number from 1 to 2048, got "many"'],
      ['workload.load=2.1', 'workload.load: expected a number from 0 to 2, got 2.1'],
      ['network.loss=0.51', 'network.loss: expected a number from 0 to 0.5, got 0.51'],
      ['gossip=carrier', 'gossip: expected one of hop, aggregated, got "carrier"'],
      ['models.1.speed=0', 'models[1].speed: expected a number from 0.001 to 1000, got 0'],
      ['models.1.name=a b', 'models[1].name: expected the name of a model, got "a b"'],
      ['faults.enable=1.01', 'faults.enable: expected a number from 0 to 1, got 1.01'],
      ['durationMs=999999999999', 'durationMs: expected a whole number from 1000 to 604800000, got 999999999999'],
      ['machines.laptop=-1', 'machines.laptop: expected a number from 0 to 1000000, got -1'],
      ['name=Too Loud', 'name: expected a name of up to 40 small letters, digits and hyphens, got "Too Loud"'],
    ];
    for (const [override, problem] of cases) assert.deepEqual(overridden(override), [problem], override);
  });

  it('refuses fields that it does not know, and those that are missing', () => {
    assert.match(overridden('workload.lod=1').join(), /^workload\.lod: expected one of the fields arrivals, load/);
    assert.match(overridden('voters=3').join(), /^voters: expected one of the fields name, question, nodes/);
    assert.match(overridden('faults.perNodeHour.meteor=1').join(), /perNodeHour.*expected.*crash/);
    assert.deepEqual(overridden('gossip=null'), ['gossip: expected one of hop, aggregated, got nothing']);
    assert.match(problemsOf('steady').join(), /^expected an object with name, .*, got "steady"$/);
    assert.match(problemsOf(null).join(), /^expected an object/);
  });

  it('reports all problems at once', () => {
    assert.equal(overridden('nodes=0', 'gossip=none', 'network.queueMs=0').length, 3);
  });

  const impossible: readonly (readonly [impossible: readonly string[], possible: readonly string[], field: string])[] =
    [
      [['bootstraps=13'], ['bootstraps=12'], 'bootstraps'],
      [['nat={"public":1,"punchable":5}'], ['nat={"public":3,"punchable":9}'], 'bootstraps'],
      [['workload.ingressNodes=13'], ['workload.ingressNodes=12'], 'workload.ingressNodes'],
      [['healAtMs=285001'], ['healAtMs=285000'], 'healAtMs'],
      [['faultsFromMs=180001'], ['faultsFromMs=180000'], 'faultsFromMs'],
      [['startWithinMs=30001'], ['startWithinMs=30000'], 'startWithinMs'],
      [['drainMs=285001'], ['drainMs=285000'], 'drainMs'],
      [['nat={"relay-only":1}'], ['nat={"relay-only":3,"public":1}'], 'nat.public'],
      [['nat={"punchable":1,"public":0}'], ['nat={"punchable":3,"public":1}'], 'nat.public'],
      [['nat={}'], ['nat={"public":1}'], 'nat'],
      [['machines={"laptop":0,"mac":0}'], ['machines={"laptop":0,"mac":1}'], 'machines'],
      [['models=[]'], ['models=[]', 'workload.arrivals=none'], 'models'],
      [['models.0.holders=0'], ['models.0.holders=0.01'], 'models[0].holders'],
      [['models.0.demand=0', 'models.1.demand=0'], ['models.0.demand=0'], 'models'],
      [['models.1.name=chat-8b'], ['models.1.name=chat-9b'], 'models[1].name'],
      [['models.0.contextTokens=359'], ['models.0.contextTokens=360'], 'models[0].contextTokens'],
      [['models.0.loadMs=285001'], ['models.0.loadMs=285000'], 'models[0].loadMs'],
      [['workload.load=0'], ['workload.load=0', 'workload.arrivals=none'], 'workload.load'],
      [['workload.answerTokens=161'], ['workload.answerTokens=160'], 'workload.answerTokens'],
      [['network.delayMsMin=46'], ['network.delayMsMin=45'], 'network.delayMsMin'],
      [
        ['faults.perNodeHour.flash-crowd=1', 'workload.arrivals=none'],
        ['faults.perNodeHour.flash-crowd=1'],
        'faults.perNodeHour.flash-crowd',
      ],
      [
        ['nodes=1', 'bootstraps=1', 'faults.perNodeHour.partition=1'],
        ['nodes=2', 'bootstraps=1', 'faults.perNodeHour.partition=1'],
        'faults.perNodeHour.partition',
      ],
      [
        ['nodes=2', 'bootstraps=1', 'faults.perNodeHour.liar=1'],
        ['nodes=3', 'bootstraps=1', 'faults.perNodeHour.liar=1'],
        'faults.perNodeHour.liar',
      ],
      [
        ['faults.perNodeHour.relay-loss=1'],
        ['faults.perNodeHour.relay-loss=1', 'nat={"public":3,"relay-only":1}'],
        'faults.perNodeHour.relay-loss',
      ],
      // 12 nodes for 150 s are half a node-hour.
      [['faults.perNodeHour.pause=40004'], ['faults.perNodeHour.pause=40000'], 'faults.perNodeHour'],
    ];
  for (const [broken, possible, field] of impossible) {
    it(`refuses ${broken.join(' with ')}, and takes ${possible.join(' with ')}`, () => {
      const result = withOverrides(EXAMPLE, broken);
      assert.equal(result.type, 'invalid');
      assert.deepEqual(result.type === 'invalid' ? result.problems.map((problem) => problem.field) : [], [field]);
      valid(...possible);
    });
  }

  it('counts public nodes as shares of whole nodes, at least one where the share is above 0', () => {
    const cases: readonly (readonly [nodes: number, nat: Scenario['nat'], expected: number])[] = [
      [12, { public: 1 }, 12],
      [12, { public: 1, punchable: 3 }, 3],
      [13, { public: 1, punchable: 3 }, 4],
      [12, { public: 0.001, punchable: 1 }, 1],
      [12, { punchable: 1 }, 0],
      [12, {}, 0],
    ];
    for (const [nodes, nat, expected] of cases) assert.equal(publicNodes({ nodes, nat }), expected);
  });
});

describe('overriding a scenario', () => {
  it('changes fields by their path, in lists too, and leaves the rest and the original alone', () => {
    const before = structuredClone(EXAMPLE);
    const scenario = valid('nodes=50', 'workload.load=0.7', 'models.1.holders=1', 'faults.perNodeHour.crash=2');
    assert.equal(scenario.nodes, 50);
    assert.equal(scenario.workload.load, 0.7);
    assert.equal(scenario.models[1]?.holders, 1);
    assert.deepEqual(scenario.models[0], EXAMPLE.models[0]);
    assert.deepEqual(scenario.faults.perNodeHour, { crash: 2 });
    assert.deepEqual(EXAMPLE, before);
  });

  it('lets the last one win, takes words without quotes, and null as "without it"', () => {
    assert.equal(valid('nodes=50', 'nodes=60').nodes, 60);
    assert.equal(valid('gossip=aggregated').gossip, 'aggregated');
    assert.equal(valid('question=Does a=b hold?').question, 'Does a=b hold?');
    const scenario = valid('workload.ingressNodes=2', 'workload.ingressNodes=null');
    assert.equal(Object.hasOwn(scenario.workload, 'ingressNodes'), false);
  });

  it('refuses what is no override, and paths that lead nowhere', () => {
    for (const override of ['nodes', '=5', 'work load.x=1', ''])
      assert.deepEqual(overridden(override), [`expected field=value, got ${JSON.stringify(override)}`]);
    assert.notDeepEqual(overridden('nodes.deep=5'), []);
    assert.notDeepEqual(overridden('models.7.holders=1'), []);
    assert.notDeepEqual(overridden('models.x.holders=1'), []);
    assert.match(overridden('__proto__.nodes=5').join(), /__proto__: expected one of the fields/);
  });
});
