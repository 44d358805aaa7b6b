import assert from 'node:assert/strict';
import { type Constraint, Grammars, type Worked, workOut, type Workshop } from '../../src/inference/answer-format.ts';
import type { AnswerFormat, EngineEvent, EngineRun, ToolUse } from '../../src/inference/engine.ts';
import { WorkshopGrammars } from '../../src/inference/grammar-workshop.io.ts';
import { startSettled } from '../../src/inference/settled-run.ts';
import { type Failure, failure } from '../../src/errors.ts';

function formatOf(schema: unknown): AnswerFormat {
  return { type: 'json-schema', name: 'a', schema: JSON.stringify(schema), strict: true };
}

function many(count: number, schema: unknown = { type: 'string' }): object {
  const names = [...Array(count).keys()].map((index) => `p${index}`);
  return { type: 'object', properties: Object.fromEntries(names.map((name) => [name, schema])) };
}

const SCHEMA = formatOf(many(5));
const TOOLS: ToolUse = {
  tools: [{ name: 'f', parameters: JSON.stringify(many(5)) }],
  choice: { type: 'auto' },
  parallel: false,
};

/** Does nothing until it is told. */
class Bench implements Workshop {
  readonly orders: { readonly constraint: Constraint; readonly done: (worked: Worked | Failure) => void }[] = [];

  work(constraint: Constraint, done: (worked: Worked | Failure) => void): void {
    this.orders.push({ constraint, done });
  }

  finish(): void {
    for (const { constraint, done } of this.orders.splice(0)) done(workOut(constraint));
  }
}

async function settled(grammars: Grammars, constraint: Constraint): Promise<Failure | undefined> {
  return new Promise((resolve) => {
    grammars.settle(constraint, resolve);
  });
}

describe('grammars and their workshop', () => {
  it('leave what is new to the workshop, and ask for nothing that is known', () => {
    const bench = new Bench();
    const grammars = new Grammars(bench);
    let known = 0;
    const count = (): void => {
      known += 1;
    };
    for (const constraint of [{}, { format: { type: 'text' } as const }]) grammars.settle(constraint, count);
    assert.equal(known, 2);
    assert.equal(bench.orders.length, 0);
    const constraints = [{ format: SCHEMA }, { format: { type: 'json-object' } as const }, { toolUse: TOOLS }];
    for (const constraint of constraints) grammars.settle(constraint, count);
    assert.equal(known, 2);
    assert.equal(bench.orders.length, 3);
    assert.equal(grammars.problemOf(SCHEMA), undefined);
    const early = grammars.of(SCHEMA);
    assert.ok(early.type === 'refused' && early.failure.code === 'busy');
    bench.finish();
    assert.equal(known, 5);
    for (const constraint of constraints) grammars.settle(constraint, count);
    assert.equal(known, 8);
    assert.deepEqual(grammars.of(SCHEMA), new Grammars().of(SCHEMA));
    assert.deepEqual(grammars.ofTools(TOOLS), new Grammars().ofTools(TOOLS));
  });

  it('remember refusals as well', () => {
    const bench = new Bench();
    const grammars = new Grammars(bench);
    const format = formatOf({ not: {} });
    grammars.settle({ format }, () => undefined);
    assert.equal(grammars.problemOf(format), undefined);
    bench.finish();
    assert.equal(grammars.problemOf(format)?.code, 'invalid-request');
  });

  it('give each schema to it once, however many wait, and tell all of them', () => {
    const bench = new Bench();
    const grammars = new Grammars(bench);
    const told: (Failure | undefined)[] = [];
    const tell = (problem?: Failure): void => {
      told.push(problem);
    };
    for (let index = 0; index < 3; index += 1) grammars.settle({ format: SCHEMA }, tell);
    assert.equal(bench.orders.length, 1);
    const busy = failure('busy', 'full');
    bench.orders.pop()?.done(busy);
    assert.deepEqual(told, [busy, busy, busy]);
    // What was not worked out is not remembered.
    grammars.settle({ format: SCHEMA }, tell);
    bench.finish();
    assert.equal(told.at(-1), undefined);
    grammars.settle({ format: SCHEMA }, tell);
    assert.equal(told.length, 5);
  });

  it('know the grammar when they call back, also where others came in between', () => {
    const bench = new Bench();
    const grammars = new Grammars(bench);
    const formats = [...Array(20).keys()].map((index) => formatOf({ ...many(5), title: `${index}` }));
    const types: string[] = [];
    for (const format of formats) grammars.settle({ format }, () => types.push(grammars.of(format).type));
    bench.finish();
    assert.deepEqual(types, formats.map(() => 'grammar')); // prettier-ignore
  });
});

function started(): { bench: Bench; run: EngineRun; calls: string[]; events: EngineEvent[] } {
  const bench = new Bench();
  const calls: string[] = [];
  const events: EngineEvent[] = [];
  const constrained = {
    job: { format: SCHEMA },
    grammars: new Grammars(bench),
    on: (event: EngineEvent) => events.push(event),
  };
  const run = startSettled(constrained, () => {
    calls.push('start');
    return { grant: (tokens) => calls.push(`grant ${tokens}`), cancel: () => calls.push('cancel') };
  });
  return { bench, run, calls, events };
}

describe('a run whose schema takes long', () => {
  it('starts when it is known, with what was granted until then', () => {
    const { bench, run, calls } = started();
    run.grant(3);
    run.grant(4);
    assert.deepEqual(calls, []);
    bench.finish();
    run.grant(5);
    run.cancel();
    assert.deepEqual(calls, ['start', 'grant 7', 'grant 5', 'cancel']);
  });

  it('never starts when it was cancelled before', () => {
    const { bench, run, calls, events } = started();
    run.cancel();
    bench.finish();
    assert.deepEqual([calls, events], [[], []]);
  });

  it('fails when it cannot be worked out', () => {
    const { bench, calls, events } = started();
    bench.orders.pop()?.done(failure('busy', 'full'));
    assert.deepEqual(calls, []);
    assert.equal(events[0]?.type, 'failed');
  });
});

describe('the workshop', () => {
  let grammars: WorkshopGrammars;

  beforeEach(() => {
    grammars = new WorkshopGrammars();
  });
  afterEach(async () => grammars.close());

  it('works out what the same code works out here, formats, functions and refusals', async () => {
    const here = new Grammars();
    const schemas = [many(5), many(3, { type: 'string', format: 'email' }), many(3_000), many(5, { not: {} })];
    for (const format of schemas.map(formatOf)) {
      // eslint-disable-next-line no-await-in-loop
      assert.equal(await settled(grammars, { format }), undefined);
      assert.deepEqual(grammars.of(format), here.of(format));
    }
    assert.equal(await settled(grammars, { toolUse: TOOLS }), undefined);
    assert.deepEqual(grammars.ofTools(TOOLS), here.ofTools(TOOLS));
  });

  it('takes no more than it can work out in time, and says that it was not the schema', async () => {
    const formats = [...Array(40).keys()].map((index) => formatOf({ ...many(5), title: `${index}` }));
    const problems = await Promise.all(formats.map(async (format) => settled(grammars, { format })));
    assert.ok(problems.slice(32).every((problem) => problem?.code === 'busy'));
    assert.equal(problems[0], undefined);
  });

  it('tells whoever waits when it is closed, and takes nothing more', async () => {
    const waiting = settled(grammars, { format: SCHEMA });
    await grammars.close();
    assert.equal((await waiting)?.code, 'draining');
    assert.equal((await settled(grammars, { format: SCHEMA }))?.code, 'draining');
  });
});
