/**
 * Which bytes does a token of a vocabulary stand for, also half a character? The vocabulary's own spelling says it: `<0xE2>` for
 * a byte and U+2581 for a space (SentencePiece), or a letter for each byte (GPT-2). Where it says nothing that is known here, the token's
 * text counts. Source: spec of both, copied.
 */
import { utf8 } from '../../bytes.ts';

export interface TokenSpelling {
  readonly vocabulary: 'sentencepiece' | 'gpt-2' | 'other';
  /** As the vocabulary has it. */
  readonly spelling: string;
  /** As the model writes it. */
  readonly text: string;
}

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;
const SPACE_LETTER = '\u2581';
/** Printable bytes are letters as they are, the others follow from U+0100 on. Source: copied (GPT-2, bytes_to_unicode). */
const GPT2_BYTES: ReadonlyMap<string, number> = gpt2Bytes();

export function tokenBytes({ vocabulary, spelling, text }: TokenSpelling): readonly number[] {
  if (vocabulary === 'sentencepiece') {
    const byte = BYTE_TOKEN.exec(spelling)?.[1];
    return byte === undefined ? [...utf8(spelling.replaceAll(SPACE_LETTER, ' '))] : [Number.parseInt(byte, 16)];
  }
  if (vocabulary === 'gpt-2') {
    const bytes = Array.from(spelling, (letter) => GPT2_BYTES.get(letter));
    if (bytes.every((byte) => byte !== undefined)) return bytes;
  }
  return [...utf8(text)];
}

function gpt2Bytes(): Map<string, number> {
  const letters = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte += 1) {
    const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    letters.set(String.fromCodePoint(isPrintable ? byte : next), byte);
    if (!isPrintable) next += 1;
  }
  return letters;
}
