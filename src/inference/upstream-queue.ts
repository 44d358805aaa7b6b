/**
 * First in, first out, for tokens that wait for a grant: also for the many words of one large body, where `Array.shift`
 * would move all of them each time. Memory is given back when the queue runs empty; its user bounds its length.
 */

export class TokenQueue<Token> {
  #tokens: Token[] = [];
  #head = 0;

  get length(): number {
    return this.#tokens.length - this.#head;
  }

  push(token: Token): void {
    this.#tokens.push(token);
  }

  shift(): Token | undefined {
    const token = this.#tokens[this.#head];
    if (token !== undefined) this.#head += 1;
    if (this.#head === this.#tokens.length) this.clear();
    return token;
  }

  clear(): void {
    this.#tokens = [];
    this.#head = 0;
  }
}
