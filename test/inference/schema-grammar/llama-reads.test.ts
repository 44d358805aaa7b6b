/** llama.cpp's own reader and matcher over the same grammars: what our tests take for the language is what it follows. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { getLlama, type LlamaGrammar, LlamaLogLevel } from 'node-llama-cpp';
import { compileSchema } from '../../../src/inference/schema-grammar/compile.ts';
import { Prng } from '../../../src/prng.ts';
import { Gbnf } from './gbnf.ts';
import { drawnSchemas } from './schemas.ts';

describe('a grammar in llama.cpp', function () {
  this.timeout(30_000);

  it('is read, and accepts the same texts', async () => {
    const llama = await getLlama({
      build: 'never',
      skipDownload: true,
      gpu: false,
      maxThreads: 1,
      logLevel: LlamaLogLevel.disabled,
    });
    const sources = fc.sample(
      drawnSchemas.chain(({ schema }) => fc.tuple(fc.constant(schema), fc.string())),
      { numRuns: 60, seed: 20 },
    );
    let compared = 0;
    for (const [schema, seed] of sources) {
      const compiled = compileSchema(schema);
      if (compiled.type === 'problem') continue;
      const native = await llama.createGrammar({ grammar: compiled.text });
      const ours = new Gbnf(compiled.text);
      const prng = new Prng(seed);
      for (let index = 0; index < 3; index += 1) {
        const member = ours.member(prng, 8);
        const at = prng.nextBelow(member.length);
        const broken = (member.slice(0, at) + member.slice(at + 1)).toWellFormed();
        assert.ok(matches(native, member), `${member} in ${JSON.stringify(schema)}`);
        assert.equal(matches(native, broken), ours.accepts(broken), `${broken} in ${JSON.stringify(schema)}`);
        compared += 1;
      }
    }
    assert.ok(compared > 100, `${compared} texts were compared`);
    await llama.dispose();
  });
});

/** Not part of its public interface. */
function matches(grammar: LlamaGrammar, text: string): boolean {
  const test: unknown = Reflect.get(grammar, '_testText');
  assert.ok(typeof test === 'function');
  return Reflect.apply(test, grammar, [text]) as boolean;
}
