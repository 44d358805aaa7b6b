/** Two ends of a link without a network between them: what each was told, and everything moved that may move. */
import { type Broken, Link } from '../../src/inference/link.ts';
import type { Answer, Ask, Control } from '../../src/inference/messages.ts';

type Said =
  | { readonly by: 'asked'; readonly channel: number; readonly message: Ask }
  | { readonly by: 'answered'; readonly channel: number; readonly message: Answer }
  | { readonly by: 'told'; readonly message: Control };

export class End {
  readonly said: Said[] = [];
  readonly link: Link;

  constructor() {
    this.link = new Link({
      asked: (channel, message) => this.said.push({ by: 'asked', channel, message }),
      answered: (channel, message) => this.said.push({ by: 'answered', channel, message }),
      told: (message) => this.said.push({ by: 'told', message }),
    });
  }

  opened(): number[] {
    return this.said.flatMap((one) => (one.by === 'asked' && one.message.type === 'open' ? [one.channel] : []));
  }
}

export const WRITE = 65_536;

/** Moves everything that may move between the two, both ways. */
export function settle(
  left: End,
  right: End,
  cut: (length: number) => number = (length) => length,
): Broken | undefined {
  let broken: Broken | undefined;
  for (let moved = true; moved && broken === undefined;) {
    moved = false;
    for (const [from, to] of [
      [left, right],
      [right, left],
    ] as const) {
      const bytes = from.link.take(WRITE);
      if (bytes === undefined) continue;
      moved = true;
      for (let offset = 0; offset < bytes.length && broken === undefined;) {
        const length = Math.max(1, Math.min(bytes.length - offset, cut(bytes.length - offset)));
        broken = to.link.receive(bytes.subarray(offset, offset + length));
        offset += length;
      }
    }
  }
  return broken;
}

export const TOKENS: Answer = { type: 'tokens', position: 0, tokens: 2, tokenIds: [5, 70_000], text: 'Grüße 🪿' };
export const USAGE = { promptTokens: 12, completionTokens: 2, cachedTokens: 3 };
