import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { StopStrings } from '../../src/inference/stop-strings.ts';

describe('stop strings', () => {
  it('hold back what may become one, and give it back when it does not', () => {
    const stops = new StopStrings(['</end>']);
    assert.deepEqual(stops.push('a </e'), { text: 'a ' });
    assert.deepEqual(stops.push('n'), { text: '' });
    assert.deepEqual(stops.push('tire'), { text: '</entire' });
    assert.deepEqual(stops.push('<'), { text: '' });
    assert.equal(stops.flush(), '<');
    assert.equal(stops.flush(), '');
  });

  it('end the text before the one that completes first', () => {
    for (const { stop, pieces, expected } of [
      { stop: ['b'], pieces: ['abc'], expected: 'a' },
      { stop: ['bc'], pieces: ['ab', 'c'], expected: 'a' },
      { stop: ['abcd', 'bc'], pieces: ['abcd'], expected: 'a' },
      { stop: ['c', 'bc'], pieces: ['abcd'], expected: 'a' },
      { stop: ['aab'], pieces: ['a', 'a', 'a', 'b'], expected: 'a' },
      { stop: ['🪿'], pieces: ['x🪿'], expected: 'x' },
    ])
      assert.deepEqual(feed(stop, pieces), { text: expected, stopped: true });
  });

  it('say which of them it was', () => {
    assert.deepEqual(new StopStrings(['x', 'b', 'bc']).push('abc'), { text: 'a', stoppedBy: 'b' });
    assert.deepEqual(new StopStrings(['x'], { until: 'b' }).push('abx'), { text: 'abx' });
  });

  it('mean nothing behind the text that ends their reign', () => {
    for (const { pieces, expected, stopped } of [
      { pieces: ['a<x>b\nc'], expected: 'a<x>b\nc', stopped: false },
      { pieces: ['a<', 'x', '>b', '\n'], expected: 'a<x>b\n', stopped: false },
      { pieces: ['a\n<x>'], expected: 'a', stopped: true },
      { pieces: ['a<x', '\n>'], expected: 'a<x', stopped: true },
    ]) {
      const stops = new StopStrings(['\n', 'b'], { until: '<x>' });
      let text = '';
      let isStopped = false;
      for (const piece of pieces) {
        if (isStopped) break;
        const pushed = stops.push(piece);
        text += pushed.text;
        isStopped = pushed.stoppedBy !== undefined;
      }
      assert.deepEqual([text, isStopped], [expected, stopped]);
    }
  });

  it('leave everything alone where there are none', () => {
    assert.deepEqual(feed([], ['a', 'b']), { text: 'ab', stopped: false });
    assert.deepEqual(feed([''], ['a', 'b']), { text: 'ab', stopped: false });
  });

  it('give the same text however it is cut, and never one of themselves', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 3 }), fc.array(letters, { maxLength: 8 }), (stop, pieces) => {
        const whole = pieces.join('');
        const cut = feed(stop, pieces);
        assert.deepEqual(cut, feed(stop, whole.split('')));
        assert.deepEqual(cut, feed(stop, [whole]));
        assert.ok(!stop.some((one) => cut.text.includes(one)));
        assert.equal(
          cut.stopped,
          stop.some((one) => whole.includes(one)),
        );
        assert.ok(whole.startsWith(cut.text));
      }),
    );
  });
});

function feed(stop: readonly string[], pieces: readonly string[]): { text: string; stopped: boolean } {
  const stops = new StopStrings(stop);
  let text = '';
  for (const piece of pieces) {
    const pushed = stops.push(piece);
    text += pushed.text;
    if (pushed.stoppedBy !== undefined) return { text, stopped: true };
  }
  return { text: text + stops.flush(), stopped: false };
}
